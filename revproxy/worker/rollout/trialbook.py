"""
What is written down of one trial, until it is told.
"""

from __future__ import annotations


class TrialBook:
    """
    Of one trial, in one worker.
    """
