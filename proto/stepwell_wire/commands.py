"""Commands in messages, quoted for the shell: a user copies them from there."""

import shlex


def command_text(*words: object, rest: str = "") -> str:
    """Return a command of stepwell in backquotes.

    Args:
        rest: what follows and is not quoted, such as placeholders.
    """
    return f"`stepwell {shlex.join(map(str, words))}{' ' if rest else ''}{rest}`"


def shell_word(value: object) -> str:
    """Return ``value`` as one word of a command."""
    return shlex.quote(str(value))
