"""Panels in fenced blocks: read, checked, defaults filled in. Pure.

    ```stepwell                                ```stepwell {panel: value, metric: val/loss}
    panel: line                                ```
    metrics: train/loss, val/loss
    runs: state:finished lr<1e-3
    ```

The content is YAML: names with texts, or with lists of texts.
"""

import difflib
import math
from typing import Any, Final

import yaml  # type: ignore[import-untyped,unused-ignore]

from stepwell_hub.reports.answers import Block, Field, PanelKind, Problem
from stepwell_hub.reports.panels import KINDS, NAMES_MAX, RUNS_MAX, TEXT_CHARACTERS_MAX
from stepwell_store.errors import FilterError
from stepwell_store.queries.axis import SeriesRequestError, XAxis
from stepwell_store.queries.filter import parse_filter

WORD: Final = "stepwell"
_BYTES_MAX: Final = 16_384
AUTO: Final = "auto"
"""An axis: each metric over its own step metric, else over the step."""


class _BlockError(Exception):
    def __init__(self, line: int, field: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(line, field, message)


def is_panel(info: str) -> bool:
    """Return whether the words after the fence's marks make it a panel."""
    return info.split("{", 1)[0].split()[:1] == [WORD]


def read_panel(info: str, content: str, *, line: int) -> Block:
    """Return the block of one fence.

    Args:
        info: the text after the fence's first marks.
        line: of these marks, from 1.
    """
    source = content.rstrip("\n")
    try:
        kind, fields = _read(info, content, line)
    except _BlockError as error:
        return Block(line, problems=(error.problem,), source=source)
    values: dict[str, Any] = {}
    problems = []
    has_limit = "limit" in fields
    for field in kind.fields:
        at, given = fields.pop(field.name, (line, None))
        try:
            values[field.name] = _value(kind, field, given, at)
        except _BlockError as error:
            problems.append(error.problem)
    for name, (at, _) in fields.items():
        problems.append(Problem(at, name, _unknown(kind, name)))
    if not problems:
        problems += _together(kind, values, line)
    if problems:
        problems.sort(key=lambda each: each.line)
        return Block(line, problems=tuple(problems), source=source)
    if "limit" in values and not has_limit:
        values["limit"] = _limit(values)
    return Block(line, panel=kind.name, fields=values, source=source)


def _limit(values: dict[str, Any]) -> int:
    """Return the limit of a panel that gives none: groups need all runs, and so do named runs."""
    if values.get("group"):
        return RUNS_MAX
    return max(int(values["limit"]), len(values["ids"]))


def _together(kind: PanelKind, values: dict[str, Any], line: int) -> list[Problem]:
    """Return the problems of fields that are valid alone but not together."""
    if values.get("runs") and values.get("ids"):
        return [Problem(line, "ids", "set either runs or ids, not both")]
    if kind.name == "line" and not (values["metrics"] or values["match"]):
        message = "a line panel needs metrics, such as `metrics: val/loss`, or match"
        return [Problem(line, "metrics", message)]
    return []


def _read(info: str, content: str, line: int) -> tuple[PanelKind, dict[str, tuple[int, Any]]]:
    short = info.strip()[len(WORD) :].strip()
    if short and content.strip():
        raise _BlockError(
            line,
            "",
            "write the fields either in braces after ```stepwell, or in the lines below",
        )
    fields = _mapping(short, line) if short else _mapping(content, line + 1)
    at, name = fields.pop("panel", (line, None))
    known = ", ".join(KINDS)
    if not isinstance(name, str) or not name:
        raise _BlockError(
            at,
            "panel",
            f"the kind of panel is missing, such as `panel: line`; the kinds are {known}",
        )
    if name not in KINDS:
        raise _BlockError(
            at,
            "panel",
            f"unknown kind of panel {name!r}; the kinds are {known}{_near(name, KINDS)}",
        )
    return KINDS[name], fields


def _mapping(text: str, first_line: int) -> dict[str, tuple[int, Any]]:
    """Return each field's line and value: a text, or a list of texts."""
    if len(text.encode()) > _BYTES_MAX:
        raise _BlockError(first_line, "", f"a panel may have at most {_BYTES_MAX:,} bytes")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = first_line + (mark.line if mark is not None else 0)
        raise _BlockError(
            at,
            "",
            f"{error.problem or error.context or 'not YAML'}; write `name: value` in each "
            "line, and a value with special characters in quotes",
        ) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _BlockError(first_line, "", f"not YAML: {str(error).splitlines()[0]}") from error
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise _BlockError(first_line, "", "write `name: value` in each line, such as `panel: line`")
    found: dict[str, tuple[int, Any]] = {}
    for key, value in root.value:
        at = first_line + key.start_mark.line
        if not isinstance(key, yaml.ScalarNode):
            raise _BlockError(at, "", "expected a word as the name of a field")
        if key.value in found:
            raise _BlockError(at, key.value, f"{key.value} appears twice")
        found[key.value] = (at, _plain(value, at, key.value))
    return found


def _plain(node: yaml.Node, line: int, name: str) -> str | list[str]:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(
        isinstance(each, yaml.ScalarNode) for each in node.value
    ):
        return [str(each.value) for each in node.value]
    raise _BlockError(line, name, f"{name}: expected a text or a list of texts")


# ---------------------------------------------------------------------- one field


def _value(kind: PanelKind, field: Field, given: str | list[str] | None, line: int) -> Any:
    if given is None or given in ("", []):
        if field.required:
            raise _BlockError(
                line, field.name, f"a {kind.name} panel needs `{field.name}`: {field.about}"
            )
        return list(field.default) if isinstance(field.default, tuple) else field.default
    if field.type in ("names", "paths"):
        return _names(field, given, line)
    if isinstance(given, list):
        raise _BlockError(line, field.name, f"{field.name}: expected one value, not a list")
    text = _text(field, given, line)
    match field.type:
        case "integer" | "number":
            return _number(field, text, line)
        case "choice":
            if text not in field.choices:
                message = f"{field.name}: {text!r} is not one of {', '.join(field.choices)}"
                raise _BlockError(line, field.name, message + _near(text, field.choices))
            return text
        case "filter":
            _check_filter(field, text, line)
        case "axis" if text != AUTO:
            try:
                XAxis.parse(text)
            except SeriesRequestError as error:
                raise _BlockError(line, field.name, f"{field.name}: {error}; or auto") from error
    return text


def _names(field: Field, given: str | list[str], line: int) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given
    names = [_text(field, part.strip(), line) for part in parts if part.strip()]
    if len(names) > NAMES_MAX:
        message = f"{field.name}: {len(names)} names; the maximum is {NAMES_MAX}"
        raise _BlockError(line, field.name, message)
    return list(dict.fromkeys(names))


def _text(field: Field, text: str, line: int) -> str:
    if len(text) > TEXT_CHARACTERS_MAX:
        message = f"{field.name}: {len(text):,} characters; the maximum is {TEXT_CHARACTERS_MAX:,}"
        raise _BlockError(line, field.name, message)
    return text


def _number(field: Field, text: str, line: int) -> float:
    assert field.low is not None
    assert field.high is not None
    what = "an integer" if field.type == "integer" else "a number"
    try:
        value = int(text) if field.type == "integer" else float(text)
    except ValueError:
        raise _BlockError(line, field.name, f"{field.name}: {text!r} is not {what}") from None
    if not math.isfinite(value) or not field.low <= value <= field.high:
        message = f"{field.name}: {text} is not {what} from {field.low:g} to {field.high:g}"
        raise _BlockError(line, field.name, message)
    return value


def _check_filter(field: Field, text: str, line: int) -> None:
    try:
        parse_filter(text)
    except FilterError as error:
        where = f" (at character {error.position + 1})" if error.position is not None else ""
        raise _BlockError(line, field.name, f"{field.name}: {error.message}{where}") from error


def _unknown(kind: PanelKind, name: str) -> str:
    known = [field.name for field in kind.fields]
    message = f"a {kind.name} panel has no field {name!r}; the fields are {', '.join(known)}"
    return message + _near(name, known)


def _near(word: str, known: Any) -> str:
    found = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {found[0]}?" if found else ""
