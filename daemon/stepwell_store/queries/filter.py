"""The text of a filter for runs as a tree, and back. Pure: no store, no lookup of names.

    filter  := [either]
    either  := all { "|" all }
    all     := one { one }                        a space means AND
    one     := "-" one | "(" either ")" | word [operator value]
    operator:= ":" "=" "!=" "<" "<=" ">" ">=" "~"

    state:running tag:a lr<1e-3 val/loss<0.4 name~"^big" created>7d -tag:old (a | b)

A word without an operator is in the run's name or id. Words and values with spaces or any of ``( )
| " : = < > ~`` are quoted; ``\\"`` and ``\\\\`` stand for a quote and a backslash. A value may
contain the operators' characters unquoted, but not begin with one of ``= < > ~``.
``metric.NAME:STAT`` before an operator is one path.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from stepwell_store.errors import FilterError

STATISTICS: Final = ("last", "min", "max", "mean", "first", "count")
OPERATORS: Final = ("!=", "<=", ">=", ":", "=", "<", ">", "~")
FILTER_CHARACTERS_MAX: Final = 10_000
DEPTH_MAX: Final = 32
TERMS_MAX: Final = 256

_ENDS_WORD: Final = frozenset(' \t\r\n()|":=<>~')
_ENDS_VALUE: Final = frozenset(' \t\r\n()|"')
# So that lr==1 and lr:<1 are reported as errors, not compared.
_BEGINS_NO_VALUE: Final = ("=", "<", ">", "~")
_SPACES: Final = frozenset(" \t\r\n")


@dataclass(frozen=True, slots=True)
class Word:
    """Text that the run's name or id contains."""

    text: str


@dataclass(frozen=True, slots=True)
class Compare:
    """A path, compared with a value.

    Attributes:
        operator: one of ``OPERATORS``; ``=`` is given as ``:``.
        quoted: the value was quoted, so it is text even if it looks like a number.
        position, length: the place of the term in the filter's text.
    """

    path: str
    operator: str
    value: str
    quoted: bool = False
    position: int = field(default=0, compare=False)
    length: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    item: "Expression"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of two or more."""

    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of two or more."""

    items: tuple["Expression", ...]


Expression = Word | Compare | Not | All | Either


def parse_filter(text: str) -> Expression | None:
    """Return the tree of ``text``, None for an empty one.

    Raises:
        FilterError: It is not a filter; the error has the position.
    """
    if len(text) > FILTER_CHARACTERS_MAX:
        raise FilterError(
            f"{len(text):,} characters; a filter may have at most {FILTER_CHARACTERS_MAX:,}",
            FILTER_CHARACTERS_MAX,
            len(text) - FILTER_CHARACTERS_MAX,
        )
    parser = _Parser(text)
    if parser.at_end():
        return None
    found = parser.either(1)
    if not parser.at_end():
        raise FilterError("a ) without a matching (", parser.position, 1)
    return found


def format_filter(expression: Expression | None) -> str:
    """Return a text that ``parse_filter`` parses as ``expression``."""
    match expression:
        case None:
            return ""
        case Word(text):
            return _quoted(text, _ENDS_WORD)
        case Compare(path, operator, value, quoted):
            is_odd = path.startswith("metric.") and value.startswith(STATISTICS)
            is_odd = is_odd or value.startswith(_BEGINS_NO_VALUE)
            written = _quoted(value, _ENDS_VALUE, always=quoted or is_odd)
            return f"{_path_text(path)}{operator}{written}"
        case Not(item):
            return f"-{_grouped(item)}"
        case All(items):
            return " ".join(map(_grouped, items))
        case Either(items):
            return " | ".join(f"({format_filter(each)})" for each in items)


def compares_of(expression: Expression | None) -> Iterable[Compare]:
    """Yield every comparison in ``expression``."""
    return (each for each in _leaves(expression) if isinstance(each, Compare))


def words_of(expression: Expression | None) -> Iterable[str]:
    """Yield the text of every word in ``expression``."""
    return (each.text for each in _leaves(expression) if isinstance(each, Word))


def _leaves(expression: Expression | None) -> Iterable[Word | Compare]:
    match expression:
        case Word() | Compare():
            yield expression
        case Not(item):
            yield from _leaves(item)
        case All(items) | Either(items):
            for each in items:
                yield from _leaves(each)


def _grouped(item: Expression) -> str:
    text = format_filter(item)
    return f"({text})" if isinstance(item, All | Either) else text


def _path_text(path: str) -> str:
    name, colon, statistic = path.rpartition(":")
    if colon and path.startswith("metric.") and statistic in STATISTICS:
        return f"{_quoted(name, _ENDS_WORD)}:{statistic}"
    return _quoted(path, _ENDS_WORD)


