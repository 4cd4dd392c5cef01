"""http1: one sentence."""
