"""Checks the answer of a sampler. Pure: takes an answer, returns its valid part and its
problems."""

import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from stepwell_daemon.samplers.protocol import (
    DEVICES_MAX,
    LABEL_BYTES_MAX,
    NAME_BYTES_MAX,
    VALUES_MAX,
    Condition,
    Device,
    Reading,
)

_SHOWN_CHARACTERS = 80
_TEXT_CHARACTERS = 400
_FACTS_MAX = 16


@dataclass(frozen=True, slots=True)
class Checked:
    """The valid parts of an answer, and one sentence for each part that is invalid."""

    readings: tuple[Reading, ...] = ()
    problems: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


def check_answer(answer: Iterable[Reading | Condition]) -> Checked:
    """Return the valid part of ``answer``.

    A value that is not a finite number is invalid: a driver must leave out an unknown value. The
    parts beside an invalid one are kept. Readings with the same label are merged.

    Raises:
        Exception: any, from the objects in ``answer``.
    """
    if not isinstance(answer, Iterable):
        return Checked(problems=(f"the answer is {_shown(answer)}; expected readings",))
    problems: list[str] = []
    conditions: dict[tuple[str, str], Condition] = {}
    found: dict[str, tuple[Device, dict[str, float]]] = {}
    for reading in islice(answer, 2 * DEVICES_MAX + 1):
        if isinstance(reading, Condition) and len(conditions) < DEVICES_MAX:
            condition = _plain_condition(reading)
            conditions[condition.device.label, condition.state] = condition
            continue
        if len(found) == DEVICES_MAX:
            problems.append(f"more than {DEVICES_MAX} devices; ignoring the others")
            break
        if not isinstance(reading, Reading) or not isinstance(reading.device, Device):
            problems.append(f"{_shown(reading)} is not a Reading")
            continue
        device = reading.device
        if problem := _text_problem("label", device.label, LABEL_BYTES_MAX):
            problems.append(problem)
            continue
        if not isinstance(reading.values, Mapping):
            problems.append(f"device {device.label!r}: {_shown(reading.values)} is not a mapping")
            continue
        known = found.setdefault(device.label, (_plain(device), {}))[1]
        _take_values(device.label, reading.values, known, problems)
    readings = (Reading(device, values) for device, values in found.values() if values)
    return Checked(tuple(readings), tuple(problems), tuple(conditions.values()))


def _take_values(
    label: str, values: Mapping[str, float], known: dict[str, float], problems: list[str]
) -> None:
    for name, value in islice(values.items(), VALUES_MAX + 1):
        if name in known:
            problems.append(f"device {label!r}: {name!r} appears twice; using the first")
        elif len(known) == VALUES_MAX:
            problems.append(f"device {label!r}: more than {VALUES_MAX} values")
            break
        elif problem := _text_problem("metric name", name, NAME_BYTES_MAX) or _value_problem(value):
            problems.append(f"device {label!r}: {_shown(name)}: {problem}")
        elif not name:
            problems.append(f"device {label!r}: a metric without a name")
        else:
            known[str(name)] = float(value)


def _text_problem(what: str, text: object, bytes_max: int) -> str:
    if not isinstance(text, str):
        return f"the {what} {_shown(text)} is not a text"
    if not text.isprintable():  # Lone surrogates are not printable, so the rest has an encoding.
        return f"the {what} {text[:_SHOWN_CHARACTERS]!r} has characters that are not printable"
    if len(text.encode()) > bytes_max:
        return f"the {what} {text[:_SHOWN_CHARACTERS]!r} has more than {bytes_max} bytes"
    return ""


def _value_problem(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return f"{_shown(value)} is not a number"
    try:
        finite = math.isfinite(value)
    except OverflowError:  # An integer beyond the range of a float.
        finite = False
    return "" if finite else f"{_shown(value)} is not finite"


def _plain(device: Device) -> Device:
    """Return ``device`` with printable texts, also for invalid values of a sampler."""
    facts = tuple((_shown_text(name), _shown_text(fact)) for name, fact in device.facts)
    return Device(
        _shown_text(device.kind),
        str(device.label),
        _shown_text(device.id),
        _shown_text(device.name),
        facts[:_FACTS_MAX],
    )


def _plain_condition(condition: Condition) -> Condition:
    device = condition.device
    return Condition(
        replace(_plain(device), label=_shown_text(device.label)),
        _shown_text(condition.state),
        _shown_text(condition.text, _TEXT_CHARACTERS),
        bool(condition.is_problem),
    )


def _shown_text(text: object, characters: int = _SHOWN_CHARACTERS) -> str:
    return str(text)[:characters].encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARACTERS]
