"""
What the tests say that came with a version: as ``revproxy test-plugin`` does it, in a folder made for it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from revproxy.cli.plugintests import TestsFailed, run, testFiles
from revproxy.proving.orders import Order, Report, Subject


def passes(order: Order) -> Report:
    """Run them; whoever has begun this process counts them by what they print."""
    with tempfile.TemporaryDirectory(prefix="revproxy-preflight-") as place:
        folder = written(order.candidate, Path(place))
        files = testFiles(folder)
        if not files:
            return Report()
        try:
            sys.stdout.flush()
            run(folder, files, order.seconds, isApart=False)
        except TestsFailed as failed:
            return Report((str(failed),))
    return Report()


def written(subject: Subject, place: Path) -> Path:
    """Its files and its tests, in a folder of the name that its own has."""
    folder = place / Path(subject.directory).name
    for path, content in {**subject.files, **subject.tests}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder
