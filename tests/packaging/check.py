"""
``python -m tests.packaging.check``: what a user installs is whole.

Builds the wheel from a copy of the sources, installs it into an environment that has never seen them, and from other
directories uses what is promised: ``twistd revproxy`` and ``revproxy``, up to a request and a clean end. The
environment is kept below that of this Python, in `.venv`, and made anew when setup.py changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.harness import PATIENCE, freePort

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(sys.prefix) / "packaging"
SOURCES = ("revproxy", "twisted", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def run(*command: str | Path, cwd: str = "/") -> str:
    """
    The standard output of a command that must succeed.
    """
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, cwd=cwd, env=environment(), text=True, **both)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def environment() -> dict[str, str]:
    """
    Ours without what could lead a Python to this directory.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


def buildWheel(folder: Path) -> Path:
    """
    The wheel, built from a copy so that no file of an earlier build gets in.
    """
    copy = folder / "sources"
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
        else:
            shutil.copy(source, copy / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


def checkContents(wheel: Path) -> None:
    """
    Every module and every schema is inside, and nothing that would disturb other distributions.
    """
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to(ROOT))
        for pattern in ("revproxy/**/*.py", "revproxy/**/*.json", "revproxy/py.typed", "twisted/plugins/*.py",
                        "revproxy/admin/dashboard/**/*")
        for path in ROOT.glob(pattern)
        if path.is_file()
    }
    if missing := expected - inside:
        raise SystemExit(f"not in the wheel: {', '.join(sorted(missing))}")
    metadata = wheel.name.split("-")[0] + "-"
    if foreign := {name for name in inside - expected if not name.startswith(metadata)}:
        raise SystemExit(f"should not be in the wheel: {', '.join(sorted(foreign))}")


def cleanEnvironment(wheel: Path) -> Path:
    """
    The folder of programs of an environment with the wheel and what it requires, nothing else.
    """
    home, stamp = WORK / "environment", WORK / "stamp"
    key = hashlib.sha256((ROOT / "setup.py").read_bytes() + sys.version.encode()).hexdigest()
    programs = home / "bin"
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
    install = (*pip, "install", "--quiet", "--no-compile")  # a tenth of it is ever imported here
    if not stamp.exists() or stamp.read_text() != key:
        venv.create(home, clear=True, with_pip=True)
        run(*install, wheel)
        stamp.write_text(key)
    else:
        run(*install, "--no-deps", "--force-reinstall", wheel)
    run(*pip, "check")
    return programs


def checkHelp(programs: Path) -> None:
    """
    Both commands explain themselves, from a directory that is not ours.
    """
    for command, word in (((programs / "twistd", "revproxy"), "--upstream"), ((programs / "revproxy",), "check")):
        if word not in run(*command, "--help"):
            raise SystemExit(f"{command} --help does not mention {word}")


def checkRun(programs: Path, folder: Path) -> None:
    """
    The edge starts without a configuration file, answers 502 for an origin that is not there, and ends with 0.
    """
    for command in ([programs / "revproxy", "run"], [programs / "twistd", "--pidfile=", "-n", "revproxy"]):
        checkCommand(command, folder)


def checkCommand(command: Sequence[Path | str], folder: Path) -> None:
    """
    As :func:`checkRun`.
    """
    port = freePort()
    options = ["--listen", f"tcp:{port}:interface=127.0.0.1", "--upstream", "http://127.0.0.1:9"]
    output = folder / "output"
    with output.open("wb") as stream:
        edge = subprocess.Popen([*command, *options], cwd=folder, env=environment(), stdout=stream, stderr=stream)
    try:
        status = awaitAnswer(edge, f"http://127.0.0.1:{port}/")
        edge.send_signal(signal.SIGTERM)
        ended = edge.wait(PATIENCE)
    finally:
        edge.kill()
        edge.wait()
    if (status, ended) != (502, 0):
        raise SystemExit(f"answered {status}, ended with {ended}\n{output.read_text()}")


def awaitAnswer(edge: subprocess.Popen[bytes], url: str) -> int | None:
    """
    The status of the first answer; None when the edge ends or is silent.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while edge.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            time.sleep(0.05)
    return None


def main() -> None:
    """
    All of it, in a temporary folder.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = buildWheel(folder)
        checkContents(wheel)
        programs = cleanEnvironment(wheel)
        checkHelp(programs)
        checkRun(programs, folder)
    print(f"packaging: {wheel.name} installs and runs")


if __name__ == "__main__":
    main()
