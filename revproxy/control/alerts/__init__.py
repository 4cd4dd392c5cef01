"""Which rules fire, and who is told."""
