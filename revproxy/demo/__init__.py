"""
Something to try the edge on: ``python -m revproxy.demo`` is an origin, ``python -m revproxy.demo.run`` is that origin
with an edge in front, restarted when a plugin is edited. Nothing else imports this package.
"""
