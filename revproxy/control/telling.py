"""
Has a change made for whoever asks for it, and tells what came of it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.control.changes import ChangeRefused, ChangeReport
from revproxy.control.commands import CommandError
from revproxy.control.coordinator import Coordinator
from revproxy.plan.events import Event
from revproxy.plan.refusal import Refusal

_CHANGES = frozenset(("loaded", "replaced", "removed", "configured"))
"""The kinds of events that say that something has changed."""

ANSWERED = 0.8
"""Seconds after which a rescue is answered, whatever it waits for."""

_SEARCHED = 100
"""Among so many of the latest events the last change is searched for."""

_RECENT = 10.0
"""Seconds that a change is still told of to whoever asks for it again."""

_ONE_CHANGE = 0.1
"""Seconds between the events of one transaction, at most."""


class Telling:
    """That of one edge."""

    _log = Logger()

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def outcomeOf(
        self, change: Coroutine[Any, Any, ChangeReport], done: str, name: str, isRescue: bool
    ) -> dict[str, Any]:
        """
        Make a change and tell what came of it: ``text`` has what was done, a sentence each, ``refused`` what was not.

        Refusals that concern other plugins than the change are in the events, and no failure of the command.

        :param done: what to say when it succeeds, before what it has changed.
        :param name: of the plugin it is about; empty: all.
        """
        subscribers = self._coordinator.events.subscribers
        happened: list[Event] = []
        subscribers.append(hear := happened.append)
        try:
            report = await self._made(change, happened, name if isRescue else "")
        except ChangeRefused as refused:
            return {"text": [], "refused": [_refused(refusal) for refusal in refused.refusals]}
        except CommandError as error:  # of this there is no other event
            self._coordinator.events.add("refused", str(error), name)
            raise
        finally:
            subscribers.remove(hear)
        isDone = done and not (isRescue and any(refusal.stage == "late" for refusal in report.refused))
        text = [done, *report.text] if isDone else list(report.text)
        answers = [_refused(refusal) for refusal in report.refused if name in ("", refusal.plugin)]
        if not name:
            texts = [event.text for event in happened if event.kind == "certificate-refused"]
            answers += [{"plugin": "", "stage": "listen", "message": text} for text in texts]
        if report.unwritten:
            message = f"in force, but not written down: {report.unwritten}; lost with a restart until it can be"
            answers.append({"plugin": "", "stage": "state", "message": message})
        return {"text": text or ([] if answers else [self._nothing()]), "refused": answers}

    def _made(
        self, change: Coroutine[Any, Any, ChangeReport], happened: list[Event], rescued: str
    ) -> Deferred[ChangeReport]:
        """
        Make a change; but whoever asks for a rescue hears after :data:`ANSWERED` how far it is, and it goes on.

        :param happened: events since it was asked for.
        :param rescued: the plugin's name, if it is one.
        """
        making = Deferred.fromCoroutine(change)
        if not rescued:
            return making
        answer: Deferred[ChangeReport] = Deferred()
        late = self._coordinator.callLater(ANSWERED, lambda: answer.callback(_underWay(rescued, happened)))

        def over(result: Any) -> None:
            if late.active():
                late.cancel()
                answer.callback(result)  # a Failure goes on as one
            elif isinstance(result, Failure) and result.check(CommandError):
                self._coordinator.events.add("refused", str(result.value), rescued)
            elif isinstance(result, Failure) and not result.check(ChangeRefused):  # of which there is an event
                self._log.failure("a change that was asked for", result)

        making.addBoth(over)
        return answer

    def _nothing(self) -> str:
        """Say that nothing had to change; and, as files are watched, which change somebody may have just missed."""
        text = "nothing had to change"
        changes = [event for event in self._coordinator.events.latest(_SEARCHED) if event.kind in _CHANGES]
        if not changes or self._coordinator.now() - changes[-1].at > _RECENT:
            return text
        last = [event for event in changes if changes[-1].at - event.at < _ONE_CHANGE]
        at = datetime.fromtimestamp(last[-1].at).strftime("%H:%M:%S")
        told = "; ".join(f"{event.plugin}: {event.text}" if event.plugin else event.text for event in last)
        return f"{text}; the last change was at {at}: {told}"


def _underWay(name: str, happened: Iterable[Event]) -> ChangeReport:
    """What is told of a change that takes longer."""
    if any(event.plugin == name and event.kind in _CHANGES for event in happened):
        return ChangeReport(unwritten="the disk has not answered yet")
    text = f"not done within {ANSWERED:g} s: it goes on, and `revproxy events` tells how it ends"
    return ChangeReport((), (Refusal(name, "late", text),))


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {"plugin": refusal.plugin, "stage": refusal.stage, "message": refusal.message}


__all__ = ["Telling"]
