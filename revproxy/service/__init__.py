"""service: one sentence."""
