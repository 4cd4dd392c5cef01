"""Which tokens there are, and whose; and further files of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.role import Role
from revproxy.admin.token import digestOf, newToken
from revproxy.admin.tokenfiles import INTERVAL, TokenFiles
from revproxy.admin.tokens import Tokens
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import EventLog

NOW = 1_700_000_000.0
DAY = 86400.0


class TokenCase(SynchronousTestCase):
    """A folder, and a clock."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.events = EventLog(self.clock.seconds)
        self.tokens = self.opened()

    def opened(self) -> Tokens:
        """As after a restart."""
        file = LatestFile(self.folder / "tokens.json", self.clock, maybeDeferred)
        return Tokens(file, self.events, self.clock)

    def new(self, name: str = "ann", role: Role = Role.READ, days: float = 1) -> tuple[str, str]:
        record, token = self.tokens.new(name, role, days * DAY, "root")
        return record.id, token


class TokensTests(TokenCase):
    """Those that the edge makes."""

    def test_found(self) -> None:
        """Who has one is known by it, also after a restart; nothing in the file is of any use to a thief."""
        number, token = self.new(role=Role.OPERATE)
        for tokens in (self.tokens, self.opened()):
            found = tokens.find(token)
            assert found is not None
            self.assertEqual((found.id, found.name, found.role, found.created_by), (number, "ann", "operate", "root"))
        kept = (self.folder / "tokens.json").read_text()
        self.assertNotIn(token.split("_")[2], kept)
        self.assertEqual((self.folder / "tokens.json").stat().st_mode & 0o777, 0o600)
        self.assertIsNone(self.tokens.find(digestOf(token)))

    def test_unknown(self) -> None:
        """Others are not; not even with a known id, or a token that is right but for a letter."""
        number, token = self.new()
        _, strange = newToken()
        for other in (strange, f"rvp_{number}_{strange.split('_')[2]}_{strange.split('_')[3]}", token[:-1], "", "x"):
            self.assertIsNone(self.tokens.find(other))

    def test_expires(self) -> None:
        """From the moment on at which it ends, a token is good for nothing."""
        number, token = self.new(days=1)
        self.clock.advance(DAY - 1)
        self.assertIsNotNone(self.tokens.find(token))
        self.assertIsNotNone(self.tokens.roleOf(number))
        self.clock.advance(1)
        self.assertIsNone(self.tokens.find(token))
        self.assertIsNone(self.tokens.roleOf(number))
        self.assertTrue(self.tokens.all()[0]["is_expired"])

    def test_revoked(self) -> None:
        """So is one that was revoked, at once and over restarts."""
        number, token = self.new()
        self.assertEqual(self.tokens.revoke(number).name, "ann")
        for tokens in (self.tokens, self.opened()):
            self.assertIsNone(tokens.find(token))
            self.assertEqual(tokens.all(), [])
            self.assertRaises(NotThere, tokens.revoke, number)

    def test_used(self) -> None:
        """When it was used last is known, and written down not too often, and at the end."""
        _, token = self.new()
        self.clock.advance(100)
        self.tokens.find(token)
        self.clock.advance(1)
        self.tokens.find(token)
        self.assertEqual(self.opened().all()[0]["last_used_at"], NOW + 100)
        self.clock.advance(59)
        self.tokens.find(token)
        self.assertEqual(self.tokens.all()[0]["last_used_at"], NOW + 160)
        self.tokens.stop()
        self.assertEqual(self.opened().all()[0]["last_used_at"], NOW + 160)

    def test_damaged(self) -> None:
        """A file that cannot be understood lets nobody in, is put aside, and told of."""
        self.new()
        good = json.loads((self.folder / "tokens.json").read_text())
        bad: list[Any] = ["", "{", "[]", {"tokens": [{}]}, {"token": []}, {**good, "more": 1}]
        for change in ({"role": "root"}, {"sha256": "x"}, {"expires_at": "never"}, {"name": ""}, {"name": "\x1b"}):
            bad.append({"tokens": [{**good["tokens"][0], **change}]})
        bad.append({"tokens": good["tokens"] * 2})
        for content in bad:
            path = self.folder / "tokens.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            self.assertEqual(self.opened().all(), [], content)
            self.assertEqual(self.events.latest(1)[0].kind, "tokens-damaged")
            self.assertFalse(path.exists())

    def test_tooMany(self) -> None:
        """There is a bound; those that expired long ago do not count."""
        for _ in range(1000):
            self.new()
        self.assertRaises(CommandError, self.new)
        self.clock.advance(32 * DAY)
        self.new()


