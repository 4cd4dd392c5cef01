"""lifecycle: one sentence."""
