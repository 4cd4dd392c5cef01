"""``python -m benchmarks.explaining``: what it costs a request that one can ask later why it went as it did.

The data plane of `benchmarks.cycle`, in memory, with five plugins of which two want responses, and a browser's fields:
with nothing noted, with notes and no sample, with one request in a hundred in the sample, and with all. They are run in
turns, and the lowest of many rounds counts: it moves with the code and not with the machine's load.
"""

from __future__ import annotations

import time

from zope.interface import implementer

from benchmarks import cycle
from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.explainer import Explainer
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route, Tree
from revproxy.interfaces import IMiddleware, IResponseMiddleware

REQUEST = (
    b"GET /abc HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n"
    b"Accept-Language: en\r\nAccept-Encoding: gzip\r\nReferer: http://127.0.0.1/\r\nCookie: a=b; c=d\r\n"
    b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0\r\n\r\n"
)

_ROUNDS = 25
_BATCH = 3000
CASES: tuple[tuple[str, int | None], ...] = (("off", None), ("no sample", 0), ("1 in 100", 100), ("all", 1))


@implementer(IMiddleware)
@implementer(IResponseMiddleware)
class Setting(cycle.Plugin):
    """Sets a field of both messages."""

    def handle(self, context: Context) -> bool:
        """Part of IMiddleware."""
        context.request.headers.set("X-Request", self.name)
        return True

    def handleResponse(self, context: Context) -> None:
        """Part of IResponseMiddleware."""
        assert context.response is not None
        context.response.headers.set("X-Response", self.name)


class Edges(cycle.Edges):
    """Explains so many of its requests."""

    def __init__(self, explains: int | None, fails: bool = False) -> None:
        super().__init__()
        plugins = [Setting("a"), Setting("b"), *(cycle.Plugin(name) for name in "cde")]
        links = [self._linkOf(plugin) for plugin in plugins]
        edge = self.listener.edge
        edge.generation = Generation(1, Tree([Route("/", b"", b"/", self.leaf)]), [Chain(links, explains=explains)])
        if explains is not None:
            edge.explain, edge.slow = Explainer(1.0, edge.monotonic).explain, 1.0

    def _linkOf(self, plugin: cycle.Plugin) -> object:
        link = self._link(plugin.name)
        return type(link)(
            plugin,
            plugin.name,
            "1.0",
            open=False,
            timeout=None,
            deadlines=self.deadlines,
            makeClient=object,
            services={}.__getitem__,
            destinations=self.destinations,
        )

    def requests(self, count: int) -> None:
        """That many requests and their answers."""
        answer = cycle.HEAD + cycle.BODY
        for number in range(count):
            self.server.dataReceived(REQUEST)
            self.origins[0].dataReceived(answer)
            if not number % 256:
                self.log.flush()


def main() -> None:
    """Measure and print."""
    edges = {name: Edges(explains) for name, explains in CASES}
    lowest = dict.fromkeys(edges, 1e9)
    for each in edges.values():
        each.requests(1000)
    for _ in range(_ROUNDS):
        for name, each in edges.items():
            began = time.process_time()
            each.requests(_BATCH)
            lowest[name] = min(lowest[name], (time.process_time() - began) / _BATCH * 1e6)
    for name, cost in lowest.items():
        print(f"{cost:7.2f} µs  {cost - lowest['off']:+6.2f}  {name}")


if __name__ == "__main__":
    main()
