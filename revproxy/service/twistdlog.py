"""
The edge's own log where twistd opens it: as `logging.level` and `logging.own` say, from the first line on.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from twisted.logger import FileLogObserver, ILogObserver, LegacyLogObserverWrapper
from twisted.python.reflect import namedAny
from twisted.scripts._twistd_unix import UnixAppLogger

from revproxy.worker.logform import Leveled, ownForm

_usual: dict[str, Any] = {}
"""What twistd was told."""


def shapeLog(options: MutableMapping[str, Any]) -> None:
    """
    Have twistd write its log in our form.

    :param options: twistd's own, while it reads them. Where they name an observer (``--logger``) or syslog, that has a
        form of its own, and hears of what is important enough.
    """
    _usual.update(options)
    options["logger"] = f"{__name__}.{makeObserver.__name__}"


def makeObserver() -> Any:
    """What twistd calls to have an observer."""
    factory = _usual.get("logger")
    observer = namedAny(factory)() if factory else UnixAppLogger(_usual)._getLogObserver()
    if isinstance(observer, FileLogObserver) and not factory:
        observer.formatEvent = ownForm
        return observer
    return Leveled(observer if ILogObserver.providedBy(observer) else LegacyLogObserverWrapper(observer))
