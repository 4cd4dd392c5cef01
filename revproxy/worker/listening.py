"""
Listeners as they run or are about to, the certificates they serve with, and a change of them that can still be given
up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from revproxy.addresses import AddressSet
from revproxy.config.settings import ListenerConfig, TLSConfig
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.tlscontexts import ServerContexts
from revproxy.loading.tracebacks import described
from revproxy.plan.pemfiles import PemFiles, pemKey
from revproxy.plan.plan import Plan
from revproxy.plan.words import CertificateState
from revproxy.worker.certificates import CertificateError, CertificateFolder, Loaded

_log = Logger()


class Certificates:
    """
    The certificates that one listener serves with.

    :ivar loaded: what is in use.
    :ivar seen: the files that were looked at last, whether they could be used or not.
    :ivar contexts: what connections look up.
    """

    def __init__(self, settings: TLSConfig, files: PemFiles) -> None:
        """:raises CertificateError: as :meth:`CertificateFolder.load`."""
        self.seen = files
        self._files = files
        self._folder = CertificateFolder(settings)
        loaded = self.loaded = self._folder.load(files)
        self._folder.adopt(loaded)
        self.contexts = ServerContexts(loaded.table, loaded.default)

    def load(self, files: PemFiles) -> Loaded:
        """
        Other files, for :meth:`adopt`. Changes nothing; may run in a thread.

        :raises CertificateError: nothing of it can be used.
        """
        return self.loaded if files == self._files else self._folder.load(files)

    def adopt(self, files: PemFiles, loaded: Loaded | None) -> bool:
        """
        Serve with what was loaded.

        :param loaded: None: it cannot be used, and what is in use stays.
        :returns: whether other certificates than before are served.
        """
        self.seen = files
        if loaded is None or loaded is self.loaded:
            return False
        self._files, self.loaded = files, loaded
        self._folder.adopt(loaded)
        self.contexts.swap(loaded.table, loaded.default)
        return True


class Listening:
    """
    One listener as it runs, or is about to.

    :ivar config: what it was made from.
    :ivar listener: makes its connections' protocols.
    :ivar transport: makes their transports.
    :ivar port: what it listens on; None until it is bound, or has taken over that of its predecessor.
    """

    def __init__(self, config: ListenerConfig, certificates: Certificates | None, edge: Edge) -> None:
        contexts = None if certificates is None else certificates.contexts
        trusted = AddressSet(config.trustedProxies)
        guards = None
        if contexts is not None and config.tls is not None and (config.tls.clientAuth or config.tls.hosts):
            guards = _guard(contexts)
        self.config = config
        self.certificates = certificates
        self.listener = Listener(edge, tls=contexts is not None, trusted=trusted or None, guards=guards)
        self.transport = serverTransport(contexts, trusted if config.proxyProtocol else None)
        self.port: Any = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """
    Files of certificates that a listener has not seen yet.

    :ivar loaded: what they give; None if they cannot be used.
    """

    certificates: Certificates
    files: PemFiles
    loaded: Loaded | None


class Prepared:
    """
    A change that can still be given up.

    :ivar listeners: all that there are to be, in the order of the configuration.
    :ivar replaced: for those that take over a port: whose.
    :ivar renewals: of the certificates of those that stay.
    :ivar states: what control is to know of certificates when it has taken effect.
    :ivar expired: a text for each certificate that is served although its time is over.
    """

    def __init__(self, plan: Plan) -> None:
        self.listeners: list[Listening] = []
        self.replaced: dict[Listening, Listening] = {}
        self.renewals: list[Renewal] = []
        self.states: list[CertificateState] = []
        self.expired: list[str] = []
        self._configs = plan.config.listeners
        self._certificates = plan.certificates

    def isFor(self, plan: Plan) -> bool:
        """Whether it is what a plan wants."""
        return self._configs == plan.config.listeners and self._certificates == plan.certificates

    def note(self, config: ListenerConfig, loaded: Loaded, problems: tuple[str, ...] = ()) -> None:
        """
        What control is to know of a listener's certificates.

        :param loaded: what serves.
        :param problems: why nothing of the files that are there now can be used; empty if something can.
        """
        assert config.tls is not None
        if not problems:
            self.expired += loaded.expired
        place, told = str(config.tls.certificates), problems or loaded.problems
        self.states.append(
            CertificateState(
                config.endpoint, place, loaded.names, loaded.expires, told, bool(problems), loaded.facts
            )
        )

    @property
    def unbound(self) -> list[Listening]:
        """Those that need a port of their own and have none yet."""
        return [each for each in self.listeners if each.port is None and each not in self.replaced]


def certificatesFor(
    config: ListenerConfig, old: Listening | None, plan: Plan, prepared: Prepared
) -> Certificates | None:
    """
    :param old: the listener that has this endpoint now.
    :param prepared: what is news goes in there.
    :raises CertificateError: there is to be one, and none can be used.
    """
    if config.tls is None:
        return None
    files, certificates = plan.certificates[pemKey(config.tls)], _kept(config, old)
    if certificates is None:
        certificates = Certificates(config.tls, files)
        prepared.note(config, certificates.loaded)
    elif files != certificates.seen:
        loaded, problems = _loadedOf(certificates, files)
        prepared.renewals.append(Renewal(certificates, files, loaded))
        prepared.note(config, loaded or certificates.loaded, problems)
    return certificates


def makesContexts(config: ListenerConfig, old: Listening | None, plan: Plan) -> bool:
    """
    Whether a listener needs contexts that there are not yet: with many certificates, that takes its time.

    :param old: the listener that has this endpoint now.
    """
    if config.tls is None:
        return False
    certificates = _kept(config, old)
    return certificates is None or certificates.seen != plan.certificates[pemKey(config.tls)]


def _kept(config: ListenerConfig, old: Listening | None) -> Certificates | None:
    """The certificates that a listener takes over; None if its own are to be made."""
    return old.certificates if old is not None and old.config.tls == config.tls else None


def _loadedOf(certificates: Certificates, files: PemFiles) -> tuple[Loaded | None, tuple[str, ...]]:
    """What files give; or None, and why they cannot be used."""
    try:
        return certificates.load(files), ()
    except CertificateError as error:
        return None, error.problems
    except Exception as error:  # it is no reason to hold up every other change until somebody mends the files
        _log.failure("certificates of {place} stay as they were", place=files.place)
        return None, (f"{files.place}: {described(error)}",)


def _guard(contexts: ServerContexts) -> Callable[[str | None, bytes], bool]:
    def guards(serverName: str | None, host: bytes) -> bool:
        return contexts.protectedHost(serverName, host.decode("latin-1"))

    return guards


__all__ = ["Certificates", "Listening", "Prepared", "certificatesFor", "makesContexts"]
