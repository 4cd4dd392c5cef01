"""net: one sentence."""
