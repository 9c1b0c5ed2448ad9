"""Tokens: the daemons that may relay to this one.

# one token a line, optionally after a name: the name is logged, the token never rack-7    0cdb1e…
f81d4f…
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.gateway.secrets import read_secret, watched
from stepwell_wire.watched_files import WatchedFiles

HEADER: Final = "authorization"
ACCEPTED: Final = ("stepwell-relay", "1")
"""The gateway's first metadata to a daemon that it accepts."""
_SCHEME: Final = "Bearer "
_TOKEN_CHARACTERS_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller: the name of the token, and the digest by which it is found again."""

    name: str = ""
    digest: bytes = b""


def parse_tokens(text: str, where: str) -> dict[bytes, str]:
    """Return the tokens' names by their digest.

    Raises:
        DaemonConfigError: A line is not a token; the text has the line's number, never its content.
    """
    found: dict[bytes, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) > 2 or len(words[-1]) < _TOKEN_CHARACTERS_MIN or not words[-1].isascii():
            raise DaemonConfigError(
                f"{where}: line {number}: expected [name] token, the token of at least "
                f"{_TOKEN_CHARACTERS_MIN} ASCII characters; `openssl rand -hex 32` makes one"
            )
        found[_digest(words[-1])] = words[0] if len(words) == 2 else f"line {number}"
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """The tokens that are valid at present."""

    def __init__(self, path: Path | None) -> None:
        """
        Args:
            path: the file of tokens; None accepts every caller.

        Raises:
            DaemonConfigError: The file is unusable, or has no token.
        """
        self._file: WatchedFiles[dict[bytes, str]] | None = None
        if path is not None:
            self._file = watched((path,), lambda: _load(path), what="gateway_tokens_file")

    def caller(self, metadata: Iterable[tuple[str, Any]]) -> Caller | None:
        """Return the caller; None if the token is missing or unknown."""
        if self._file is None:
            return Caller()
        values = [value for key, value in metadata if key == HEADER]
        if len(values) != 1 or not str(values[0]).startswith(_SCHEME):
            return None
        presented = _digest(str(values[0]).removeprefix(_SCHEME))
        return self._find(presented)

    def still_holds(self, caller: Caller) -> bool:
        """Return whether the token of ``caller`` is still valid."""
        return self._file is None or self._find(caller.digest) is not None

    def _find(self, presented: bytes) -> Caller | None:
        assert self._file is not None
        found = None
        # Compares all tokens always, so that the time does not show which one matches.
        for digest, name in self._file.current().items():
            if hmac.compare_digest(digest, presented):
                found = Caller(name, digest)
        return found


def _load(path: Path) -> dict[bytes, str]:
    try:
        text = read_secret(path).decode()
    except UnicodeDecodeError as error:
        raise DaemonConfigError(f"{path}: not a text file") from error
    tokens = parse_tokens(text, str(path))
    if not tokens:
        raise DaemonConfigError(f"{path}: no token found; `openssl rand -hex 32` makes one")
    return tokens


def read_token(path: Path) -> str:
    """Return the only token in a node's file.

    Raises:
        DaemonConfigError: The file cannot be read or does not have exactly one token.
    """
    words = [
        words[-1]
        for line in read_secret(path).decode(errors="replace").splitlines()
        if (words := line.split("#", 1)[0].split())
    ]
    if len(words) != 1 or not words[0].isascii():
        raise DaemonConfigError(f"{path}: expected one token, found {len(words)}")
    return words[0]
