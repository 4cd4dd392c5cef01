"""
What a process is told that proves a version, and what it tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from revproxy.bundles.bundle import Bundle, makeBundle
from revproxy.bundles.nativecode import VENDOR
from revproxy.config.settings import Isolation
from revproxy.permissions import Permissions
from revproxy.plan.evidence import DifferenceCount
from revproxy.secrets import Secret, hide

Job = Literal["load", "tests", "replay"]


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A version.

    :ivar directory: what messages call its place.
    :ivar tests: that came with it.
    :ivar libraries: what it depends on, file by file, for a process that can open none.
    :ivar configs: those that it runs with, each once; at least one.
    :ivar routes: by the name of a route, the number of its configuration; of all others it is the first.
    :ivar permissions: what it may touch, as plugin.json has it; None: everything.
    """

    name: str
    directory: str
    files: dict[str, bytes]
    tests: dict[str, bytes] = {}
    libraries: dict[str, dict[str, bytes]] = {}
    configs: tuple[dict[str, Any], ...] = ()
    routes: dict[str, int] = {}
    isolation: Isolation = "inline"
    permissions: dict[str, Any] | None = None

    def bundle(self) -> Bundle:
        """As it is loaded."""
        libraries = {VENDOR + path: content for files in self.libraries.values() for path, content in files.items()}
        return makeBundle(Path(self.directory).name, {**libraries, **self.files}, Path(self.directory), self.tests)

    def may(self) -> Permissions | None:
        """What it may touch; None: everything."""
        return None if self.permissions is None else Permissions.of(self.permissions)


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What is to be done.

    :ivar running: the version that runs, for what it does otherwise than was recorded; None: nothing is known of that.
    :ivar seconds: that all may take.
    :ivar callSeconds: that each call may.
    :ivar minimumLevel: how well a process has to be locked at least.
    :ivar uids: the first and the last of the users that locked processes may run as.
    :ivar corpus: what messages call the recording.
    :ivar secrets: texts in the configurations that are not to be told.
    """

    job: Job
    candidate: Subject
    running: Subject | None = None
    seconds: float = 120.0
    callSeconds: float = 5.0
    minimumLevel: Literal["A", "B", "C"] = "C"
    uids: tuple[int, int] | None = None
    corpus: str = ""
    secrets: tuple[str, ...] = ()

    @property
    def isLocked(self) -> bool:
        """Whether the process that does it has to be."""
        return self.candidate.isolation == "process" and self.job != "load"

    def encoded(self) -> bytes:
        """For another process."""
        subjects = [each for each in (self.candidate, self.running) if each is not None]
        secrets = tuple({str(each) for subject in subjects for each in _secretsIn(subject.configs)})
        return msgspec.msgpack.encode(msgspec.structs.replace(self, secrets=secrets), enc_hook=str)

    @staticmethod
    def of(data: bytes) -> Order:
        """The reverse of `encoded`; what is secret is hidden from now on."""
        order = msgspec.msgpack.decode(data, type=Order)
        for secret in order.secrets:
            hide(secret)
        return order


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What came of it.

    :ivar problems: why it does not pass, each one line.
    :ivar tests: that passed.
    :ivar calls: of the plugin, in the recording; ``replayed``: those that were compared; ``incomparable``: by why, the
        others.
    :ivar differences: from what was recorded.
    :ivar unnamed: further kinds of differences of the candidate, for which there was no room.
    :ivar cut: what of the recording was cut off.
    :ivar output: the last lines that were printed.
    """

    problems: tuple[str, ...] = ()
    tests: int = 0
    calls: int = 0
    replayed: int = 0
    incomparable: Mapping[str, int] = {}
    differences: tuple[DifferenceCount, ...] = ()
    unnamed: int = 0
    cut: str = ""
    output: str = ""


def _secretsIn(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield str.__str__(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secretsIn(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secretsIn(inner)
