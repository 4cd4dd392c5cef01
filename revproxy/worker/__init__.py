"""worker: one sentence."""