def _quoted(text: str, ends: frozenset[str], *, always: bool = False) -> str:
    plain = text and not ends.intersection(text) and text[0] != "-" and "!=" not in text
    if plain and not always:
        return text
    if ends is _ENDS_VALUE and text and not always and not ends.intersection(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Parser:
    """Reads a filter from left to right, one character of look-ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._terms = 0
        self.position = 0

    def at_end(self) -> bool:
        self._skip_spaces()
        return self.position >= len(self._text)

    def either(self, depth: int) -> Expression:
        items = [self._all(depth)]
        while not self.at_end() and self._here() == "|":
            self.position += 1
            items.append(self._all(depth))
        return items[0] if len(items) == 1 else Either(tuple(items))

    def _all(self, depth: int) -> Expression:
        items: list[Expression] = []
        while not self.at_end() and self._here() not in "|)":
            items.append(self._one(depth))
        if not items:
            at = min(self.position, max(len(self._text) - 1, 0))
            raise FilterError("a condition is missing here", at, len(self._text) - at and 1)
        return items[0] if len(items) == 1 else All(tuple(items))

    def _one(self, depth: int) -> Expression:
        start = self.position
        if depth > DEPTH_MAX:
            raise FilterError(f"more than {DEPTH_MAX} levels of ( and -", start, 1)
        if self._here() == "-":
            self.position += 1
            if self.position >= len(self._text) or self._here() in _SPACES or self._here() in "|)":
                raise FilterError("a - without the condition that it negates", start, 1)
            return Not(self._one(depth + 1))
        if self._here() == "(":
            self.position += 1
            found = self.either(depth + 1)
            if self.at_end() or self._here() != ")":
                raise FilterError("a ( without a matching )", start, 1)
            self.position += 1
            return found
        return self._term()

    def _term(self) -> Expression:
        start = self.position
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise FilterError(f"more than {TERMS_MAX} conditions", start, 1)
        path, _ = self._token(_ENDS_WORD)
        operator = self._operator()
        if operator == ":" and path.startswith("metric."):
            path, operator = self._statistic(path)
        if not operator:
            if not path:
                raise FilterError("empty text matches every run; remove it", start, 2)
            return Word(path)
        if not path:
            raise FilterError(f"a name is missing before {operator}", start, len(operator))
        before_value = self.position
        if before_value >= len(self._text) or self._text[before_value] in _SPACES | {"|", ")"}:
            at = start
            raise FilterError(f"a value is missing after {path}{operator}", at, before_value - at)
        if self._text.startswith(_BEGINS_NO_VALUE, before_value):
            twice = operator + self._here()
            raise FilterError(
                f"{twice} is not an operator; expected one of {' '.join(OPERATORS)}. Quote a "
                f"value that begins with {self._here()}",
                before_value - len(operator),
                len(twice),
            )
        value, quoted = self._token(_ENDS_VALUE)
        return Compare(
            path,
            ":" if operator == "=" else operator,
            value,
            quoted,
            position=start,
            length=self.position - start,
        )

    def _statistic(self, path: str) -> tuple[str, str]:
        """Return path and operator after ``metric.NAME:``, which may include a statistic."""
        before = self.position
        for statistic in STATISTICS:
            if self._text.startswith(statistic, before):
                self.position = before + len(statistic)
                if operator := self._operator():
                    return f"{path}:{statistic}", operator
        self.position = before
        return path, ":"

    def _operator(self) -> str:
        for operator in OPERATORS:
            if self._text.startswith(operator, self.position):
                self.position += len(operator)
                return operator
        return ""

    def _token(self, ends: frozenset[str]) -> tuple[str, bool]:
        """Return the text here and whether it was quoted; empty before an operator."""
        start = self.position
        if self._here() == '"':
            return self._quoted_text(), True
        while self.position < len(self._text) and self._here() not in ends:
            if ends is _ENDS_WORD and self._text.startswith("!=", self.position):
                break
            self.position += 1
        if self.position == start and self._here() in "()|":
            raise FilterError(f"quote {self._here()} here", start, 1)
        return self._text[start : self.position], False

    def _quoted_text(self) -> str:
        start = self.position
        parts: list[str] = []
        self.position += 1
        while self.position < len(self._text):
            character = self._here()
            self.position += 1
            if character == '"':
                return "".join(parts)
            if character == "\\" and self.position < len(self._text) and self._here() in '"\\':
                character = self._here()
                self.position += 1
            parts.append(character)
        raise FilterError("a quote without its end", start, len(self._text) - start)

    def _here(self) -> str:
        return self._text[self.position] if self.position < len(self._text) else ""

    def _skip_spaces(self) -> None:
        while self.position < len(self._text) and self._text[self.position] in _SPACES:
            self.position += 1
