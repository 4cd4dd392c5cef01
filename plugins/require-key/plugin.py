"""
An interruption: ``handle`` answers itself and returns False, and the origin never hears of the request.

Shown here: work done once in ``__init__``, a secret that is kept and compared as a digest, a value left for plugins
that run later, and a header taken away before the origin sees it.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IMiddleware

ODD = re.compile(r"[%;\\]|//|\./|\.$")


@implementer(IMiddleware)
class RequireKey:
    name = "require-key"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.header = config.get("header", "X-Api-Key")
        # Digest to owner. A key of enough random bytes needs no slow hash, and a look-up by digest tells an
        # attacker's clock nothing about the key.
        self.owners = {bytes.fromhex(digest): owner for owner, digest in config["keys"].items()}
        self.paths = [path.rstrip("/") for path in config.get("paths", ["/"])]

    def handle(self, context: Context) -> bool:
        request = context.request
        if not self.covers(request.path):
            return True
        keys = request.headers.getAll(self.header)
        owner = self.owners.get(sha256(keys[0].encode("latin-1")).digest()) if len(keys) == 1 else None
        if owner is None:
            return context.respond(401, f"A key is needed, in {self.header}.\n", {"WWW-Authenticate": "ApiKey"})
        context.values["key-owner"] = owner
        request.headers.remove(self.header)
        return True

    def covers(self, path: str) -> bool:
        # Origins do not agree on what an odd path means, so it may mean any of ours. Where this plugin is switched on
        # per route in revproxy.yaml there is no need for paths: the edge itself refuses what could be two routes'.
        odd = ODD.search(path) is not None
        return odd or any(path == prefix or path.startswith(prefix + "/") for prefix in self.paths)


PluginMain = RequireKey
