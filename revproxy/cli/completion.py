"""
``revproxy completion SHELL``: what has a shell complete commands and their options.
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Have a shell complete commands.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what has SHELL complete commands, options and their values.

    \b
    bash:  revproxy completion bash > ~/.local/share/bash-completion/completions/revproxy
    zsh:   revproxy completion zsh > "${fpath[1]}/_revproxy"
    fish:  revproxy completion fish > ~/.config/fish/completions/revproxy.fish
    """
    made = get_completion_class(shell)
    assert made is not None, "click knows these"
    click.echo(made(context.find_root().command, {}, "revproxy", "_REVPROXY_COMPLETE").source())


COMMANDS = (completion,)
"""All of them."""
