"""Operations on certificates."""

from __future__ import annotations

from revproxy.plan.words import CertificateFacts, CertificateState
from tests.admin.operations.operationcase import NOW, OperationCase
from tests.control.conversations import makeConfig

DAY = 86400.0


def facts(path: str, serves: tuple[str, ...], days: float, isDefault: bool = False) -> CertificateFacts:
    """A certificate."""
    return CertificateFacts(path, path[-5] * 64, ("a.example",), serves, isDefault, "CN=a", "CN=b", ("CN=b",), "7f",
                            NOW - DAY, NOW + days * DAY)  # fmt: skip


class CertificatesTests(OperationCase):
    """A listener."""

    def setUp(self) -> None:
        self.begin(makeConfig())

    def test_none(self) -> None:
        """Where nobody speaks TLS, there are none."""
        self.assertEqual(self.call("listCertificates"), {"items": []})

    def test_all(self) -> None:
        """For whom each is, until when, and whether anybody is shown it; what could not be read."""
        certificates = facts("/c/a.pem", ("a.example",), 5), facts("/c/b.pem", (), -2), facts("/c/c.pem", (), 9, True)
        problems = ("/c/d.pem: is empty",)
        self.crew.heard(0, CertificateState("tcp:1", "/c", ("a.example",), NOW, problems, True, certificates))
        self.clock.advance(60)
        [listener] = self.call("listCertificates")["items"]
        self.assertEqual((listener["listener"], listener["read_at"], listener["problems"], listener["is_kept"]),
                         ("tcp:1", NOW, ["/c/d.pem: is empty"], True))
        first, second, third = listener["certificates"]
        self.assertEqual([one["is_used"] for one in (first, second, third)], [True, False, True])
        self.assertEqual((first["file"], first["subject"], first["issuer"], first["chain"], first["serial"]),
                         ("/c/a.pem", "CN=a", "CN=b", ["CN=b"], "7f"))
        self.assertAlmostEqual(first["days_left"], 5, 2)
        self.assertAlmostEqual(second["days_left"], -2, 2)
