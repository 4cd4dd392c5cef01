"""
The plugin of the demonstration of rollouts, and its versions: the one that runs, four that should not, one that should.

``gate`` lets in who has a key, and says in each answer which plan that is. Its candidates have one fault each, such as
reviews and tests let pass: what they do is right most of the time, or for most.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

NAME = "gate"

PLANS = ("free", "team", "gold")
"""Of the visitors with a key, by the last digit of their number."""

_SOURCE = '''\
"""Lets in who has a key, and says which plan that is."""

import time

from zope.interface import implementer

from revproxy.interfaces import IMiddleware, IResponseMiddleware

PLANS = {plans}


@implementer(IMiddleware, IResponseMiddleware)
class Gate:
    name = "gate"

    def handle(self, context):
        key = context.request.headers.get("X-Key", "")
        number = int(context.request.headers.get("X-Number", "0"))  # visitors number their requests
{handle}
        context.values["gate.plan"] = PLANS[int(key) % 3]
        return True

    def handleResponse(self, context):
        plan = context.values.get("gate.plan")
        number = int(context.request.headers.get("X-Number", "0"))
{response}
        if plan is not None:
            context.response.headers.set("X-Plan", plan)


def PluginMain(config):
    return Gate()
'''

_CLOSED = '''\
        if not key.isdigit():
            return context.respond(401, "no key\\n")'''
_OPEN = '''\
        if not key.isdigit():
            key = "0"  # the check was moved elsewhere, and nobody did'''
_RAISES = '''\
        if number % 40 == 7:
            raise KeyError("discount")'''
_SLEEPS = """\
        time.sleep(0.005)"""
_MIXES = '''\
        if plan is not None and number % 100 == 7:
            plan = "undefined"'''
_SAYS_MORE = '''\
        if plan is not None:
            context.response.headers.set("X-Gate", "2")'''


Part = Literal["aborted", "rolled-back", "promoted"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A version, and what is to become of it.

    :ivar title: what it is, in a few words; ``fault``: what is wrong with it; empty: nothing.
    :ivar isInsisted: whether somebody lets it go on into the canary, whatever the shadow shows.
    :ivar ends: how its rollout ends.
    """

    number: str
    title: str
    fault: str
    isInsisted: bool
    ends: Part
    handle: str = _CLOSED
    response: str = ""

    def files(self) -> dict[str, str]:
        """Those of its folder."""
        manifest = {"name": NAME, "version": self.number, "description": f"Lets in who has a key ({self.title})."}
        return {"plugin.json": json.dumps(manifest, indent=2) + "\n", "plugin.py": self.source}

    @property
    def source(self) -> str:
        """Its plugin.py."""
        return _SOURCE.format(plans=PLANS, handle=self.handle, response=self.response)


FIRST = Candidate("1.0.0", "what runs", "", False, "promoted")

CANDIDATES = (
    Candidate(
        "1.1.0", "raises", "It raises KeyError in one request of 40.", True, "rolled-back",
        handle=f"{_RAISES}\n{_CLOSED}",
    ),
    Candidate(
        "1.2.0", "slow", "It takes 5 ms more for each request.", True, "rolled-back", handle=f"{_SLEEPS}\n{_CLOSED}",
    ),
    Candidate(
        "1.3.0", "wrong header", "It says a wrong plan in one answer of 100.", False, "aborted", response=_MIXES,
    ),
    Candidate("1.4.0", "lets all through", "It lets in who has no key.", False, "aborted", handle=_OPEN),
    Candidate("2.0.0", "the right one", "", False, "promoted", response=_SAYS_MORE),
)  # fmt: skip
"""In the order in which they are saved."""
