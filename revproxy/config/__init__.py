"""config: one sentence."""
