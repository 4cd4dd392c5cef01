"""``revproxy token`` and ``revproxy login``, for an edge that is a thread with answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread

import click
import msgspec

from revproxy.admin.token import digestOf, idOf
from revproxy.admin.tokens import TokenFile
from revproxy.cli.remoteedge import tokenFrom
from revproxy.config.document import parseYAML
from tests.cli.test_edgecommands import CommandCase, Status

_TOKEN = {"id": "abcd1234", "name": "ci\x1b", "role": "operate", "created_at": 1.0, "created_by": "root",
          "expires_at": 4e9, "is_expired": False, "last_used_at": None, "file": ""}  # fmt: skip


class TokenCommandTests(CommandCase):
    """Making, listing and ending."""

    def test_new(self) -> None:
        """The token alone is on standard output; what there is to know about it is beside it."""
        made = {"id": "abcd1234", "name": "ci", "role": "read", "expires_at": 1.7e9, "token": "rvp_x"}
        edge = self.edge(Status(201, made))
        result = self.run_("token", "new", "ci", "--role", "read", "--expires", "7d")
        self.assertEqual(result.stdout, "rvp_x\n")
        self.assertIn("ci (abcd1234): read, until 2023-11-", result.stderr)
        self.assertEqual(edge.requests, [("POST", "tokens", {"name": "ci", "role": "read", "expires_in": 604800.0})])
        self.assertEqual(json.loads(self.run_("token", "new", "ci", "--role", "read", "--json").stdout), made)
        self.assertEqual(edge.requests[1][2]["expires_in"], 90 * 86400)

    def test_unwritten(self) -> None:
        """A token that a restart would forget is told of."""
        made = {"id": "abcd1234", "name": "ci", "role": "read", "expires_at": 1.7e9, "token": "rvp_x"}
        self.edge(Status(201, {**made, "unwritten": "tokens.json: No space left on device"}))
        result = self.run_("token", "new", "ci", "--role", "read", status=1)
        self.assertEqual(result.stdout, "rvp_x\n")
        self.assertIn("not written down: tokens.json: No space left on device", result.stderr)

    def test_wrong(self) -> None:
        """Without a role, or with one that there is not, nothing is asked."""
        self.assertIn("--role", self.run_("token", "new", "ci", status=2).stderr)
        self.assertIn("is not one of", self.run_("token", "new", "ci", "--role", "root", status=2).stderr)

    def test_forFile(self) -> None:
        """Without an edge: a token, and an entry that the edge understands."""
        token, _, entry = self.run_("token", "new", "ci", "--role", "read", "--for-file").stdout.partition("\n")
        (record,) = msgspec.convert(parseYAML(entry, "x").value, TokenFile).tokens
        self.assertEqual((record.id, record.sha256, record.role), (idOf(token), digestOf(token), "read"))

    def test_forFileAsJSON(self) -> None:
        """The same for programs."""
        made = json.loads(self.run_("token", "new", "ci", "--role", "read", "--for-file", "--json").stdout)
        (record,) = msgspec.convert({"tokens": [made["entry"]]}, TokenFile).tokens
        self.assertEqual((record.id, record.sha256), (idOf(made["token"]), digestOf(made["token"])))

    def test_list(self) -> None:
        """A table, in which nothing does what terminals understand."""
        self.edge([_TOKEN, {**_TOKEN, "is_expired": True, "last_used_at": 1.7e9, "file": "/etc/t.yaml"}])
        said = self.run_("token", "list").stdout
        self.assertIn("abcd1234  ci\\x1b", said)
        self.assertIn("expired", said)
        self.assertIn("/etc/t.yaml", said)

    def test_none(self) -> None:
        """Where there are none it is said how one is made."""
        self.edge([])
        self.assertIn("revproxy token new NAME", self.run_("token", "list").stdout)

    def test_revoke(self) -> None:
        """It is asked for with its reason."""
        edge = self.edge({"text": ["ci: it is good for nothing any more"], "refused": []})
        self.assertIn("good for nothing", self.run_("token", "revoke", "abcd1234", "--reason", "lost").stdout)
        self.assertEqual(edge.requests, [("DELETE", "tokens/abcd1234?reason=lost", None)])

    def test_revokeName(self) -> None:
        """A name is no id."""
        self.assertIn("ci is no id of a token; revproxy token list shows them",
                      self.run_("token", "revoke", "ci", status=1).stderr)

    def test_login(self) -> None:
        """A code, and nothing else, for scripts; beside that, for people, the address that it belongs to."""
        made = Status(201, {"code": "xyz", "role": "read", "expires_at": 1.0})
        for endpoint, tls, hosts, said in (
            ("tcp:9900:interface=127.0.0.1", None, [], "it signs in at http://127.0.0.1:9900/#login=xyz\n"),
            ("tcp6:9900:interface=\\:\\:1", None, [], "it signs in at http://[::1]:9900/#login=xyz\n"),
            ("tcp:9900", {"certificates": "/c"}, ["a.example"], "it signs in at https://a.example:9900/#login=xyz\n"),
            ("tcp:port=9900", {"certificates": "/c"}, [], "it signs in at https://localhost:9900/#login=xyz\n"),
            ("", None, [], "there is no listener to sign in at: add `admin: {endpoint: …}` to revproxy.yaml\n"),
        ):
            admin = {"endpoint": endpoint, "tls": tls, "hosts": hosts} if endpoint else None
            edge = self.edge(deque([made, {"admin": admin}]))
            result = self.run_("login", "--role", "read")
            self.assertEqual((result.stdout, result.stderr), ("xyz\n", said))
            self.assertEqual(edge.requests[0], ("POST", "login-codes", {"role": "read"}))
            edge.close()
            Path("var/control.sock").unlink()

    def test_loginStranger(self) -> None:
        """An edge that does not tell its configuration has made a code all the same."""
        self.edge(Status(201, {"code": "xyz", "role": "read", "expires_at": 1.0}))
        self.assertEqual(self.run_("login").output, "xyz\n")

    def test_noToken(self) -> None:
        """Who is not known is told where a token goes, and where it comes from."""
        self.edge(Status(401, {"title": "Unauthorized", "status": 401, "detail": "a token is needed"}))
        said = self.run_("token", "list", status=1).stderr
        self.assertIn("a token is needed; a token goes into REVPROXY_TOKEN or --token-file, and revproxy token", said)


class OtherDoorTests(CommandCase):
    """``--url``."""

    def test_wrong(self) -> None:
        """Together with a socket, and where nobody listens."""
        result = self.run_("events", "--url", "http://x", "--state", "a", status=2)
        self.assertIn("--url does not go with", result.stderr)
        result = self.run_("events", "--url", "http://127.0.0.1:1", status=3)
        self.assertIn("http://127.0.0.1:1: nobody listens there; see `admin`", result.stderr)
        self.assertIn("is wanted", self.run_("events", "--url", "x", status=3).stderr)


class TokenFileTests(CommandCase):
    """``--token-file``."""

    def test_file(self) -> None:
        """The first line of a file, without what is around it; one that others can read is told of."""
        file = Path("token")
        file.write_text("rvp_abc\n")
        for mode, said in ((0o600, ""), (0o640, "token: others can read this token; chmod 600 token\n")):
            file.chmod(mode)
            stderr = StringIO()
            self.patch(sys, "stderr", stderr)
            self.assertEqual((tokenFrom(file), stderr.getvalue()), ("rvp_abc", said))
        self.assertEqual((tokenFrom(file, tells=False), stderr.getvalue()), ("rvp_abc", said))

    def test_environment(self) -> None:
        """Without a file, the variable; without that, none."""
        self.patch(os, "environ", {"REVPROXY_TOKEN": "rvp_x"})
        self.assertEqual(tokenFrom(None), "rvp_x")
        self.patch(os, "environ", {})
        self.assertEqual(tokenFrom(None), "")

    def test_refused(self) -> None:
        """No file, nothing in it, and what is no token."""
        Path("empty").touch(0o600)
        Path("binary").write_bytes(b"\xff")
        for name, said in (
            ("none", "--token-file: none cannot be read: No such file or directory"),
            ("empty", "there is no token in empty; revproxy token new makes one"),
            ("binary", "--token-file: binary cannot be read"),
        ):
            error = self.assertRaises(click.ClickException, tokenFrom, Path(name))
            self.assertIn(said, str(error.message))

    def test_neverAnArgument(self) -> None:
        """Whoever lists processes would see it."""
        result = self.run_("events", "--url", "http://127.0.0.1:1", "--token", "rvp_x", status=2)
        self.assertIn("No such option", result.stderr)

    def test_standardInput(self) -> None:
        """From a program that has it; and the edge is asked with it."""
        seen = []

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers["Authorization"])
                self.send_response(401)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Door)
        serving = Thread(target=server.handle_request)
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}"
        command = [sys.executable, "-m", "revproxy.cli", "events", "--url", url, "--token-file", "-"]
        done = subprocess.run(command, input="rvp_in\n", capture_output=True, text=True, timeout=120, check=False)
        serving.join(120)
        server.server_close()
        self.assertEqual((seen, done.returncode), (["Bearer rvp_in"], 1), done.stderr)
