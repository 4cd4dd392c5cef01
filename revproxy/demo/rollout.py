"""
``python -m revproxy.demo.rollout``: what ``make demo-rollout`` does.

An edge on loopback serves 200 requests a second of 2,000 visitors through a plugin. Five new versions of that are
saved, one after the other: one raises, one is slow, one says something wrong, one lets everybody in, one is right. Each
takes the steps that the configuration asks for. What became of each is told as it comes, and on a page (one HTML file)
that stays. It ends by itself; 0: all ended as they should, and visitors met no more than they may.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final

from revproxy.cli.edgeclient import EdgeClient, EdgeNotRunning, NoAnswer, Refused
from revproxy.cli.rolloutwords import stateName, whereabouts
from revproxy.demo.rolloutact import Act
from revproxy.demo.rolloutpage import page
from revproxy.demo.rolloutversions import CANDIDATES, FIRST, NAME, PLANS, Candidate
from revproxy.demo.shownedge import HOST, Failed, freePort, runningEdge
from revproxy.demo.visitors import Visitors

RATE: Final = 200.0
"""Requests a second."""

PEOPLE: Final = 2000
"""Visitors; one in ten has no key."""

WITHOUT_KEY: Final = "somebody without a key was let in"
WRONG_PLAN: Final = "a wrong plan"
TURNED_AWAY: Final = "somebody with a key was turned away"

_PATIENCE: Final = 60.0
"""Seconds for the edge to start, and for each of its answers."""

_LONGEST: Final = 420.0
"""Seconds that one rollout may take."""

STEPS: Final[Sequence[Any]] = (
    "preflight",
    {"shadow": "50%", "until": {"pairs": 2500}, "at_most": "3m"},
    {"canary": "5%", "until": {"fault": "3%", "power": 0.9}, "at_least": "10s", "at_most": "3m"},
    {"canary": "50%", "until": {"fault": "1%", "power": 0.9}, "at_least": "10s", "at_most": "3m"},
)


def configuration(port: int, folder: Path) -> str:
    """The text of the edge's revproxy.yaml."""
    return json.dumps({
        "listeners": [{"endpoint": f"tcp:{port}:interface={HOST}"}],
        "routes": [{"respond": {"status": 200, "body": "hello\n"}}],
        "plugins": {
            "directory": str(folder / "plugins"),
            "rollout": {"plugins": {NAME: {
                "steps": STEPS, "by": "header:X-Visitor", "expect": ["header:x-gate:added"],
            }}},
        },
        "state": str(folder / "state"),
        "logging": {"access": None},
    }, indent=1) + "\n"  # fmt: skip


def headersOf(person: int, number: int) -> Mapping[str, str]:
    """What a visitor sends."""
    sent = {"X-Visitor": f"v{person}", "X-Number": str(number)}
    return sent if person % 10 == 0 else {**sent, "X-Key": str(person)}


def wrongIn(person: int, response: HTTPResponse) -> str:
    """What is wrong with the answer to a visitor; empty: nothing."""
    if person % 10 == 0:
        return WITHOUT_KEY if response.status == 200 else ""
    if response.status == 401:
        return TURNED_AWAY
    return "" if response.headers.get("X-Plan") == PLANS[person % 3] else WRONG_PLAN


