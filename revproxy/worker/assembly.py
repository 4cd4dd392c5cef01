"""
From a plan and its instances to a generation: all that a request passes, wired together.

Nothing here has side effects: instances were made and started before, upstreams do not connect before the first
request. So a generation that fails to build is simply dropped. What a new generation has in common with the one before
is the same object: instances, and the route table with its upstreams, their connections, leaves and the resource tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any
from weakref import ref

from twisted.python.failure import Failure
from zope.interface.interface import InterfaceClass

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.link import Link
from revproxy.loading.tracebacks import described
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.catalog import Order, Selected
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.worker.guard.barrier import Barrier
from revproxy.worker.lifecycle.instance import Instance
from revproxy.worker.participant import Refused
from revproxy.worker.rollout.forkmaker import ForkMaker, Parts
from revproxy.worker.routetable import RouteTable


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """
    An instance's part in a generation.

    :ivar middleware: what stands in the chain: the instance's object, or the gate before it.
    :ivar onFailure: told of each failed call.
    """

    instance: Instance
    middleware: Any
    onFailure: Callable[[Failure], None] | None = None


Members = Callable[[Selected, Mapping[str, Any], bool], Member]
"""Gives the part of a plugin with a configuration, as it runs or, if so, of its version on trial."""

NOBODY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class BuiltGeneration:
    """
    A generation and what it is made of.

    :ivar chains: each with the instances that requests in it use.
    """

    generation: Generation
    chains: Mapping[Chain, tuple[Instance, ...]]

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All of them, in the order they are to be started."""
        return tuple(dict.fromkeys(instance for chain in self.chains.values() for instance in chain))


def buildGeneration(
    plan: Plan,
    table: RouteTable,
    members: Members,
    successor: Callable[[str], Instance | None],
    answers: Deadlines,
    arms: ForkMaker | None = None,
) -> BuiltGeneration:
    """
    Build what a plan describes.

    :param table: of the plan's configuration.
    :param members: the instance that a plugin with a configuration has in this generation.
    :param successor: of a plugin, by its name, what runs whenever it is called.
    :param answers: for middleware that do not answer at once.
    :param arms: joins what different clients meet; None where nothing is on trial.
    """
    return _Assembly(plan, table, members, successor, answers, arms).build()


