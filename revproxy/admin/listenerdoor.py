"""
The door of the admin listener: whoever comes in by it needs a token, or a session that was begun with one.

Browsers send cookies, and requests, for pages of strangers, too. So a change that comes with a cookie needs a header
that no foreign page can send; what a browser says of the page that a request comes from is believed where it says that
it is another's; and names that are not ours are not answered to, for a stranger's name may lead here as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from ipaddress import ip_address

from revproxy.admin.attempts import Attempts
from revproxy.admin.door import Entry, Head, Page
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.router import PREFIX
from revproxy.admin.sessions import Sessions
from revproxy.admin.tokens import Tokens
from revproxy.control.actor import Actor
from revproxy.control.history.audit import Audit
from revproxy.errors import printable

OUR_HEADER = "X-Revproxy"
"""What a change that comes with a cookie needs, with any value."""

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,60}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")


class ListenerDoor:
    """
    :ivar hosts: names that it answers to, besides addresses and ``localhost``; in lower case.
    :ivar origins: of pages that may change something besides its own, such as ``https://admin.example``.
    :ivar isSecure: whether it is reached by TLS.
    :ivar port: of its address.
    """

    def __init__(
        self, pages: Mapping[str, Page], tokens: Tokens, sessions: Sessions, audit: Audit, attempts: Attempts
    ) -> None:
        self.pages = pages
        self.hosts: Collection[str] = ()
        self.origins: Collection[str] = ()
        self.isSecure = False
        self.port = 0
        self._tokens = tokens
        self._sessions = sessions
        self._audit = audit
        self._attempts = attempts

    # Whether anything may be asked so

    def admit(self, head: Head) -> None:
        """:raises Problem: it is for another name, or a change that a stranger's page asks for."""
        host = head.header("Host") or ""
        match = _HOST.fullmatch(host)
        if match is None or not self._isOurs(match[1].lower()):
            text = f"{printable(host, 100) or 'no name'} is none that the admin listener answers to; see admin.hosts"
            raise Problem(421, text)
        if not head.isReading:
            self._checkPage(head, host.lower())

    def _isOurs(self, name: str) -> bool:
        if name == "localhost" or name in self.hosts:
            return True
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _checkPage(self, head: Head, host: str) -> None:
        origin = head.header("Origin")
        own = f"{'https' if self.isSecure else 'http'}://{host}"
        if origin is not None and origin.lower() != own and origin not in self.origins:
            text = f"a page of {printable(origin, 100)} may not change anything here; see admin.trusted_origins"
            raise Problem(403, text)
        site = head.header("Sec-Fetch-Site")
        if site not in (None, "same-origin", "none") and origin not in self.origins:
            raise Problem(403, "a page of another site may not change anything here; see admin.trusted_origins")

    # Who it is

    def enter(self, head: Head, needed: Role | None) -> Entry:
        """:raises Problem: nobody knows who that is (401), or it may not (403)."""
        address = getattr(head.connection.getPeer(), "host", "")
        if needed is None:
            return Entry(Actor("http", address=address, role=""))
        value = head.header("Authorization")
        entry = self._byCookie(head, address) if value is None else self._byToken(value, address)
        role = Role.named(entry.actor.role)
        if role < needed:
            self._refused(entry.actor, head, address, f"needs the role {needed}")
            raise Problem(403, f"this takes the role {needed}; {entry.actor.name} has {role}")
        if role >= Role.OPERATE:
            head.connection.isUrgent = True  # see EdgeReactor: what rescues comes before requests
        return entry

    def _byToken(self, value: str, address: str) -> Entry:
        scheme, _, token = value.partition(" ")
        record = self._tokens.find(token.strip()) if scheme.lower() == "bearer" else None
        if record is None:
            self._refused(Actor("http", address=address, role=""), None, address, "no token that is good now")
            raise _unknown("this token is unknown, was revoked, or has expired")
        actor, role = Actor("http", record.name, record.id, record.role, address), Role.named(record.role)
        return Entry(actor, "", record.expires_at, lambda: (self._tokens.roleOf(record.id) or 0) >= role)

    def _byCookie(self, head: Head, address: str) -> Entry:
        secret = _cookie(head, self._cookieName)
        if secret is None:
            raise _unknown("a token is needed: Authorization: Bearer rvp_…")
        found = self._sessions.find(secret)
        if found is None:
            raise _unknown("this session has ended; log in again")
        if not head.isReading and not head.header(OUR_HEADER):
            raise Problem(403, f"a change that comes with a cookie needs the header {OUR_HEADER}: 1")
        key, session = found
        actor = Actor("http", session.name, session.token, str(session.role), address)
        return Entry(actor, key, session.expiresAt, lambda: (self._sessions.roleIn(key) or 0) >= session.role)

    def _refused(self, actor: Actor, head: Head | None, address: str, why: str) -> None:
        """:raises Problem: it was refused too often."""
        if self._attempts.failed(address):
            target = "" if head is None else f"{head.method} {printable(head.path, 200)}"
            self._audit.record(actor, "access", target, result="refused", text=why)

    # Sessions

    @property
    def _cookieName(self) -> str:
        # Cookies know no ports: another edge on this machine has one of its own.
        return "__Host-revproxy" if self.isSecure else f"revproxy-{self.port}"

    def cookie(self, session: str) -> str:
        """The field that gives a browser a session; or, if that is empty, takes it."""
        name, secure = self._cookieName, "; Secure" if self.isSecure else ""
        ends = "" if session else "; Max-Age=0"
        # To whatever else has this host's name, on whatever port, browsers send it as well; `__Host-` needs the path.
        path = "/" if self.isSecure else PREFIX.rstrip("/")
        return f"{name}={session}; Path={path}; HttpOnly; SameSite=Strict{secure}{ends}"


def _unknown(text: str) -> Problem:
    return Problem(401, text, headers={"WWW-Authenticate": 'Bearer realm="revproxy"'})


def _cookie(head: Head, name: str) -> str | None:
    """The only one of that name."""
    values = head.headers.getRawHeaders(b"Cookie") or ()
    pairs = b";".join(values).decode("latin-1").split(";")
    found = [value.strip() for key, _, value in (pair.partition("=") for pair in pairs) if key.strip() == name]
    return found[0] if len(found) == 1 else None


__all__ = ["OUR_HEADER", "ListenerDoor"]
