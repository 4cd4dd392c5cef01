"""
An interruption: ``handle`` answers itself and returns False, and the origin never hears of the request.

Shown here: work done once in ``__init__``, a secret that is kept and compared as a digest, a value left for plugins
that run later, and a header taken away before the origin sees it.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IMiddleware
from revproxy.paths import Prefixes


@implementer(IMiddleware)
class RequireKey:
    name = "require-key"

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.header = config.get("header", "X-Api-Key")
        # Digest to owner. A key of enough random bytes needs no slow hash, and a look-up by digest tells an
        # attacker's clock nothing about the key.
        self.owners = {bytes.fromhex(digest): owner for owner, digest in config["keys"].items()}
        # Origins do not agree on what an odd path means, and no spelling may slip past. Where this plugin is switched
        # on per route in revproxy.yaml there is no need for paths: the edge itself does this for routes.
        self.guarded = Prefixes(config.get("paths", ["/"]))

    def handle(self, context: Context) -> bool:
        request = context.request
        if not self.guarded.mayHold(request.path):
            return True
        keys = request.headers.getAll(self.header)
        owner = self.owners.get(sha256(keys[0].encode("latin-1")).digest()) if len(keys) == 1 else None
        if owner is None:
            return context.respond(401, f"A key is needed, in {self.header}.\n", {"WWW-Authenticate": "ApiKey"})
        context.values["key-owner"] = owner
        request.headers.remove(self.header)
        return True


PluginMain = RequireKey
