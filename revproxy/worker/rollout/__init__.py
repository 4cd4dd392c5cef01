"""
Versions on trial, in one worker: who meets which, what they do, and what the other one would have done.
"""
