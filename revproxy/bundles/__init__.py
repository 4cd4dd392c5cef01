"""bundles: one sentence."""
