"""
``python -m tests.packaging.audit``: what an edge is made of besides its own code, and whether anything of it is known
to be unsafe.

1. The lock files name everything that setup.py asks for, at versions that will do, with hashes.
2. The index serves what the hashes are of: pip takes it, and would take nothing else.
3. The bill of materials (CycloneDX) is written, and is valid.
4. pip-audit asks for advisories.

What needs the network and cannot have it is skipped, and said so in the last lines; an audit of which something was
skipped has audited less. Status 1: something is wrong, or an advisory concerns us.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from revproxy import __version__
from tests.packaging.lockfile import DEVELOPMENT, ROOT, RUNTIME, asked, problems, read, unneeded
from tests.packaging.sbom import bill

SBOM = ROOT / "build" / f"revproxy-{__version__}.cdx.json"

PATIENCE = 300
"""Seconds that one program may take."""

_UNREACHABLE = ("Connection", "NameResolution", "Max retries", "Could not find a version", "timed out")
"""What pip says where there is no index."""

Say = Callable[[str], None]


class Skipped(Exception):
    """It needs something that is not there; the text says what."""


def lockFiles(say: Say) -> list[str]:
    """Whether they are whole. :returns: what is wrong."""
    found = []
    for path, names in ((RUNTIME, ("INSTALL",)), (DEVELOPMENT, ("INSTALL", "TEST", "BENCH", "DOCS", "OTEL", "AUDIT"))):
        locked, wanted = read(path), asked(*names)
        wrong = [*problems(wanted, locked), *(f"{name}: nothing needs it" for name in unneeded(wanted, locked))]
        found += [f"{path.name}: {each}; make requirements" for each in wrong]
        say(f"{path.name}: {len(locked)} distributions, {sum(len(each.hashes) for each in locked.values())} hashes")
    return found


def download(say: Say) -> list[str]:
    """
    Whether the index has what was locked, by pip's own check of each hash.

    :raises Skipped: there is no index.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps",
                   "--require-hashes", "--dest", folder, "--requirement", str(RUNTIME)]  # fmt: skip
        done = run(command)
        files = sorted(path.name for path in Path(folder).iterdir())
    if done.returncode == 0:
        say(f"{len(files)} files have the hashes that are locked")
        return []
    said = done.stderr.strip()
    if "THESE PACKAGES DO NOT MATCH THE HASHES" not in said and any(each in said for each in _UNREACHABLE):
        raise Skipped(f"hashes were not compared with an index: {said.splitlines()[-1]}")
    return [f"runtime.txt: {said}"]


def materials(say: Say) -> list[str]:
    """Write the bill of materials, and see that it is one."""
    made = bill(__version__, asked("INSTALL"), read(RUNTIME))
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    say(f"{SBOM.relative_to(ROOT)}: {len(made['components'])} components")
    return invalid(SBOM.read_text())


def invalid(text: str) -> list[str]:
    """What CycloneDX has against a bill. :raises Skipped: its library is not here."""
    try:
        from cyclonedx.exception import MissingOptionalDependencyException
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise Skipped("the bill of materials was not compared with its schema: pip install -e .[test]") from None
    try:
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except MissingOptionalDependencyException:
        raise Skipped("the bill of materials was not compared with its schema: pip install -e .[test]") from None
    return [] if error is None else [f"{SBOM.name}: {error}"]


def advisories(say: Say) -> list[str]:
    """
    What is known of what is locked.

    :raises Skipped: nobody can be asked, or nobody knows these distributions.
    """
    program = shutil.which("pip-audit", path=str(Path(sys.executable).parent))
    if program is None:
        raise Skipped("no advisories were asked for: pip install -e .[audit]")
    command = [program, "--requirement", str(RUNTIME), "--require-hashes", "--disable-pip", "--format", "json",
               "--progress-spinner", "off", "--timeout", "30"]  # fmt: skip
    done = run(command)
    try:
        told = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError):
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise Skipped(f"no advisories were asked for: {last}") from None
    return judged(told, say)


def judged(told: list[dict[str, Any]], say: Say) -> list[str]:
    """
    What pip-audit has found. It ends well also where the database knows none of them.

    :raises Skipped: some could not be asked for.
    """
    found = [_described(each, fault) for each in told for fault in each.get("vulns", ())]
    unknown = [each["name"] for each in told if "skip_reason" in each]
    say(f"advisories were asked for {len(told) - len(unknown)} of {len(told)} distributions: {len(found)} concern us")
    if unknown and not found:
        more = ", ..." if len(unknown) > 5 else ""
        raise Skipped(f"the database of advisories does not know {len(unknown)} of {len(told)} distributions "
                      f"({', '.join(unknown[:5])}{more}): it is no copy of PyPI's, or cannot be reached")
    return found


def _described(each: dict[str, Any], fault: dict[str, Any]) -> str:
    names, mended = ", ".join([fault["id"], *fault["aliases"]]), ", ".join(fault["fix_versions"])
    text = " ".join(fault["description"].split())[:200]
    return f"{each['name']} {each['version']}: {names}: {text} (mended in {mended or 'no version yet'})"


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """What a program says. :raises Skipped: it does not end."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise Skipped(f"{Path(command[0]).name} was not waited for any longer than {PATIENCE} s") from None


def main(*steps: Callable[[Say], list[str]], say: Say = print) -> int:
    """:returns: the exit status."""
    wrong, skipped = [], []
    for step in steps or (lockFiles, download, materials, advisories):
        try:
            wrong += step(say)
        except Skipped as reason:
            skipped.append(str(reason))
    for each in wrong:
        say(f"WRONG: {each}")
    for each in skipped:
        say(f"SKIPPED: {each}")
    say(f"audit: {len(wrong)} wrong, {f'{len(skipped)} SKIPPED' if skipped else 'nothing skipped'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
