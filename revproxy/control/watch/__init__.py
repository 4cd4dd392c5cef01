"""watch: one sentence."""
