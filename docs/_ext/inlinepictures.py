"""
Puts pictures that are SVG files of ours into the page itself, where they take the colours of the theme, light or dark.

Elsewhere, as on a code host, the same files are shown as images and go by what the reader's system prefers.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxTranslator


def inline(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """
    Replaces each image of the folder ``pictures`` by its source.
    """
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.parent.name == "pictures" and path.suffix == ".svg":
            image.replace_self(Picture("", path.read_text(encoding="utf-8")))


class Picture(nodes.Element, nodes.Inline):
    """
    The source of a picture.
    """

    def __init__(self, rawsource: str = "", source: str = "") -> None:
        super().__init__(rawsource, source=source)


def _visit(translator: SphinxTranslator, node: Picture) -> None:
    translator.body.append(f'<span class="picture-frame">{node["source"]}</span>')  # type: ignore[attr-defined]
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Called by Sphinx.
    """
    app.add_node(Picture, html=(_visit, None))
    app.connect("doctree-resolved", inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
