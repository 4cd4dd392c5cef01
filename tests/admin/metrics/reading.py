"""
Expositions as Prometheus' own library reads them.
"""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openMetricsFamilies
from prometheus_client.parser import text_string_to_metric_families as textFamilies

Labels = frozenset[tuple[str, str]]


def parsed(text: str, openMetrics: bool = False) -> dict[tuple[str, Labels], float]:
    """
    :returns: by the name of a sample and its labels, its value.
    :raises ValueError: it is not well-formed, or a sample is there twice.
    """
    found: dict[tuple[str, Labels], float] = {}
    for family in (openMetricsFamilies if openMetrics else textFamilies)(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            if key in found:
                raise ValueError(f"{key} is there twice")
            found[key] = sample.value
    return found


def value(found: dict[tuple[str, Labels], float], name: str, **labels: str) -> float:
    """One sample."""
    return found[name, frozenset(labels.items())]


def ofName(found: dict[tuple[str, Labels], float], name: str) -> dict[Labels, float]:
    """All samples of a name, by their labels."""
    return {labels: number for (each, labels), number in found.items() if each == name}
