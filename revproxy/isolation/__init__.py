"""
Middleware in a locked process: to the chain it is one like any other.
"""
