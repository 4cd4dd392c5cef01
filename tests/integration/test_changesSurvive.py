"""Changes of a real edge through its API: killed between them, with a full disk, with an editor that saves as well."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from revproxy.control.history.verification import verify
from tests.harness import EdgeCase, EdgeProcess

CONFIG = (
    "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {}}]\nlogging: {access: off}\n"
    "state: var\ntimeouts: {idle: 1}\n"
)


class _Socket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("edge", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(os.path.relpath(self._path))


class ChangesSurviveTests(EdgeCase):
    """An edge in a process of its own."""

    def running(self, folder: Path | None = None) -> EdgeProcess:
        """One that serves; in a folder that was there before, one more."""
        if folder is None:
            edge = self.launch(CONFIG)
        else:
            edge = EdgeProcess(folder, 0, ["--config", "revproxy.yaml"])
            self.addCleanup(edge.kill)
        self.until(lambda: " started: " in edge.said() or edge.process.poll() is not None, edge.said())
        self.assertIsNone(edge.process.poll(), edge.said())
        return edge

    def ask(self, edge: EdgeProcess, method: str, path: str, body: Any = None, tag: str = "") -> tuple[int, Any]:
        """Status and answer."""
        connection = _Socket(edge.folder / "var" / "control.sock")
        headers = {"If-Match": f'"{tag}"'} if tag else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def put(self, edge: EdgeProcess, seconds: int) -> int:
        """Have another time-out in the file, and in force."""
        _, found = self.ask(edge, "GET", "/config")
        text = found["text"].partition("timeouts")[0] + f"timeouts: {{idle: {seconds}}}\n"
        return self.ask(edge, "PUT", "/config", {"text": text}, found["etag"])[0]

    def idle(self, edge: EdgeProcess) -> float:
        """The time-out in force."""
        found: float = self.ask(edge, "GET", "/config/effective")[1]["timeouts"]["idle"]
        return found

    def test_killed(self) -> None:
        """
        Killed at any moment: what was answered is in force after a restart, the file is whole, the records are, and
        say all that was answered.
        """
        edge = self.running()
        for round_ in range(4):
            answered, stops = [round_ * 100 + 1], threading.Event()
            self.assertEqual(self.put(edge, answered[0]), 200)

            def changing(edge: EdgeProcess = edge, answered: list[int] = answered, round_: int = round_,
                         stops: threading.Event = stops) -> None:  # fmt: skip
                for number in range(2, 90):
                    try:
                        if self.put(edge, round_ * 100 + number) == 200:
                            answered.append(round_ * 100 + number)
                    except (OSError, http.client.HTTPException, ValueError):
                        break
                stops.set()

            thread = threading.Thread(target=changing)
            thread.start()
            self.until(lambda answered=answered, round_=round_: len(answered) > 3 + round_)
            os.kill(edge.process.pid, signal.SIGKILL)
            edge.process.wait()
            thread.join()
            edge = self.running(edge.folder)
            self.assertIn(self.idle(edge), (answered[-1], answered[-1] + 1))
            verdict = self.ask(edge, "GET", "/audit/verify")[1]
            self.assertEqual(verdict["problems"], [])
            self.assertEqual(self.ask(edge, "GET", "/config/drift")[1]["same"], True)
        names = {path.name for path in edge.folder.iterdir() if not path.name.startswith(".revproxy.yaml.")}
        self.assertLessEqual(names, {"revproxy.yaml", "var", "edge.log", "log", "stdout", "stderr", "said"})
        history = self.ask(edge, "GET", "/history?limit=1000")[1]["items"]
        self.assertGreaterEqual(sum(change["action"] == "config" for change in history), 8)
        first = history[-1]["number"]
        self.assertEqual(self.ask(edge, "POST", "/revert", {"to": first})[0], 200)
        self.assertEqual(self.idle(edge), 1)

    def test_editor(self) -> None:
        """Somebody saves all the time: nothing of what was saved last is lost, and the last of all is in force."""
        edge = self.running()
        path = edge.folder / "revproxy.yaml"
        plain, saved, stops = path.read_text(), [0], threading.Event()

        def saving() -> None:
            while not stops.wait(0.003):
                saved[0] += 1
                text = f"{plain}# saved {saved[0]}\n"
                new = path.with_name("new")
                new.write_text(text)
                os.replace(new, path)

        thread = threading.Thread(target=saving)
        thread.start()
        statuses = [self.put(edge, 10 + number) for number in range(40)]
        stops.set()
        thread.join()
        self.assertLessEqual(set(statuses), {200, 412})
        last = path.read_text()
        self.assertTrue(last.endswith(f"# saved {saved[0]}\n") or "timeouts: {idle: 49}" in last, last)
        self.until(lambda: self.ask(edge, "GET", "/config/drift")[1]["same"])
        self.assertEqual([name for name in os.listdir(edge.folder) if name.endswith(".new")], [])

    def test_diskFull(self) -> None:
        """With a disk that is full changes go on; the gap is told, and records come when there is room again."""
        if os.geteuid() != 0:
            self.skipTest("only root may mount a small disk")
        folder = Path(self.mktemp()).absolute()
        (folder / "var").mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder / "var"], check=False)
        if done.returncode:
            self.skipTest("a small disk cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", folder / "var"], check=False)
        (folder / "revproxy.yaml").write_text(CONFIG.replace("PORT", "0"))
        edge = self.running(folder)
        self.assertEqual(self.put(edge, 2), 200)
        with (folder / "var" / "filler").open("wb", buffering=0) as file:
            self._fill(file)
        self.assertEqual(self.put(edge, 3), 200)
        self.assertEqual(self.idle(edge), 3)
        self.until(lambda: "audit-failed" in edge.said(), edge.said())
        (folder / "var" / "filler").unlink()
        edge.process.send_signal(signal.SIGTERM)
        edge.process.wait()
        verdict = verify(folder / "var" / "audit")
        self.assertEqual((verdict.problems, verdict.count), ((), 3))

    def _fill(self, file: Any) -> None:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