class TokenFilesTests(TokenCase):
    """Those that the edge only reads."""

    def setUp(self) -> None:
        super().setUp()
        self.files = TokenFiles(self.tokens, self.events, self.clock, maybeDeferred)
        self.addCleanup(self.files.stop)
        self.path = self.folder / "more.yaml"
        self.number, self.token = newToken()

    def write(self, text: str | None = None) -> None:
        """The file, put in its place by renaming; by default with one token."""
        entry = {"id": self.number, "name": "bob", "role": "read", "sha256": digestOf(self.token),
                 "expires_at": NOW + DAY}
        draft = self.folder / "draft"
        draft.write_text(f"# by hand\ntokens:\n- {json.dumps(entry)}\n" if text is None else text)
        os.replace(draft, self.path)

    def look(self) -> None:
        self.clock.advance(INTERVAL)

    def adopt(self, *paths: Path) -> None:
        self.files.adopt(paths)
        self.clock.advance(0)

    def test_read(self) -> None:
        """Its tokens are good as long as they are in it, and it is named."""
        self.write()
        self.adopt(self.path)
        found = self.tokens.find(self.token)
        assert found is not None
        self.assertEqual((found.name, self.tokens.all()[0]["file"]), ("bob", str(self.path)))
        error = self.assertRaises(CommandError, self.tokens.revoke, self.number)
        self.assertIn("take it out there", str(error))
        self.write("tokens: []\n")
        self.look()
        self.assertIsNone(self.tokens.find(self.token))
        self.write()
        self.look()
        self.assertIsNotNone(self.tokens.find(self.token))
        self.adopt()
        self.assertIsNone(self.tokens.find(self.token))

    def test_damaged(self) -> None:
        """One that is gone, broken or open to everybody lets nobody in; that is told once, until it is mended."""
        self.write()
        self.adopt(self.path)
        told = len(self.events.latest(1000))
        for text in ("tokens: [", "tokens: [{}]\n", "- 1\n", "tokens: &a [*a]\n", "x" * (2 << 20)):
            self.write(text)
            self.look()
            self.look()
            self.assertIsNone(self.tokens.find(self.token), text[:20])
            self.assertEqual(self.events.latest(1)[0].kind, "tokens-damaged")
            self.assertIn(str(self.path), self.events.latest(1)[0].text)
        self.assertEqual(len(self.events.latest(1000)) - told, 5)
        self.write()
        self.look()
        self.assertIsNotNone(self.tokens.find(self.token))
        self.path.chmod(0o666)
        self.look()
        self.assertIsNone(self.tokens.find(self.token))
        self.path.unlink()
        self.look()
        self.assertIn("No such file", self.events.latest(1)[0].text)

    def test_overlap(self) -> None:
        """Two files may have one token each; that one of them is broken is nothing to the other."""
        self.write()
        other = self.folder / "other.yaml"
        other.write_text("{")
        self.adopt(other, self.path)
        self.assertIsNotNone(self.tokens.find(self.token))

    def test_silentDisk(self) -> None:
        """While a disk does not answer, who is known is known, and it is looked at again."""
        self.write()
        hangs: list[Deferred[Any]] = []

        def inThread(function: Any, *arguments: Any) -> Deferred[Any]:
            if hangs:
                return hangs[0]
            return maybeDeferred(function, *arguments)

        files = TokenFiles(self.tokens, self.events, self.clock, inThread)
        files.adopt([self.path])
        self.clock.advance(0)
        hangs.append(Deferred())
        self.look()
        self.clock.advance(40)
        self.assertIsNotNone(self.tokens.find(self.token))
        hangs.pop().callback({})
        self.write("tokens: []")
        self.look()
        self.look()
        self.assertIsNone(self.tokens.find(self.token))
        files.stop()
