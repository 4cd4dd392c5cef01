"""
Where a locked process begins: importing this, in a process that has imported little else, makes it ready for the lock;
:func:`serve` is called behind it.

The order of these lines is the point: what is light has to be there before Twisted is.
"""

from __future__ import annotations

import gc

from revproxy.isolation.inside.lightmodules import lighten

_isAlone = lighten()
_collects = gc.isenabled()
gc.disable()  # what is imported stays; to look through it again and again takes a tenth of the time

from revproxy.isolation.inside.preimports import importAhead, mapLate  # noqa: E402
from revproxy.isolation.inside.serving import serve  # noqa: E402
from revproxy.isolation.inside.warmup import warmUp  # noqa: E402

__all__ = ["serve"]

if _isAlone:
    # Not where others share the process, as tests do: they have modules of their own, and can open files.
    importAhead()
    mapLate()
    warmUp()
if _collects:
    gc.enable()
