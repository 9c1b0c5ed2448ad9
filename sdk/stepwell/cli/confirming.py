"""The question before something is deleted for good."""

import sys

from stepwell.cli.errors import USAGE, CommandError


def agrees(question: str) -> bool:
    """Ask on the terminal and return whether the answer is yes.

    Raises:
        CommandError: There is no terminal.
    """
    if not sys.stdin.isatty():
        raise CommandError("no terminal for the confirmation; add --yes to delete", USAGE)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
