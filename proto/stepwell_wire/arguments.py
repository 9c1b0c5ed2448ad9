"""Command lines whose errors are one line: what is wrong and where to look."""

import argparse
import difflib
import sys
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong without the whole usage above it; sub-commands inherit that."""

    def error(self, message: str) -> NoReturn:
        known = [flag for action in self._actions for flag in action.option_strings]
        _, _, unknown = message.partition("unrecognized arguments: ")
        flags = [word for word in unknown.split() if word.startswith("--")]
        near = [hit for word in flags for hit in difflib.get_close_matches(word, known, n=1)]
        hint = f"did you mean {near[0]}? " if near else ""
        print(f"{self.prog}: {message}; {hint}`{self.prog} --help` says more", file=sys.stderr)
        raise SystemExit(2)
