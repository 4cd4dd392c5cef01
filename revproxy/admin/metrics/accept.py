"""
What a scraper says it takes: Accept and Accept-Encoding (RFC 9110, 12.5).
"""

from __future__ import annotations

from collections.abc import Iterator

_LONGEST = 4096
"""Bytes of a field that are looked at."""


def takesOpenMetrics(accept: bytes) -> bool:
    """
    Whether OpenMetrics 1.0 is wanted at least as much as the text format.

    :param accept: as on the wire; a scraper of Prometheus names both, each with a weight.
    """
    wanted = plain = 0.0
    for name, parameters in _items(accept):
        weight = _weight(parameters)
        if name == b"application/openmetrics-text" and parameters.get(b"version", b"1.0.0") == b"1.0.0":
            wanted = max(wanted, weight)
        elif name == b"text/plain" and parameters.get(b"version", b"0.0.4") == b"0.0.4":
            plain = max(plain, weight)
    return wanted > 0 and wanted >= plain


def takesGzip(acceptEncoding: bytes) -> bool:
    """
    Whether an answer may be compressed.

    :param acceptEncoding: as on the wire.
    """
    weights = {name: _weight(parameters) for name, parameters in _items(acceptEncoding)}
    return weights.get(b"gzip", weights.get(b"x-gzip", 0.0)) > 0


def _items(field: bytes) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    for item in field[:_LONGEST].split(b","):
        name, *parts = (part.strip() for part in item.lower().split(b";"))
        pairs = (part.partition(b"=") for part in parts)
        yield name, {key.strip(): value.strip(b' \t"') for key, _, value in pairs}


def _weight(parameters: dict[bytes, bytes]) -> float:
    try:
        return float(parameters.get(b"q", b"1"))
    except ValueError:
        return 0.0
