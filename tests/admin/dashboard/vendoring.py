"""
``python -m tests.admin.dashboard.vendoring``: gets the libraries of others that the dashboard and its tests use.

From npm's registry, by ``npm pack``; the integrity of each package and the hash of each file are in vendor.json beside
the files, and what does not agree is not written. What is changed in a file is written down there, too: a browser
knows no bare names (``from "preact"``), and an import map would be an inline script, which the policy refuses.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
LISTS = (ROOT / "revproxy/admin/dashboard/vendor/vendor.json", ROOT / "tests/admin/dashboard/vendor/vendor.json")
"""What the dashboard ships, and what only its tests need."""


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def changed(data: bytes, edits: list[list[str]]) -> bytes:
    """
    A file with each text replaced by another.

    :raises ValueError: a text is not there.
    """
    text = data.decode()
    for before, after in edits:
        if before not in text:
            raise ValueError(f"not in the file: {before!r}")
        text = text.replace(before, after)
    return text.encode()


def fetched(package: dict[str, Any], folder: Path) -> tarfile.TarFile:
    """
    A package as it was published.

    :raises ValueError: it is not the one that was looked at.
    """
    name = f"{package['name']}@{package['version']}"
    said = subprocess.run(
        ["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True, timeout=120
    )
    data = (folder / said.stdout.split()[-1]).read_bytes()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if integrity != package["integrity"]:
        raise ValueError(f"{name}: its integrity is {integrity}")
    return tarfile.open(folder / said.stdout.split()[-1])


def write(package: dict[str, Any], target: Path, folder: Path) -> None:
    """Put the files of one package where they belong."""
    with fetched(package, folder) as archive:
        for file in package["files"]:
            member = archive.extractfile(f"package/{file['from']}")
            if member is None:
                raise ValueError(f"{package['name']} has no {file['from']}")
            data = changed(member.read(), file.get("edits", []))
            if digest(data) != file["sha256"]:
                raise ValueError(f"{file['to']}: its SHA-256 is {digest(data)}")
            (target / file["to"]).write_bytes(data)
            print(target / file["to"])


def main() -> None:
    """All of them."""
    for path in LISTS:
        with tempfile.TemporaryDirectory() as folder:
            for package in json.loads(path.read_text())["packages"]:
                write(package, path.parent, Path(folder))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        sys.exit(f"nothing more is written: {error}")
