"""
Why an operation was not done, as RFC 9457 says it (``application/problem+json``).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class Problem(Exception):
    """
    Ends an operation.

    :ivar status: of the answer.
    :ivar detail: what happened, where, and what to do, for people.
    :ivar extra: further members for programs, such as ``problems`` with file, line and column.
    :ivar headers: of the answer, such as ``Retry-After``.
    """

    def __init__(
        self, status: int, detail: str, extra: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def asDict(self) -> dict[str, Any]:
        """As JSON says it."""
        return {**self.extra, "title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}
