"""Source trees to compare: snapshots of a commit or of the working tree, in folders whose paths are equally long.

Both are copies, also that of the working tree: what is edited while a comparison runs does not get into it.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Tree:
    """A snapshot.

    :param path: its folder, which has ``revproxy`` in it.
    :param title: what the table calls it: ``c4c8b06``, ``working tree on c4c8b06``.
    """

    path: Path
    title: str


def snapshot(commit: str | None, folder: Path, root: Path = _ROOT) -> Tree:
    """Copy a commit, or the working tree where it is :obj:`None`, into a folder that is made for it.

    :param root: the repository's working tree.
    :raises BenchmarkError: when there is no such commit, no repository or no edge in it.
    """
    folder.mkdir()
    if commit is None:
        title = f"working tree on {shortName('HEAD', root)}"
        _copyWorkingTree(root, folder)
    else:
        title = shortName(commit, root)
        archive = folder.with_suffix(".tar")
        _git(root, "archive", "--format=tar", f"--output={archive.resolve()}", title)
        shutil.unpack_archive(archive, folder, "tar")
        archive.unlink()
    if not (folder / "twisted" / "plugins" / "revproxy_plugin.py").exists():
        raise BenchmarkError(f"{title} has no twistd plugin")
    return Tree(folder, title)


def usualBefore(root: Path = _ROOT) -> str:
    """Return what a change is compared with when nobody says: HEAD while there is something to commit, else HEAD~1.

    :raises BenchmarkError: when there is no repository.
    """
    return "HEAD" if _git(root, "status", "--porcelain").strip() else "HEAD~1"


def shortName(commit: str, root: Path = _ROOT) -> str:
    """Return the abbreviated hash of whatever git takes for a commit.

    :raises BenchmarkError: when it takes it for none.
    """
    try:
        return _git(root, "rev-parse", "--verify", "--short", f"{commit}^{{commit}}").decode().strip()
    except BenchmarkError as error:
        raise BenchmarkError(f"{commit}: {error}") from error


def _copyWorkingTree(root: Path, folder: Path) -> None:
    """What git tracks or would track; what was deleted is not there."""
    names = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(b"\0")
    for name in dict.fromkeys(names):
        source = root / name.decode()
        if name and source.is_file():
            target = folder / name.decode()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    except OSError as error:
        raise BenchmarkError(f"git is needed to get at commits: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BenchmarkError(f"git {arguments[0]}: {said[-1] if said else f'exit {done.returncode}'}")
    return done.stdout
