"""
Writes docs/reference.md out of the published schemas: ``python docs/reference.py``. A test tells when it is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE.parent / "revproxy" / "control" / "schemas"
TARGET = HERE / "reference.md"

HEAD = """\
# Reference

Every key there is. Unknown keys are errors. `[]` stands for each item of a list, `NAME` for a name of your choice.
Written by `docs/reference.py` out of `revproxy/control/schemas/`, which editors can use, too.
"""


def rows(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """
    Path, schema and necessity of every key below a schema.
    """
    for key, value in schema.get("properties", {}).items():
        here = f"{path}.{key}" if path else key
        yield here, value, key in schema.get("required", ())
        yield from rows(value, here)
    if isinstance(schema.get("items"), dict):
        yield from rows(schema["items"], path + "[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from rows(schema["additionalProperties"], path + ".NAME")


def kind(schema: dict[str, Any]) -> str:
    """
    What a value may be, in a few words.
    """
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema["enum"])
    types = schema.get("type", "anything")
    words = {"object": "mapping", "array": "list", "string": "text", "boolean": "true, false"}
    return " or ".join(words.get(name, name) for name in ([types] if isinstance(types, str) else types))


def table(schema: dict[str, Any]) -> str:
    """
    A schema as a table.
    """
    lines = ["| key | | default | |", "|---|---|---|---|"]
    for path, value, required in rows(schema):
        default = "required" if required else f"`{json.dumps(value['default'])}`" if "default" in value else ""
        text = value.get("description", "").replace("|", "\\|").replace("*.", "\\*.")
        lines.append(f"| `{path}` | {kind(value)} | {default} | {text} |")
    return "\n".join(lines)


def render() -> str:
    """
    The page.
    """
    parts = [HEAD]
    for name in ("revproxy", "plugin"):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
        parts.append(f"## {schema['title']}\n\n{schema['description']}\n\n{table(schema)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
