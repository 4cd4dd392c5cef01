"""
Twisted's epoll reactor without the ceremony around each event.

For every event the stock reactor pushes a logging context, through five calls, so that ``log.msg`` can say which
transport it came from. Nothing here logs that way, and a proxied request is two events: 3.5 µs of it. An event that is
anything but plain readability takes Twisted's own path.

``twistd revproxy`` installs it unless another reactor was chosen (``twistd --reactor``); everything works with any.
"""

from __future__ import annotations

import sys
from functools import partial
from select import EPOLLIN
from threading import Thread
from time import monotonic
from typing import Any

from twisted.internet._resolver import GAIResolver
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.python import log

from revproxy.loop.threads import Threads

LONG = 0.1
"""Seconds that the events of one look may take, if they are not all dealt with then."""

BACK = 0.5
"""Seconds by which the machine's clock is set back before that is seen to."""

RESOLVING = 16
"""Names that are resolved at a time; more wait."""


class EdgeReactor(EPollReactor):  # type: ignore[misc]
    """
    An epoll reactor that calls ``doRead`` directly.

    Where something that was ready holds it for :data:`LONG`, what else is ready waits for another look, and whatever
    has a true ``isUrgent`` comes first then: so a command is heard between two requests whose plugins take their time,
    however many have come at once.

    Twisted's timers go by the machine's clock. When that is set back, all of them would wait for as long: no timeout,
    no deadline, no report of what happens. So they are set back with it.
    """

    _isHeldUp = False
    _ahead: float | None = None

    def timeout(self) -> float | None:
        """How long the next look may wait for events."""
        ahead = self.seconds() - monotonic()
        if self._ahead is not None and ahead < self._ahead - BACK:
            for call in (*self._pendingTimedCalls, *self._newTimedCalls):
                call.time += ahead - self._ahead  # of all, so they stay in their order
        self._ahead = ahead
        left: float | None = super().timeout()
        return left

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events and deliver them."""
        selectables = self._selectables
        try:
            # Room for every descriptor, as Twisted asks for, is an allocation that grows with idle connections.
            events = self._poller.poll(-1 if timeout is None else timeout, min(len(selectables), 256))
        except InterruptedError:
            return
        if self._isHeldUp:
            self._isHeldUp = False
            urgent = [each for each in events if getattr(selectables.get(each[0]), "isUrgent", False)]
            events = urgent or events
        # Nothing waits behind an only event, and most are: two looks at the clock for each are 1 % of a request.
        late = monotonic() + LONG if len(events) > 1 else 0.0
        for fd, event in events:
            if late and monotonic() > late:
                self._isHeldUp = True
                return  # what is ready stays so
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            if event == EPOLLIN:
                try:
                    why = selectable.doRead()
                except BaseException:
                    log.err()
                    why = sys.exc_info()[1]
                if why:
                    self._disconnectSelectable(selectable, why, True)
            else:
                log.callWithLogger(selectable, self._doReadOrWrite, selectable, fd, event)

    doIteration = doPoll


def installUnlessChosen() -> Any:
    """
    Install it if no reactor is installed yet.

    :returns: the reactor that is installed.
    """
    if "twisted.internet.reactor" not in sys.modules:
        installReactor(EdgeReactor())
    return sys.modules["twisted.internet.reactor"]


def keepThreadsApart(reactor: Any) -> None:
    """
    Let nobody depend on the reactor's own threads, which plugins can fill (``deferToThread``) with what does not come
    back: names are resolved in others, and its threads are daemons.

    :param reactor: one that has not begun to run.
    """
    names: Any = Threads("revproxy names", RESOLVING)
    reactor.installNameResolver(GAIResolver(reactor, lambda: names))
    reactor.getThreadPool().threadFactory = partial(Thread, daemon=True)


def leaveThreads(reactor: Any) -> None:
    """Have the reactor not wait for its threads when it stops."""
    trigger = getattr(reactor, "threadpoolShutdownID", None)
    if trigger is not None:
        reactor.removeSystemEventTrigger(trigger)
        reactor.threadpoolShutdownID = None
