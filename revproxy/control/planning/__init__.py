"""planning: one sentence."""
