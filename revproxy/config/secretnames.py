"""
Secrets that stand in plain text: they are known by the names of their keys.

What revproxy.yaml refers to (``{$env: NAME}``) is masked wherever it is said, see :mod:`revproxy.secrets`. What is
written out can only be guessed at: the value of ``password``, ``client_secret``, ``apiKey``, ``X-Auth-Token``; and
what a URL has before its ``@``. Whoever may not read the file gets stars in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from revproxy.config.references import ENVIRONMENT, FILE
from revproxy.secrets import MASK

_NAME = re.compile(
    r"(^|[_. -])(pass|pwd|passw(or)?ds?|passphrases?|secrets?|tokens?|credentials?|authori[sz]ation|slack|bearer|"
    r"(api|private|secret|access|signing|encryption|hmac|jwt|shared|license|account)[_ -]?keys?)$"
)
"""Names of keys whose values are nobody's business, in lower case."""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_USER = re.compile(r"(?<=://)[^/?#@\s]+@")
_QUERY = re.compile(r"(?i)(?<=[?&])([\w.-]*(?:key|token|secret|sig|signature|passw(?:or)?d|auth)=)[^&#\s]+")
_HASH = re.compile(r"\$(2[abxy]?|argon2\w*|scrypt|pbkdf2\S*|apr1|y|[156])\$\S{8,}|\{S?SHA\d*\}\S{16,}")
_DEEP = 60


@lru_cache(4096)
def isSecretName(key: str) -> bool:
    """Whether the value of a key of this name is nobody's business."""
    return _NAME.search(_WORDS.sub("_", key).lower()) is not None


def textWithout(text: str) -> str:
    """The same without hashes of passwords, and without what lets in: in a URL, user and password, and in its query."""
    if "://" in text:
        text = _QUERY.sub(rf"\1{MASK}", _USER.sub(f"{MASK}@", text))
    return _HASH.sub(MASK, text) if "$" in text or "{" in text else text


def valueUnder(key: str, value: Any) -> Any:
    """What is shown of the value of a key; see `withoutSecrets`."""
    return _without(value, isSecretName(key), 0)


def withoutSecrets(value: Any) -> Any:
    """
    What JSON can say, with stars in place of what stands under names of secrets: texts and numbers, also within lists
    and objects. References stay: they only say where to look.
    """
    return _without(value, False, 0)


def _without(value: Any, isSecret: bool, depth: int) -> Any:
    if isinstance(value, str):
        return (MASK if value else value) if isSecret else textWithout(value)
    if isinstance(value, Mapping):
        if depth > _DEEP:
            return MASK
        if len(value) == 1 and next(iter(value)) in (ENVIRONMENT, FILE):
            return dict(value)
        return {key: _without(each, isSecret or isSecretName(str(key)), depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return MASK if depth > _DEEP else [_without(each, isSecret, depth + 1) for each in value]
    if isSecret and isinstance(value, (int, float)) and not isinstance(value, bool):
        return MASK
    return value


__all__ = ["isSecretName", "textWithout", "valueUnder", "withoutSecrets"]
