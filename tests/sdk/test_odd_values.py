"""A value never raises, whatever its class does, and wherever it is given."""

import datetime
import enum
import ipaddress
import json
import math
import uuid
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stepwell._fields import attributes_of, fields_of
from stepwell._json_conversion import VALUE_BYTES_MAX, VALUE_ITEMS_MAX
from stepwell._json_values import as_json
from stepwell._values import split_values
from stepwell_wire.records import VALUES, pack_event
from tests.sdk.conftest import Start
from tests.sdk.held import read_journal
from tests.sdk.odd import ODD, HalfReadable
from tests.sdk.odd_types import INNER, Inner, Outer, Pair


def silent(kind: str, text: str) -> None: ...


@pytest.mark.parametrize("mode", ["offline", "disabled"])
@pytest.mark.parametrize("kind", ODD)
def test_no_value_raises_wherever_it_is_given(start: Start, kind: str, mode: str) -> None:
    value = ODD[kind]()
    run = start(mode=mode, config={"a": value}, name=value, notes=value, tags=[value])
    run.config.update({"a": value, "inside": [value, {"b": value}]})
    run.config["again"] = run.config["again"] = value
    run.config.update({"a": [value]}, allow_val_change=True)
    run.summary.update({"s": value, "inside": [{"b": value}]})
    run.log({"x": value, "y": [value], "z": {"b": value}, "loss": 0.5})
    run.log({"loss": value})
    run.log({"loss": 0.25})
    assert run.summary["loss"] == 0.25
    run.name = run.notes = value
    run.tags = [value]
    run.alert(value, value, value)
    try:
        keyed = {value: 1.0}
    except Exception:
        keyed = {}  # No key of a dict.
    run.log({**keyed})  # type: ignore[dict-item]
    run.config.update({"keyed": keyed})
    json.dumps([dict(run.summary), run._config._stored(), run.name, run.notes, run.tags])
    folder = run._journal_dir
    run.finish()
    if mode == "offline":
        held = read_journal(folder)
        assert held.bodies("finish")[0]["state"] == "finished"
        assert [each for each in held.series("loss") if each[1] in (0.5, 0.25)]


def test_a_row_that_cannot_be_read_takes_no_other_along(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    run.log(HalfReadable())
    run.log({"cfg": [HalfReadable()]})
    held = read_journal(run._journal_dir)
    text = "<cannot be read: RuntimeError: missing value>"
    assert held.texts("path") == [(0, text)]
    assert held.series("there") == [(0, 1.0)]
    assert held.texts("cfg") == [(1, [{"path": text, "there": 1}])]
    assert capfd.readouterr().err.count("missing value") == 1


# ---------------------------------------------------------------------------- kinds


class Colour(enum.Enum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Outer(), {"inner": INNER, "several": [{**INNER, "lr": 0.2}]}),
        (Pair(), {"left": 1, "right": 0.5}),
        (SimpleNamespace(a=SimpleNamespace(b=1)), {"a": {"b": 1}}),
        (Path("/data"), "/data"),
        (b"text", "text"),
        (b"\xff", "b'\\xff'"),
        (datetime.timedelta(minutes=1), 60.0),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.datetime64("NaT"), None),
        (np.complex64(1 + 2j), "(1+2j)"),
        (np.float32, "numpy.float32"),
        (np.float64(0.5), 0.5),
        (range(3), [0, 1, 2]),
        (deque([1, "a"]), [1, "a"]),
        ({"a": 1}.keys(), ["a"]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset(("b", "a")), ["a", "b"]),
        ({"b", 1}, [1, "b"]),
        ({1: "int", "1": "text"}, {"1": "int", "1 (str)": "text"}),
        (len, "len"),
        (Inner, "tests.sdk.odd_types.Inner"),
        (2**64, str(2**64)),
        ([2**63, 2**64], [2**63, str(2**64)]),
        ([1, None, True, 0.5], [1, None, True, 0.5]),
        (np.array([(1, 0.5)], [("a", int), ("b", float)]), [{"a": 1, "b": 0.5}]),
        (np.zeros((1, 2), [("a", int)]), [[{"a": 0}, {"a": 0}]]),
        (np.array([(1, 0.5)], [("a", int), ("b", float)])[0], {"a": 1, "b": 0.5}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_kinds_of_values(value: Any, kept: Any) -> None:
    made = as_json(value, silent)
    assert (type(made), made) == (type(kept), kept)


def test_the_text_of_an_object_is_the_same_in_every_process() -> None:
    """Else a resumed run would be told that its config has changed."""

    class Thing:
        pass

    assert as_json(Thing(), silent) == as_json(Thing(), silent)
    assert "0x" not in as_json([Thing(), lambda: 1], silent)[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.ma.masked, np.ma.array([1.5], mask=[True])])
