"""Shows and steers, for people and programs: the HTTP API, who may use it, the dashboard."""
