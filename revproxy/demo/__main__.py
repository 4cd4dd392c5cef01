"""
``python -m revproxy.demo [--port 9000]``: the demo origin alone, on loopback, until it is interrupted.
"""

from __future__ import annotations

import argparse
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from revproxy.demo.origin import listenForOrigin


def main(reactor: Any, port: int) -> Deferred[None]:
    """
    Listen, say where, and never end by itself.
    """
    print(f"origin: http://127.0.0.1:{listenForOrigin(reactor, port)}/", flush=True)
    return Deferred()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m revproxy.demo", description="A small origin to try the edge on.")
    parser.add_argument("--port", type=int, default=9000)
    react(main, (parser.parse_args().port,))
