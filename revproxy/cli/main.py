"""
``revproxy``: the commands. The edge itself is ``run``.

A command's module is imported when it is that command's turn: all of them take longer than most take to do their work.
"""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from revproxy import __version__
from revproxy.cli.commandlist import LISTED, SECTIONS
from revproxy.loop.interpreter import uncollected


class _Commands(click.Group):
    """Lists its commands by what they are for, and imports each when it is asked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See `click.Group`."""
        if cmd_name in LISTED and cmd_name not in self.commands:
            with uncollected():
                module = import_module(f"revproxy.cli.{LISTED[cmd_name].module}")
            for command in module.COMMANDS:
                self.add_command(command)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See `click.Group`."""
        return list(LISTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See `click.Group`. No module is imported for it."""
        longest = max(map(len, LISTED))
        for title, listed in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(each.name.ljust(longest), each.text) for each in listed])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See `click.Group`. Whoever presses a key waits for it: no module is imported for it."""
        listed = [each for each in LISTED.values() if each.name.startswith(incomplete)]
        found = [CompletionItem(each.name, help=each.text) for each in listed]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="revproxy")
def main() -> None:
    """A programmable edge. To start it: revproxy run"""


if __name__ == "__main__":
    main()
