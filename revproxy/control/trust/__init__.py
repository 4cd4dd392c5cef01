"""
Whose code may run, and what it may touch.
"""
