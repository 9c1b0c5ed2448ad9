"""Check that a user's statement only reads: on its tokens, before the engine gets it.

The engine's read-only mode is the other guard. Measured with chdb-core 26.9, it does not stop
``INTO OUTFILE``, the function ``file``, ``DESCRIBE url(…)``, a second statement after a semicolon,
and functions that ask services of language models.

Tokens follow ClickHouse's lexer. Tokens that versions read differently (heredocs, typographic
quotes, comments in comments) are refused outside of quotes, so that the check sees all text.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

READ_ONLY: Final = ("readonly", 1)
"""The setting of the engine's read-only mode. The value 2 would allow table functions and
settings."""
TABLE_FUNCTIONS_ALLOWED: Final = frozenset(
    {
        # It is also a function that formats text. As a table function it reads its argument.
        "format",
        "generate_series",
        "generaterandom",
        "generateseries",
        "merge",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "values",
        "view",
        "zeros",
        "zeros_mt",
    }
)
"""Table functions that read only their arguments and tables of the store."""

_FUNCTIONS_REFUSED: Final = frozenset({"file", "catboostevaluate", "showcertificate"})
"""Columns and aliases with these names are refused too, because the engine has functions that call
another function by its name."""
_SERVICE_PREFIX: Final = "ai"
"""aiGenerate, aiEmbed and similar functions send their arguments to a service."""

_READING: Final = ("select", "with", "show", "describe", "desc", "explain", "exists", "from")
_NAMES_FOLLOW: Final = ("as", "by", "from", "join", "select", ",", ".")
"""After these words ``format`` is a column or a table, as in ``ORDER BY format DESC``."""
# fmt: off
_CHANGING: Final = (
    "alter", "analyze", "attach", "backup", "begin", "call", "check", "commit", "copy",
    "create", "delete", "detach", "drop", "exchange", "execute", "grant", "insert", "kill",
    "move", "optimize", "rename", "replace", "restore", "revoke", "rollback", "set", "start",
    "stop", "system", "truncate", "undrop", "update", "use", "watch",
)
# fmt: on
_TOKEN: Final = re.compile(
    r"""(?P<space>[\s\u00a0\ufeff]+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/)
      | (?P<text>'(?:[^'\\]|\\.|'')*')
      | (?P<quoted>`(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9][A-Za-z0-9_]*)
      | (?P<sign>[^\s'"`])""",
    re.DOTALL | re.VERBOSE,
)
_UNSURE: Final = dict.fromkeys("$‘’“”\0", "is not supported outside of quotes")


class StatementError(ValueError):
    """The statement does not only read; the message names the part."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    position: int


def reading_statement(statement: str, table_functions: Iterable[str]) -> str:
    """Return ``statement`` without its closing semicolon, if it only reads.

    Args:
        table_functions: names of all table functions of the engine.

    Raises:
        StatementError: It is empty, invalid, or more than one statement, or it may do more than
            read.
    """
    tokens = list(_tokens(statement))
    end = len(tokens)
    while end and tokens[end - 1].text == ";":
        end -= 1
    if not end:
        raise StatementError("no statement; e.g. stepwell sql 'SHOW TABLES'")
    tail = tokens[end].position if end < len(tokens) else len(statement)
    tokens = tokens[:end]
    _check_first(tokens)
    refused = {name.lower() for name in table_functions} - TABLE_FUNCTIONS_ALLOWED
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.text == ";":
            raise StatementError(
                f"character {token.position + 1}: more than one statement; run them one by one"
            )
        _check_name(token)
        if following is None:
            break
        if token.text.lower() == "into" and following.text.lower() in ("outfile", "dumpfile"):
            raise StatementError("INTO OUTFILE writes a file; use `stepwell sql … -o FILE`")
        if following.text == "(":
            _check_call(token, refused)
    return statement[:tail].rstrip()


def stated_format(statement: str) -> str:
    """Return the format at the end of a statement, ``… FORMAT CSV``; "" without one.

    Raises:
        StatementError: Its tokens are invalid.
    """
    tokens = list(_tokens(statement))
    while tokens and tokens[-1].text == ";":
        del tokens[-1]
    words = ["", *(each.text.lower() if each.kind in ("word", "sign") else "" for each in tokens)]
    for at, word in enumerate(words[:-1]):
        is_last = at + 2 == len(words) or words[at + 2] == "settings"
        if word == "format" and is_last and words[at - 1] not in _NAMES_FOLLOW:
            return tokens[at].text if words[at + 1].isidentifier() else ""
    return ""


def _check_first(tokens: list[Token]) -> None:
    first = next((each for each in tokens if each.text != "("), tokens[0])
    word = first.text.lower()
    if word in _READING:
        return
    reading = "SELECT, WITH, SHOW, DESCRIBE, EXPLAIN and EXISTS"
    if word in _CHANGING:
        raise StatementError(
            f"{first.text!r} can change data; allowed are {reading}. `stepwell rm` deletes runs"
        )
    nearest = difflib.get_close_matches(word, (*_READING[:7], *_CHANGING), n=1)
    hint = f"did you mean {nearest[0].upper()}?" if nearest else f"allowed are {reading}"
    raise StatementError(
        f"syntax error at character {first.position + 1}: {first.text!r} is not the "
        f"beginning of a statement; {hint}"
    )


def _check_name(token: Token) -> None:
    """Refuse the name of a function with access outside the store, also without a direct call.

    ``* APPLY file`` and ``arrayMap(file, …)`` call it too.
    """
    if token.kind == "quoted" and "\\" in token.text:
        raise StatementError(
            f"character {token.position + 1}: backslashes in a name are not supported"
        )
    name = _name(token)
    if name.lower() in _FUNCTIONS_REFUSED or _asks_service(name):
        raise _reaches_out(token)


def _check_call(token: Token, refused: set[str]) -> None:
    if token.kind == "number":
        raise StatementError(f"syntax error at character {token.position + 1}: {token.text}(")
    if _name(token).lower() in refused:
        raise _reaches_out(token)


def _reaches_out(token: Token) -> StatementError:
    return StatementError(
        f"character {token.position + 1}: the function {token.text} may read or write "
        "outside of the store; `stepwell sql` reads only the store"
    )


def _name(token: Token) -> str:
    """Return the name in a token, "" for other tokens."""
    if token.kind == "quoted":
        return token.text[1:-1]
    return token.text if token.kind == "word" else ""


def _asks_service(name: str) -> bool:
    """True for aiEmbed and AIEmbed, but not for airlines()."""
    return name[:2].lower() == _SERVICE_PREFIX and name[2:3].isupper()


def _tokens(statement: str) -> Iterator[Token]:
    """Yield the tokens without white space and comments."""
    position = 0
    while position < len(statement):
        found = _TOKEN.match(statement, position)
        if found is None:
            raise StatementError(f"syntax error at character {position + 1}: a quote is not closed")
        kind, text = str(found.lastgroup), found.group()
        if kind == "space":
            if text.startswith("/*") and "/*" in text[2:]:
                raise StatementError(f"character {position + 1}: nested comments are not supported")
        elif kind == "sign" and (text in _UNSURE or statement.startswith("/*", position)):
            reason = _UNSURE.get(text, "begins a comment that is not closed")
            raise StatementError(f"syntax error at character {position + 1}: {text!r} {reason}")
        else:
            yield Token(kind, text, position)
        position = found.end()
