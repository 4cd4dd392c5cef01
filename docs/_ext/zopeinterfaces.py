"""
Documents zope interfaces: the directive ``autointerfaces``, given a module, shows each interface in it.

Sphinx's autodoc cannot: an interface is no class, its methods have no ``self``, and zope keeps no annotations of them.
So this reads the source. (``repoze.sphinx.autointerface`` reads what zope has kept, without annotations, and is written
for the autodoc of Sphinx before 9.) Beside that, it has autodoc print interfaces by their names, and finds references
by names that a module has imported.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from zope.interface.interface import InterfaceClass

Lines = Iterator[str]

_PRINTED = re.compile(r"<InterfaceClass ([\w.]+)>")


def lines(module: str) -> Lines:
    """
    All interfaces of a module, in the order of the source, as reStructuredText.
    """
    there = import_module(module)
    for node in ast.parse(inspect.getsource(there)).body:
        if isinstance(node, ast.ClassDef) and isinstance(getattr(there, node.name), InterfaceClass):
            yield from _interface(node)


def _interface(node: ast.ClassDef) -> Lines:
    bases = [base for base in map(ast.unparse, node.bases) if base != "Interface"]
    yield f".. py:class:: {node.name}" + (f"({', '.join(bases)})" if bases else "")
    yield from _body(_doc(node))
    for member in node.body:
        if isinstance(member, ast.FunctionDef):
            yield from _indented(_method(member))
        elif isinstance(member, ast.Assign):
            yield from _indented(_attribute(member))


def _method(node: ast.FunctionDef) -> Lines:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    yield f".. py:method:: {node.name}({ast.unparse(node.args)}){returns}"
    yield from _body(_doc(node))


def _attribute(node: ast.Assign) -> Lines:
    match node.value:
        case ast.Call(args=[ast.Constant(value=str(text)), *_]):
            yield f".. py:attribute:: {ast.unparse(node.targets[0])}"
            yield from _body(text)


def _doc(node: ast.ClassDef | ast.FunctionDef) -> str:
    # In a docstring of one line a field may follow the sentence; a field list begins on a line of its own.
    text = ast.get_docstring(node) or ""
    head, mark, rest = text.partition(" :raises ")
    return f"{head}\n\n:raises {rest}" if mark and "\n" not in text else text


def _body(text: str) -> Lines:
    yield ""
    yield from _indented(iter(text.splitlines()))
    yield ""


def _indented(text: Lines) -> Lines:
    return (f"   {line}" if line else "" for line in text)


class AutoInterfaces(SphinxDirective):
    """
    ``autointerfaces`` with the name of a module.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        text = [f".. py:currentmodule:: {module}", "", *lines(module)]
        source = inspect.getsourcefile(import_module(module))
        assert source is not None
        self.env.note_dependency(source)
        return self.parse_text_to_nodes(StringList(text, source))


def named(
    app: Sphinx, what: str, name: str, it: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """
    Signatures with the names of interfaces instead of what zope prints.
    """
    return tuple(text and _PRINTED.sub(r"~\1", text) for text in (signature, returns))  # type: ignore[return-value]


def skipped(app: Sphinx, what: str, name: str, it: object, skip: bool, options: object) -> bool | None:
    """
    Leaves interfaces to this directive where autodoc meets them among the members of a module.
    """
    return True if isinstance(it, InterfaceClass) else None


def found(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, shown: nodes.TextElement
) -> nodes.Node | None:
    """
    References by a name that the module has imported from another: a docstring of it may use that name alone.
    """
    target, module = node.get("reftarget", ""), node.get("py:module")
    if node.get("refdomain") != "py" or not module:
        return None
    it = getattr(import_module(module), target.partition(".")[0], None)
    home = getattr(it, "__module__", module)
    if home == module:
        return None
    return env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], f"{home}.{target}", node, shown
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Called by Sphinx.
    """
    app.connect("autodoc-skip-member", skipped)
    app.connect("missing-reference", found)
    app.connect("autodoc-process-signature", named)
    app.add_directive("autointerfaces", AutoInterfaces)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