class _Demonstration:
    """An edge, and the versions that are saved there."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._client = EdgeClient(folder / "state" / "control.sock")

    def save(self, candidate: Candidate) -> None:
        """As an editor would."""
        for name, content in candidate.files().items():
            path = self._folder / "plugins" / NAME / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def ready(self, edge: subprocess.Popen[bytes]) -> None:
        """
        Wait until the edge serves.

        :raises Failed: it does not.
        """
        end = time.monotonic() + _PATIENCE
        while edge.poll() is None and time.monotonic() < end:
            try:
                if self.running() == FIRST.number:
                    return
            except (EdgeNotRunning, NoAnswer, Refused):
                pass
            time.sleep(0.1)
        raise Failed("the edge does not start; its reasons are above")

    def running(self) -> str:
        """The number of the version that runs."""
        items = self._ask("GET", "plugins")["items"]
        return next((str(each["version"]) for each in items if each["name"] == NAME), "")

    def _ask(self, method: str, path: str, **query: Any) -> Any:
        return self._client.ask(method, path, query, timeout=_PATIENCE)

    def act(self, candidate: Candidate, visitors: Visitors) -> Act:
        """
        Save a version, and wait for its end.

        :raises Failed: it has none.
        """
        act, began, told = Act(candidate), time.monotonic(), ""
        visitors.take()
        self.save(candidate)
        while time.monotonic() < began + _LONGEST:
            view = self._view(candidate)
            now = f"{whereabouts(view)}{', held' if view['held'] else ''}" if view else "saved"
            if now != told:
                print(f"    {time.monotonic() - began:5.0f} s  {now}", flush=True)
                told = now
            if view and view["ended"] is not None:
                act.view = view
                break
            if view and view["held"] and not (candidate.isInsisted and view["state"] == "canary"):
                self._decide(act, view)
            time.sleep(0.25)
        else:
            raise Failed(f"{candidate.number} has come to no end within {_LONGEST:.0f} s")
        time.sleep(1.0)  # what was under way
        act.met, act.seconds = visitors.take(), time.monotonic() - began
        return act

    def _view(self, candidate: Candidate) -> Mapping[str, Any]:
        try:
            view: Mapping[str, Any] = self._ask("GET", f"rollouts/{NAME}")
        except Refused:
            return {}
        return view if view["candidate"]["version"] == candidate.number else {}

    def _decide(self, act: Act, view: Mapping[str, Any]) -> None:
        """What somebody says who is shown what the shadow has found. In a canary, it is judged all the same."""
        reason = view["verdict"]["reason"]
        command = "step" if act.candidate.isInsisted else "abort"
        act.said.append((f"revproxy rollout {NAME} {command}", reason))
        print(f"             held: {reason}\n             somebody says: {command}", flush=True)
        try:
            self._ask("POST", f"rollouts/{NAME}/{command}")
        except Refused as refused:
            raise Failed(f"{command} was refused: {refused}") from refused


def told(act: Act) -> str:
    """What is said of an act."""
    met, view = act.met, act.view
    times = sorted(met.times) or [0.0]
    middle = f"median {times[len(times) // 2] * 1e3:.1f} ms"
    lines = [
        f"    {stateName(view['state'])}: {view['verdict']['reason']}",
        f"    visitors: {met.requests} requests in {act.seconds:.0f} s, {met.broken} broken, "
        f"{sum(met.wrong.values())} wrong, {middle}",
    ]
    lines += [f"    {fault}" for fault in act.faults]
    return "\n".join([*lines, f"    {'as it should be' if not act.faults else 'NOT AS IT SHOULD BE'}"])


def demonstrate(folder: Path, file: Path, rate: float = RATE) -> bool:
    """
    All versions, told as they come.

    :param folder: an empty one; ``file``: where the page goes.
    :returns: whether all ended as they should.
    :raises Failed:
    """
    port, acts = freePort(), []
    demonstration = _Demonstration(port, folder)
    demonstration.save(FIRST)
    configured = folder / "revproxy.yaml"
    configured.write_text(configuration(port, folder))
    with runningEdge(configured) as edge:
        try:
            demonstration.ready(edge)
            with Visitors(port, rate, PEOPLE, headersOf, wrongIn) as visitors:
                time.sleep(2.0)  # until all of them have come
                for candidate in CANDIDATES:
                    about = candidate.fault or "Nothing is wrong with it."
                    print(f"\n{candidate.number}  {candidate.title}. {about}", flush=True)
                    acts.append(demonstration.act(candidate, visitors))
                    print(told(acts[-1]), flush=True)
            serves = demonstration.running()
        except Failed:
            print((folder / "edge.log").read_text(errors="replace"), file=sys.stderr)
            raise
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(acts, serves), encoding="utf-8")
    isRight = serves == CANDIDATES[-1].number and not any(act.faults for act in acts)
    print(f"\n{serves} serves now. The page of what happened: {file}")
    return isRight


def main(arguments: Sequence[str] | None = None) -> int:
    """:returns: the exit status."""
    parser = argparse.ArgumentParser(prog="make demo-rollout", description=__doc__)
    parser.add_argument("--page", type=Path, default=Path("build/demo-rollout.html"), help="where the page goes")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    said = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="revproxy-rollout-") as folder:
        try:
            return 0 if demonstrate(Path(folder), said.page, said.rate) else 1
        except Failed as failed:
            print(f"cannot be shown: {failed}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
