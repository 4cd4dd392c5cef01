"""loop: one sentence."""
