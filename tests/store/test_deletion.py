"""Deletion and retention: what is gone is gone from every table, and nothing else is."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from stepwell_store import (
    EmbeddedStore,
    RunIsRunningError,
    RunNotFoundError,
    Store,
    connect_embedded,
)
from stepwell_store.blocks import Block
from stepwell_store.deletion import (
    find_orphans,
    remove_orphans,
    removed_writers,
    sweep_removed,
)
from stepwell_store.identity import fingerprint
from stepwell_store.queries import (
    delete_project,
    delete_run,
    delete_runs,
    find_run,
    get_run,
    history,
    list_runs,
    logged_runs,
    node_buckets,
    removed_at,
)
from stepwell_store.retention import RetentionSettings, apply_retention
from stepwell_store.server.store import ServerStore, open_server
from stepwell_store.tables import REMOVED_RUNS, deleted_with_a_run
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

DAY_US = 86_400_000_000
BY_NAME = (
    "series",
    "writers",
    "attributes",
    "attributes_by_path",
    "console",
    "texts",
    "histograms",
    "gaps",
    "events",
)


def make_run(store: Store, project: str, run_id: str, *, at_us: int = START_US) -> None:
    who = writer(project, run_id)
    body = {"name": run_id, "started_at": at_us}
    tell(
        store,
        who,
        event("start", body, time_us=at_us),
        event("config", {"set": {"lr": 0.1}}, time_us=at_us),
        event("console", {"stream": "stdout", "lines": [[1, at_us, "hi"]]}, time_us=at_us),
        event("values", {"values": {"note": "x"}}, time_us=at_us),
        event(
            "histograms",
            {"values": {"weights": {"counts": [1, 2], "low": 0.0, "high": 1.0}}},
            time_us=at_us,
        ),
        event("gap", {"reason": "full", "rows": 1, "points": 1}, time_us=at_us),
        event("alert", {"title": "x"}, time_us=at_us),
        event("finish", {"state": "finished", "exit_code": 0}, time_us=at_us + 1),
    )
    made = rows(1, range(300), range(300), times=range(at_us, at_us + 300))
    insert(store, build((who, decoded([made])), schemas={1: ("loss",)}), f"{project}{run_id}")


def held(store: Store, project: str, run_id: str, series: list[int]) -> dict[str, int]:
    """Return how many rows of the run each table has, read from active parts."""
    counts = {}
    name = {"project": project, "run_id": run_id}
    for table in BY_NAME:
        (row,) = store.query(
            f"SELECT count() AS n FROM {table} "
            "WHERE project = {project:String} AND run_id = {run_id:String}",
            parameters=name,
        )
        counts[table] = row["n"]
    for table in ("points", "step_rollups", "series_stats"):
        (row,) = store.query(
            f"SELECT count() AS n FROM {table} WHERE series IN {{series:Array(UInt64)}}",
            parameters={"series": series},
        )
        counts[table] = row["n"]
    (row,) = store.query(
        "SELECT count() AS n FROM series_stats WHERE run_key = {key:UInt64}",
        parameters={"key": fingerprint(project, run_id)},
    )
    counts["series_stats by run"] = row["n"]
    return counts


def series_of(store: Store, project: str, run_id: str) -> list[int]:
    rows_found = store.query(
        "SELECT DISTINCT series FROM series "
        "WHERE project = {project:String} AND run_id = {run_id:String}",
        parameters={"project": project, "run_id": run_id},
    )
    return [row["series"] for row in rows_found]


def test_a_deleted_run_leaves_nothing_and_its_neighbour_everything(store: Store):
    project = fresh_project()
    make_run(store, project, "gone")
    make_run(store, project, "kept")
    gone, kept = series_of(store, project, "gone"), series_of(store, project, "kept")
    before = held(store, project, "kept", kept)
    assert all(held(store, project, "gone", gone).values())
    for _ in range(2):
        delete_run(store, project, "gone")
        assert not any(held(store, project, "gone", gone).values())
    assert held(store, project, "kept", kept) == before
    assert [run.run_id for run in list_runs(store, project).items] == ["kept"]
    assert len(list(history(store, project, "kept"))) == 300


def test_the_last_deletion_of_a_run_is_known_without_its_name(store: Store):
    project = fresh_project()
    keys = [(project, "gone"), (project, "kept"), (project, "never")]
    make_run(store, project, "gone")
    make_run(store, project, "kept")
    assert removed_at(store, keys) == {}
    assert removed_at(store, []) == {}
    for _ in range(2):
        before = time.time()
        delete_run(store, project, "gone")
        assert before - 1e-3 <= removed_at(store, keys)[project, "gone"] <= time.time()
    make_run(store, project, "gone")
    assert list(removed_at(store, keys)) == [(project, "gone")]
    delete_project(store, project)
    assert sorted(removed_at(store, keys)) == [(project, "gone"), (project, "kept")]
    assert [column.name for column in REMOVED_RUNS.columns] == ["run_key", "removed_at"]


def test_a_run_deleted_may_be_logged_anew_but_not_resent(engine: EmbeddedStore):
    store = engine
    project = fresh_project()
    make_run(store, project, "run")
    delete_run(store, project, "run")
    make_run(store, project, "run")  # Its points come under the token they had.
    assert get_run(store, project, "run").metric_count == 0
    # Another schema: the names of the old one count as stored for up to a minute more.
    log(store, writer(project, "run"), [1000], loss=[5.0], accuracy=[0.5])
    assert [row["loss"] for row in history(store, project, "run", metrics=["loss"])] == [5.0]


def test_a_run_that_starts_while_its_project_is_deleted_is_left_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    project = fresh_project()
    for number in range(3):
        make_run(store, project, f"old-{number}")
    deleted = store.delete_rows

    def delete_rows(*arguments: Any) -> None:
        if "new" not in {run.run_id for run in list_runs(store, project).items}:
            make_run(store, project, "new")
        deleted(*arguments)

    monkeypatch.setattr(store, "delete_rows", delete_rows)
    delete_project(store, project)
    monkeypatch.undo()
    assert [run.run_id for run in list_runs(store, project).items] == ["new"]
    assert all(held(store, project, "new", series_of(store, project, "new")).values())
    assert len(list(history(store, project, "new"))) == 300


def test_a_run_of_which_only_console_lines_are_left_goes_with_its_project(store: Store):
    project = fresh_project()
    lines = {"stream": "stdout", "lines": [[1, START_US, "alone"]]}
    tell(store, writer(project, "lines"), event("console", lines))
    delete_project(store, project)
    assert held(store, project, "lines", [])["console"] == 0


def test_retention_takes_old_runs_that_ended_and_leaves_those_that_run(store: Store):
    project = fresh_project()
    make_run(store, project, "old", at_us=1_000_000)
    make_run(store, project, "new", at_us=START_US)
    start = event("start", {"name": "r", "started_at": 1_000_000}, time_us=1_000_000)
    tell(store, writer(project, "running"), start)
    settings = RetentionSettings(run_days=2, node_days=0)
    deleted = apply_retention(store, settings, now=START_US / 1e6 + 86_400)
    assert [ref.run_id for ref in deleted if ref.project == project] == ["old"]
    assert {run.run_id for run in list_runs(store, project).items} == {"new", "running"}


def test_a_server_without_age_limits_deletes_what_is_old(server: ServerStore):
    who = writer("", "d", scope="node", host=fresh_project())
    now_us = round(time.time() * 1e6)
    old, new = now_us - 40 * DAY_US, now_us - 20 * DAY_US
    made = rows(1, [0, 1], [1.0, 2.0], times=[old, new])
    insert(server, build((who, decoded([made])), schemas={1: ("cpu",)}), who.host)

    def points_of() -> int:
        (metric,) = node_buckets(server, [who.host], first_time_us=old, last_time_us=new)
        return metric.points

    apply_retention(server, RetentionSettings(node_days=0), now=now_us / 1e6)
    assert points_of() == 2
    apply_retention(server, RetentionSettings(node_days=30), now=now_us / 1e6)
    assert points_of() == 1


def test_retention_sets_and_takes_back_the_age_limits_of_tables(engine: EmbeddedStore):
    store = engine

    def engine_of(table):
        return store.query(
            "SELECT engine_full FROM system.tables WHERE name = {t:String}", parameters={"t": table}
        )[0]["engine_full"]

    apply_retention(store, RetentionSettings(node_days=90, console_days=7), now=0)
    assert "toIntervalDay(90)" in engine_of("node_points")
    assert "toIntervalDay(7)" in engine_of("console")
    apply_retention(store, RetentionSettings(node_days=30), now=0)
    apply_retention(store, RetentionSettings(node_days=30), now=0)
    for table in ("node_points", "node_rollups"):
        assert "toIntervalDay(30)" in engine_of(table)
    assert "TTL" not in engine_of("console")
    who = writer("", "d", scope="node", host=fresh_project())
    made = rows(1, [0, 1], [1.0, 2.0], times=[1_000_000, 4_000_000_000_000_000])
    insert(store, build((who, decoded([made])), schemas={1: ("cpu",)}), who.host)
    store.query("OPTIMIZE TABLE node_points FINAL")
    found = store.query(
        "SELECT value FROM node_points WHERE series IN "
        "(SELECT series FROM node_series WHERE host = {h:String})",
        parameters={"h": who.host},
    )
    assert found == [{"value": 2.0}]
    apply_retention(store, RetentionSettings(node_days=0), now=0)
    assert "TTL" not in engine_of("node_points")
    with pytest.raises(ValueError, match="node_days is -1"):
        RetentionSettings(node_days=-1)


@pytest.fixture
def other(store: Store) -> Iterator[Store]:
    """The same tables through another process's eyes: it knows not what ``store`` remembers."""
    if isinstance(store, ServerStore):
        opened: Any = open_server(store.settings)
        opened.look()
    else:
        assert isinstance(store, EmbeddedStore)
        opened = connect_embedded(store.data_dir)
    yield opened
    opened.close()