class _Assembly:
    """One run of :func:`buildGeneration`."""

    def __init__(
        self,
        plan: Plan,
        table: RouteTable,
        members: Members,
        successor: Callable[[str], Instance | None],
        answers: Deadlines,
        arms: ForkMaker | None,
    ) -> None:
        self.plan = plan
        self.arms = arms
        self.table = table
        self.members = members
        self.successor = successor
        self.answers = answers
        self.known: dict[tuple[str, int, bool], tuple[Instance, Callable[..., Link]]] = {}
        self.chains: dict[tuple[int, tuple[str, ...], bool], Chain] = {}
        self.forks: dict[tuple[int, Parts], Chain] = {}
        self.uses: dict[Chain, tuple[Instance, ...]] = {}
        self.providers: list[tuple[str, ref[Instance]]] = []

    def build(self) -> BuiltGeneration:
        chains = [self._fork(at) for at in range(len(self.plan.orderPerGroup))]
        return BuiltGeneration(Generation(self.plan.number, self.table.tree, chains), self.uses)

    def _fork(self, at: int) -> Chain:
        """The chain of a route group, or, where there are several, what chooses among them."""
        missing = tuple(sorted(name for name, groups in self.plan.missing.items() if at in groups))
        running = self._chain(self.plan.orderPerGroup[at], missing)
        parts = None if self.arms is None else self.arms.partsOf(at)
        if parts is None:
            return running
        key = id(running), parts
        fork = self.forks.get(key)
        if fork is None:
            fork = self.forks[key] = parts.join(
                running,
                {arm: self._chain(order, missing, parts.tried[arm]) for arm, order in parts.orders.items()},
                {
                    arm: self._chain(order, missing, parts.tried.get(arm, NOBODY), True)
                    for arm, order in parts.takenOrders.items()
                },
            )
        return fork

    def _chain(
        self, order: Order, missing: tuple[str, ...], tried: Mapping[str, str] = NOBODY, isTaken: bool = False
    ) -> Chain:
        """
        Route groups with the same order share one chain, if the same is missing on them.

        :param tried: the plugins in it whose version on trial is meant, each with its trial.
        :param isTaken: whether what they do is taken down.
        """
        key = id(order), missing, isTaken
        chain = self.chains.get(key)
        if chain is None:
            members = [self._member(plugin, settings, plugin.name in tried) for plugin, settings in order]
            own = [instance.object for instance, _ in members]
            services = _serviceAmong(own, self.providers, self.successor)
            barriers = [self._barrier(name, services) for name in missing]
            links = [*barriers, *(makeLink(isTaken, services=services) for _, makeLink in members)]
            arms = () if self.arms is None else self.arms.met(order, tried)
            chain = self.chains[key] = Chain(links, explains=self.plan.config.explain.every, arms=arms)
            self.uses[chain] = tuple(instance for instance, _ in members)
        return chain

    def _barrier(self, name: str, services: Callable[[InterfaceClass], Any]) -> Link:
        """For what is required and cannot be had. It is first: nothing is done for requests that do not pass."""
        barrier = Barrier(name)
        return Link(
            barrier,
            name,
            "",
            open=False,
            timeout=None,
            deadlines=self.answers,
            makeClient=_nobodysClient,
            services=services,
            destinations=self.table.destinations,
        )

    def _member(
        self, plugin: Selected, settings: Mapping[str, Any], isCandidate: bool
    ) -> tuple[Instance, Callable[..., Link]]:
        """An instance, and what makes its links."""
        key = plugin.name, id(settings), isCandidate
        known = self.known.get(key)
        if known is None:
            member = self.members(plugin, settings, isCandidate)
            known = self.known[key] = member.instance, self._linksOf(plugin, member, isCandidate)
            if not isCandidate:
                self.providers.append((plugin.name, ref(member.instance)))
        return known

    def _linksOf(self, plugin: Selected, member: Member, isCandidate: bool) -> Callable[..., Link]:
        manifest, instance, arms = plugin.manifest, member.instance, self.arms
        kind = Link if arms is None else arms.linkOf(plugin.name, isCandidate, instance)
        link = partial(
            kind,
            name=manifest.name,
            version=str(manifest.version),
            open=manifest.onError == "open" and manifest.name not in self.plan.required,
            # What is in a process waits behind others there: its time is taken by whoever knows when it began.
            timeout=None if manifest.timeoutMs is None or instance.locked else manifest.timeoutMs / 1000,
            pieceTimeout=self.plan.config.timeouts.body,
            deadlines=self.answers,
            destinations=self.table.destinations,
            makeClient=_clientOf(instance),
            bodyBytes=manifest.bodyBytes,
            counters=instance.version.counters,
            onFailure=member.onFailure,
            concurrency=None if instance.locked else manifest.concurrency,
            memory=instance.version.memory,
        )

        def makeLink(isTaken: bool, **services: Any) -> Link:
            try:
                if isTaken and arms is not None:
                    wrapped = arms.takenDown(instance, member.middleware)
                    return link(wrapped, original=member.middleware, **services)
                return link(member.middleware, **services)
            except BaseException as error:  # foreign code: it was verified, and is another thing now
                raise notInChain(instance, error) from None

        return makeLink


def notInChain(instance: Instance, error: BaseException) -> Refused:
    """What is raised when an instance cannot be put into a chain."""
    version = instance.version
    return Refused(Refusal(version.name, "build", f"it cannot be put into a chain: {described(error)}", version.id))


def _nobodysClient() -> Any:
    raise LookupError("nothing stands here that could use a client")


def _clientOf(instance: Instance) -> Callable[[], Any]:
    return lambda: instance.host.client


def _serviceAmong(
    own: Sequence[Any], providers: Sequence[tuple[str, ref[Instance]]], successor: Callable[[str], Instance | None]
) -> Callable[[InterfaceClass], Any]:
    def candidates() -> Iterator[Any]:
        yield from own
        # A request of hours keeps none of the others; what has ended meanwhile is succeeded by what runs.
        for name, reference in providers:
            instance = reference()
            if instance is None or instance.object is None:
                instance = successor(name)
            if instance is not None:
                yield instance.object

    def service(interface: InterfaceClass) -> Any:
        """What provides an interface: the first in the request's own chain, else the first of the generation."""
        for candidate in candidates():
            if interface.providedBy(candidate):
                return candidate
        raise KeyError(f"no running plugin provides {interface.__name__}")

    return service
