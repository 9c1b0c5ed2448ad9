"""`run.summary`: read and written by name, nested values too, at a cost that does not grow."""

import copy
import json
import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell import Image, Run, Table
from stepwell._summary import Summary
from stepwell._writer import Writer
from tests.sdk.conftest import Start
from tests.sdk.forks import in_fork
from tests.sdk.held import read_journal


def told(run: Run) -> list[dict[str, Any]]:
    return read_journal(run._journal_dir).bodies("summary")


def test_one_value_is_read_without_the_others(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dict(summary)` asks for one name after the other."""
    run = offline()
    for place in range(2000):
        run.log({f"m{place}": place})
    looks: list[int] = []
    look = Writer._look_for_rows

    def counted(writer: Writer) -> None:
        looks.append(1)
        look(writer)

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_look_for_rows", counted)
        patched.setattr(type(run.summary), "as_dict", lambda self: pytest.fail("all were read"))
        for place in range(2000):
            assert run.summary[f"m{place}"] == place
            assert f"m{place}" in run.summary
            assert run.summary.get(f"n{place}") is None
            run.summary[f"s{place}"] = place
    assert len(looks) <= 2
    run.log({"m0": -1})
    assert run.summary["m0"] == -1


def test_events_between_rows_hide_no_row(offline: Start) -> None:
    run = offline()
    for step in range(50):
        run.log({"x": float(step)})
        run.summary["best"] = step
        run.log({"y": float(step)})
        run.config[f"c{step}"] = 1
        assert (run.summary["x"], run.summary["y"], run.summary["best"]) == (step, step, step)
        assert run.summary["_step"] == 2 * step + 1


def test_nested_values_are_set_replaced_and_deleted(offline: Start) -> None:
    run = offline()
    run.summary.update({"best": {"loss": 1, "acc": 2}})
    run.summary["best"]["loss"] = 0.5
    del run.summary["best"]["acc"]
    run.flush()
    assert told(run)[-1] == {"set": {"best": {"loss": 0.5}}, "delete": ["best.acc"]}
    run.summary.update({"best": {"f1": 3}}, other=4)
    assert told(run)[-1] == {"set": {"best": {"f1": 3}, "other": 4}, "delete": ["best.loss"]}
    run.summary["best"] = 7
    assert told(run)[-1] == {"set": {"best": 7}, "delete": ["best.f1"]}
    run.summary.best = {"late": 1}
    run.summary["best"]["later"] = 2
    run.finish()
    assert told(run)[-1]["set"] == {"best": {"late": 1, "later": 2}}


@pytest.mark.parametrize(
    "read",
    [
        lambda summary: summary["best"]["loss"],
        lambda summary: summary.get("best"),
        lambda summary: "best" in summary,
        lambda summary: dict(summary),
    ],
)
def test_a_nested_value_that_is_read_after_its_change_is_stored(
    offline: Start, read: Callable[[Summary], object]
) -> None:
    run = offline()
    run.summary["best"] = {"loss": 9.0}
    for loss in (3.0, 2.0):
        read(run.summary)
        run.summary["best"]["loss"] = loss
        read(run.summary)
    run.finish()
    assert told(run)[-1] == {"set": {"best": {"loss": 2.0}}}


def test_names_are_those_of_log(offline: Start, capfd: pytest.CaptureFixture[str]) -> None:
    run = offline()
    name = "caf\udce9" + "x" * 600
    run.log({name: 1.0, 5: 2.0})
    assert (run.summary[name], run.summary[5], name in run.summary) == (1.0, 2.0, True)  # type: ignore[index]
    run.summary[name] = 3.0
    (body,) = told(run)
    assert list(body["set"]) == list(read_journal(run._journal_dir).rows[0].values)[:1]
    assert run.summary[name] == 3.0
    del run.summary[name]
    assert name not in run.summary
    run.define_metric(name, summary="max")
    run.log({name: 5.0})
    run.log({name: 4.0})
    assert run.summary[name] == {"max": 5.0}


def test_a_name_without_a_value_has_those_below_it(offline: Start) -> None:
    run = offline()
    run.define_metric("val.loss", summary="min")
    run.log({"val": {"acc": 0.5, "loss": 2.0, "deep": {"a": 1.0}}, "val.acc.top": 1.0, "value": 1})
    expected = {"acc": 0.5, "acc.top": 1.0, "loss": {"min": 2.0}, "deep": {"a": 1.0}}
    found = run.summary["val"]
    assert found == run.summary.get("val") == run.summary.val == expected
    assert ("val" in run.summary, "va" in run.summary, "val.deep" in run.summary) == (
        True,
        False,
        True,
    )
    assert run.summary["val.deep"] == {"a": 1.0}
    assert "val" not in run.summary.keys()  # noqa: SIM118
    assert (type(copy.deepcopy(found)), json.loads(json.dumps(found))) == (dict, expected)
    with pytest.raises(KeyError, match="no value 'deep'"):
        run.summary["deep"]
    with pytest.raises(TypeError, match="expected a dict, not int"):
        run.summary.update(5)


def test_a_change_below_a_name_changes_the_summary(offline: Start) -> None:
    run = offline()
    run.log({"val": {"acc": 0.5, "loss": 2.0, "deep": {"a": 1.0}}, "plain": 1.0})
    held = run.summary["val"]
    held["acc"] = 0.75
    held["deep"]["b"] = 3
    held |= {"new": {"x": 1}}
    held["new"]["x"] = 2
    assert held.pop("loss") == 2.0
    expected = {"acc": 0.75, "deep": {"a": 1.0, "b": 3}, "new": {"x": 2}}
    assert held == run.summary["val"] == expected
    with pytest.raises(KeyError):
        del held["loss"]
    run.flush()
    assert told(run)[-1]["set"] == {"val.new": {"x": 2}}
    del run.summary["val"]
    assert "val" not in run.summary
    assert told(run)[-1]["delete"] == [
        "val.acc",
        "val.deep.a",
        "val.deep.b",
        "val.new",
        "val.new.x",
    ]
    run.log({"val.acc": 0.25})
    assert values_of(run) == {"val.acc": 0.25, "plain": 1.0}
    held = run.summary["val"]
    run.finish()
    held["acc"] = 1.0
    assert held == run.summary["val"] == {"acc": 0.25}


def test_a_copy_is_a_dict(offline: Start) -> None:
    run = offline()
    run.summary["a"] = [1]
    held = run.summary
    for copied in (copy.copy(held), copy.deepcopy(held), pickle.loads(pickle.dumps(held))):
        assert (type(copied), copied["a"]) == (dict, [1])
    assert ([1] in held.values(), ("a", [1]) in held.items()) == (True, True)


def test_two_values_with_one_path_are_named_once(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    run.log({"val.loss": 1.0})
    run.summary["a.b"] = 4
    run.summary.update({"a.c": 1, "val.acc": 2, "other": {"b": 9}})
    run.summary["gone.b"] = 1
    del run.summary["gone.b"]
    run.summary["gone"] = {"b": 1}
    assert "have a value at" not in capfd.readouterr().err
    for _ in range(2):
        run.summary["a"] = {"b": 9}
        run.summary["val"] = {"loss": 3}
        run.summary["late"] = {}
        run.summary["late.x"] = 1
        run.summary["late"]["x"] = 2
        run.flush(0)
    said = capfd.readouterr().err
    for key, other, path in (
        ("a", "a.b", "a.b"),
        ("val", "val.loss", "val.loss"),
        ("late", "late.x", "late.x"),
    ):
        line = f"summary {key!r} and {other!r} both have a value at {path}, of which the store"
        assert said.count(line) == 1
    assert said.count("have a value at") == 3


def test_a_nested_change_that_gives_two_config_values_one_path_is_named(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline(config={"a.b": 1, "a": {"c": 2}})
    run.config["a"]["b"] = 3
    run.flush(0)
    assert "config 'a' and 'a.b' both have a value at a.b" in capfd.readouterr().err


def values_of(run: Run) -> dict[str, Any]:
    found, again = dict(run.summary), run.summary.as_dict()
    assert found == again | {"_runtime": found["_runtime"]}  # The time has gone on.
    return {name: value for name, value in found.items() if name[0] != "_"}


def test_none_and_texts_hide_no_value(offline: Start) -> None:
    run = offline()
    run.define_metric("best", summary="max,last")
    run.define_metric("hidden", summary="none")
    run.log({"best": 4.0, "plain": 1.0, "text": "a", "hidden": "a", "only": None})
    run.log({"best": None, "plain": None, "text": None})
    assert values_of(run) == {"best": {"max": 4.0, "last": 4.0}, "plain": 1.0, "text": "a"}
    assert "only" not in run.summary
    run.log({"best": "n/a", "plain": "n/a"})
    assert values_of(run)["best"] == {"max": 4.0, "last": 4.0}
    assert values_of(run)["plain"] == "n/a"
    run.log({"best": math.inf})
    assert values_of(run)["best"] == {"max": 4.0, "last": math.inf}


def test_a_value_by_hand_hides_operations_until_the_next_log(offline: Start) -> None:
    run = offline()
    run.define_metric("best", summary="max")
    for later in (3.0, "n/a"):
        run.log({"best": 5.0})
        run.summary["best"] = 1
        run.log({"best": None})
        assert values_of(run) == {"best": 1}
        run.log({"best": later})
        assert values_of(run) == {"best": {"max": 5.0}}


def test_a_metric_without_a_summary_keeps_the_value_by_hand(offline: Start) -> None:
    run = offline(id="kept")
    run.define_metric("acc", summary="none")
    run.define_metric("val/*", summary="none")
    run.summary.update({"acc": 0.9, "val/a": "best of all", "val/b": 1})
    run.log({"acc": 0.1, "val/a": 1.0, "val/b": 2.0, "val/c": 3.0})
    assert values_of(run) == {"acc": 0.9, "val/a": "best of all", "val/b": 1}
    del run.summary["val/b"]
    run.log({"val/b": 2.0})
    assert "val/b" not in run.summary
    run.finish()
    again = offline(id="kept", resume="must")
    again.log({"acc": 0.2})
    assert values_of(again) == {"acc": 0.9, "val/a": "best of all"}


def test_to_delete_what_is_not_there_is_no_error(offline: Start) -> None:
    run = offline()
    run.log({"val.acc": 1.0})
    del run.summary["nothing"]
    del run.summary.nothing
    assert values_of(run) == {"val.acc": 1.0}


def test_none_by_hand_is_a_value(offline: Start) -> None:
    run = offline()
    run.log({"loss": 1.0})
    run.summary["best"] = None
    run.summary["loss"] = None
    assert values_of(run) == {"best": None, "loss": None}
    assert run.summary["best"] is None
    assert "best" in run.summary
    assert run.summary.get("best", 3) is None
    del run.summary["best"]
    assert "best" not in run.summary
    run.log({"loss": 2.0})
    assert values_of(run) == {"loss": 2.0}


def test_a_deletion_names_each_path_and_keeps_other_names(offline: Start) -> None:
    run = offline()
    run.summary["m"] = {"a": {"b": 1}, "c": 2}
    del run.summary["m"]["c"]
    del run.summary["m"]
    assert told(run)[-1] == {"set": {}, "delete": ["m", "m.a.b", "m.c"]}
    run.summary["m"] = {"a": 1, "c": 2}
    del run.summary["m"]["c"]
    run.summary["m"] = 3
    assert told(run)[-1] == {"set": {"m": 3}, "delete": ["m.a", "m.c"]}
    run.log({"m.x": 4.0})
    del run.summary["m"]
    assert told(run)[-1] == {"set": {"m.x": 4.0}, "delete": ["m"]}
    assert values_of(run) == {"m.x": 4.0}


def staged_in(run: Run) -> set[str]:
    return {path.name.removeprefix("blob-") for path in Path(run._journal_dir).glob("blob-*")}


def test_media_are_kept_at_the_step_of_the_last_row(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    run.log({"loss": 0.5}, step=7)
    table = Table(columns=["n", "picture"], data=[[1, Image([[0, 255]])]])
    run.summary["rows"] = table
    run.summary.update({"best": {"picture": Image([[0, 1]], caption="cat"), "acc": 0.9}})
    run.summary["all"] = [Image([[0]]), Image([[1]])]
    held = read_journal(run._journal_dir)
    ((step, rows),) = held.texts("rows")
    ((_, picture),) = held.texts("best.picture")
    ((_, pictures),) = held.texts("all")
    assert (step, rows["_type"]) == (7, "table-file")
    assert (picture["caption"], pictures["count"]) == ("cat", 2)
    ids = {rows["blob"], picture["blob"], *(each["blob"] for each in pictures["items"])}
    assert ids < staged_in(run)
    assert len(staged_in(run)) == 5  # And the one in the cell.
    sent = [body["set"] for body in told(run)]
    assert sent == [{"rows": rows}, {"best": {"picture": picture, "acc": 0.9}}, {"all": pictures}]
    assert sorted(run.summary.keys()) == [
        *("_runtime", "_step", "_timestamp", "all", "best", "loss", "rows")
    ]
    assert run.summary["best"] == {"picture": picture, "acc": 0.9}
    run.log({"loss": 0.4})
    assert run.step == 8
    run.finish()
    assert "media" not in capfd.readouterr().err


def test_media_of_the_summary_are_older_than_the_last_row(offline: Start) -> None:
    """The row keeps its time, and the medium that it has under the same name."""
    run = offline()
    run.log({"picture": Image([[0]])}, commit=False)
    time.sleep(0.002)
    run.log({"loss": 0.5}, commit=False)
    run.summary["picture"] = Image([[1]])
    run.summary["picture"] = Image([[2]])
    assert run.step == 0
    run.log({"loss": 0.4})
    run.log({"loss": 0.3, "picture": Image([[3]])})
    run.summary["picture"] = Image([[4]])
    run.summary["other"] = Image([[5]])
    held = read_journal(run._journal_dir)
    pictures = held.places("picture")
    assert [step for step, _ in pictures] == [0, 0, 0, 1, 1]
    logged, first, second, last, after = (time_us for _, time_us in pictures)
    assert logged - 1000 <= first < second < logged
    assert last - 1000 <= after < last
    assert held.rows[-1].time_us == last
    assert after < held.places("other")[0][1] < last
    assert (run.step, run._writer.next_step) == (2, 2)


def test_media_of_the_summary_before_the_first_row_are_at_step_0(offline: Start) -> None:
    run = offline(id="a")
    run.summary["picture"] = Image([[0]])
    assert (run.step, run._writer.next_step) == (0, 0)
    folder = run._journal_dir
    run.finish()
    again = offline(id="a", resume="must")
    again.summary["picture"] = Image([[1]])
    again.log({"loss": 0.5})
    ((step, time_us),) = read_journal(folder).places("picture")
    held = read_journal(again._journal_dir)
    ((again_step, again_us),) = held.places("picture")
    assert (step, again_step, held.rows[0].step) == (0, 0, 0)
    assert time_us < again_us < held.rows[0].time_us


def test_media_of_the_summary_of_a_resumed_run_are_in_its_last_row(offline: Start) -> None:
    run = offline(id="a")
    run.log({"loss": 0.5}, step=7)
    run.log({"loss": 0.4, "picture": Image([[0]])}, step=8)
    folder = run._journal_dir
    run.finish()
    row = read_journal(folder).rows[-1]
    time.sleep(0.01)
    for _ in range(3):
        again = offline(id="a", resume="must")
        again.summary["picture"] = Image([[1]])
        assert (again.starting_step, again.step, again._writer.next_step) == (9, 9, 9)
        folder = again._journal_dir
        assert again.summary["_timestamp"] == row.time_us / 1e6
        again.finish()
        ((step, time_us),) = read_journal(folder).places("picture")
        assert step == 8
        assert row.time_us - 1000 <= time_us < row.time_us
    last = offline(id="a", resume="must")
    last.log({"loss": 0.3})
    last.summary["picture"] = Image([[2]])
    held = read_journal(last._journal_dir)
    ((step, time_us),) = held.places("picture")
    assert step == held.rows[0].step == 9
    assert time_us < held.rows[0].time_us


def test_a_medium_inside_a_nested_value_is_kept_once(offline: Start) -> None:
    run = offline()
    run.summary["best"] = {"acc": 0.9}
    run.summary["best"]["picture"] = Image([[0, 255]])
    run.summary["all"] = []
    run.summary["all"].append(Image([[0, 255]]))
    for _ in range(3):
        run._look()
    held = read_journal(run._journal_dir)
    ((_, picture),) = held.texts("best.picture")
    ((_, pictures),) = held.texts("all")
    assert staged_in(run) == {picture["blob"], pictures["items"][0]["blob"]}
    assert run.summary["best"] == {"acc": 0.9, "picture": picture}
    assert run.summary["all"] == pictures
    run.summary["again"] = run.summary["best"]  # A value that was read refers to stored bytes.
    assert not read_journal(run._journal_dir).texts("again.picture")


def test_media_of_a_forked_child_are_beside_its_own_journal(daemon: Any, start: Start) -> None:
    run = start()

    def work() -> None:
        run.summary["picture"] = Image([[0, 255]])
        ((step, time_us),) = read_journal(run._journal_dir).places("picture")
        assert step == 5
        assert time_us < logged_us
        assert run._writer.next_step == 6
        run.finish()

    run.log({"loss": 0.5}, step=4)
    run.log({"loss": 0.5}, step=5, commit=True)
    logged_us = read_journal(run._journal_dir).rows[-1].time_us
    assert in_fork(work) == 0
    assert run._writer.next_step == 6
    run.finish()
    (kept,) = daemon.blobs.values()
    assert kept.header.label != ""


def test_media_of_a_run_that_has_ended_are_not_staged(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    folder = run._journal_dir
    run.finish()
    run.summary["picture"] = Image([[0, 255]])
    assert not list(Path(folder).glob("blob-*"))
    assert "summary" in capfd.readouterr().err


def test_whole_numbers_are_ints_and_stored_as_they_were(offline: Start) -> None:
    run = offline()
    for name in ("low", "mean", "first", "last"):
        run.define_metric(name, summary="min,last" if name == "low" else name)
    run.define_metric("best", summary="best", goal="maximize")
    names = ("epoch", "low", "high", "mean", "first", "last", "best")
    for value in (4.0, 2.0):
        run.log(dict.fromkeys(names, value) | {"nested": {"n": value}})
    run.log({"zero": -0.0, "large": 2.0**53, "odd": math.inf, "none": math.nan, "part": 0.5})
    run.summary["mine"] = 3.0
    shown = run.summary.as_dict()
    found = {name: shown[name] for name in (*names, "nested.n", "mine")}
    assert repr(found) == repr(
        {
            "epoch": 2,
            "low": {"min": 2, "last": 2},
            "high": 2,
            "mean": {"mean": 3.0},
            "first": {"first": 4},
            "last": 2,
            "best": {"best": 4},
            "nested.n": 2,
            "mine": 3,
        }
    )
    for name, value in found.items():
        assert repr(run.summary[name]) == repr(run.summary.get(name)) == repr(value)
    assert repr(run.summary["nested"]) == "{'n': 2}"
    odd = [shown[name] for name in ("zero", "large", "odd", "none", "part")]
    assert repr(odd) == "[-0.0, 9007199254740992.0, inf, nan, 0.5]"
    assert isinstance(shown["_timestamp"], float)
    run.finish()
    held = read_journal(run._journal_dir)
    assert repr(held.bodies("summary")) == "[{'set': {'mine': 3.0}}]"
    notes = Path(run._journal_dir).parent / ".runs" / run.project / f"{run.id}.json"
    assert repr(json.loads(notes.read_text())["summary"]["epoch"]) == "2.0"
