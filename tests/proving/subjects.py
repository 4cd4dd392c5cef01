"""
Versions to be proved, for tests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from revproxy.proving.orders import Job, Order, Report, Subject
from revproxy.proving.provingprocess import ProvingProcess

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

def PluginMain(config):
    return Shop(config)

@implementer(IMiddleware)
class Shop:
    name = "shop"

    def __init__(self, config):
        self.config = config

    def handle(self, context):
        {body}
"""


def plugin(body: str = "return True", **said: Any) -> dict[str, bytes]:
    """The files of ``shop`` 1.0.0. :param body: of ``handle``. :param said: more of plugin.json."""
    manifest = {"name": "shop", "version": "1.0.0", **said}
    indented = "\n        ".join(body.split("\n"))
    return {"plugin.json": json.dumps(manifest).encode(), "plugin.py": PLUGIN.replace("{body}", indented).encode()}


def subject(
    files: Mapping[str, bytes] | None = None,
    tests: Mapping[str, str] | None = None,
    isLocked: bool = False,
    **more: Any,
) -> Subject:
    """A version. :param tests: by path, what is in them."""
    written = {path: text.encode() for path, text in (tests or {}).items()}
    usual: dict[str, Any] = {"configs": ({},), "isolation": "process" if isLocked else "inline"}
    if isLocked:
        usual["permissions"] = {"write_headers": ["*"], "respond": True}
    return Subject("shop", "/plugins/shop", dict(files or plugin()), written, **{**usual, **more})


def proved(job: Job, candidate: Subject, seconds: float = 60.0, **more: Any) -> Report:
    """What a process says of it."""
    return ProvingProcess(Order(job, candidate, seconds=seconds, **more)).run()
