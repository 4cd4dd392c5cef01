"""Tests for `revproxy.dataplane.draw`: which clients meet a version on trial."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane import draw
from revproxy.dataplane.draw import BUCKETS, Draw, TestersHeader, addressKey, cookieKey, headerKey
from revproxy.testing import makeContext
from tests.trials import bits

SALT = b"0123456789abcdef"


class DrawTests(SynchronousTestCase):
    """`Draw`."""

    def test_spread(self) -> None:
        """Clients are spread over all buckets, and another salt spreads them otherwise."""
        first, second = Draw("1", SALT, bits(range(205))), Draw("2", SALT[::-1], bits(range(205)))
        hosts = [f"10.{at >> 8}.{at & 255}.1" for at in range(20_000)]
        chosen = [sum(each.byAddress(host).isCandidate for host in hosts) for each in (first, second)]
        for count in chosen:
            self.assertTrue(860 < count < 1140, chosen)  # 5 % of 20,000, and four and a half standard deviations
        both = sum(first.byAddress(host).isCandidate and second.byAddress(host).isCandidate for host in hosts)
        self.assertTrue(both < 85, both)  # one in 400

    def test_sameInAnyProcess(self) -> None:
        """A bucket is the same after a restart, whatever Python's own hashes are seeded with."""
        code = (
            "from revproxy.dataplane.draw import Draw\n"
            f"print(Draw('1', {SALT!r}, bytes(512)).byAddress('192.0.2.1').bucket)"
        )
        path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        found = {
            int(subprocess.check_output([sys.executable, "-c", code], env={**path, "PYTHONHASHSEED": seed}))
            for seed in ("1", "2")
        }
        self.assertEqual(found, {Draw("1", SALT, bytes(512)).byAddress("192.0.2.1").bucket})

    def test_rampAddsOnly(self) -> None:
        """Whom a small canary has, a larger one has, too."""
        small, large = Draw("1", SALT, bits(range(100))), Draw("1", SALT, bits(range(400)))
        hosts = [f"10.0.{at >> 8}.{at & 255}" for at in range(5_000)]
        had = [host for host in hosts if small.byAddress(host).isCandidate]
        self.assertTrue(had)
        self.assertTrue(all(large.byAddress(host).isCandidate for host in had))

    def test_known(self) -> None:
        """A client is remembered, as long as there are not too many."""
        self.patch(draw, "MOST_KNOWN", 3)
        one = Draw("1", SALT, bytes(512))
        first = one.byAddress("a")
        self.assertIs(one.byAddress("a"), first)
        for host in "bcd":
            one.byAddress(host)
        self.assertIsNot(one.byAddress("a"), first)
        self.assertEqual(one.byAddress("a").bucket, first.bucket)
        self.assertLessEqual(len(one._known), 3)

    def test_longKeys(self) -> None:
        """What a client makes long is not remembered."""
        one = Draw("1", SALT, bytes(512), headerKey(b"X-Long"))
        request = makeContext(headers={"X-Long": "x" * 300}).request
        self.assertEqual(one.standingOf(request).bucket, one.standingOf(request).bucket)
        self.assertEqual(one._known, {})

    def test_emptyKeys(self) -> None:
        """An empty header tells nobody apart."""
        one = Draw("1", SALT, bytes(512), headerKey(b"X-User"))
        request = makeContext(headers={"X-User": " "}).request
        self.assertEqual(one.standingOf(request).bucket, one.byAddress(request.peer.host).bucket)

    def test_headerIsNoAddress(self) -> None:
        """Who sends an address as the header is not who has that address."""
        one = Draw("1", SALT, bytes(512), headerKey(b"X-User"))
        request = makeContext(headers={"X-User": "192.0.2.1"}).request
        self.assertNotEqual(one.standingOf(request).bucket, one.byAddress("192.0.2.1").bucket)

    def test_cookies(self) -> None:
        """The first of that very name, in whichever of the fields."""
        find = cookieKey(b"sid")
        for cookie, wanted in (
            ("sid=1", b"1"), ("a=b; sid=1", b"1"), ("xsid=2; sid=1; sid=3", b"1"), ("sid=", b""), ("sidx=1", None),
            ("a=sid=1", None), ("", None),
        ):  # fmt: skip
            self.assertEqual(find(makeContext(headers={"Cookie": cookie}).request), wanted, cookie)

    def test_range(self) -> None:
        """All buckets are met."""
        one = Draw("1", SALT, bytes(512))
        found = {one.bucketOf(b"%d" % at) for at in range(60_000)}
        self.assertEqual((min(found), max(found), len(found)), (0, BUCKETS - 1, BUCKETS))


class AddressKeyTests(SynchronousTestCase):
    """`addressKey`."""

    def test_equal(self) -> None:
        """An address in IPv6's clothes is that address; of IPv6 the network counts, not what a client adds itself."""
        self.assertEqual(addressKey("::ffff:192.0.2.1"), addressKey("192.0.2.1"))
        self.assertEqual(addressKey("2001:db8::1"), addressKey("2001:db8:0:0:dead:beef::1"))
        self.assertEqual(addressKey("fe80::1%eth0"), addressKey("fe80::2%eth0"))

    def test_different(self) -> None:
        """Others differ; what is no address is itself."""
        hosts = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "", "a:b", "é")
        keys = [addressKey(host) for host in hosts]
        self.assertEqual(len(set(keys)), len(keys))


class TestersHeaderTests(SynchronousTestCase):
    """`TestersHeader`."""

    def test_choice(self) -> None:
        """The token, and one of two words."""
        testers = TestersHeader(b"X-Arm", b"secret token")
        for value, wanted in (
            ("secret token candidate", True), ("secret token running", False), ("secret token  CANDIDATE ", True),
            ("secret token", None), ("secret token other", None), ("secret candidate", None), ("candidate", None),
            ("Secret token candidate", None), ("", None),
        ):  # fmt: skip
            self.assertEqual(testers.choice(makeContext(headers={"X-Arm": value}).request), wanted, value)
        self.assertIsNone(testers.choice(makeContext().request))
