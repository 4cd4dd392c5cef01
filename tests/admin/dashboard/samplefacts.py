"""What the double's edge is made of: its routes, plugins, and texts."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ROUTES = (
    "shop",
    "shop-api",
    "checkout",
    "search",
    "images",
    "admin",
    "status",
    "a-route-with-a-name-that-somebody-found-clear-at-the-time",
)
RATES = (310.0, 424.0, 21.5, 66.0, 240.0, 0.4, 1.0, 0.02)
UPSTREAMS = {
    "shop": "web",
    "shop-api": "api",
    "checkout": "api",
    "search": "search",
    "images": "",
    "admin": "web",
    "status": "",
    ROUTES[-1]: "legacy",
}
PLUGINS = ("auth", "quota", "html-banner", "request-id", "bot-rules", "tenant")
DIGESTS = {(name, n): f"{abs(hash((name, n))) % 16**16:016x}" * 4 for name in PLUGINS for n in range(6)}
PATHS = (
    "/",
    "/api/cart",
    "/api/items/4711",
    "/search?q=red%20shoes&page=2",
    "/img/hero.avif",
    "/checkout/pay",
    "/login?next=/account/orders&token=***",
    "/api/items/4711/reviews?sort=newest&limit=50&locale=de-AT",
)

TEXT = """\
# The shop's edge.
listeners:
  - endpoint: tcp:8080
  - endpoint: tcp:8443
    tls: {certificates: ./certs}
upstreams:
  web:
    targets: [http://10.0.1.11:8000, http://10.0.1.12:8000]
  api:
    targets:
      - http://10.0.2.21:9000
      - {url: "http://10.0.2.22:9000", weight: 2}
  search:
    targets: [http://10.0.3.31:7700]
routes:
  - {name: shop, host: shop.example.com, upstream: web}
  - name: shop-api
    host: shop.example.com
    path: /api/
    upstream: api
    plugins:
      quota: {rate: 50/s}      # one page asks for twelve things
plugins:
  directory: ./plugins
  config:
    request-id: true
    quota: {rate: 100/s, per: client}
    auth: {issuer: https://id.example.com, audience: shop}
state: ./var
"""

QUOTA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["rate"],
    "properties": {
        "rate": {"type": "string", "pattern": r"^\d+/(s|m|h)$", "description": "How many in how long: 100/s, 5/m."},
        "per": {"enum": ["client", "tenant", "edge"], "default": "client", "description": "Who shares it."},
        "burst": {"type": "integer", "minimum": 0, "maximum": 100000, "default": 0, "description": "So many at once."},
        "exempt": {"type": "array", "items": {"type": "string"}, "description": "Addresses that are not counted."},
        "dry": {"type": "boolean", "default": False, "description": "Count, but refuse nobody."},
        "answer": {
            "type": "object",
            "title": "answer",
            "description": "What those get who are refused.",
            "properties": {
                "status": {"type": "integer", "minimum": 400, "maximum": 599, "default": 429},
                "body": {"type": "string", "maxLength": 2000},
            },
        },
        "limits": {"oneOf": [{"type": "object"}, {"type": "null"}], "description": "By tenant."},
    },
}

TRACEBACK = """Traceback (most recent call last):
  File "plugins/bot-rules/plugin.py", line 88, in handle
    score = self.model.score(context.request.headers)
  File "plugins/bot-rules/plugin.py", line 131, in score
    return sum(weights[name] for name in seen) / len(seen)
ZeroDivisionError: division by zero
"""


class Refused(Exception):
    """An operation is not done. :ivar status: of the problem. :ivar more: its further members."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.more = more
