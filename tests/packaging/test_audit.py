"""What is locked, the bill of materials, and what an audit says where something cannot be had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy import __version__
from tests.packaging import audit, lockfile
from tests.packaging.audit import Skipped, invalid, judged, main
from tests.packaging.lockfile import DEVELOPMENT, RUNTIME, Locked, asked, problems, read, unneeded
from tests.packaging.sbom import bill

HASH = "ab" * 32


class LockFileTests(SynchronousTestCase):
    """The files that are there."""

    def test_whole(self) -> None:
        """Everything that setup.py asks for is locked, at versions that will do, with the hashes of all its files."""
        self.assertEqual(problems(asked("INSTALL"), read(RUNTIME)), [])
        everything = asked("INSTALL", "TEST", "BENCH", "DOCS", "OTEL", "AUDIT")
        self.assertEqual(problems(everything, read(DEVELOPMENT)), [])

    def test_nothingElse(self) -> None:
        """An edge is made of nothing that it does not need; and what is locked for both is the same version."""
        runtime, development = read(RUNTIME), read(DEVELOPMENT)
        self.assertEqual(unneeded(asked("INSTALL"), runtime), [])
        self.assertEqual({name: development[name].version for name in runtime},
                         {name: each.version for name, each in runtime.items()})  # fmt: skip


class ReadTests(SynchronousTestCase):
    """`read`, `problems`, `unneeded`."""

    def read(self, text: str) -> dict[str, Locked]:
        path = Path(self.mktemp())
        path.write_text(text)
        return read(path)

    def test_read(self) -> None:
        """Names in one spelling, markers, all hashes."""
        found = self.read(f"# by hand\nRuamel.YAML==0.1 ; sys_platform == 'none' \\\n    --hash=sha256:{HASH} \\\n"
                          f"    --hash=sha256:{HASH}\nb==2 \\\n    --hash=sha256:{HASH}\n")  # fmt: skip
        first = Locked("ruamel-yaml", "0.1", "sys_platform == 'none'", (HASH, HASH))
        self.assertEqual(found, {"ruamel-yaml": first, "b": Locked("b", "2", None, (HASH,))})
        self.assertEqual([each.isHere for each in found.values()], [False, True])

    def test_refused(self) -> None:
        """What pins nothing is named with its line."""
        for text in ("a>=1\n", "a\n", "-e .\n", "a==1\n    --hash=md5:00\n", f"--hash=sha256:{HASH}\n", "git+https://x\n"):
            error = self.assertRaises(ValueError, self.read, text)
            self.assertRegex(str(error), r":[12]: neither NAME==VERSION nor --hash=sha256")

    def test_problems(self) -> None:
        """Not locked, another version, no hashes, and what an installed one needs."""
        locked = {"twisted": Locked("twisted", "1.0", None, (HASH,)), "b": Locked("b", "2", None, ())}
        self.assertEqual(problems(["Twisted[tls]>=26.10,<27", "treq>=1"], locked), [
            "b: has no hashes", "Twisted[tls]<27,>=26.10: 1.0 is locked", "treq: is not locked",
        ])  # fmt: skip
        treq = read(RUNTIME)["treq"]
        said = problems([], {"treq": treq})
        self.assertTrue([each for each in said if each.startswith("twisted: is not locked, which treq needs")] or
                        [each for each in said if "which treq needs" in each], said)  # fmt: skip

    def test_unneeded(self) -> None:
        """What nothing asks for, and what could not be told because something is not installed."""
        locked = {name: read(RUNTIME)[name] for name in ("hupper", "click")}
        self.assertEqual(unneeded(["click"], locked), ["hupper"])
        strange = {**locked, "no-such-thing": Locked("no-such-thing", "1", None, (HASH,))}
        self.assertEqual(unneeded(["click"], strange), [])

    def test_asked(self) -> None:
        """setup.py is read and not run."""
        path = Path(self.mktemp())
        path.write_text("A = ['x>=1']\nraise SystemExit(1)\n")
        self.assertEqual(asked("A", setup=path), ["x>=1"])


class BillTests(SynchronousTestCase):
    """The bill of materials."""

    def setUp(self) -> None:
        self.bill = bill(__version__, asked("INSTALL"), read(RUNTIME))

    def test_complete(self) -> None:
        """All that is locked, and what the dashboard has along, with hashes; each is needed by something."""
        names = {each["purl"] for each in self.bill["components"]}
        locked = {f"pkg:pypi/{each.name}@{each.version}" for each in read(RUNTIME).values()}
        self.assertEqual({name for name in names if name.startswith("pkg:pypi/")}, locked)
        self.assertEqual(len(names - locked), 3)
        self.assertIn("pkg:npm/preact@11.2.0", names)
        twisted = next(each for each in self.bill["components"] if each["name"] == "twisted")
        self.assertGreaterEqual(len(twisted["externalReferences"][0]["hashes"]), 2)
        needed = {ref for each in self.bill["dependencies"] for ref in each["dependsOn"]}
        here = {f"pkg:pypi/{each.name}@{each.version}" for each in read(RUNTIME).values() if each.isHere}
        self.assertLessEqual(here - needed, set() if len(needed) > 30 else here)

    def test_same(self) -> None:
        """The same sources give the same bytes."""
        again = bill(__version__, asked("INSTALL"), read(RUNTIME))
        self.assertEqual(json.dumps(again), json.dumps(self.bill))
        self.assertNotEqual(bill("9", [], {})["serialNumber"], self.bill["serialNumber"])

    def test_valid(self) -> None:
        """CycloneDX' own schema has nothing against it; something that is no bill it refuses."""
        try:
            self.assertEqual(invalid(json.dumps(self.bill)), [])
        except Skipped as reason:
            self.skipTest(str(reason))
        self.assertNotEqual(invalid('{"bomFormat": "CycloneDX"}'), [])


