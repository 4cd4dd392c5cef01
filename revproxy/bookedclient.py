"""
The name that :mod:`revproxy.hostclient` had before; imports of it go on working.
"""

from revproxy.hostclient import Book, BookedClient

__all__ = ["Book", "BookedClient"]
