"""http: one sentence."""