def run_again(store: Store, project: str, writer_id: str, steps: range) -> None:
    """Have a new writer log into run `run`, as the second start of a script does."""
    who = replace(writer(project), writer_id=writer_id)
    at = START_US + steps.start
    tell(store, who, event("start", {"name": writer_id, "started_at": at}, time_us=at))
    made = decoded([rows(1, steps, list(steps))])
    insert(store, build((who, made), schemas={1: ("loss",)}), f"{project}{writer_id}{steps.start}")


def end(store: Store, project: str, writer_id: str, at_us: int = START_US + 10**9) -> None:
    who = replace(writer(project), writer_id=writer_id)
    tell(store, who, event("finish", {"state": "finished", "exit_code": 0}, time_us=at_us))


def only_names(counts: dict[str, int]) -> bool:
    return {name for name, count in counts.items() if count} <= {"series"}


def points_of(store: Store, project: str) -> int:
    return get_run(store, project, "run").point_count


def test_a_deleted_id_used_again_has_its_metrics(store: Store, other: Store):
    project = fresh_project()
    for number in range(3):  # Each time before what is remembered of the last has its age.
        run_again(store, project, f"w{number}", range(10))
        end(store, project, f"w{number}")
        assert points_of(store, project) == 10
        assert get_run(store, project, "run").name == f"w{number}"
        delete_run(other, project, "run")
        assert not list_runs(store, project).items


