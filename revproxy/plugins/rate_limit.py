"""
``rate-limit``: so many requests per time, for each client, route, header value, or all together.

The algorithm is GCRA. For each key one number is kept: the moment at which everything the key has used is paid back
(its *theoretical arrival time*). A request may pass while that moment is less than a burst away, and moves it on by
one interval. There is no window to reset, nothing to sweep, and a decision is two dictionary operations.

Memory is bounded: keys are kept in the order of their last use, and each new key drops up to two of the oldest that
are paid back, or the very oldest when ``max_keys`` is reached. A client that can make up keys at will (a header it
chooses) can push others' debts out, never memory up; give ``client`` with such a header, or limit after authentication.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address
from math import ceil
from typing import Any

from zope.interface import alsoProvides, implementer

from revproxy.context import Context, Headers
from revproxy.dropin import DropIn
from revproxy.durations import parseDuration
from revproxy.interfaces import IMiddleware, IResponseMiddleware, IStateful

_RATE = re.compile(r"([0-9]{1,9})/(ms|s|m|h|d|[0-9].*)\Z")

_LONGEST_VALUE = 64
"""Bytes of a header value that are kept as they are; longer ones are hashed, so that a key has a bounded size."""


@dataclass(frozen=True, slots=True)
class Rate:
    """
    So many requests in so many seconds.

    :ivar count: requests.
    :ivar period: seconds.
    """

    count: int
    period: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """``"100/s"``, ``"5/m"``, ``"10/10s"``. :raises ValueError: for anything else."""
        match = _RATE.match(text)
        try:
            period = parseDuration(match[2] if match[2][0].isdigit() else f"1{match[2]}") if match else 0
        except ValueError:
            period = 0
        if match is None or int(match[1]) == 0 or period == 0:
            raise ValueError(f"rate-limit: rate: {text!r} is no rate; write 100/s, 5/m, 1000/h or 10/10s")
        return cls(int(match[1]), period)


class Limiter:
    """
    GCRA over a bounded number of keys. Times are seconds of one clock.

    :ivar interval: seconds that one request costs.
    """

    __slots__ = ("_arrivals", "_maxKeys", "_tolerance", "interval")

    def __init__(self, rate: Rate, burst: int, maxKeys: int) -> None:
        self.interval = rate.period / rate.count
        # A hundredth of a request more than exact, so that rounding never takes away a request that is due.
        self._tolerance = self.interval * (burst - 0.99)
        self._maxKeys = maxKeys
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """
        Let one request pass, or not.

        :returns: the seconds to wait before the next try; 0 if this one may pass.
        """
        arrivals = self._arrivals
        arrival = arrivals.get(key)
        if arrival is None:
            self._makeRoom(now)
            arrivals[key] = now + self.interval
            return 0.0
        if arrival < now:
            arrival = now
        elif arrival - now > self._tolerance:
            return arrival - now - self._tolerance
        arrivals[key] = arrival + self.interval
        arrivals.move_to_end(key)
        return 0.0

    def debt(self, key: str, now: float) -> float:
        """Seconds until everything the key has used is paid back."""
        return max(0.0, self._arrivals.get(key, now) - now)

    def remaining(self, debt: float) -> int:
        """Requests that may pass at once with such a debt."""
        return int((self._tolerance - debt) / self.interval) + 1 if debt <= self._tolerance else 0

    def debts(self, now: float) -> dict[str, float]:
        """All keys that are not paid back, oldest use first."""
        return {key: arrival - now for key, arrival in self._arrivals.items() if arrival > now}

    def restore(self, debts: Mapping[str, float], now: float) -> None:
        """
        Take over what :meth:`debts` gave; the newest, if there are more than fit.

        Of two debts of one key the larger one counts: the same may come twice, and must not double.
        """
        arrivals = self._arrivals
        for key, debt in list(debts.items())[-self._maxKeys :]:
            arrivals[key] = max(arrivals.get(key, now), now + min(debt, self._tolerance + self.interval))
            arrivals.move_to_end(key)
        while len(arrivals) > self._maxKeys:
            arrivals.popitem(last=False)

    def __len__(self) -> int:
        return len(self._arrivals)

    def _makeRoom(self, now: float) -> None:
        arrivals = self._arrivals
        for _ in range(2):
            if not arrivals:
                return
            oldest = next(iter(arrivals))
            if arrivals[oldest] > now:
                break
            del arrivals[oldest]
        if len(arrivals) >= self._maxKeys:
            arrivals.popitem(last=False)


KeyPart = Callable[[Context], str]


@lru_cache(8192)
def _network(host: str) -> str:
    """A client of IPv6 has a /64 to itself: its addresses count as one."""
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64)) + "/64"


def _clientNetwork(context: Context) -> str:
    host = context.request.peer.host
    return _network(host) if ":" in host else host


def _clientAddress(context: Context) -> str:
    return context.request.peer.host


def _route(context: Context) -> str:
    return context.route


def _everything(context: Context) -> str:
    return ""


def _header(name: str, otherwise: KeyPart) -> KeyPart:
    ((lower, _, _),) = Headers.of({name: ""}).fields

    def part(context: Context) -> str:
        value = context.request.headers.find(lower)
        if value is None:
            # Who leaves the header out is counted by address, and not in one pot with all others who do.
            return "-" + otherwise(context)
        if len(value) > _LONGEST_VALUE:
            return "#" + blake2b(value, digest_size=16).hexdigest()
        return "=" + value.decode("latin-1")

    return part


def compileKey(parts: list[str], ipv6Networks: bool) -> KeyPart:
    """
    What to count by.

    :raises ValueError: for a part that is none of client, route, global, header:NAME.
    """
    client = _clientNetwork if ipv6Networks else _clientAddress
    known: dict[str, KeyPart] = {"client": client, "route": _route, "global": _everything}
    compiled: list[KeyPart] = []
    for part in parts:
        if part in known:
            compiled.append(known[part])
        elif part.startswith("header:"):
            compiled.append(_header(part.removeprefix("header:"), client))
        else:
            raise ValueError(f"rate-limit: key: {part!r} is none of client, route, global, header:NAME")
    if len(compiled) == 1:
        return compiled[0]
    return lambda context: "\0".join([part(context) for part in compiled])


@implementer(IMiddleware, IStateful)
class RateLimit:
    """
    One limit. Answers 429 (RFC 6585 §4) with Retry-After and the fields of draft-ietf-httpapi-ratelimit-headers.

    :param clock: seconds, never going back.
    """

    name = "rate-limit"

    def __init__(self, config: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        """:raises ValueError: for a rate or key that is none."""
        self._now = clock
        self._rate = Rate.parse(config.get("rate", "100/s"))
        self._burst = int(config.get("burst", self._rate.count))
        key = config.get("key", "client")
        self._parts = [key] if isinstance(key, str) else list(key)
        self._key = compileKey(self._parts, bool(config.get("ipv6_networks", True)))
        self._limiter = Limiter(self._rate, self._burst, int(config.get("max_keys", 100_000)))
        self._fields = config.get("headers", "standard")
        self._policy = self._policyOf(config.get("policy", "default"))
        self._onAllowed = bool(config.get("on_allowed", False)) and self._fields != "none"
        if self._onAllowed:
            # Only then is there a response phase: one that has nothing to do would cost every request.
            self.handleResponse = self._announce
            alsoProvides(self, IResponseMiddleware)

    def handle(self, context: Context) -> bool:
        """Let pass, or answer 429."""
        now = self._now()
        key = self._key(context)
        wait = self._limiter.take(key, now)
        if wait:
            return self._refuse(context, wait)
        if self._onAllowed:
            context.values[self.name] = self._limiter.debt(key, now)
        return True

    def _announce(self, context: Context) -> None:
        """Tell the client what is left."""
        debt = context.values.get(self.name)
        if debt is not None and context.response is not None:
            self._tell(context.response.headers, self._limiter.remaining(debt), ceil(debt))

    def exportState(self) -> dict[str, Any]:
        """The debts, in seconds from now: the next version may have another clock."""
        return {"key": self._parts, "interval": self._limiter.interval, "debts": self._limiter.debts(self._now())}

    def importState(self, state: Any, version: str) -> None:
        """
        Take over debts, counted in requests if the rate has changed.

        Where what is counted by has become less, or stands in another order, the largest debt counts of those that
        are now one. Debts by other keys mean nothing here, and are left.

        :raises ValueError: if it is not what :meth:`exportState` gives.
        """
        if not isinstance(state, dict) or not isinstance(state.get("debts"), dict):
            raise ValueError(f"rate-limit: not a state of version {version}")
        parts = state.get("key") or []
        if set(self._parts) <= set(parts):
            places = [parts.index(part) for part in self._parts]
            scale = self._limiter.interval / float(state["interval"])
            debts: dict[str, float] = {}
            for key, debt in state["debts"].items():
                values = key.split("\0")
                if len(values) == len(parts):
                    kept = "\0".join([values[place] for place in places])
                    debts[kept] = max(debts.pop(kept, 0.0), debt * scale)
            self._limiter.restore(debts, self._now())

    def _refuse(self, context: Context, wait: float) -> bool:
        seconds = max(1, ceil(wait))
        context.respond(429, f"Too many requests. Try again in {seconds} s.\n", {"Retry-After": str(seconds)})
        assert context.response is not None
        self._tell(context.response.headers, 0, seconds)
        return False

    def _policyOf(self, policy: str) -> tuple[bytes, bytes]:
        if not policy or not policy.isascii() or not policy.isprintable() or '"' in policy or "\\" in policy:
            raise ValueError(f"rate-limit: policy: {policy!r} is no name for a policy")
        window = f";w={int(self._rate.period)}" if self._rate.period >= 1 else ""
        return f'"{policy}";q={self._rate.count}{window}'.encode(), f'"{policy}"'.encode()

    def _tell(self, headers: Headers, remaining: int, seconds: int) -> None:
        if self._fields in ("standard", "both"):
            policy, name = self._policy
            headers.setRaw(b"ratelimit-policy", b"RateLimit-Policy", policy)
            headers.setRaw(b"ratelimit", b"RateLimit", b"%b;r=%d;t=%d" % (name, remaining, seconds))
        if self._fields in ("legacy", "both"):
            headers.setRaw(b"x-ratelimit-limit", b"X-RateLimit-Limit", b"%d" % self._rate.count)
            headers.setRaw(b"x-ratelimit-remaining", b"X-RateLimit-Remaining", b"%d" % remaining)
            headers.setRaw(b"x-ratelimit-reset", b"X-RateLimit-Reset", b"%d" % seconds)


_KEY_PART = {"type": "string", "pattern": "^(client|route|global|header:[!-9;-~]+)$"}

rateLimit = DropIn(
    {
        "name": "rate-limit",
        "version": "1.0.0",
        "description": "So many requests per time, for each client, route, header value, or all together.",
        "priority": 30,
        "config": {"rate": "100/s", "key": "client"},
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "rate": {
                    "description": "Requests per time: 100/s, 5/m, 1000/h, 10/10s.",
                    "type": "string",
                    "pattern": "^[0-9]+/([0-9]+(\\.[0-9]+)?)?(ms|s|m|h|d)$",
                },
                "burst": {
                    "description": "Requests that may come at once; as many as the rate names, if not given.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 1_000_000_000,
                },
                "key": {
                    "description": "What to count by: client, route, header:NAME, global, or a list of them combined.",
                    "anyOf": [_KEY_PART, {"type": "array", "items": _KEY_PART, "minItems": 1, "uniqueItems": True}],
                },
                "ipv6_networks": {
                    "description": "Whether all addresses of one IPv6 /64 count as one client (default true).",
                    "type": "boolean",
                },
                "headers": {
                    "description": "Fields that tell the client: RateLimit and RateLimit-Policy, X-RateLimit-*, none.",
                    "enum": ["standard", "legacy", "both", "none"],
                },
                "on_allowed": {
                    "description": "Whether responses of requests that passed have these fields too (default false).",
                    "type": "boolean",
                },
                "policy": {"description": "The policy's name in these fields.", "type": "string", "minLength": 1},
                "max_keys": {
                    "description": "Keys that are remembered at most (default 100000; about 200 bytes each).",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100_000_000,
                },
            },
        },
    },
    RateLimit,
)
