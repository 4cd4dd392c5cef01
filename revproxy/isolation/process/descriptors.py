"""
What is read from locked processes and written to them: by the reactor, or, before that runs, by whoever waits for one.

At the start of the edge plugins are made before its loop runs, and one in a locked process is made by frames that have
to come back. Running the reactor for that would run everything else, too. So what belongs to locked processes is known
here, and can be gone on with by itself.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")


@implementer(IReadWriteDescriptor)
class Descriptor:
    """
    What can be waited for. Subclasses say what is done then.

    :ivar fd: its descriptor; -1: it is closed.
    """

    fd = -1

    def fileno(self) -> int:
        """Its descriptor."""
        return self.fd

    def logPrefix(self) -> str:
        """For `IReadDescriptor`."""
        return "locked process"

    def doRead(self) -> None:
        """There is something to read, or the end."""
        raise NotImplementedError

    def doWrite(self) -> None:
        """There is room."""
        raise NotImplementedError

    def connectionLost(self, reason: Failure) -> None:
        """It has ended, or :meth:`doRead` has raised."""
        raise NotImplementedError


class Descriptors:
    """
    Those of all locked processes.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        """:param reactor: provides `IReactorFDSet` and `IReactorTime`."""
        self._reactor = reactor
        self._readers: set[Descriptor] = set()
        self._writers: set[Descriptor] = set()
        self._soon: list[Callable[[], None]] = []

    def read(self, source: Descriptor) -> None:
        """Tell it when there is something to read."""
        self._readers.add(source)
        self._reactor.addReader(source)

    def write(self, source: Descriptor) -> None:
        """Tell it when there is room."""
        self._writers.add(source)
        self._reactor.addWriter(source)

    def forget(self, source: Descriptor) -> None:
        """Tell it nothing any more. To be called before its descriptor is closed."""
        if source in self._readers:
            self.readNoMore(source)
        if source in self._writers:
            self.writeNoMore(source)

    def readNoMore(self, source: Descriptor) -> None:
        """For now, or for ever."""
        self._readers.discard(source)
        self._reactor.removeReader(source)

    def writeNoMore(self, source: Descriptor) -> None:
        """For now, or for ever."""
        self._writers.discard(source)
        self._reactor.removeWriter(source)

    def soon(self, call: Callable[[], None]) -> None:
        """Call it when this turn of the event loop ends."""
        if not self._soon:
            self._reactor.callLater(0, self._runSoon)
        self._soon.append(call)

    def later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> Any:
        """As `IReactorTime.callLater`; while :meth:`waitFor` waits, nothing comes due."""
        return self._reactor.callLater(seconds, call, *arguments)

    def _runSoon(self) -> None:
        calls, self._soon = self._soon, []
        for call in calls:
            call()

    def waitFor(self, waiting: Deferred[T], seconds: float) -> T:
        """
        Go on with these, and with nothing else, until a Deferred fires.

        :returns: its result.
        :raises TimeoutError: it has not fired in time; it is cancelled. If it fails, what it fails with.
        """
        fired: list[Any] = []
        waiting.addBoth(fired.append)
        until = monotonic() + seconds
        while not fired:
            self._runSoon()
            left = until - monotonic()
            if fired or left <= 0:
                break
            self._once(left)
        if not fired:
            waiting.cancel()
            raise TimeoutError(f"a locked process has not answered in {seconds:g} s")
        if isinstance(fired[0], Failure):
            fired[0].raiseException()
        result: T = fired[0]
        return result

    def _once(self, seconds: float) -> None:
        poll = select.poll()
        byFd = {source.fileno(): source for source in self._readers | self._writers}
        for fd, source in byFd.items():
            wanted = (select.POLLIN if source in self._readers else 0) | (
                select.POLLOUT if source in self._writers else 0
            )
            poll.register(fd, wanted)
        for fd, event in poll.poll(seconds * 1000):
            source = byFd[fd]
            if event & select.POLLOUT and source in self._writers:
                self._call(source, source.doWrite)
            if event & ~select.POLLOUT and source in self._readers:
                self._call(source, source.doRead)

    def _call(self, source: Descriptor, call: Callable[[], Any]) -> None:
        """As the reactor does."""
        try:
            call()
        except Exception:
            self._log.failure("a locked process was not read or written")
            self.forget(source)
            source.connectionLost(Failure())
