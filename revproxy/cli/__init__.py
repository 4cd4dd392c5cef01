"""cli: one sentence."""
