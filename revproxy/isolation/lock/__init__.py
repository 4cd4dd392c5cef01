"""
What a process gives up before code comes into it that nobody trusts, and the proof that it has.
"""
