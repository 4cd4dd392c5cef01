"""``python -m revproxy.cli``: the same as ``revproxy``."""

from revproxy.cli.main import main

main()
