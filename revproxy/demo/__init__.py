"""
Something to try the edge on. Nothing else imports this package.

- `origin`: a small server behind the edge; ``python -m revproxy.demo`` is that alone;
- `selfsigned`: a certificate to begin with;
- `edgeprocess`: the process of an edge;
- `shownedge`: an edge for as long as something is shown on it;
- `rollout`: ``python -m revproxy.demo.rollout``, which ``make demo-rollout`` calls: `rolloutversions` of a plugin meet
  `visitors`; `rolloutact` says whether all was right, `rolloutpage` what happened;
- `trust`: ``python -m revproxy.demo.trust``, which ``make demo-trust`` calls: `hostileplugins` in locked processes;
- `run`: ``python -m revproxy.demo.run``, which ``make run`` calls: the origin with an edge in front.
"""
