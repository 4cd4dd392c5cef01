"""Tests for `revproxy.permit`: permissions as facades ask them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import NotPermitted
from revproxy.headers import joined
from revproxy.permissions import ALL, NAMED_ONLY, PSEUDO, Permissions
from revproxy.permit import Permit

NAMES = st.sampled_from([ALL, "host", "x-a", "x-b", "x_a", *sorted(NAMED_ONLY), *sorted(PSEUDO)])

FIELDS = ["host", "x-a", "x-b", "x-c", "x_a", *sorted(NAMED_ONLY)]


class PermitTests(SynchronousTestCase):
    """`Permit`."""

    @given(st.frozensets(NAMES))
    def test_fields(self, own: frozenset[str]) -> None:
        """Fields are read and written as `Permissions` says, however it was decided beforehand."""
        permissions = Permissions(readHeaders=own, writeHeaders=own)
        permit = Permit(permissions)
        for name in FIELDS:
            self.assertIs(permit.reads.has(name.encode()), permissions.mayRead(name), name)
            mayWrite = permissions.changesHost if name == "host" else permissions.mayWrite(name)
            self.assertIs(permit.writes.has(name.encode()), mayWrite, name)

    @given(st.frozensets(NAMES))
    def test_joined(self, own: frozenset[str]) -> None:
        """Where names have hyphens only, whoever may read one spelling may read them all, and nobody reads a secret."""
        permissions = Permissions(readHeaders=own)
        permit = Permit(permissions)
        for name in FIELDS:
            key = joined(name.encode())
            if permissions.mayRead(name) and name not in NAMED_ONLY:
                self.assertTrue(permit.joinedReads.has(key), name)
            if name in NAMED_ONLY and name not in own:
                self.assertFalse(permit.joinedReads.has(key), name)

    def test_spellings(self) -> None:
        """The asterisk is not for what a gateway would take for a secret."""
        permit = Permit(Permissions(readHeaders=frozenset((ALL,))))
        for name in (b"set-cookie", b"set_cookie", b"set.cookie", b"proxy~authorization", b"cookie"):
            self.assertFalse(permit.reads.has(name), name)
        self.assertTrue(permit.reads.has(b"set-cookies"))

    def test_isAllFields(self) -> None:
        """Only who may do everything with fields needs no guard."""
        everything = frozenset((ALL, ":authority", *NAMED_ONLY))
        self.assertTrue(Permit(Permissions(everything, everything)).isAllFields)
        for lacking in everything:
            self.assertFalse(Permit(Permissions(everything, everything - {lacking})).isAllFields, lacking)

    def test_upstreams(self) -> None:
        """Names that were granted are chosen; to give the choice back takes any of them."""
        permit = Permit(Permissions(upstreams=frozenset(("billing",))))
        permit.chooseUpstream("billing", "")
        permit.chooseUpstream(None, "")
        self.assertRaises(NotPermitted, permit.chooseUpstream, "other", "")
        self.assertRaises(NotPermitted, Permit(Permissions()).chooseUpstream, None, "")
