"""
The commands that ask a running edge, or have it change something.
"""

from __future__ import annotations

import click

from revproxy.cli.names import named
from revproxy.cli.remoteedge import RemoteEdge, asking
from revproxy.cli.repeated import repeat

_name = click.argument("name", shell_complete=named("plugins"))
_reason = click.option("--reason", help="Why, for the others.")


@click.command(short_help="What plugins do; all about NAME; what was refused.")
@click.argument("name", required=False, shell_complete=named("plugins"))
@click.option("-a", "--all", "removed", is_flag=True, help="Also those that were removed, as far as is remembered.")
@click.option("-w", "--watch", "watching", is_flag=True, help="Again each second, until Ctrl-C.")
@asking
def plugins(edge: RemoteEdge, name: str | None, removed: bool, watching: bool) -> None:
    """What the plugins of a running edge do; or, with NAME, all about one: its versions and its last failure too."""
    if watching:
        edge.indent = None
        repeat(lambda: _plugins(edge, name, removed))
    else:
        _plugins(edge, name, removed)


def _plugins(edge: RemoteEdge, name: str | None, removed: bool) -> None:
    if name is not None:
        found = edge.get("plugins", name)
        edge.show([found], lambda _: edge.report.plugin(found))
        return
    answer = edge.get("plugins", removed=removed)
    edge.show(answer["items"], edge.report.plugins)
    if not edge.json:
        edge.report.configuration(answer["configuration"])


@click.command(short_help="Run the version of a plugin before.")
@_name
@click.argument("version", required=False)
@_reason
@asking
def rollback(edge: RemoteEdge, name: str, version: str | None, reason: str | None) -> None:
    """Go back to an earlier version of plugin NAME.

    VERSION is a version or the beginning of a digest (revproxy plugins NAME lists them); left out, it is the one that
    ran well before. It stays until the plugin's folder holds something new, or until unpin.
    """
    edge.change("plugins", name, "rollback", version=version, reason=reason)


@click.command(short_help="Keep a plugin at a version.")
@_name
@click.argument("version", required=False)
@_reason
@asking
def pin(edge: RemoteEdge, name: str, version: str | None, reason: str | None) -> None:
    """Keep plugin NAME at VERSION, whatever its folder holds; left out, at the one that runs."""
    edge.change("plugins", name, "pin", version=version, reason=reason)


@click.command(short_help="Let a plugin follow its folder again.")
@_name
@_reason
@asking
def unpin(edge: RemoteEdge, name: str, reason: str | None) -> None:
    """Let plugin NAME follow its folder again."""
    edge.change("plugins", name, "unpin", reason=reason)


@click.command(short_help="Switch a plugin on.")
@_name
@_reason
@asking
def enable(edge: RemoteEdge, name: str, reason: str | None) -> None:
    """Switch plugin NAME on, on every route that does not say otherwise."""
    edge.change("plugins", name, "enable", reason=reason)


@click.command(short_help="Switch a plugin off.")
@_name
@_reason
@asking
def disable(edge: RemoteEdge, name: str, reason: str | None) -> None:
    """Switch plugin NAME off."""
    edge.change("plugins", name, "disable", reason=reason)


@click.command(short_help="Read all files now; say what was refused.")
@click.option("--without-state", is_flag=True, help="Replace even what cannot hand its state over.")
@_reason
@asking
def reload(edge: RemoteEdge, without_state: bool, reason: str | None) -> None:
    """Look at the configuration and all plugins again, now; also at those that failed."""
    edge.change("reload", without_state=without_state, reason=reason)


COMMANDS = (plugins, rollback, pin, unpin, enable, disable, reload)
"""All of them."""
