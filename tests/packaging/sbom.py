"""
The bill of materials: what an edge is made of besides its own code, as CycloneDX has it.

Everything in it comes from the lock file, from the list of what the dashboard has along, and from what the installed
distributions say of their licences: the same sources give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.lockfile import Locked, requirementsOf

VENDORED = Path(__file__).resolve().parents[2] / "revproxy" / "admin" / "dashboard" / "vendor" / "vendor.json"


def bill(version: str, asked: Iterable[str], locked: Mapping[str, Locked], vendored: Path = VENDORED) -> dict[str, Any]:
    """
    CycloneDX 1.6.

    :param version: of revproxy.
    :param asked: its requirements.
    """
    here = dict(sorted(locked.items()))
    scripts = list(_vendored(vendored))
    own = f"pkg:pypi/revproxy@{version}"
    direct = {canonicalize_name(each.name): each.extras for each in map(Requirement, asked)}
    ours = [*(_purl(here[name]) for name in direct.keys() & here), *(each["bom-ref"] for each in scripts)]
    needs = {own: sorted(ours)}
    for each in here.values():
        wanted = requirementsOf(each, direct.get(each.name, set()))
        names = {canonicalize_name(one.name) for one in wanted} & here.keys()
        needs[_purl(each)] = sorted(_purl(here[name]) for name in names)
    for script in scripts:
        needs[script["bom-ref"]] = []
    found = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "revproxy",
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": [*(_component(each) for each in here.values()), *scripts],
        "dependencies": [{"ref": ref, "dependsOn": those} for ref, those in needs.items()],
    }
    return {**found, "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(found, sort_keys=True))}"}


def _purl(each: Locked) -> str:
    return f"pkg:pypi/{each.name}@{each.version}"


def _component(each: Locked) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": text} for text in each.hashes]
    url = f"https://pypi.org/project/{each.name}/{each.version}/"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(each),
        "name": each.name,
        "version": each.version,
        "purl": _purl(each),
        "externalReferences": [{"type": "distribution", "url": url, "hashes": hashes}],
    }
    if licence := _licence(each):
        found["licenses"] = [licence]
    return found


def _licence(each: Locked) -> dict[str, Any]:
    """What the distribution says of it, as an SPDX expression if it does so."""
    try:
        said = metadata.metadata(each.name)
    except metadata.PackageNotFoundError:
        return {}
    if expression := said.get("License-Expression"):
        return {"expression": expression}
    classifiers = said.get_all("Classifier") or ()
    classified = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    return {"license": {"name": " / ".join(classified)}} if classified else {}


def _vendored(path: Path) -> Iterable[dict[str, Any]]:
    """What the dashboard's folder has from others, file by file."""
    for package in json.loads(path.read_text())["packages"]:
        purl = f"pkg:npm/{package['name']}@{package['version']}"
        files = [
            {"type": "file", "name": file["to"], "hashes": [{"alg": "SHA-256", "content": file["sha256"]}]}
            for file in package["files"]
        ]
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": package["name"],
            "version": package["version"],
            "purl": purl,
            "licenses": [{"license": {"id": package["licence"]}}],
            "components": [{**each, "bom-ref": f"{purl}#{each['name']}"} for each in files],
        }
