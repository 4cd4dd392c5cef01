"""Commands by their names, as tests give them."""

from __future__ import annotations

from typing import Any

from revproxy.control.control import Control
from revproxy.control.steering import Asker


async def commanded(control: Control, which: str, /, **arguments: Any) -> Any:
    """What a command answers; or, for those that only show, what is known."""
    if which == "plugins":
        name = arguments.get("name")
        return await control.pluginView.all(**arguments) if name is None else [await control.pluginView.one(name)]
    if which == "configuration":
        return control.pluginView.configuration()
    if which == "plan":
        plan = control.coordinator.shown
        return {} if plan is None else plan.describe()
    if which == "events":
        return [event.asDict() for event in control.events.latest(arguments.get("count", 20))]
    return await getattr(control.steering, which)(Asker(), **arguments)


__all__ = ["commanded"]
