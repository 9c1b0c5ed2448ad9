"""What `Api` reads of a real hub."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stepwell
from stepwell._hub_client import Hub
from stepwell.api import Api
from stepwell.api._place import find_place
from stepwell.api._run import Summary
from stepwell.errors import (
    FilterError,
    HubAccessError,
    HubError,
    MissingPackageError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from stepwell.testing import RecordingDaemon
from stepwell_store import queries
from stepwell_store.errors import QueryTimeoutError
from stepwell_wire.hub_access import ensure_key
from stepwell_wire.page_file import note_page
from tests.api.conftest import World
from tests.hub.made import make_run
from tests.store.made import (
    START_US,
    build,
    decoded,
    event,
    fresh_project,
    insert,
    log,
    rows,
    tell,
    writer,
)


@pytest.fixture(scope="module")
def project(world: World) -> str:
    """Five runs, one a minute, of growing `lr`."""
    name = fresh_project()
    for number in range(5):
        make_run(
            world.store,
            name,
            f"r{number}",
            name=f"run {number}",
            config={"lr": number / 10, "deep": {"a": [1, 2]}},
            steps=100,
            metrics=("loss", "acc"),
            started_us=START_US + number * 60_000_000,
        )
    return name


def test_projects_and_one_of_them(world: World, project: str) -> None:
    assert project in [each.name for each in world.api.projects(per_page=1)]
    found = world.api.project(f"somebody/{project}")
    assert (found.run_count, found.url) == (5, f"{world.url}/p/{project}")
    with pytest.raises(NotFoundError, match=f"did you mean .*'{project}'"):
        world.api.project(f"{project}x")


def test_names_with_dots_come_back_as_they_were_set(world: World) -> None:
    name, config = fresh_project(), {"optimizer.lr": 0.1, "optimizer": {"name": "adam"}, "n": 1}
    make_run(world.store, name, "r", config=config, steps=0)
    tell(world.store, writer(name, "r"), event("summary", {"set": {"best.acc": 1}}))
    run = world.api.run(f"{name}/r")
    assert run.config == config
    assert run.summary["best.acc"] == 1
    assert [each.id for each in world.api.runs(name, {"config.optimizer.lr": 0.1})] == ["r"]
    later = {"set": {"optimizer": {"lr": 0.2}}}
    tell(world.store, writer(name, "r"), event("config", later, time_us=START_US + 9_000_000))
    assert run.load(force=True)["config"] == {"optimizer": {"lr": 0.2, "name": "adam"}, "n": 1}


def test_runs_are_read_a_page_at_a_time(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    ask = Hub.ask
    monkeypatch.setattr(Hub, "ask", lambda *a, **k: (asked.append(a), ask(*a, **k))[1])
    runs = world.api.runs(f"me/{project}", per_page=2)
    assert asked == []
    assert [runs[0].id, runs[1].id, len(asked)] == ["r0", "r1", 1]
    assert (len(runs), runs[2].id, len(asked)) == (5, "r2", 2)
    assert [run.id for run in runs] == [f"r{number}" for number in range(5)]
    assert runs[-1].id == "r4"
    assert [run.id for run in runs[1:3]] == ["r1", "r2"]
    with pytest.raises(IndexError):
        runs[5]


def test_a_trial_has_its_sweep(world: World, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, config = fresh_project(), {"method": "grid", "parameters": {"x": {"values": [1, 2]}}}
    hub = Hub(world.url, world.key)
    sweep = hub.post("/sweeps", {"project": name, "config": config, "key": name})
    for run_id, sweep_id in (("trial", sweep["id"]), ("orphan", "gone0000")):
        make_run(world.store, name, run_id, steps=0)
        tell(world.store, writer(name, run_id), event("run", {"sweep": sweep_id}))
    listed = {run.id: run for run in world.api.runs(name)}
    asked: list[Any] = []
    ask = Hub.ask
    monkeypatch.setattr(Hub, "ask", lambda *a, **k: (asked.append(a), ask(*a, **k))[1])
    run = listed["trial"]
    assert run.sweep
    assert run.sweep is run.sweep
    assert len(asked) == 1
    assert (run.sweep.id, run.sweep.method, run.sweep_name) == (sweep["id"], "grid", sweep["id"])
    assert (listed["orphan"].sweep, listed["orphan"].sweep_name) == (None, "gone0000")
    asked.clear()
    plain = world.api.run(f"{project}/r1")
    assert (plain.sweep, plain.sweep_name, len(asked)) == (None, None, 1)


def test_filters_and_orders(world: World, project: str) -> None:
    def ids(*args: Any, **named: Any) -> list[str]:
        return [run.id for run in world.api.runs(project, *args, **named)]

    assert ids({"config.lr": {"$gte": 0.3}}, order="-config.lr") == ["r4", "r3"]
    assert ids("lr<0.2", order="+display_name") == ["r0", "r1"]
    assert ids({"created_at": {"$gt": "2023-11-14T22:16:00"}}) == ["r3", "r4"]
    with pytest.raises(FilterError, match="no such field"):
        world.api.runs(project, {"lr": 1})
    with pytest.raises(HubError, match="value is missing") as caught:
        list(world.api.runs(project, "lr<"))
    assert caught.value.code == "filter_invalid"
    with pytest.warns(UserWarning, match="lrr"):
        assert ids({"config.lrr": 3}) == []
    with pytest.raises(NotFoundError, match="no project"):
        len(world.api.runs("nothing-here"))


def test_a_run_has_its_values(world: World, project: str) -> None:
    run = world.api.run(f"me/{project}/r1")
    assert (run.id, run.name, run.state, run.tags) == ("r1", "run 1", "finished", ["small"])
    assert run.config == {"lr": 0.1, "deep": {"a": [1, 2]}}
    assert run.summary["loss"] == 0.01
    assert run.summary_metrics["_step"] == run.lastHistoryStep == 99
    assert run.created_at == "2023-11-14T22:14:20Z"
    assert run.url == f"{world.url}/p/{project}/runs/r1"
    assert run.path == ["", project, "r1"]
    with pytest.raises(NotFoundError, match=r"no run 'r11'.*did you mean"):
        world.api.run(f"{project}/r11")
    with pytest.raises(NotFoundError, match="the run with this name has the id 'r2'"):
        world.api.run(f"{project}/run 2")
    with pytest.raises(UsageError, match="does not name a run"):
        world.api.run(project)


def test_a_project_can_be_said_once(world: World, project: str) -> None:
    api = Api({"project": project, "entity": "me"}, hub=world.url, api_key=world.key)
    assert api.run("r2").config["lr"] == 0.2
    assert len(api.runs()) == 5


def test_every_row_is_scanned_exactly(world: World) -> None:
    name = fresh_project()
    make_run(world.store, name, "a", steps=1200)
    log(world.store, writer(name, "a"), [7, 9], odd=[math.inf, math.nan])
    tell(world.store, writer(name, "a"), event("values", {"values": {"note": "hi"}}, step=9))
    run = world.api.run(f"{name}/a")
    found = list(run.scan_history())
    assert [row["_step"] for row in found] == list(range(1200))
    assert found[11]["loss"] == 1 / 12
    assert found[7]["odd"] == math.inf
    assert found[9]["note"] == "hi"
    assert found[9]["_timestamp"] - found[9]["_runtime"] == START_US / 1e6
    assert list(run.scan_history(["note", "loss"])) == [{"note": "hi", "loss": 0.1}]
    window = list(run.scan_history(["_step"], min_step=3, max_step=5))
    assert window == [{"_step": 3}, {"_step": 4}]


def test_ranks_have_rows_of_their_own(world: World) -> None:
    name = fresh_project()
    make_run(world.store, name, "a", steps=0)
    for rank in ("0", "1"):
        made = rows(1, [0, 1], [float(rank)] * 2)
        who = writer(name, "a", label=rank)
        insert(world.store, build((who, decoded([made])), schemas={1: ("loss",)}), f"{name}{rank}")
    found = list(world.api.run(f"{name}/a").scan_history(["loss"]))
    assert [(row["_label"], row["loss"]) for row in found] == [("0", 0.0), ("1", 1.0)] * 2
    table = world.api.runs(name).history(["loss"], format="arrow", labels="join")
    assert table.column_names == ["run_id", "_step", "_timestamp", "loss"]


def test_a_history_is_a_sample_with_both_ends(world: World, project: str) -> None:
    run = world.api.run(f"{project}/r1")
    frame = run.history(samples=3, keys=["loss"])
    assert frame["_step"].tolist() == [0, 50, 99]
    assert list(frame.columns) == ["_step", "loss"]
    found = run.history(pandas=False)
    assert len(found) == 100
    assert set(found[0]) == {"_step", "_timestamp", "_runtime", "loss", "acc"}
    with pytest.warns(UserWarning, match="no metric 'none'"):
        assert run.history(keys=["none"], pandas=False) == []
    with pytest.raises(UsageError, match="1 or more"):
        run.history(samples=0)
    with pytest.raises(UsageError, match="'default' or 'system'"):
        run.history(stream="else")


def test_whole_numbers_are_ints(world: World) -> None:
    name = fresh_project()
    make_run(world.store, name, "a", steps=4, metrics=("loss",))
    who = writer(name, "a")
    log(world.store, who, range(4), epoch=[0.0, 1.0, 2.0, 3.0], x=[1.0, 2.0, 0.5, 4.0])
    log(world.store, who, [1, 2], some=[7.0, 8.0], odd=[-0.0, 1.0], large=[2.0**53, 1.0])
    defined = {"name": "epoch", "summary": ["max", "mean"]}
    tell(world.store, who, event("define_metric", defined))
    by_hand = {"best": {"n": 3.0, "list": [1.0]}, "sign": -0.0}
    tell(world.store, who, event("summary", {"set": by_hand}))
    tell(world.store, who, event("config", {"set": {"sign": -0.0, "text": "[-0,-0]"}}))
    run = world.api.run(f"{name}/a")
    assert repr([run.summary["sign"], run.config["sign"]]) == "[-0.0, -0.0]"
    assert run.config["text"] == "[-0,-0]"
    assert repr(run.summary["epoch"]) == "{'max': 3, 'mean': 1.5}"
    assert repr((run.summary["some"], run.summary["x"], run.summary["odd"])) == "(8, 4, 1)"
    assert repr(run.summary["best"]) == "{'list': [1.0], 'n': 3}"
    assert repr(run.summary_metrics["some"]) == "8"
    assert isinstance(run.summary["_timestamp"], float)

    frame = run.history()
    types = {"_step": "int64", "epoch": "int64", "_runtime": "float64", "_timestamp": "float64"}
    floats = ("x", "some", "odd", "large", "loss")
    assert {each: str(frame[each].dtype) for each in (*types, *floats)} == types | dict.fromkeys(
        floats, "float64"
    )
    for rows_read in (run.history(pandas=False), list(run.scan_history())):
        kinds = [
            [type(row[each]) for row in rows_read if each in row]
            for each in ("epoch", "x", "some", "odd", "large")
        ]
        assert kinds == [[int] * 4, [float] * 4, [int] * 2, [float] * 2, [float] * 2]
    pages = list(run.scan_history(["x"], page_size=2))
    assert repr(pages) == "[{'x': 1}, {'x': 2}, {'x': 0.5}, {'x': 4.0}]"

    make_run(world.store, name, "b", steps=0)
    log(world.store, writer(name, "b"), [0, 1], epoch=[5.0, 6.0], x=[1.0, 2.0])
    runs = world.api.runs(name)
    listed = runs.histories(keys=["epoch", "x"])
    assert {type(row["epoch"]) for row in listed} == {int}
    assert {type(row["x"]) for row in listed} == {float}
    for frame in (
        runs.histories(keys=["epoch", "x"], format="pandas"),
        runs.history(["epoch", "x"]),
    ):
        assert [str(frame[each].dtype) for each in ("epoch", "x")] == ["int64", "float64"]
    frame = runs.history(["epoch", "odd", "some"])
    assert [str(frame[each].dtype) for each in ("epoch", "odd", "some")] == [
        "int64",
        "float64",
        "float64",
    ]
    assert str(runs.history(["epoch"], format="arrow").schema.field("epoch").type) == "double"


def test_the_last_step_is_that_of_the_history(world: World) -> None:
    name = fresh_project()
    make_run(world.store, name, "a", steps=3)
    make_run(world.store, name, "table", steps=0)
    run = world.api.run(f"{name}/a")
    assert run.lastHistoryStep == 2
    values = (
        ("values", {"picture": {"_type": "image-file", "blob": None}}),
        ("histograms", {"weights": {"counts": [1], "low": 0.0, "high": 2.0}}),
        ("values", {"note": "a text"}),
    )
    for step, (kind, logged) in enumerate(values, 3):
        tell(world.store, writer(name, "a"), event(kind, {"values": logged}, step=step))
        assert run.load(force=True)["last_step"] == run.lastHistoryStep == step
        assert list(run.scan_history())[-1]["_step"] == step
    only = world.api.run(f"{name}/table")
    assert only.lastHistoryStep == -1
    table = {"values": {"t": {"_type": "table-file", "blob": None}}}
    tell(world.store, writer(name, "table"), event("values", table, step=0))
    assert only.load(force=True)["last_step"] == only.lastHistoryStep == 0


def test_a_large_sample_is_chosen_as_the_hub_chooses(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.api.run(f"{project}/r1")
    ranks = fresh_project()
    for rank in ("0", "1"):
        start = {"name": "a", "host": "node-a", "started_at": START_US}
        tell(world.store, writer(ranks, "a", label=rank), event("start", start))
        log(world.store, writer(ranks, "a", label=rank), range(40), loss=[float(rank)] * 40)
    asked: list[dict[str, Any]] = [
        {"keys": None},
        {"keys": ["loss"]},
        {"keys": ["loss"], "x_axis": "acc"},
    ]
    both = (run, *asked), (world.api.run(f"{ranks}/a"), *asked[:2])
    cases = [(read, many, more) for read, *some in both for many in (13, 64, 99) for more in some]
    by_hub = [read.history(many, pandas=False, **more) for read, many, more in cases]
    monkeypatch.setattr("stepwell.api._history.SAMPLES_MAX", 12)
    assert [read.history(many, pandas=False, **more) for read, many, more in cases] == by_hub
    monkeypatch.undo()
    assert run.history(samples=10**6, pandas=False) == list(run.scan_history())


def test_many_histories_are_one_table(world: World, project: str) -> None:
    runs = world.api.runs(project, {"config.lr": {"$lt": 0.15}}, order="-created_at")
    table = runs.history(["acc", "loss"], format="arrow", min_step=98)
    assert table.to_pydict() == {
        "run_id": ["r1", "r1", "r0", "r0"],
        "_step": [98, 99] * 2,
        "_timestamp": [START_US / 1e6 + 0.098, START_US / 1e6 + 0.099] * 2,
        "acc": [1 / 99, 0.01] * 2,
        "loss": [1 / 99, 0.01] * 2,
    }
    frame = runs.history(["loss"])
    assert frame.groupby("run_id", observed=True)["loss"].min().to_dict() == {
        "r0": 0.01,
        "r1": 0.01,
    }
    with pytest.raises(UsageError, match=r"no metric 'losss'; did you mean 'loss'"):
        runs.history(["losss", "loss"])
    with pytest.raises(UsageError, match="expected a list"):
        runs.history("loss")
    assert len(runs.histories(samples=10, keys=["loss"])) == 20


def test_a_history_without_rows_warns_of_keys_that_do_not_exist(
    world: World, project: str, recwarn: pytest.WarningsRecorder
) -> None:
    run, runs = world.api.run(f"{project}/r0"), world.api.runs(project)
    wrong: dict[str, Any] = {
        f"run {project}/r0": (
            lambda: run.history(keys=["losss"]),
            lambda: run.history(keys=["losss", "acc"], pandas=False),
            lambda: list(run.scan_history(keys=["_step", "losss"])),
        ),
        f"project {project!r}": (lambda: runs.histories(keys=["losss"]),),
    }
    for owner, calls in wrong.items():
        for call in calls:
            assert len(call()) == 0
            (warned,) = (each for each in recwarn if each.category is UserWarning)
            assert str(warned.message) == (
                f"keys: {owner} has no metric 'losss'; did you mean 'loss'?"
            )
            assert warned.filename == __file__
            recwarn.clear()
    assert len(run.history(keys=["loss"])) == 100
    assert list(run.scan_history(keys=["loss"], min_step=1_000_000)) == []
    assert not [each for each in recwarn if each.category is UserWarning]


def test_what_breaks_off_is_an_error(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell_store.queries.history_columns.PART_POINTS", 50)
    module = importlib.import_module("stepwell_store.queries.history")
    monkeypatch.setattr(module, "WINDOW_POINTS", 50)

    def failing(read: Any) -> Any:
        asked: list[None] = []

        def fail(*arguments: Any, **named: Any) -> Any:
            asked.append(None)
            if len(asked) == 3:
                raise QueryTimeoutError("too late")
            return read(*arguments, **named)

        return fail

    monkeypatch.setattr(queries, "read_columns", failing(queries.read_columns))
    monkeypatch.setattr(queries, "history_rows", failing(queries.history_rows))
    with pytest.raises(HubError, match="ended too early"):
        world.api.runs(project).history(["loss"], format="arrow")
    with pytest.raises(HubError, match="ended too early"):
        list(world.api.run(f"{project}/r1").scan_history())


def test_a_stream_that_was_cut_is_not_taken_for_whole(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As after a new key: the hub ends the answer in good order, without the end of the stream.
    monkeypatch.setattr("stepwell_hub.arrow_columns.ArrowColumns.end", lambda _: b"")
    with pytest.raises(HubError, match="ended too early"):
        world.api.runs(project).history(["loss"], format="arrow")


def test_a_missing_package_is_named(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install pandas.*pandas=False"):
        world.api.run(f"{project}/r1").history()
    with pytest.raises(MissingPackageError, match=r"pip install pyarrow.*scan_history"):
        world.api.runs(project).history(["loss"])


def test_what_is_set_is_kept_by_update(world: World) -> None:
    name = fresh_project()
    make_run(world.store, name, "a")
    run = world.api.run(f"{name}/a")
    run.name, run.notes = "other", "a note"
    run.tags.append("more")
    run.update()
    again = world.api.runs(name)[0]
    assert (again.name, again.notes, again.tags) == ("other", "a note", ["small", "more"])
    again.group = "g"
    assert again.config == {"lr": 0.1}  # Reading the rest keeps what was set.
    again.update()
    assert world.api.run(f"{name}/a").group == "g"
    run.load(force=True)
    run.color, run.archived = "#ff0000", True
    run.update()
    kept = world.api.run(f"{name}/a")
    assert (kept.color, kept.archived, kept.group) == ("#ff0000", True, "g")
    run.archived, run.color = False, ""
    run.update()
    kept.load(force=True)
    assert (kept.color, kept.archived) == ("", False)
    run.tags = "one, two"  # As for `init`.
    run.update()
    assert world.api.run(f"{name}/a").tags == ["one", "two"]
    for wrong in ("red", "#12", "url(x)", "#12345g"):
        run.name, run.color = "not stored", wrong
        with pytest.raises(HubError, match="expected #rrggbb, such as #1f77b4, or an empty text"):
            run.update()
    kept.load(force=True)
    assert (kept.color, kept.name) == ("", "other")
    again.config["lr"] = 3
    with pytest.raises(UnavailableError, match=r"run\.config"):
        again.update()
    with pytest.raises(UnavailableError, match=r"run\.summary"):
        run.summary["best"] = 3
    with pytest.raises(UnavailableError, match="log_artifact"):
        run.log_artifact("x")


def test_a_summary_has_the_values_below_a_name() -> None:
    summary = Summary({"val.acc": 0.5, "val.deep.a": 1.0, "loss": 2.0})
    assert summary["val"] == summary.get("val") == {"acc": 0.5, "deep": {"a": 1.0}}
    assert ("val" in summary, "va" in summary, summary.get("va", 3)) == (True, False, 3)
    assert set(summary) == {"val.acc", "val.deep.a", "loss"}
    with pytest.raises(UnavailableError, match=r"run\.summary"):
        summary["val"]["acc"] = 3


def test_a_deleted_run_is_gone(world: World) -> None:
    name = fresh_project()
    make_run(world.store, name, "a")
    make_run(world.store, name, "b", state="")
    world.api.run(f"{name}/a").delete()
    assert [run.id for run in world.api.runs(name)] == ["b"]


def test_the_console_is_read_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name = fresh_project()
    make_run(world.store, name, "a", lines=[f"line {number}" for number in range(25)])
    monkeypatch.setattr("stepwell.api._console._PAGE", 10)
    found = list(world.api.run(f"{name}/a").console_logs)
    assert [str(each) for each in found] == [f"line {number}" for number in range(25)]


def test_a_file_that_is_not_there(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.api.run(f"{project}/r1")
    assert run.files() == []
    with pytest.raises(NotFoundError, match=r"'output\.log'\. Its output is in console_logs"):
        run.file("output.log")
    near = SimpleNamespace(name="media/images/a_0_x.png")
    monkeypatch.setattr(run, "_listed_files", lambda: ([near], ""))
    with pytest.raises(NotFoundError, match=r"did you mean '\S+'\? Its output is"):
        run.file("media/images/a_0_y.png")
    with pytest.raises(NotFoundError, match=r"known are '\S+'\. Its output is"):
        run.file("zzz")


# ---------------------------------------------------------------------- where the hub is


def test_the_hub_of_the_data_folder_is_found(world: World, project: str, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir(mode=0o700)
    key = folder / "key"
    key.write_text(world.key)
    key.chmod(0o600)
    with pytest.raises(HubError, match=r"no hub found.*stepwell up.*STEPWELL_HUB"):
        Api().projects()[0]
    (folder / "hub.json").write_text(json.dumps({"url": world.url, "pid": 1 << 22 | 1}))
    with pytest.raises(HubError, match="no hub found"):
        find_place()
    (folder / "hub.json").write_text(json.dumps({"url": world.url, "pid": 1}))
    assert len(stepwell.Api().runs(project)) == 5


def test_the_hub_of_the_daemon_is_found_beside_its_socket_while_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ensure_key(tmp_path / "elsewhere")
    with RecordingDaemon(tmp_path / "s.sock") as daemon:
        monkeypatch.setenv("STEPWELL_SOCKET", daemon.socket)
        with pytest.raises(HubError, match="no hub found"):
            find_place()
        note_page(Path(daemon.socket), "http://127.0.0.1:9", str(tmp_path / "elsewhere"))
        assert find_place() == ("http://127.0.0.1:9", key)
    with pytest.raises(HubError, match="no hub found"):
        find_place()


def test_the_environment_names_hub_and_key(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_HUB", world.url + "/")
    with pytest.raises(HubAccessError, match=r"no key for .*STEPWELL_HUB_KEY"):
        len(Api().runs(project))
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    # A key of an account elsewhere, in a script that was written for another tracker.
    assert len(Api(api_key="0" * 40).runs(project)) == 5
    monkeypatch.setenv("STEPWELL_HUB_KEY", "A" * 43)
    with pytest.raises(HubAccessError, match=r"key.*STEPWELL_HUB_KEY") as caught:
        len(Api().runs(project))
    assert caught.value.status == 401
    monkeypatch.setenv("STEPWELL_HUB_KEY", "short")
    with pytest.raises(HubAccessError, match="43 letters"):
        len(Api().runs(project))


def test_the_environment_names_a_file_with_the_key(
    world: World, project: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEPWELL_HUB", world.url)
    monkeypatch.setenv("STEPWELL_HUB_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(HubAccessError, match=r"STEPWELL_HUB_KEY_FILE: .*No such file"):
        len(Api().runs(project))
    (tmp_path / "key").write_text(f"{world.key}\n")
    assert len(Api().runs(project)) == 5
    for wrong in (f"{world.key}x", f"{world.key}\n{world.key}", "é", ""):
        (tmp_path / "key").write_text(wrong)
        with pytest.raises(HubAccessError, match=r"^STEPWELL_HUB_KEY_FILE: the key in .* 43 let"):
            len(Api().runs(project))


@pytest.mark.parametrize("url", ["127.0.0.1:8470", "ftp://x", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(HubError, match="is not an address of a hub"):
        find_place(url, "A" * 43)


def test_a_hub_that_does_not_answer() -> None:
    with pytest.raises(HubError, match="does not answer"):
        len(Api(hub="http://127.0.0.1:9", api_key="A" * 43).projects())


def test_calls_that_are_not_there_say_what_is(world: World, project: str) -> None:
    for call in ("reports", "job", "create_run", "automations", "run_queue"):
        with pytest.raises(UnavailableError, match=call):
            getattr(Api(), call)
    with pytest.raises(UnavailableError, match=r"artifacts\(type, name\)"):
        Api().artifact_versions("model", "m")
    run = world.api.run(f"{project}/r1")
    for call in ("json_config", "load_full_data", "to_html", "username"):
        with pytest.raises(UnavailableError, match=call):
            getattr(run, call)
        assert not hasattr(run, call)
    assert getattr(Api(), "reports", None) is None
    with pytest.raises(AttributeError, match="no attribute 'runz'"):
        Api().runz  # noqa: B018


def test_importing_it_imports_no_package() -> None:
    code = (
        "import sys, stepwell.api\n"
        "print([m for m in ('grpc', 'numpy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
