"""
An upstream: several targets that serve the same.

Which is next, a policy says (:mod:`~revproxy.dataplane.upstream.balancing`). One that fails is marked down for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.dataplane.upstream.balancing import Policy, WeightedRoundRobin
from revproxy.dataplane.upstream.target import Target
from revproxy.errors import printable


class Upstream:
    """
    Several targets that serve the same.

    :ivar name: as configured.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        targets: Sequence[Target],
        now: Callable[[], float],
        *,
        maxFails: int = 3,
        failTimeout: float = 10.0,
        policy: Policy | None = None,
        onChange: Callable[[str, bool, str], None] = lambda url, isUp, reason: None,
    ) -> None:
        """
        :param now: the time in seconds.
        :param maxFails: failures in a row after which a target is passed over; 0 for never.
        :param failTimeout: seconds it is passed over.
        :param policy: which target is next; a :class:`WeightedRoundRobin` by default.
        :param onChange: given the URL of a target, whether it is up, and why not, when that has changed; and again
            when one that is down fails after its time.
        :raises ValueError: if there are no targets.
        """
        if not targets:
            raise ValueError(f"upstream {name} has no targets")
        self.name = name
        self.targets = tuple(targets)
        self._now = now
        self._maxFails = maxFails
        self._failTimeout = failTimeout
        self._onChange = onChange
        self._choose = (policy or WeightedRoundRobin()).choose
        self._serve()

    def _serve(self) -> None:
        """Requests go to those in service from now on."""
        self._serving = tuple(target for target in self.targets if target.isInService)
        self._only = self._serving[0] if len(self._serving) == 1 else None

    def pick(self, tried: Sequence[Target]) -> Target | None:
        """
        The next target in service that is not tried yet; None if all are. One that is marked down is better than none.
        """
        if self._only is not None:
            return None if self._only in tried else self._only
        untried = [target for target in self._serving if target not in tried] if tried else self._serving
        return self._choose(untried, self._now()) if untried else None

    def available(self) -> list[str]:
        """The URLs of the targets that are in service and not marked down."""
        now = self._now()
        return [target.url for target in self._serving if target.isHealthy(now)]

    def succeeded(self, target: Target) -> None:
        """It answered."""
        if target.fails:
            target.fails = 0
            if target.downUntil:
                target.downUntil = 0.0
                self._log.info("upstream {name}: {url} answers again", name=self.name, url=target.url)
                self._onChange(target.url, True, "")

    def failedAt(self, target: Target, reason: Failure) -> None:
        """It did not answer, or not properly."""
        target.fails += 1
        target.failures += 1
        if not self._maxFails or target.fails < self._maxFails or not target.isInService:
            return  # one that was taken out of service gets no more: that what was under way fails there is no news
        now = self._now()
        before = target.downUntil
        if self._only is not None:
            # It is tried all the same. But people read the log when nothing works.
            if max(before, target.quietUntil) <= now:
                target.downUntil = target.quietUntil = now + self._failTimeout
                if not before:
                    text = "upstream {name}: {url} failed {fails} times in a row; there is no other"
                    self._warn(target, text, reason)
                self._onChange(target.url, False, _textOf(reason))
            return
        target.downUntil = now + self._failTimeout
        if before <= now:
            self._warn(target, "upstream {name}: {url} is passed over for {seconds} s after {fails} failures", reason)
            self._onChange(target.url, False, _textOf(reason))

    def _warn(self, target: Target, message: str, reason: Failure) -> None:
        self._log.warn(
            message + ": {reason}",
            name=self.name,
            url=target.url,
            seconds=self._failTimeout,
            fails=target.fails,
            reason=_textOf(reason),
        )

    def steer(self, url: str, inService: bool, weight: int | None) -> None:
        """
        Have a target take no new requests, or take them again; requests that are under way go on. If none is left,
        requests are refused. What is changed holds for the next request.

        :param url: as it is configured; nothing happens if there is no such target.
        :param weight: its share from now on; None: as it is configured.
        """
        for target in self.targets:
            if target.url == url:
                self._steer(target, inService, target.configuredWeight if weight is None else weight)

    def _steer(self, target: Target, inService: bool, weight: int) -> None:
        if target.weight != weight or target.isInService != inService:
            target.weight = weight
            target.isInService = inService
            for each in self.targets:
                # What they are owed is of other weights: it would be paid first.
                each.current = 0
            self._serve()

    def forget(self) -> None:
        """Another one stands in its place: nothing is told any more, and nothing is held against its targets."""
        onChange, self._onChange = self._onChange, lambda url, isUp, reason: None
        for target in self.targets:
            if target.downUntil:
                onChange(target.url, True, "its upstream is another one now")

    def close(self) -> None:
        """Give up all connections as they become idle."""
        for target in self.targets:
            target.pool.close()


def _textOf(reason: Failure) -> str:
    return printable(reason.getErrorMessage(), 500)