def test_a_masked_number_is_nan(start: Start, value: Any) -> None:
    run = start(mode="offline")
    for _ in range(3):
        run.log({"masked": value, "loss": 1.0})
    run.finish()
    series = read_journal(run._journal_dir).series("masked")
    assert [math.isnan(number) for _, number in series] == [True] * 3


DAY = np.datetime64("2026-01-31", "ns")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (DAY, "2026-01-31T00:00:00"),
        (DAY + 1, "2026-01-31T00:00:00.000000001"),
        (np.array([DAY, "NaT"], "M8[ns]"), ["2026-01-31T00:00:00", None]),
        (np.array([[DAY + 1, "NaT"]], "M8[ns]"), [["2026-01-31T00:00:00.000000001", None]]),
        (np.array([1_500_000_000, 1], "m8[ns]"), [1.5, 1e-9]),
        (np.array([1, "NaT"], "m8[ns]"), [1e-9, None]),
        (
            np.array([(DAY, 1)], [("t", "M8[ns]"), ("n", "i4")]),
            [{"t": "2026-01-31T00:00:00", "n": 1}],
        ),
        (np.array((DAY, 1), [("t", "M8[ns]"), ("n", "i4")]), {"t": "2026-01-31T00:00:00", "n": 1}),
        (np.ma.array(np.array([DAY, DAY]), mask=[0, 1]), ["2026-01-31T00:00:00", None]),
    ],
)
def test_moments_of_numpy_are_no_large_numbers(value: object, kept: object) -> None:
    assert as_json(value, silent) == kept
    assert split_values({"x": value}, silent).others == {"x": kept}


class Named:
    def __str__(self) -> str:
        return "the name"


@pytest.mark.parametrize(
    ("value", "text", "said"),
    [
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005", ""),
        (ipaddress.ip_address("::1"), "::1", ""),
        (np.dtype("float32"), "float32", ""),
        (Named(), "the name", "Named is not a number or a JSON-like value; its str is kept"),
        (ValueError("x"), "ValueError('x')", "its repr is kept as text"),
        (slice(1, 2), "slice(1, 2, None)", "its repr is kept as text"),
    ],
)
def test_an_object_is_kept_as_the_text_that_its_class_has_for_people(
    value: object, text: str, said: str
) -> None:
    lines: list[str] = []
    assert as_json(value, lambda _, line: lines.append(line)) == text
    assert said in "".join(lines)
    assert bool(lines) == bool(said)


def test_a_duration_is_a_point_and_a_complex_number_is_none(offline: Start) -> None:
    run = offline()
    run.log({"took": datetime.timedelta(seconds=2), "z": np.complex64(1 + 2j), "pair": Pair()})
    held = read_journal(run._journal_dir)
    assert held.rows[0].values == {"took": 2.0, "pair.left": 1.0, "pair.right": 0.5}
    assert held.texts("z") == [(0, "(1+2j)")]


