"""
The inside of a locked process: a loop, and doubles of what plugins are given.
"""
