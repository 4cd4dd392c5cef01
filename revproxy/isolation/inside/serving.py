"""
A locked process, from its lock to its end: what comes by its stream is taken, and what is said leaves by it.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from twisted.internet.main import installReactor
from twisted.logger import Logger, LoggingFile, globalLogBeginner

from revproxy.isolation.frames import MOST_DOWN, MOST_UP, Failed, FrameReader, Up, decodeDown, encode
from revproxy.isolation.inside.edgelog import EdgeHandler, EdgeLog
from revproxy.isolation.inside.holding import Holding, Page
from revproxy.isolation.inside.insideloop import InsideLoop
from revproxy.isolation.inside.runtime import Runtime


def serve(fd: int, holdPage: Page) -> None:
    """
    Be what the edge says, until the stream ends.

    :param fd: of the stream, in blocking mode.
    :param holdPage: is told whose code runs.
    """
    holding = Holding(holdPage)
    loop = InsideLoop(fd, holding)
    installReactor(loop)
    connect(loop, holding, redirect=True)
    loop.run()


def connect(loop: InsideLoop, holding: Holding, redirect: bool) -> Runtime:
    """
    Have the frames of a loop's stream taken.

    :param redirect: whether all that is logged and printed in this process goes to the edge.
    """

    def send(frame: Up) -> None:
        loop.send(_bounded(frame))

    log = EdgeLog(send)
    runtime = Runtime(loop, send, holding, log)
    reader = FrameReader(MOST_DOWN)

    def take(data: bytes) -> None:
        for frame in reader.feed(data):
            loop.sendLate()
            runtime.take(decodeDown(frame))

    loop.onData = take
    loop.onFailure = runtime.failedInLoop
    if redirect:
        _redirect(log)
    return runtime


def _bounded(frame: Up) -> bytes:
    data = encode(frame)
    if len(data) <= MOST_UP:
        return data
    text = f"what it answers has {len(data)} bytes, and {MOST_UP} are the most that a locked process may answer at once"
    return encode(Failed(getattr(frame, "number", 0), "", "ValueError", text))


def _redirect(log: EdgeLog) -> None:
    globalLogBeginner.beginLoggingTo([log], discardBuffer=True, redirectStandardIO=False)
    root = logging.getLogger()
    root.handlers[:] = [EdgeHandler(log)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    printed: Any = LoggingFile(Logger(namespace="print", observer=log))
    sys.stdout = printed
