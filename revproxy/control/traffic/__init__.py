"""What requests were: the last of them, and sums over time, by route, upstream and plugin."""