def test_a_run_that_runs_is_deleted_by_force_only(store: Store):
    project = fresh_project()
    make_run(store, project, "ended")
    run_again(store, project, "w1", range(10))
    for delete in (
        lambda: delete_run(store, project, "run"),
        lambda: delete_runs(store, {project: ["ended", "run"]}),
        lambda: delete_project(store, project),
    ):
        with pytest.raises(
            RunIsRunningError, match=rf"still running: {project}/run; nothing was deleted"
        ) as told:
            delete()
        assert told.value.runs == [f"{project}/run"]
        assert len(list_runs(store, project).items) == 2


@pytest.mark.parametrize("of_project", [False, True])
def test_what_a_run_logs_after_its_forced_deletion_goes_as_well(
    store: Store, other: Store, of_project: bool
):
    project = fresh_project()
    make_run(store, project, "ended")
    run_again(store, project, "w1", range(10))
    series = series_of(store, project, "run")
    if of_project:
        delete_project(other, project, force=True)
    else:
        delete_run(other, project, "run", force=True)
    assert only_names(held(store, project, "run", series))
    assert [run.run_id for run in list_runs(store, project).items] == (
        [] if of_project else ["ended"]
    )
    who = replace(writer(project), writer_id="w1")
    made = decoded([rows(1, range(10, 20), range(10))])
    insert(store, build((who, made), schemas={1: ("loss",)}), f"{project}-late")
    with pytest.raises(RunNotFoundError):
        find_run(store, f"{project}/run")
    assert "run" not in logged_runs(store, project)
    tell(store, who, event("config", {"set": {"late": 1}}))
    swept = sweep_removed(other, now=time.time())
    assert (project, "run") not in {*swept.done, *swept.ended}
    assert only_names(held(store, project, "run", series))
    end(store, project, "w1")
    swept = sweep_removed(other, now=time.time(), before=swept)
    assert (project, "run") in swept.ended
    tell(store, who, event("config", {"set": {"last": 1}}))  # Of the same extent as the end.
    swept = sweep_removed(other, now=time.time(), before=swept)
    assert (project, "run") in swept.ended
    swept = sweep_removed(other, now=time.time(), before=swept)
    assert (project, "run") in swept.done
    assert not any(held(store, project, "run", series).values())
    swept = sweep_removed(other, now=time.time(), before=swept)
    assert (project, "run") not in {*swept.done, *swept.ended}


