"""Writing over a line that has text and colours, as a terminal does. Pure.

A line is kept as it was written, codes of colour included. Where something is written over its
middle it is taken apart into cells, each a character with the codes that give it its colour.
"""

import re
from typing import Final

COLOR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
_PEN_CODES_MAX: Final = 8  # Of a script that sets colours and never resets them.
_RESET: Final = "\x1b[0m"

Cell = tuple[str, str]  # the codes of its colour, the character


def pen_after(pen: str, text: str) -> str:
    """Return the codes that hold after ``text``, of those of ``pen`` before it."""
    for code in COLOR.finditer(text):
        pen = _pen_with(pen, code)
    return pen


def length(text: str) -> int:
    """Return how many cells ``text`` takes."""
    return len(COLOR.sub("", text)) if "\x1b" in text else len(text)


def overlay(line: str, column: int, text: str, pen: str) -> str:
    """Return ``line`` after ``text`` was written over it from ``column`` on.

    Args:
        pen: the codes that hold before ``text``.
    """
    if "\x1b" not in line and "\x1b" not in text and not pen:
        return line[:column].ljust(column) + text + line[column + len(text) :]
    before, written = _cells(line, ""), _cells(text, pen)
    before += [("", " ")] * (column - len(before))
    before[column : column + len(written)] = written
    return _joined(before)


def erase(line: str, first: int, end: int | None) -> str:
    """Return ``line`` with the cells from ``first`` to before ``end``, or to its end, empty."""
    if "\x1b" not in line:
        return line[:first] if end is None else " " * min(end, len(line)) + line[end:]
    cells = _cells(line, "")
    if end is None:
        return _joined(cells[:first])
    return _joined([("", " ")] * min(end, len(cells)) + cells[end:])


def _pen_with(pen: str, code: re.Match[str]) -> str:
    parameters = code[1]
    if parameters.strip("0;:") == "":
        return ""
    if parameters.split(";", 1)[0].strip("0") == "":
        return code[0]
    held = pen + code[0]
    codes = held.count("\x1b")
    return held if codes <= _PEN_CODES_MAX else "\x1b" + held.split("\x1b", 2)[2]


def _cells(text: str, pen: str) -> list[Cell]:
    cells: list[Cell] = []
    at = 0
    for code in COLOR.finditer(text):
        cells += [(pen, character) for character in text[at : code.start()]]
        pen = _pen_with(pen, code)
        at = code.end()
    cells += [(pen, character) for character in text[at:]]
    return cells


def _joined(cells: list[Cell]) -> str:
    parts: list[str] = []
    pen = ""
    for its_pen, character in cells:
        if its_pen != pen:
            parts.append(its_pen[len(pen) :] if its_pen.startswith(pen) else _RESET + its_pen)
            pen = its_pen
        parts.append(character)
    if pen:
        parts.append(_RESET)
    return "".join(parts)