class AuditTests(SynchronousTestCase):
    """What an audit says."""

    def said(self, *steps: Any) -> tuple[int, list[str]]:
        lines: list[str] = []
        return main(*steps, say=lines.append), lines

    def test_wrong(self) -> None:
        """What is wrong is named, and is the exit status."""
        status, lines = self.said(lambda say: ["a: is not locked"], lambda say: say("fine") or [])
        self.assertEqual((status, lines), (1, ["fine", "WRONG: a: is not locked", "audit: 1 wrong, nothing skipped"]))

    def test_skipped(self) -> None:
        """What could not be done stands in the last lines, in capitals, and the rest is done all the same."""

        def skips(say: Any) -> list[str]:
            raise Skipped("no database")

        status, lines = self.said(skips, lambda say: say("fine") or [])
        self.assertEqual((status, lines), (0, ["fine", "SKIPPED: no database", "audit: 0 wrong, 1 SKIPPED"]))

    def test_advisories(self) -> None:
        """One that concerns us is wrong, with the version that mends it."""
        fault = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"], "description": "Everything."}
        told = [{"name": "a", "version": "1.0", "vulns": [fault]}, {"name": "b", "skip_reason": "not found"}]
        self.assertEqual(judged(told, lambda text: None), ["a 1.0: PYSEC-1, CVE-1: Everything. (mended in 2.0)"])
        self.assertEqual(judged([{"name": "a", "version": "1.0", "vulns": []}], lambda text: None), [])

    def test_unknown(self) -> None:
        """pip-audit ends well where the database knows nothing: that is no audit."""
        told = [{"name": name, "skip_reason": "not found on PyPI"} for name in "abcdefg"]
        error = self.assertRaises(Skipped, judged, told, lambda text: None)
        self.assertIn("does not know 7 of 7 distributions (a, b, c, d, e, ...)", str(error))

    def program(self, status: int, out: str = "", err: str = "") -> None:
        """What is run says this."""
        self.patch(audit, "run", lambda command: subprocess.CompletedProcess(command, status, out, err))

    def test_offline(self) -> None:
        """Where there is no network, and no pip-audit, neither is wrong."""
        self.program(1, "", "requests.exceptions.ConnectionError: no route")
        self.assertIn("ConnectionError: no route", str(self.assertRaises(Skipped, audit.download, print)))
        self.patch(audit.shutil, "which", lambda *_, **__: "pip-audit")
        self.assertIn("no route", str(self.assertRaises(Skipped, audit.advisories, print)))
        self.patch(audit.shutil, "which", lambda *_, **__: None)
        self.assertIn("pip install -e .[audit]", str(self.assertRaises(Skipped, audit.advisories, print)))

    def test_otherHashes(self) -> None:
        """An index that serves something else is no index that cannot be reached."""
        self.program(1, "", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. Connection")
        [said] = audit.download(lambda text: None)
        self.assertIn("THESE PACKAGES DO NOT MATCH", said)

    def test_forEver(self) -> None:
        """What does not end is not waited for."""
        self.patch(audit, "PATIENCE", 0.1)
        error = self.assertRaises(Skipped, audit.run, [sys.executable, "-c", "import time; time.sleep(60)"])
        self.assertIn("was not waited for", str(error))

    def test_lockFiles(self) -> None:
        """The step names the file, and what mends it."""
        path = Path(self.mktemp())
        path.write_text(f"click==8.5.1 \\\n    --hash=sha256:{HASH}\n")
        self.patch(audit, "RUNTIME", path)
        self.assertIn(f"{path.name}: treq: is not locked; make requirements", audit.lockFiles(lambda text: None))
        self.assertIs(lockfile.RUNTIME, RUNTIME)