def test_a_writer_that_never_ends_is_waited_for_a_month(store: Store):
    project = fresh_project()
    run_again(store, project, "w1", range(10))
    delete_run(store, project, "run", force=True)
    assert (project, "run") not in sweep_removed(store, now=time.time() + 29 * 86_400).ended
    swept = sweep_removed(store, now=time.time() + 31 * 86_400)
    assert (project, "run") in sweep_removed(
        store, now=time.time() + 32 * 86_400, before=swept
    ).done
    assert not series_of(store, project, "run")


def test_an_id_used_again_while_its_removed_writer_goes_on_is_a_run(store: Store):
    project = fresh_project()
    run_again(store, project, "w1", range(10))
    delete_run(store, project, "run", force=True)
    run_again(store, project, "w2", range(20, 25))
    assert find_run(store, f"{project}/run").run_id == "run"
    assert logged_runs(store, project) == ["run"]
    for _ in range(2):
        sweep_removed(store, now=time.time())
        assert points_of(store, project) == 5


def test_rows_of_silent_writers_are_deleted_at_once_and_their_id_is_free(
    store: Store, other: Store
):
    project = fresh_project()
    run_again(store, project, "w1", range(10))
    series = series_of(store, project, "run")
    delete_run(other, project, "run", force=True)
    run_again(store, project, "w1", range(10, 20))  # Stored after the deletion.
    assert [each.writer_id for each in removed_writers(store) if each.project == project] == ["w1"]
    swept = sweep_removed(store, now=time.time(), silent={"w1"})
    assert (project, "run") in swept.done
    assert not any(held(store, project, "run", series).values())
    run_again(store, project, "w2", range(5))
    sweep_removed(store, now=time.time(), silent={"w1"}, before=swept)
    assert points_of(store, project) == 5
    assert get_run(store, project, "run").name == "w2"


def test_writers_of_two_daemons_are_swept_by_the_later_daemon(store: Store):
    project = fresh_project()
    for name in ("w1", "w2"):
        run_again(store, project, name, range(10))
    series = series_of(store, project, "run")
    delete_run(store, project, "run", force=True)
    end(store, project, "w1")  # Stored before the first daemon looks.
    swept = sweep_removed(store, now=time.time(), silent={"w1"})
    assert (project, "run") not in swept.done
    assert (project, "run") in swept.waiting
    assert [each.writer_id for each in removed_writers(store) if each.project == project] == ["w2"]
    run_again(store, project, "w2", range(10, 20))
    assert (project, "run") in sweep_removed(store, now=time.time(), silent={"w2"}).done
    assert not any(held(store, project, "run", series).values())