def test_what_other_packages_call_records() -> None:
    attributes = type("A", (), {"__attrs_attrs__": (SimpleNamespace(name="x"),), "x": 1})
    assert fields_of(attributes()) == {"x": 1}
    struct = type("S", (), {"__struct_fields__": ("y",), "y": 2})
    assert fields_of(struct()) == {"y": 2}
    model = type(
        "M", (), {"__module__": "pydantic.main", "__iter__": lambda self: iter([("z", 3)])}
    )
    assert fields_of(model()) == {"z": 3}
    names = {"keys": lambda self: ["k"], "__getitem__": lambda self, key: 4}
    mapping = type("D", (), {"__module__": "ml_collections.config_dict", **names})
    assert fields_of(mapping()) == {"k": 4}
    assert fields_of(Inner) is None
    assert fields_of([("a", 1)]) is None


def test_attributes_are_those_of_the_object_its_slots_and_its_class() -> None:
    class Base:
        __slots__ = ("a", "never_set")
        b = 2

        def method(self) -> None: ...

        @property
        def asked(self) -> int:
            raise AssertionError("a property is not asked")

    class Settings(Base):
        b = 3
        optimizer = dict

    made = Settings()
    made.a, made.own, made._private = 1, 4, 5  # type: ignore[attr-defined]
    assert attributes_of(made) == {"a": 1, "b": 3, "optimizer": dict, "own": 4}
    assert attributes_of(Settings) == {"b": 3, "optimizer": dict}


# ---------------------------------------------------------------------------- large ones


@pytest.mark.parametrize("count", [20_000, VALUE_ITEMS_MAX - 10])
@pytest.mark.parametrize("make", [float, int, str])
@pytest.mark.slow
def test_a_long_list_is_kept_whole(offline: Start, count: int, make: Any) -> None:
    items = [make(each) for each in range(count)]
    run = offline()
    run.log({"big": items})
    assert read_journal(run._journal_dir).texts("big") == [(0, items)]


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ([1.0] * 250_000, 1.0),
        ([["x" * 100_000]] * 100, ["x" * 100_000]),
        (["\U0001f600" * 200_000] * 10, "\U0001f600" * 200_000),
    ],
    ids=["items", "bytes", "wide"],
)
@pytest.mark.slow
def test_what_is_too_large_is_cut_and_said_once_by_its_name(
    offline: Start, value: list[Any], first: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    run.log({"big": value})
    run.log({"big": value})
    run.config["large"] = value
    held = read_journal(run._journal_dir)
    (_, kept), _ = held.texts("big")
    assert kept[0] == first
    assert kept[-1] == f"… ({len(value)} items)"
    assert held.bodies("config")[-1]["set"]["large"] == kept
    told = capfd.readouterr().err
    assert (told.count("'big' is too large"), told.count("'large' is too large")) == (1, 1)
    assert str(len(value)) in told or "bytes" in told


def test_the_largest_value_fits_into_an_event() -> None:
    value = as_json({str(i): ["é" * 1000] * 10 for i in range(5000)}, silent)
    record = pack_event(VALUES, {"values": {"n" * 512: value}}, step=0, time_us=0)
    assert VALUE_BYTES_MAX / 2 < len(record) < VALUE_BYTES_MAX * 1.2


def test_what_is_inside_of_itself_is_gone_into_once() -> None:
    """Each level would be twice as many names as the one before it."""
    node: dict[str, Any] = {"x": 1.0}
    node["parent"] = node["first"] = node
    items: list[Any] = [1]
    items += [items, items]
    found = split_values({"tree": node, "list": items}, lambda kind, text: None)
    again = "<the enclosing dict>"
    assert found.points == {"tree.x": 1.0}
    assert found.others == {
        "tree.parent": again,
        "tree.first": again,
        "list": [1, "<the enclosing list>", "<the enclosing list>"],
    }
    shared = {"y": 2.0}
    assert split_values({"a": shared, "b": {"c": shared}}, lambda kind, text: None).points == {
        "a.y": 2.0,
        "b.c.y": 2.0,
    }
