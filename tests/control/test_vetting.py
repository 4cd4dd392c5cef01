"""Signatures are verified, and every byte is hashed, where nobody waits: in threads."""

from __future__ import annotations

import threading
from typing import Any

from revproxy.control.trust import policy
from tests.control.trust.trustcase import ALICE, BOB, TrustCase


class VettingTests(TrustCase):
    """Where signatures are verified, once the edge runs."""

    def setUp(self) -> None:
        super().setUp()
        self.trust["revoked"] = "./revoked"
        self.signers[BOB] = {"tier": "inline"}
        self.revoke()
        self.write()
        self.start()
        self.write(version="1.1.0", revision=2)
        self.apply()
        self.inLoop: list[str] = []
        self.count = 0
        self._watch()

    def _watch(self) -> None:
        """Note each verification."""
        control, verify = self.bench.control, policy.verify
        inThread = [False]

        def noted(bundle: Any, *arguments: Any, **options: Any) -> Any:
            self.count += 1
            if not inThread[0] and threading.current_thread() is threading.main_thread():
                self.inLoop.append(bundle.digest)
            return verify(bundle, *arguments, **options)

        def entering(function: Any) -> Any:
            def do(job: Any, *arguments: Any) -> Any:
                def marked(*given: Any) -> Any:
                    inThread[0] = True
                    try:
                        return job(*given)
                    finally:
                        inThread[0] = False

                return function(marked, *arguments)

            return do

        self.patch(policy, "verify", noted)
        for thread in (control.coordinator.files, control.keeper.disk):
            self.patch(thread, "do", entering(thread.do))

    def test_revoked(self) -> None:
        """What runs is verified anew when something is revoked, also while its folder has something else."""
        self.write(version="6.6.6", by=None)
        self.revoke("sha256:" + "00" * 32)
        self.apply()
        self.assertEqual((self.runs(), self.inLoop), (["a 1.1.0"], []))
        self.assertGreater(self.count, 1)

    def test_signedAnew(self) -> None:
        """So is what was signed by somebody else meanwhile."""
        self.sign("a", self.keys[BOB])
        self.apply()
        self.assertEqual((self.inLoop, self.count > 0), ([], True))

    def test_stored(self) -> None:
        """So is what is gone back to."""
        self.call("rollback", name="a")
        self.assertEqual((self.runs(), self.inLoop), (["a 1.0.0"], []))
        self.assertGreater(self.count, 0)

    def test_signers(self) -> None:
        """So is everything under other rules."""
        self.signers[ALICE]["plugins"] = ["a", "b"]
        self.say()
        self.apply()
        self.assertEqual((self.inLoop, self.count > 0), ([], True))
