"""
Loads a signed plugin again and again while somebody exchanges its files, and sees every byte that reaches `compile`.

It is a program: what looks at everything (an audit hook) stays until its process ends. ``python -m
tests.behaviour.swapping FOLDER LOADS HOW SECONDS`` prints what has happened, as JSON. Its child is the attacker.
"""

from __future__ import annotations

import builtins
import importlib.util
import json
import marshal
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from revproxy.bundles.bundle import makeBundle, readBundle
from revproxy.bundles.signature import Signers, Untrusted, verify
from revproxy.config.manifest import parseManifest
from revproxy.config.problems import ConfigErrors
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import loadBundle, unload
from tests.bundles.signing import signer

GOOD = {
    "plugin.json": b'{"name": "hello", "version": "1.0", "revision": 1}',
    "plugin.py": (
        b"from pkgutil import get_data\n\nfrom . import helper\nimport library\n\n\n"
        b"DATA = get_data(__package__, 'data.txt')\n\n\n"
        b"class PluginMain:\n    def __init__(self, config): ...\n"
    ),
    "helper.py": b"import importlib\n\nlater = importlib.import_module('.later', __package__)\n",
    "later.py": b"NUMBER = 7\n",
    "data.txt": b"good",
    "vendor/library/__init__.py": b"from library.inner import NUMBER\n",
    "vendor/library/inner.py": b"NUMBER = 8\n",
}  # fmt: skip
EVIL = b"import builtins\nbuiltins.foreign = True\nNUMBER = PluginMain = get_data = later = None\n"

SOURCES = [path for path in GOOD if path.endswith(".py")]

WAYS = ("rename", "write", "times", "pyc", "more", "whole", "link")


def attack(folder: Path) -> None:
    """Until the end of the world: evil files for good ones, and back, in all ways that come to mind."""
    chance = random.Random(7)
    spare = folder.parent / "spare"
    evil = folder.parent / "evil"
    shutil.copytree(folder, evil)
    for path in SOURCES:
        (evil / path).write_bytes(EVIL)
    compiled = evil / "later.pyc"
    compiled.write_bytes(importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(EVIL, "evil", "exec")))
    print("ready", flush=True)
    while True:
        back = _put(folder, chance.choice(SOURCES), evil, spare, compiled, chance.choice(WAYS))
        _pause(chance)
        back()
        _pause(chance)


def _pause(chance: random.Random) -> None:
    """Not at all, or for about as long as the others take to read, to verify or to load."""
    time.sleep(chance.choice((0, 0.0002, 0.001, 0.002, 0.004)))


def _put(folder: Path, path: str, evil: Path, spare: Path, compiled: Path, how: str) -> Callable[[], Any]:
    """:returns: undoes it."""
    place = folder / path
    times = place.stat()

    def good() -> None:
        spare.write_bytes(GOOD[path])
        os.utime(spare, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(spare, place)

    if how == "whole":
        os.rename(folder, folder.parent / "aside")
        os.rename(evil, folder)
        return lambda: (os.rename(folder, evil), os.rename(folder.parent / "aside", folder))
    if how == "pyc":
        cache = Path(importlib.util.cache_from_source(str(place)))
        cache.parent.mkdir(exist_ok=True)
        shutil.copy(compiled, cache)
        return lambda: shutil.rmtree(cache.parent, ignore_errors=True)
    if how == "more":
        more = place.with_name("pkgutil.py")
        more.write_bytes(EVIL)
        return more.unlink
    if how == "write":
        place.write_bytes(EVIL)
        return lambda: place.write_bytes(GOOD[path])
    if how == "link":
        spare.symlink_to(evil / path)
    else:
        spare.write_bytes(EVIL.ljust(len(GOOD[path])) if how == "times" else EVIL)
        os.utime(spare, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(spare, place)
    return good


@dataclass(slots=True)
class Seen:
    """
    What has happened.

    :ivar loads: of verified bytes.
    :ivar refused: readings that were not trusted, by their rule.
    :ivar compiled: how often something was compiled.
    :ivar foreign: how often that was something else than what was signed, or code came from elsewhere.
    :ivar opened: how often a file of the folder was opened after it was verified.
    :ivar ran: how often foreign code has run.
    """

    loads: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    compiled: int = 0
    foreign: int = 0
    opened: int = 0
    ran: int = 0
    watching: bool = False


def watch(seen: Seen, folder: Path) -> None:
    """From now on, see what is compiled and opened."""
    texts = {content.decode() for content in GOOD.values()} | {""}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not seen.watching:
            return
        if event == "compile":
            source = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
            seen.compiled += 1
            seen.foreign += source not in texts
        elif event in ("marshal.load", "marshal.loads"):
            seen.foreign += 1
        elif event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(str(folder)):
            seen.opened += 1

    sys.addaudithook(hook)


def load(folder: Path, seen: Seen, how: str) -> None:
    """
    One load, as the edge does it; ``how`` is ``bytes``, or ``path`` for what would happen by path.
    """
    try:
        bundle = readBundle(folder)
        manifest = parseManifest(bundle.files["plugin.json"], "plugin.json")
        verify(bundle, Signers([signer(key=(folder.parent / "key").read_text())]), now=0, manifest=manifest)
    except Untrusted as refusal:
        seen.refused[refusal.rule] = seen.refused.get(refusal.rule, 0) + 1
        return
    except ConfigErrors:
        seen.refused["folder"] = seen.refused.get("folder", 0) + 1
        return
    seen.watching = True
    try:
        if how == "path":  # verified, and then read again
            bundle = makeBundle("hello", {path: _again(folder / path) for path in bundle.files}, folder)
        loaded = loadBundle(bundle, manifest)
        if loaded.main.DATA != b"good" or loaded.main.library.NUMBER != 8 or loaded.main.helper.later.NUMBER != 7:
            seen.ran += 1
        unload(loaded)
    except (PluginError, AttributeError):
        seen.ran += 1
    finally:
        seen.watching = False
    seen.ran += bool(builtins.__dict__.pop("foreign", False))
    seen.loads += 1


def _again(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def main(folder: Path, loads: int, how: str, seconds: float) -> Seen:
    """Load so often, or for so long."""
    first, seen = Seen(), Seen()
    load(folder, first, how)  # alone: what is imported for it is imported now
    assert first.loads == 1, first
    watch(seen, folder)
    attacker = subprocess.Popen([sys.executable, "-m", "tests.behaviour.swapping", folder], stdout=subprocess.PIPE)
    try:
        assert attacker.stdout is not None and attacker.stdout.readline() == b"ready\n"
        end = time.monotonic() + seconds
        while seen.loads < loads and time.monotonic() < end and attacker.poll() is None:
            load(folder, seen, how)
        assert attacker.poll() is None, "the attacker has given up"
    finally:
        attacker.kill()
        attacker.communicate()
    return seen


if __name__ == "__main__":
    if len(sys.argv) == 2:
        attack(Path(sys.argv[1]))
    print(json.dumps(asdict(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))))
