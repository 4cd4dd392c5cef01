"""
The former name of :mod:`revproxy.hostclient`, and of what is in it.
"""

from __future__ import annotations

from revproxy.hostclient import HostClient as BookedClient

__all__ = ["BookedClient"]
