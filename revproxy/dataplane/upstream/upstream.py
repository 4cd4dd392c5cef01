"""
An upstream: several targets that serve the same.

Which is next, a policy says (:mod:`~revproxy.dataplane.upstream.balancing`). One that fails is marked down for a while.
"""

from __future__ import annotations

import math
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
        :param onChange: given the URL of a target, whether it is up, and why not, when that has changed.
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
        self._only = self.targets[0] if len(self.targets) == 1 else None

    def pick(self, tried: Sequence[Target]) -> Target | None:
        """The next target that is not tried yet; None if all are. One that is marked down is better than none."""
        if self._only is not None:
            return None if tried else self._only
        untried = [target for target in self.targets if target not in tried] if tried else self.targets
        return self._choose(untried, self._now()) if untried else None

    def available(self) -> list[str]:
        """The URLs of the targets that are in service and not marked down."""
        now = self._now()
        return [target.url for target in self.targets if target.isInService and target.isHealthy(now)]

    def succeeded(self, target: Target) -> None:
        """It answered."""
        if target.fails:
            target.fails = 0
            if target.downUntil and target.isInService:
                target.downUntil = 0.0
                self._log.info("upstream {name}: {url} answers again", name=self.name, url=target.url)
                self._onChange(target.url, True, "")

    def failedAt(self, target: Target, reason: Failure) -> None:
        """It did not answer, or not properly."""
        target.fails += 1
        if not self._maxFails or target.fails < self._maxFails or not target.isInService:
            return
        now = self._now()
        if self._only is not None:
            # It is tried all the same. But people read the log when nothing works.
            if not target.downUntil and target.quietUntil <= now:
                target.downUntil = target.quietUntil = now + self._failTimeout
                self._warn(target, "upstream {name}: {url} failed {fails} times in a row; there is no other", reason)
                self._onChange(target.url, False, _textOf(reason))
            return
        before, target.downUntil = target.downUntil, now + self._failTimeout
        if before <= now:
            self._warn(target, "upstream {name}: {url} is passed over for {seconds} s after {fails} failures", reason)
        if not before:
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

    def setInService(self, url: str, inService: bool) -> None:
        """
        Have a target take no new requests while another can, or take them again. Requests that are under way go on.

        :param url: as it is configured; nothing happens if there is no such target.
        """
        for target in self.targets:
            if target.url == url and target.isInService != inService:
                target.isInService = inService
                target.downUntil = 0.0 if inService else math.inf
                self._onChange(url, inService, "" if inService else "taken out of service")

    def close(self) -> None:
        """Give up all connections as they become idle."""
        for target in self.targets:
            target.pool.close()


def _textOf(reason: Failure) -> str:
    return printable(reason.getErrorMessage(), 500)