def test_a_run_whose_new_writer_has_stored_nothing_yet_is_not_swept(store: Store):
    project = fresh_project()
    key = (project, "run")
    run_again(store, project, "w1", range(10))
    delete_run(store, project, "run", force=True)
    made = decoded([rows(1, range(3), range(3))])  # Its `start` comes later.
    who = replace(writer(project), writer_id="w2")
    insert(store, build((who, made), schemas={1: ("loss",)}), f"{project}-w2")
    swept = sweep_removed(store, now=time.time(), silent={"w1"}, begun_again={key})
    assert key not in {*swept.done, *swept.waiting}
    tell(store, who, event("start", {"name": "w2", "started_at": START_US}))
    assert points_of(store, project) == 3
    assert not [each for each in removed_writers(store) if each.project == project]


def test_a_run_begun_again_before_the_sweep_keeps_its_rows_and_loses_what_names_the_former(
    store: Store,
):
    project = fresh_project()
    run_again(store, project, "w1", range(10))
    delete_run(store, project, "run", force=True)
    late = replace(writer(project), writer_id="w1")
    tell(store, late, event("console", {"stream": "stdout", "lines": [[1, 5, "late"]]}))
    run_again(store, project, "w2", range(20, 25))
    sweep_removed(store, now=time.time(), silent={"w1"})
    assert points_of(store, project) == 5
    run = get_run(store, project, "run")
    assert (run.name, run.writers) == ("w2", 1)
    assert held(store, project, "run", [])["console"] == 0
    assert not [each for each in removed_writers(store) if each.project == project]


class SweptAfterEachInsert:
    """A store whose daemon sweeps as soon as a deletion noted a writer."""

    def __init__(self, store: Store):
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def insert(self, block: Block, token: str) -> None:
        self._store.insert(block, token)
        sweep_removed(self._store, now=time.time())


def test_a_sweep_in_the_middle_of_a_deletion_forgets_no_writer(store: Store):
    project = fresh_project()
    run_again(store, project, "former", range(10))
    end(store, project, "former")
    run_again(store, project, "w1", range(10, 20))
    meanwhile = cast(Store, SweptAfterEachInsert(store))
    delete_run(meanwhile, project, "run", force=True)
    end(store, project, "w1")
    swept = sweep_removed(store, now=time.time())
    swept = sweep_removed(store, now=time.time(), before=swept)
    assert (project, "run") in {*swept.done, *swept.ended}
    assert not list_runs(store, project).items


def test_a_project_is_deleted_and_its_neighbour_is_not(store: Store):
    project, neighbour = fresh_project(), fresh_project()
    for run_id in ("a", "b"):
        make_run(store, project, run_id)
    make_run(store, neighbour, "a")
    gone = [*series_of(store, project, "a"), *series_of(store, project, "b")]
    before = held(store, neighbour, "a", series_of(store, neighbour, "a"))
    for _ in range(2):
        delete_project(store, project)
        assert not any(held(store, project, "a", gone).values())
        assert not any(held(store, project, "b", gone).values())
    assert held(store, neighbour, "a", series_of(store, neighbour, "a")) == before


def test_many_runs_are_deleted_by_one_mutation_a_table(engine: EmbeddedStore):
    store = engine
    project = fresh_project()
    run_ids = [f"r{number}" for number in range(8)]
    for run_id in run_ids:
        make_run(store, project, run_id)

    def mutations() -> int:
        return int(store.query("SELECT count() AS n FROM system.mutations")[0]["n"])

    before = mutations()
    delete_runs(store, {project: run_ids})
    assert 0 < mutations() - before <= len(deleted_with_a_run())
    assert not list_runs(store, project).items


def test_points_without_a_name_are_found_and_removed(store: Store):
    project = fresh_project()
    make_run(store, project, "lost")
    make_run(store, project, "kept")
    lost = series_of(store, project, "lost")
    before = held(store, project, "kept", series_of(store, project, "kept"))
    remove_orphans(store)  # What other tests left.
    assert find_orphans(store).points == 0
    condition = "project = {p:String} AND run_id = 'lost'"
    store.delete_rows("series", condition, {"p": project})
    found = find_orphans(store)
    assert (found.series, found.points) == (1, 300)
    assert found.all_points >= 600
    remove_orphans(store)
    assert find_orphans(store).points == 0
    counts = held(store, project, "lost", lost)
    assert (counts["points"], counts["step_rollups"], counts["series_stats"]) == (0, 0, 0)
    assert held(store, project, "kept", series_of(store, project, "kept")) == before
