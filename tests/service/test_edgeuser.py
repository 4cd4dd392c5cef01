"""Users and groups by name and number."""

from __future__ import annotations

import os
import pwd
import sys

from twisted.trial.unittest import SynchronousTestCase

from revproxy.service.edgeuser import EdgeUser, UserError, userNamed


class NamedTests(SynchronousTestCase):
    """`userNamed`."""

    def setUp(self) -> None:
        self.known = pwd.getpwnam("daemon")
        self.patch(os, "geteuid", lambda: 0)

    def test_user(self) -> None:
        """By name and by number the same, with all its groups."""
        uid, gid = self.known.pw_uid, self.known.pw_gid
        expected = EdgeUser(uid, gid, tuple(os.getgrouplist("daemon", gid)))
        self.assertEqual([userNamed("daemon", None), userNamed(str(uid), None)], [expected] * 2)

    def test_group(self) -> None:
        """A group that the user is not in comes alone; one that it is in, with the others."""
        self.assertEqual(userNamed("daemon", "54321"), EdgeUser(self.known.pw_uid, 54321, (54321,)))
        own = userNamed("daemon", str(self.known.pw_gid))
        self.assertEqual(own, userNamed("daemon", None))

    def test_numberWithoutName(self) -> None:
        """A number that nobody has, as containers use: with a group."""
        self.assertEqual(userNamed("3999998", "3999999"), EdgeUser(3999998, 3999999, (3999999,)))
        error = self.assertRaises(UserError, userNamed, "3999998", None)
        self.assertIn("there is no user '3999998' on this machine; a number that has no name needs --gid", str(error))

    def test_refused(self) -> None:
        """Names and numbers that are none."""
        for user, group in (("nosuch", None), ("nosuch", "0"), ("9" * 30, "0"), (None, "nosuch"), (None, "9" * 30),
                            ("", None), ("-1", None)):
            self.assertRaises(UserError, userNamed, user, group)

    def test_others(self) -> None:
        """Who is not root can only stay who it is."""
        self.assertIs(userNamed(None, None), None)
        self.patch(os, "geteuid", lambda: 1000)
        self.patch(os, "getuid", lambda: self.known.pw_uid)
        self.patch(os, "getgid", lambda: self.known.pw_gid)
        self.assertIs(userNamed("daemon", None), None)
        self.assertIn("only root may become user 0", str(self.assertRaises(UserError, userNamed, "root", None)))

    def test_unreadable(self) -> None:
        """Where Python imports from, and that user cannot: it is told before something is missing."""
        for name in ("setgroups", "setgid", "setuid"):
            self.patch(os, name, lambda ids: None)
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.patch(sys, "path", [folder, os.path.join(folder, "none"), os.sep])
        self.patch(os, "access", lambda path, mode: path != folder)
        self.assertEqual(EdgeUser(1, 2, (2,)).become(), [folder])

    def test_cannotBecome(self) -> None:
        """What the system says is told."""

        def refuse(groups: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(os, "setgroups", refuse)
        error = self.assertRaises(UserError, EdgeUser(1, 2, (2,)).become)
        self.assertIn("cannot become user 1, group 2: Operation not permitted; start as root", str(error))
