"""
``revproxy``: the commands. The edge itself is ``run``.

A command's module is imported when it is that command's turn: all of them take longer than most take to do their work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from revproxy import __version__
from revproxy.loop.interpreter import uncollected

SECTIONS: Mapping[str, Sequence[str]] = {
    "Begin": ("init", "check", "run", "new-plugin", "test-plugin", "schema", "completion"),
    "Trust": ("keygen", "sign", "verify", "lock", "trust", "grant"),
    "See": ("status", "top", "requests", "explain", "connections", "plugins", "upstreams", "certificates", "events",
            "alerts", "history", "diff", "audit", "doctor", "bundle"),
    "Roll out": ("rollout", "record", "recordings", "replay"),
    "Change": ("rollback", "disable", "enable", "pin", "unpin", "reload", "revert", "drain", "undrain", "weight",
               "login", "token"),
}  # fmt: skip
"""All commands, in the order in which they are listed."""

MODULES: Mapping[str, Sequence[str]] = {
    "runcommand": ("run",),
    "checkcommand": ("check",),
    "begincommands": ("init", "new-plugin", "test-plugin", "schema"),
    "completion": ("completion",),
    "signcommands": ("keygen", "sign"),
    "verifycommand": ("verify",),
    "lockcommand": ("lock",),
    "trustcommands": ("trust", "grant"),
    "statuscommands": ("status", "top", "connections"),
    "requestcommands": ("requests", "explain"),
    "edgecommands": ("plugins", "rollback", "pin", "unpin", "enable", "disable", "reload"),
    "rolloutcommands": ("rollout",),
    "recordcommands": ("record", "recordings"),
    "replaycommand": ("replay",),
    "upstreamcommands": ("upstreams", "drain", "undrain", "weight", "certificates"),
    "eventcommands": ("events",),
    "alertcommands": ("alerts",),
    "historycommands": ("history", "diff", "revert", "audit"),
    "doctorcommand": ("doctor",),
    "bundlecommand": ("bundle",),
    "tokencommands": ("token", "login"),
}
"""By the module in `revproxy.cli`, the commands that it has, in its ``COMMANDS``."""

_MODULE = {name: module for module, names in MODULES.items() for name in names}


class _Commands(click.Group):
    """Lists its commands by what they are for, and imports each when it is asked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group`."""
        if cmd_name in _MODULE and cmd_name not in self.commands:
            with uncollected():
                module = import_module(f"revproxy.cli.{_MODULE[cmd_name]}")
            for command in module.COMMANDS:
                self.add_command(command)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group`."""
        return [name for names in SECTIONS.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Group`."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        commands = {name: command for name, command in found if command is not None}
        longest = max(map(len, commands))
        limit = formatter.width - 6 - longest
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), commands[name].get_short_help_str(limit))
                                    for name in names])  # fmt: skip


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="revproxy")
def main() -> None:
    """A programmable edge. To start it: revproxy run"""


if __name__ == "__main__":
    main()
