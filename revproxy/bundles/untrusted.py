"""
The refusal of a bundle: which file, by which rule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Rule = Literal[
    "unsigned",  # there is no manifest, or no envelope
    "envelope",  # an envelope is none
    "namespace",  # it was signed for something else
    "hash",  # with a hash that does not count
    "touch",  # nobody touched the key
    "signature",  # it does not match
    "signer",  # nobody who is trusted has signed
    "scope",  # the signer does not sign for this plugin
    "expired",  # the signer's time is over
    "revoked",  # the key, or the version, does not count any more
    "manifest",  # the signed manifest is none
    "path",  # a path in it is none of a file inside the folder
    "unlisted",  # a file that is not in it
    "missing",  # a file that is in it and not in the folder
    "size",
    "sha256",
    "name",  # it repeats something else than plugin.json says; and so on:
    "version",
    "revision",
    "edge",
    "permissions",
    "downgrade",  # its revision is lower than what ran before
]
"""By which rule a bundle is refused."""


class Untrusted(Exception):
    """
    A bundle that is not trusted.

    :ivar file: below the plugin's folder.
    :ivar rule: that it breaks.
    :ivar message: what is wrong, and what to do.
    :ivar directory: the plugin's folder.
    """

    def __init__(self, file: str, rule: Rule, message: str, directory: Path | None = None) -> None:
        super().__init__(file, rule, message, directory)
        self.file = file
        self.rule = rule
        self.message = message
        self.directory = directory

    def __str__(self) -> str:
        place = self.file if self.directory is None else str(self.directory / self.file)
        return f"{place}: {self.rule}: {self.message}"
