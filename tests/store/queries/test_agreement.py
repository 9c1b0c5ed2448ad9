"""The expressions by which the engine filters and sorts agree with the values that runs show.

A summary is defined in Python (stepwell_store/summary.py) and, for filters, in SQL
(queries/slots.py). Runs of random events are made, and both are asked.
"""

import math
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from stepwell_store import Store, WriterInfo
from stepwell_store.attributes import value_at
from stepwell_store.queries import get_run, list_runs
from stepwell_wire.rows import DecodedRecords
from tests.store.made import build, decoded, event, fresh_project, insert, rows, writer
from tests.store.queries.made import at_us, configure, define, start, summarise

RUNS: Final = 25
_METRICS: Final = ("loss", "acc", "val.loss")
_PATHS: Final = (
    *("loss", "acc", "acc.max", "acc.last", "val.loss", "loss.min"),
    *("best.epoch", "lr", "opt.lr", "opt"),
    *("_step", "_timestamp", "_runtime"),
)
_MISSING: Final = object()


_Part = tuple[WriterInfo, DecodedRecords]


def made(dice: random.Random, project: str, run_id: str) -> Iterator[_Part]:
    """Yield what one run's writer sends, in order."""
    who = writer(project, run_id)
    yield who, decoded(events=[start(run_id)])
    for second in range(1, dice.randint(2, 9)):
        yield who, change(dice, second)
        if dice.random() < 0.5:
            values: dict[str, Any] = {"lr": dice.choice([0.1, 3, "auto", True, None])}
            values |= dice.choice([{}, {"opt": {"lr": second}}, {"opt": dice.choice([1, "x"])}])
            yield who, decoded(events=[configure(values, at=second)])
        if dice.random() < 0.2:
            yield who, decoded(events=[configure({}, at=second + 0.5, delete=("opt",))])


def change(dice: random.Random, second: int) -> DecodedRecords:
    match dice.randrange(6):
        case 0 | 1:
            values = [dice.choice([1.0, 2.0, 0.5, math.nan, math.inf]) for _ in range(2)]
            steps = sorted(dice.sample(range(20), 2))
            times = [at_us(second), at_us(second) + 1]
            return decoded([rows(dice.randrange(3), steps, values, times=times)])
        case 2:
            name = dice.choice(["loss", "acc", "best", "val.loss"])
            value: Any = {"epoch": second} if name == "best" else dice.choice([7, "text", None])
            return decoded(events=[summarise({name: value}, at=second)])
        case 3:
            gone = (dice.choice(["loss", "best", "val"]),)
            return decoded(events=[summarise({}, at=second, delete=gone)])
        case 4:
            name = dice.choice(["loss", "acc", "l*"])
            known = ["min", "max", "mean", "first", "last", "best", "copy"]
            operations = dice.sample(known, 2)
            operations = dice.choice([operations, ["none"], ["last"], ["min"], ["copy"]])
            return decoded(events=[define(name, *operations, at=second, goal="maximize")])
    text = {"values": {"acc": dice.choice(["a", "b", None])}}
    return decoded(events=[event("values", text, step=dice.randrange(20), time_us=at_us(second))])


def compared(value: Any) -> Any:
    """Return what a value is compared by: of operations the first."""
    if isinstance(value, dict) and set(value) <= {"min", "max", "mean", "first", "last", "best"}:
        return next(iter(value.values()), _MISSING)
    return value


def order_of(value: Any, *, is_reversed: bool) -> tuple[Any, ...]:
    """Return the key by which the value sorts: numbers, NaN, texts, nothing."""
    sign = -1 if is_reversed else 1
    if isinstance(value, bool | int | float):
        return (1,) if math.isnan(value) else (0, sign * float(value))
    if isinstance(value, str):
        return (2, [sign * each for each in value.encode()] + [0] * (not is_reversed))
    return (3,)


@pytest.mark.parametrize("seed", range(4))
def test_filters_and_orders_agree_with_what_runs_show(store: Store, seed: int):
    dice = random.Random(seed)
    project = fresh_project()
    parts = [part for number in range(RUNS) for part in made(dice, project, f"r{number:02}")]
    insert(store, build(*parts, schemas={n: (name,) for n, name in enumerate(_METRICS)}), project)
    listed = {run.run_id: run for run in list_runs(store, project, columns=_PATHS, limit=100).items}
    assert len(listed) == RUNS
    page = list_runs(store, project, columns=_PATHS, limit=100, as_compared=True)
    numbers = {run.run_id: run.columns for run in page.items}
    details = {run_id: get_run(store, project, run_id) for run_id in listed}
    configured = {path for path in _PATHS for d in details.values() if has(d.config, path)}
    for path in _PATHS:
        shown = {}
        for run_id, detail in details.items():
            nested = detail.config if path in configured else detail.summary
            value = value_at(nested, path, _MISSING)
            column = listed[run_id].columns.get(path, _MISSING)
            if not (isinstance(value, dict) and column is _MISSING):  # A subtree is no column.
                assert repr(column) == repr(value), (seed, run_id, path)
                number = numbers[run_id].get(path, _MISSING)
                assert repr(number) == repr(compared(value)), (seed, run_id, path)
            shown[run_id] = compared(value)
        missing = [
            run_id for run_id, value in shown.items() if order_of(value, is_reversed=False) == (3,)
        ]
        found = list_runs(store, project, filter=f"{path}:none", sort=("id",), limit=100).items
        assert [run.run_id for run in found] == sorted(missing), (seed, path)
        for is_reversed in (False, True):
            expected = sorted(
                shown, key=lambda each: (*order_of(shown[each], is_reversed=is_reversed), each)
            )
            sort = (f"{'-' * is_reversed}{path}", "id")
            got = [run.run_id for run in list_runs(store, project, sort=sort, limit=100).items]
            assert got == expected, (seed, path, is_reversed)


def has(nested: dict[str, Any], path: str) -> bool:
    value = value_at(nested, path, _MISSING)
    return value is not _MISSING
