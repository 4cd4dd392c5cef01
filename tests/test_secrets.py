"""
Text that must not be shown.
"""

from __future__ import annotations

import copy
import doctest
import json
import pickle

from twisted.trial.unittest import SynchronousTestCase

from revproxy import secrets
from revproxy.secrets import MASK, Secret, hide, masked


class SecretTests(SynchronousTestCase):
    """
    `Secret`.
    """

    def test_used(self) -> None:
        """
        It is text like any other; shown with what it is in, it is stars.
        """
        value = Secret("Zaphod-1")
        self.assertEqual((value, f"{value}", str(value), json.dumps([value])),
                         ("Zaphod-1", "Zaphod-1", "Zaphod-1", '["Zaphod-1"]'))
        self.assertEqual(repr({"key": [value]}), "{'key': ['***']}")
        self.assertIs(type(str(value)), str)

    def test_copied(self) -> None:
        """
        A copy is one, too.
        """
        value = Secret("Zaphod-2")
        for made in (copy.copy(value), copy.deepcopy({"a": value})["a"], pickle.loads(pickle.dumps(value))):
            self.assertEqual((type(made), made), (Secret, "Zaphod-2"))


class MaskedTests(SynchronousTestCase):
    """
    `masked`.
    """

    def test_forms(self) -> None:
        """
        It is found as it is, as Python and JSON quote it, in one line, and line by line.
        """
        value = 'Trillian said:\n  "is it é or \\?"\nnot-much-longer\nabc'
        Secret(value)
        for text in (value, repr(value), json.dumps(value), " ".join(value.split()), "got 'not-much-longer' here"):
            shown = masked(text)
            self.assertIn(MASK, shown)
            for part in ("Trillian", "is it", "longer"):
                self.assertNotIn(part, shown)
        self.assertEqual(masked("abc"), "abc")

    def test_otherForms(self) -> None:
        """
        Also as bytes, and in a URL.
        """
        hide("Fenchurch/é:@ 'x'")
        for text in (repr("Fenchurch/é:@ 'x'".encode()), "http://me:Fenchurch%2F%C3%A9%3A%40%20%27x%27@host/",
                     "/a/Fenchurch/%C3%A9%3A%40%20%27x%27"):
            self.assertNotIn("Fenchurch", masked(text))

    def test_short(self) -> None:
        """
        Short ones are hidden where they are words of their own; very short ones are not looked for.
        """
        hide("Marv")
        hide("xyz")
        hide("")
        self.assertEqual(masked("Marv, Marvin and 'Marv' xyz"), "***, Marvin and '***' xyz")

    def test_common(self) -> None:
        """
        Ports, and what switches something on, are no secrets, and everywhere.
        """
        for text in ("8080", "65535", "true", "False", "null", "NONE"):
            hide(text)
        self.assertEqual(masked("host:8080 65535 true False null NONE"), "host:8080 65535 true False null NONE")
        hide("424242")
        self.assertEqual(masked("PIN 424242"), "PIN ***")

    def test_longestFirst(self) -> None:
        """
        Nothing of one shows because it begins as another does.
        """
        hide("Slartibart")
        hide("Slartibartfast")
        self.assertEqual(masked("Slartibartfast Slartibart"), "*** ***")

    def test_bounded(self) -> None:
        """
        The newest 512 are known.
        """
        known = secrets.Hidden()
        for number in range(600):
            known.add(f"Magrathea-{number:04}")
        forms = [form for form, _ in known.forms]
        self.assertEqual((len(forms), "Magrathea-0087" in forms, "Magrathea-0088" in forms), (512, False, True))

    def test_examples(self) -> None:
        """
        The examples in the module are true.
        """
        self.assertEqual(doctest.testmod(secrets)[0], 0)
