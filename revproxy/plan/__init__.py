"""plan: one sentence."""
