"""What requests were, as control knows it."""
