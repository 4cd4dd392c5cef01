"""guard: one sentence."""
