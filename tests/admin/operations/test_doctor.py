"""
The doctor, by the API.
"""

from __future__ import annotations

from tests.admin.operations.operationcase import OperationCase
from tests.control.conversations import makeConfig


class DoctorTests(OperationCase):
    """An edge whose state folder is not there."""

    def test_examined(self) -> None:
        """Each check with its state and what to do; all together are as the illest is."""
        self.begin(makeConfig())
        found = self.call("examine")
        self.assertEqual(found["state"], "failing")
        checks = {(check["name"], check["state"]) for check in found["checks"]}
        self.assertIn(("edge", "ok"), checks)
        self.assertIn(("state", "failing"), checks)
        self.assertTrue(all(check["advice"] for check in found["checks"] if check["state"] != "ok"))
