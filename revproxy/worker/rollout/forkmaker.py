"""
From the trials of a plan to the forks in a generation: which arms there are on the routes of a group, and who of its
clients takes which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

from revproxy.config.rolloutpolicy import ClientKey, Testers
from revproxy.dataplane.armcookie import IssuedDraw, Issuer
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.draw import Draw, TestersHeader, cookieKey, headerKey
from revproxy.dataplane.fork import RUNNING, Begin, Fork, Taking, Tap
from revproxy.dataplane.link import Link
from revproxy.plan.catalog import Order
from revproxy.plan.plan import Plan
from revproxy.plan.trial import Trial
from revproxy.requestrecord import ArmMet
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.rollout.judgedlink import JudgedLink
from revproxy.worker.rollout.takendown import TakenDown
from revproxy.worker.rollout.trialbook import TrialBook

TapsOf = Callable[[Trial], Sequence[Tap]]
"""What wants requests of a trial taken down."""

GroupTaps = Callable[[int], Sequence[Tap]]
"""What else wants requests of a route group taken down, by its index."""


class Parts:
    """
    What a fork is made of.

    :ivar orders: of each arm, the plugins; ``tried``: those whose version on trial is meant, each with its trial.
    :ivar takenOrders: of each arm of which requests are taken down, that of what runs among them; empty: none are.
    """

    def __init__(
        self,
        orders: Mapping[int, Order],
        tried: Mapping[int, Mapping[str, str]],
        takenOrders: Mapping[int, Order],
        draws: Sequence[Draw],
        stripped: Sequence[bytes],
        issuer: Issuer | None,
        taps: Sequence[Tap],
        begin: Begin,
        testers: Sequence[Draw],
    ) -> None:
        self.orders = orders
        self.tried = tried
        self.takenOrders = takenOrders
        self._draws = draws
        self._stripped = stripped
        self._issuer = issuer
        self._taps = taps
        self._begin = begin
        self._testers = testers

    def join(self, running: Chain, arms: Mapping[int, Chain], taken: Mapping[int, Chain]) -> Fork:
        """What chooses among chains. :param taken: those of requests that are taken down."""
        taking = Taking(self._taps, self._begin, taken) if taken else None
        return Fork({RUNNING: running, **arms}, self._draws, self._stripped, self._issuer, taking, self._testers)


class ForkMaker:
    """
    Of one generation.
    """

    def __init__(
        self,
        plan: Plan,
        books: Mapping[str, TrialBook],
        takenDown: TakenDown,
        tapsOf: TapsOf,
        groupTaps: GroupTaps,
    ) -> None:
        """:param books: what is written down of each trial, by its id."""
        self._plan = plan
        self._books = books
        self._takenDown = takenDown
        self._groupTaps = groupTaps
        self._draws = {trial.id: drawOf(trial) for trial in plan.trials}
        issued = [draw for draw in self._draws.values() if isinstance(draw, IssuedDraw)]
        self._issuer = Issuer(issued) if issued else None
        self._stripped = strippedIn(plan)
        self._testers = tuple(draw for draw in self._draws.values() if draw.testers is not None)
        self._trialOf = {name: trial for trial in plan.trials for name in trial.plugins}
        self._taps = {trial.id: tuple(tapsOf(trial)) for trial in plan.trials}
        self._lone = {trial.id: plan.armOf(trial.id) for trial in plan.trials}
        self._on: dict[tuple[int, ...], tuple[Trial, ...]] = {}
        self._known: dict[tuple[Any, ...], Parts] = {}

    def partsOf(self, at: int) -> Parts | None:
        """
        Of the routes of a group, by its index: the same for groups with the same plugins and trials; None: there is
        no fork.
        """
        plan, trials = self._plan, self._trialsOn(at)
        taps = (*(tap for trial in trials for tap in self._taps[trial.id]), *self._groupTaps(at))
        if not (trials or taps or self._stripped):
            return None
        arms = {arm: self._armOf(chosen) for arm, chosen in _subsets(trials)}
        orders = {arm: found.orderPerGroup[at] for arm, found in arms.items() if found is not None}
        tried = {arm: plan.triedIn(found) for arm, found in arms.items() if found is not None}
        running = plan.orderPerGroup[at]
        key = id(running), *((arm, id(order)) for arm, order in orders.items()), *map(id, taps)
        known = self._known.get(key)
        if known is None:
            draws = [self._draws[trial.id] for trial in trials]
            known = self._known[key] = Parts(
                orders, tried, {RUNNING: running, **orders} if taps else {}, draws, self._stripped,
                self._issuer if any(isinstance(draw, IssuedDraw) for draw in draws) else None,
                taps, self._takenDown.begin, self._testers,
            )  # fmt: skip
        return known

    def linkOf(self, plugin: str, isCandidate: bool, instance: Instance) -> Callable[..., Link]:
        """What makes the links of an instance of a plugin, as it runs or of its version on trial."""
        trial = self._trialOf.get(plugin)
        if trial is None or not trial.judges:
            return Link
        return partial(JudgedLink, book=self._books[trial.id], isCandidate=isCandidate, made=instance)

    def met(self, order: Order, tried: Mapping[str, str]) -> tuple[ArmMet, ...]:
        """What requests meet of versions on trial."""
        return tuple(
            ArmMet(plugin.name, plugin.entry.version.number, plugin.name in tried)
            for plugin, _ in order
            if plugin.name in self._trialOf
        )

    def takenDown(self, instance: Instance, middleware: Any) -> Any:
        """A middleware that is taken down."""
        return self._takenDown.wrap(instance, middleware)

    def _trialsOn(self, at: int) -> tuple[Trial, ...]:
        """Those of plugins that are on the routes of a group, as they run or as they are on trial."""
        running = self._plan.orderPerGroup[at]
        tried = [arm.orderPerGroup[at] for arm in self._lone.values()]
        key = id(running), *map(id, tried)
        known = self._on.get(key)
        if known is None:  # there may be ten thousand groups, and few orders
            known = self._on[key] = tuple(
                trial
                for trial, order in zip(self._plan.trials, tried, strict=True)
                if any(plugin.name in trial.plugins for plugin, _ in (*running, *order))
            )
        return known

    def _armOf(self, trials: Iterable[Trial]) -> Any:
        wanted = {trial.id for trial in trials}
        return next((arm for arm in self._plan.arms if set(arm.trials) == wanted), None)


def _subsets(trials: Sequence[Trial]) -> Iterable[tuple[int, tuple[Trial, ...]]]:
    """Each that is not empty, by the number of its arm."""
    numbered = list(enumerate(trials))
    for count in range(1, len(numbered) + 1):
        for chosen in combinations(numbered, count):
            yield sum(1 << bit for bit, _ in chosen), tuple(trial for _, trial in chosen)


def drawOf(trial: Trial) -> Draw:
    """By what a trial's clients are told apart."""
    testers, name = testersOf(trial.testers), ", ".join(trial.plugins)
    if trial.by.kind == "issued" and trial.cookieKey:
        return IssuedDraw(trial.id, trial.salt, trial.canary, trial.cookieKey, testers, name)
    return Draw(trial.id, trial.salt, trial.canary, _keyOf(trial.by), testers, name)


def _keyOf(by: ClientKey) -> Any:
    if by.kind == "header":
        return headerKey(by.name.encode("latin-1"))
    return cookieKey(by.name.encode("latin-1")) if by.kind == "cookie" else None


def testersOf(testers: Testers | None) -> TestersHeader | None:
    """By what testers choose; None: they do not."""
    return None if testers is None else TestersHeader(testers.header.encode("latin-1"), testers.token.encode())


def strippedIn(plan: Plan) -> tuple[bytes, ...]:
    """
    The headers by which testers choose, of all plugins, also of those of which nothing is on trial: what they send has
    a token in it, whether or not there is something to test.
    """
    rollout = plan.config.plugins.rollout
    policies = (rollout.default, *rollout.plugins.values())
    testers = [policy.testers for policy in policies if policy is not None] + [trial.testers for trial in plan.trials]
    names = {each.header.lower().encode("latin-1") for each in testers if each is not None}
    return tuple(sorted(names))
