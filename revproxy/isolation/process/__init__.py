"""
Locked processes: made, kept ready, watched, ended.
"""
