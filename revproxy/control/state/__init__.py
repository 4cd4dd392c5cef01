"""state: one sentence."""
