"""leaves: one sentence."""
