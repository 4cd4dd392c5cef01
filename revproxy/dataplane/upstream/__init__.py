"""upstream: one sentence."""
