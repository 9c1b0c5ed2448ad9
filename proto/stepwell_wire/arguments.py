"""Command lines whose errors are one line: what is wrong and where to look."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NoReturn

from stepwell_wire.commands import shell_word

_OPERATORS: Final = frozenset(":=<>~")
"""Of filters; few names of projects have one of them."""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong without the whole usage above it; sub-commands inherit that."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        _, _, unknown = message.partition("unrecognized arguments: ")
        if not unknown and "arguments are required" in message:
            unknown = " ".join(self._given)
        hint = self._hint_of_dash(message) or self._hint(unknown.split())
        print(f"{self.prog}: {message}; {hint}see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)

    def _hint_of_dash(self, message: str) -> str:
        """Return how to pass a value that begins with -, if such a value caused the error."""
        subject, separator, _ = message.partition(": expected one argument")
        if not separator:
            return ""
        flags = subject.removeprefix("argument ").split("/")
        for flag, value in pairwise(self._given):
            if flag in flags and value.startswith("-") and value not in self._option_string_actions:
                return f"write a value that begins with - as {flag}={value}; "
        return ""

    def _hint(self, unknown: Sequence[str]) -> str:
        """Return what the user may have meant by the first of these words, else an empty text."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        known = {flag[2:]: flag for flag in flags if flag.startswith("--")}
        takes_words = any(not action.option_strings for action in self._actions)
        for before, word in pairwise(["", *unknown]):
            name = word.partition("=")[0].removeprefix("--")
            if not word.startswith("-"):
                is_value = before.startswith("-")
                if takes_words or is_value:
                    continue
                is_filter = _OPERATORS.intersection(word) or any(
                    given.partition("=")[0] == "--project" for given in self._given
                )
                flag = "--filter" if is_filter else "--project"
                if flag[2:] in known:
                    return f"did you mean {flag} {shell_word(word)}? "
                continue
            if not word.startswith("--"):
                if same := [flag for name, flag in known.items() if name[:1] == word[1:2]]:
                    return f"did you mean {' or '.join(same)}? "
                continue
            if name in known:
                continue
            if near := difflib.get_close_matches(name, known, n=1):
                return f"did you mean {known[near[0]]}? "
            if "filter" in known:
                return f"did you mean --filter {name}:VALUE? "
        return ""
