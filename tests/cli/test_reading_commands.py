"""runs, show, sql and rm on a real store."""

import argparse
import errno
import io
import json
import math
import os
import re
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from stepwell.cli import sql
from stepwell.cli.run_cells import cell_text
from stepwell.cli.runs import duration_seconds, runs_text
from stepwell_store import EmbeddedStore, migrations
from stepwell_wire.control_pb2 import FlushReply
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WRITER_FILE, WriterFile
from stepwell_wire.lock_notes import DATA_LOCK
from stepwell_wire.run_notes import run_note
from tests.cli.conftest import Call, made
from tests.daemon.journals import make_journal
from tests.daemon.made import row, schema_event
from tests.fake_daemon import FakeDaemon
from tests.node import free_port
from tests.store.made import START_US, event, fresh_project, log, tell, writer

READERS = (
    ["runs"],
    ["show", "run-a"],
    ["export", "run-a", "-o", "-"],
    ["sql", "SELECT 1"],
    ["rm", "run-a", "--yes"],
)
OVERVIEW_KEYS = {
    "project",
    "run_id",
    "name",
    "state",
    "exit_code",
    "started_at",
    "ended_at",
    "last_seen",
    "writers",
    "hosts",
    "tags",
    "group",
    "job_type",
    "sweep",
    "notes",
    "color",
    "archived",
}


def test_runs_lists_what_ran(call: Call) -> None:
    listed = call("runs", "--project", "digits")
    assert listed.code == 0
    assert "run-a" in listed.out
    assert "second try" in listed.out
    assert "faces" not in listed.out
    assert "1m30s" in listed.out


def test_tables_of_an_older_daemon_are_said_to_be_too_old(
    call: Call, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = store.schema_version()
    monkeypatch.setattr(migrations, "NEWEST", found + 1)
    assert call("show", "run-a").code == 0, "what does not need the newest is shown"
    store.query("ALTER TABLE gaps RENAME COLUMN kind TO former")
    try:
        shown = call("show", "run-a")
    finally:
        store.query("ALTER TABLE gaps RENAME COLUMN former TO kind")
    assert shown.code == 3
    assert f"schema version {found}, but this stepwell reads version {found + 1}" in shown.err
    assert "Restart the daemon" in shown.err


def test_a_node_that_relays_says_where_runs_are(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPWELL_DATA")
    daemon = FakeDaemon(place / "s.sock", place / "data")
    try:
        daemon.status["sink"]["kind"] = "gateway gate:7077"
        told = call("runs")
    finally:
        daemon.stop()
    assert told.code == 2
    assert (
        "relays all data to the gateway gate:7077 and has no store; read the runs there" in told.err
    )
    config = place / "node.toml"
    config.write_text('sink = "gateway"\ngateway_address = "127.0.0.1:7077"\n')
    told = call("runs", "--config", config, "--data", place / "data")
    assert "the gateway 127.0.0.1:7077" in told.err


def test_the_daemon_of_a_named_folder_is_asked_on_whichever_socket_it_has(
    call: Call, store: EmbeddedStore, place: Path
) -> None:
    daemon = FakeDaemon(place / "open.sock", store.data_dir)
    note = store.data_dir / DATA_LOCK
    note.write_text(f"4242\n{place}/open.sock\n")
    try:
        assert call("runs", "--data", store.data_dir).code == 0
        assert daemon.flush_count == 1, "its spool is stored, not reported as waiting for a daemon"
        doctor = call("doctor", "--data", store.data_dir)
        assert "pid 4242" in doctor.out
        daemon.status["data_dir"] = str(place)  # It took the socket of a daemon that was killed.
        assert call("runs", "--data", store.data_dir).code == 0
        assert daemon.flush_count == 1
        daemon.status["pid"] = os.getpid()
        down = call("down", "--data", store.data_dir)
        assert (down.code, down.err) == (
            3, f"stepwell: no daemon uses the data folder {store.data_dir}\n",
        )  # fmt: skip
    finally:
        daemon.stop()
        note.unlink()


def test_a_long_list_of_tags_is_cut_in_the_table_of_runs(call: Call) -> None:
    (run,) = json.loads(call("runs", "--project", "faces", "--json").out)
    many = {**run, "tags": [f"tag{number}" for number in range(500)]}
    text = runs_text([many], now=0.0)
    assert text.rstrip().endswith("tag8, tag9, +490 more")
    few = {**run, "tags": [f"tag{number}" for number in range(10)]}
    assert runs_text([few], now=0.0).rstrip().endswith("tag8, tag9")


def test_runs_as_json_has_stable_keys(call: Call) -> None:
    found = json.loads(call("runs", "--project", "faces", "--json").out)
    assert [set(each) for each in found] == [OVERVIEW_KEYS | {"columns"}]
    assert (found[0]["run_id"], found[0]["state"], found[0]["exit_code"]) == ("run-c", "failed", 7)


def test_runs_are_limited_unless_all_are_asked_for(call: Call) -> None:
    assert len(json.loads(call("runs", "--project", "digits", "--limit", "1", "--json").out)) == 1
    assert len(json.loads(call("runs", "--project", "digits", "--limit", "0", "--json").out)) == 2
    unknown = call("runs", "--project", "nothing")
    assert (unknown.code, unknown.out) == (4, "")
    assert "no project has the name 'nothing'" in unknown.err
    unknown = call("show", "digits")
    assert unknown.code == 4
    assert "it is a project; `stepwell runs --project digits` lists its runs" in unknown.err


def test_runs_are_filtered_sorted_and_shown_with_columns(call: Call) -> None:
    words = ("--filter", "lr<1 first | second", "--sort=-name", "--columns", "lr,odd,net.hidden")
    found = json.loads(call("runs", "--project", "digits", *words, "--json").out)
    assert [each["run_id"] for each in found] == ["run-b", "run-a"]
    assert found[0]["columns"] == {"lr": 0.1, "odd": 0.5, "net.hidden": 64}
    shown = call("runs", "--project", "digits", *words).out
    assert shown.splitlines()[0].split()[-3:] == ["lr", "odd", "net.hidden"]
    assert shown.splitlines()[1].split()[-3:] == ["0.1", "0.5", "64"]


def test_a_sort_or_column_that_no_run_has_is_told(call: Call) -> None:
    listed = call("runs", "--project", "digits", "--sort=-trian/loss,name", "--columns", "lr,zork")
    assert listed.code == 0
    assert "no run has 'trian/loss'; did you mean train/loss" in listed.err
    assert "no run has 'zork'" in listed.err
    assert "'lr'" not in listed.err
    for words in (["runs", "--limit", "-1"], ["show", "run-a", "--tail", "-1"]):
        wrong = call(*words)
        assert wrong.code == 2
        assert "expected 0 or more, not -1" in wrong.err


def test_facts_of_runs_are_columns_too(call: Call) -> None:
    listed = call("runs", "--project", "digits", "--columns", "writers,hosts,exit_code,lr")
    assert (listed.code, listed.err) == (0, "")
    head, *rows = listed.out.splitlines()
    assert head.split()[-5:] == ["writers", "tags", "hosts", "exit_code", "lr"]
    ends = {run["run_id"]: run for run in json.loads(call("runs", "--json").out)}
    for line in rows:
        facts = ends[line.split()[0]]
        assert line.split()[-3:-1] == [*facts["hosts"], str(facts["exit_code"])]


def test_a_list_that_goes_on_names_its_cursor(call: Call) -> None:
    first = call("runs", "--project", "digits", "--limit", "1", "--json")
    assert "more runs follow: --cursor " in first.err
    cursor = first.err.split()[-1]
    words = ("--limit", "1", "--json", "--cursor", cursor)
    second = call("runs", "--project", "digits", *words)
    assert "--cursor" not in second.err
    both = [json.loads(each.out)[0]["run_id"] for each in (first, second)]
    assert sorted(both) == ["run-a", "run-b"]
    wrong = call("runs", "--project", "digits", "--sort", "name", "--cursor", cursor)
    assert wrong.code == 2
    assert "start again" in wrong.err


def test_a_column_that_every_list_has_is_there_once(call: Call) -> None:
    listed = call("runs", "--project", "digits", "--columns", "state,lr,tags")
    assert listed.out.splitlines()[0].split()[-2:] == ["tags", "lr"]
    (run, *_) = json.loads(call("runs", "--columns", "state", "--json").out)
    assert run["columns"]["state"] == run["state"]


def test_archived_runs_that_are_not_shown_are_counted(call: Call, store: EmbeddedStore) -> None:
    for run_id in ("old-1", "old-2"):
        made(store, "attic", run_id, name=run_id)
        tell(store, writer("attic", run_id), event("run", {"archived": True}))
    told = call("runs", "--project", "attic")
    line = "stepwell: 2 archived runs are not shown; --archived shows them\n"
    assert (told.code, told.out, told.err) == (0, "", line)
    told = call("runs", "--project", "attic", "--filter", "name:old-1", "--json")
    assert told.out == "[]\n"
    assert told.err.endswith("stepwell: 1 archived run is not shown; --archived shows them\n")
    assert "not shown" not in call("runs", "--project", "attic", "--archived").err


def test_an_archived_run_is_marked(call: Call) -> None:
    (run,) = json.loads(call("runs", "--filter", "id:run-a", "--json").out)
    assert "finished, archived" not in runs_text([run], now=0.0)
    assert "finished, archived" in runs_text([{**run, "archived": True}], now=0.0)


def test_a_filter_that_finds_none_says_of_how_many_and_what_no_run_has(call: Call) -> None:
    done = call("runs", "--project", "digits", "--filter", "train/los<0 state:done")
    assert (done.code, done.out) == (0, "")
    assert "the filter matches none of 2 runs" in done.err
    assert "no run has 'train/los'; did you mean" in done.err
    done = call("runs", "--project", "digits", "--filter", "state:crash", "--json")
    assert (done.code, json.loads(done.out)) == (0, [])
    assert "no run has" not in done.err


def test_a_wrong_filter_is_wrong_usage(call: Call) -> None:
    wrong = call("runs", "--filter", "lr<0.1 (name:x")
    assert wrong.code == 2
    assert "character 8" in wrong.err


def test_show_tells_everything_about_a_run(call: Call) -> None:
    shown = call("show", "first try")
    assert shown.code == 0
    for part in ("digits/run-a", "finished", "net.hidden  64", "train/loss", "0.292897"):
        assert part in shown.out
    assert "1 NaN, 1 +inf, 1 -inf" in shown.out
    assert "node  1 series; --node shows them" in shown.out
    assert "cpu/utilization_ratio" in call("show", "first try", "--node").out
    (started,) = [line for line in shown.out.splitlines() if line.startswith("started")]
    assert re.match(r"started +\S+ \S+ [+-]\d{4}, took 1m30s", started)
    assert "red bell" in shown.out
    assert "\x1b" not in shown.out


@pytest.mark.parametrize(
    ("state", "taken"), [("running", 29), ("crashed", 0.012), ("unknown", 0.012)]
)
def test_a_run_at_work_took_until_now(state: str, taken: float) -> None:
    """It may log seldom: its last data says nothing."""
    run = {"state": state, "started_at": 100.0, "ended_at": None, "last_seen": 100.012}
    assert duration_seconds(run, now=129.0) == pytest.approx(taken)


def test_show_as_json_adds_console_and_node_to_the_detail(call: Call) -> None:
    detail = json.loads(call("show", "digits/run-a", "--json").out)
    assert set(detail) == OVERVIEW_KEYS | {
        "config",
        "summary",
        "metadata",
        "metrics",
        "defined_metrics",
        "gaps",
        "dropped_points",
        "console",
        "node",
        "series",
        "histograms",
        "metric_count",
        "point_count",
        "last_step",
        "gap_count",
        "version",
    }
    assert detail["config"] == {"lr": 0.1, "net": {"hidden": 64}}
    odd, loss = detail["metrics"]
    assert (odd["first"], odd["nan_count"], odd["positive_inf_count"]) == ("NaN", 1, 1)
    assert (loss["metric"], loss["count"], loss["last"]) == ("train/loss", 10, 0.1)
    assert detail["histograms"] == [
        {"metric": "weights", "histogram_count": 1, "first_step": 4, "last_step": 4}
    ]
    assert detail["console"][0]["text"] == "begin"
    (cpu,) = detail["node"]
    assert (cpu["metric"], cpu["min"], cpu["max"]) == ("cpu/utilization_ratio", 0.25, 0.75)


def test_ranks_are_in_the_order_of_their_numbers(call: Call, store: EmbeddedStore) -> None:
    project = fresh_project()
    for rank in (0, 10, 2):
        log(store, writer(project, "ranks", label=f"rank{rank}"), [0], loss=[1.0])
    detail = json.loads(call("show", f"{project}/ranks", "--json").out)
    assert [each["label"] for each in detail["series"]] == ["rank0", "rank2", "rank10"]


def test_show_as_json_keeps_the_ranks_apart_too(call: Call, store: EmbeddedStore) -> None:
    project = fresh_project()
    for rank in range(3):
        who = writer(project, "together", label=f"rank{rank}")
        log(store, who, range(5), loss=[float(rank)] * 5)
    detail = json.loads(call("show", f"{project}/together", "--json").out)
    (joined,) = detail["metrics"]
    assert (joined["count"], joined["min"], joined["max"]) == (15, 0.0, 2.0)
    found = [(each["label"], each["count"], each["max"]) for each in detail["series"]]
    assert found == [("rank0", 5, 0.0), ("rank1", 5, 1.0), ("rank2", 5, 2.0)]


def test_show_cuts_the_console_to_its_tail(call: Call) -> None:
    assert len(json.loads(call("show", "run-a", "--tail", "1", "--json").out)["console"]) == 1
    assert json.loads(call("show", "run-a", "--tail", "0", "--json").out)["console"] == []


def test_an_unknown_run_is_not_found_and_the_nearest_are_named(call: Call) -> None:
    wrong = call("show", "run-aa")  # Other tests add runs to this store.
    assert wrong.code == 4
    assert "run-a" in wrong.err
    assert wrong.out == ""


def test_the_store_of_a_daemon_that_has_only_just_begun_is_waited_for(
    call: Call, place: Path
) -> None:
    data = place / "fresh"
    data.mkdir()
    daemon = FakeDaemon(place / "s.sock", data)
    makes_store = threading.Timer(0.5, (data / "store").mkdir)
    makes_store.start()
    try:
        told = call("runs")
    finally:
        makes_store.join()
        daemon.stop()
    assert told.code == 0, told.err


def test_what_is_not_found_but_has_a_journal_here_is_said(call: Call, place: Path) -> None:
    """An offline run, or one whose daemon was away: `stepwell sync` would send it."""
    project, run_id = fresh_project(), "unsent"
    records = schema_event() + row(1)
    journal = make_journal(
        place / "journals", "w", records, project=project, run_id=run_id, pid=os.getpid()
    )
    note = run_note(place / "journals", project, run_id)
    note.parent.mkdir(parents=True)
    note.write_text('{"name": "my try"}')
    waits = "; 1 journal of it waits on this machine: `stepwell sync` sends it"
    for words in (
        ("show", run_id),
        ("show", "my try"),
        ("show", f"{project}/my try"),
        ("show", f"{project}/{run_id}"),
        ("export", f"{project}/", "-o", "-"),
        ("runs", "--project", project),
    ):
        wrong = call(*words)
        assert wrong.code == 4
        assert waits in wrong.err, words
    assert "journal" not in call("show", f"other/{run_id}").err
    assert "; 1 journal waits on" in call("runs", "--data", place / "none").err
    with closing(JournalReader(journal)) as writer_at_work:
        assert writer_at_work.take_lock()
        assert "journal" not in call("show", run_id).err, "it sends its data itself"
        assert "1 writer running" in call("doctor").out
        info = WriterFile.from_json((journal / WRITER_FILE).read_text())
        (journal / WRITER_FILE).write_text(info._replace(pid=2**22 + 1).to_json())
        imported = "; 1 journal of it waits on this machine: the daemon imports it, see `stepwell"
        assert imported in call("show", run_id).err
        assert imported in call("runs", "--project", project).err
        assert "1 ended writer left" in call("doctor").out


def test_a_spool_that_cannot_be_written_is_named_and_not_0_bytes(
    call: Call, daemon: FakeDaemon
) -> None:
    daemon.flushed = FlushReply(stored=False, pending_bytes=0)
    daemon.status["spool"]["failure"] = "/d/spool/7.log: writing failed (No space left on device)"
    said = call("runs").err
    assert "stepwell: /d/spool/7.log: writing failed (No space left on device); the newest" in said
    daemon.status["spool"]["failure"] = ""
    said += call("runs").err
    assert "not in its spool yet; the newest points are missing here" in said
    assert "0 B" not in said


def test_journals_that_may_not_be_read_hide_no_error(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "journals").mkdir(exist_ok=True)
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path) == str(place / "journals"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # These tests may run as root, who reads all.
    assert call("show", "nowhere/none").code == 4
    wrong = call("runs", "--data", place / "none")
    assert (wrong.code, "no store in" in wrong.err) == (3, True)


def test_a_run_whose_rest_is_in_a_journal_here_is_shown_with_that(call: Call, place: Path) -> None:
    records = schema_event() + row(1)
    make_journal(place / "journals", "w", records, project="digits", run_id="run-a")
    told = call("show", "run-a")
    assert told.code == 0
    assert (
        "digits/run-a is not complete in this store; 1 journal of it waits on this machine"
        in told.err
    )
    assert call("show", "run-b").err == ""
    make_journal(
        place / "journals", "v", records, acked=len(records), project="digits", run_id="run-b"
    )
    assert call("show", "run-b").err == "", "what was sent does not wait, as after sync --keep"


def test_a_long_value_is_cut_and_the_json_has_all(call: Call, store: EmbeddedStore) -> None:
    project = fresh_project()
    made(store, project, "long", name="long")
    values = {"text": "x" * 100_000, "list": list(range(1000))}
    tell(store, writer(project, "long"), event("values", {"values": values}, step=9))
    told = call("show", f"{project}/long").out
    assert len(told) < 5000
    assert "… (100,000 characters; --json has all)" in told
    assert "… (1,000 values; --json has all)" in told
    assert json.loads(call("show", f"{project}/long", "--json").out)["summary"]["list"][-1] == 999


def test_a_random_id_that_is_not_near_is_not_named(call: Call, store: EmbeddedStore) -> None:
    made(store, fresh_project(), "6r7noe8i", name="x")
    wrong = call("show", "r7noex")
    assert wrong.code == 4
    assert "6r7noe8i" not in wrong.err


def test_an_ambiguous_run_is_asked_for_more_exactly(call: Call, store: EmbeddedStore) -> None:
    made(store, "twins", "t1", name="twin")
    made(store, "twins", "t2", name="twin")
    wrong = call("show", "twin")
    assert wrong.code == 2
    assert "twins/t1, twins/t2" in wrong.err


def test_without_a_store_it_says_where_it_looked(call: Call, place: Path) -> None:
    for words in (["runs"], ["show", "x"], ["sql", "SELECT 1"], ["rm", "x", "--yes"]):
        wrong = call(*words, "--data", place / "empty")
        assert wrong.code == 3
        assert str(place / "empty") in wrong.err
        assert "stepwell up" in wrong.err
    assert not (place / "empty").exists(), "reading made a folder"


@pytest.mark.parametrize(
    ("format_name", "out"),
    [
        ("json", '[{"step":0,"value":1},\n{"step":1,"value":0.5}]\n'),
        ("jsonl", '{"step":0,"value":1}\n{"step":1,"value":0.5}\n'),
        ("csv", '"step","value"\n0,1\n1,0.5\n'),
    ],
)
def test_sql_answers_in_the_format_asked_for(call: Call, format_name: str, out: str) -> None:
    statement = "SELECT number::Int64 AS step, 1 / (number + 1) AS value FROM numbers(2);"
    assert call("sql", statement, "--format", format_name).out == out


def test_a_null_in_csv_is_empty_and_an_empty_text_is_quoted(call: Call) -> None:
    statement = "SELECT NULL AS a, '' AS b, CAST(NULL AS Nullable(String)) AS c, 2 AS d"
    assert call("sql", statement, "--format", "csv").out == '"a","b","c","d"\n,"",,2\n'
    assert call("sql", f"{statement} FORMAT CSV").out == ',"",,2\n'


def test_a_null_alone_in_its_line_of_csv_is_no_empty_line(call: Call) -> None:
    statement = "SELECT arrayJoin([NULL, NULL, 'a\n\nb', NULL]) AS x"
    out = call("sql", statement, "--format", "csv").out
    assert out == '"x"\n""\n""\n"a\n\nb"\n""\n'


def test_csv_of_a_store_in_servers_is_written_as_the_embedded_engine_writes_it() -> None:
    class Store:
        def read(self, statement: str, *, timeout_seconds: float) -> tuple[list[str], list[Any]]:
            return ["a", "b,c"], [{"a": None, "b,c": ""}, {"a": 'x"y', "b,c": 1.5}]

    options = argparse.Namespace(format="csv", timeout=1.0)
    written, has_rows = sql._ask_server(cast("Any", Store()), "SELECT", options)
    assert has_rows
    assert written == b'a,"b,c"\n,""\n"x""y",1.5\n'


def test_a_format_in_the_statement_counts_and_two_are_refused(call: Call) -> None:
    assert call("sql", "SELECT 42 AS answer FORMAT TSVWithNames").out == "answer\n42\n"
    wrong = call("sql", "SELECT 1 FORMAT CSV;", "--format", "json")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == (
        "stepwell: the statement has FORMAT CSV, and --format is json; remove one of them\n"
    )


def test_sql_draws_a_table_unless_told_otherwise(call: Call) -> None:
    drawn = call("sql", "SELECT 42 AS answer").out
    assert "answer" in drawn
    assert "│" in drawn
    assert "\x1b" not in drawn


def test_a_statement_from_stdin_that_is_not_utf8_is_reported(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for errors in ("strict", "surrogateescape"):
        stdin = io.TextIOWrapper(io.BytesIO(b"SELECT '\xff'"), encoding="utf-8", errors=errors)
        monkeypatch.setattr("sys.stdin", stdin)
        wrong = call("sql", "-")
        assert (wrong.code, wrong.err) == (
            2, "stepwell: standard input: expected a statement in UTF-8\n",
        )  # fmt: skip


def test_a_table_of_sql_in_a_file_or_a_pipe_has_all_rows(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = "SELECT number FROM numbers(3000)"
    assert "2999" in call("sql", statement).out
    assert call("sql", statement, "-o", tmp_path / "table").code == 0
    assert "2999" in (tmp_path / "table").read_text("utf-8")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = call("sql", statement).out
    assert "Showed 1000 out of 3000 rows" in shown


def test_sql_without_rows_is_an_empty_list(call: Call) -> None:
    assert json.loads(call("sql", "SELECT 1 WHERE 0", "--format", "json").out) == []


def test_sql_without_rows_draws_the_header(call: Call) -> None:
    done = call("sql", "SELECT 1 AS a, 'x' AS `two words` WHERE 0")
    assert (done.code, done.out) == (0, "┌─a─┬─two words─┐\n└───┴───────────┘\n")
    assert done.err == "stepwell: 0 rows\n"
    assert call("sql", "SHOW TABLES LIKE 'none'").out.startswith("┌─name")
    assert call("sql", "SELECT 1 AS a WHERE 0", "--format", "csv").out == '"a"\n'
    assert call("sql", "SELECT 1 AS a WHERE 0 FORMAT TSV").out == ""


def test_sql_writes_parquet_that_others_read(call: Call, tmp_path: Path) -> None:
    import pyarrow.parquet

    file = tmp_path / "x.parquet"
    done = call("sql", "SELECT 42 AS answer", "--format", "parquet", "-o", file)
    assert done.code == 0
    assert pyarrow.parquet.read_table(file).to_pylist() == [{"answer": 42}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.csv", b'"answer"\n42\n'),
        ("q.JSON", b'[{"answer":42}]\n'),
        ("q.jsonl", b'{"answer":42}\n'),
    ],
)
def test_the_ending_of_the_file_sets_the_format_of_sql(
    call: Call, tmp_path: Path, name: str, content: bytes
) -> None:
    assert call("sql", "SELECT 42 AS answer", "-o", tmp_path / name).code == 0
    assert (tmp_path / name).read_bytes() == content


def test_a_parquet_ending_needs_no_format_for_sql(call: Call, tmp_path: Path) -> None:
    import pyarrow.parquet

    assert call("sql", "SELECT 42 AS answer", "-o", tmp_path / "q.parquet").code == 0
    assert pyarrow.parquet.read_table(tmp_path / "q.parquet").to_pylist() == [{"answer": 42}]


def test_sql_writes_no_file_with_an_ending_that_it_does_not_know(
    call: Call, tmp_path: Path
) -> None:
    wrong = call("sql", "SELECT 42 AS answer", "-o", tmp_path / "q.xlsx")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == (
        f"stepwell: {tmp_path}/q.xlsx: unknown format; expected the ending .json, .jsonl, .csv, "
        ".parquet, or --format\n"
    )
    assert os.listdir(tmp_path) == []


def test_a_file_of_sql_without_an_ending_is_a_table_and_a_stated_format_counts(
    call: Call, tmp_path: Path
) -> None:
    assert call("sql", "SELECT 42 AS answer", "-o", tmp_path / "q").code == 0
    assert "│" in (tmp_path / "q").read_text()
    statement = "SELECT 42 AS answer FORMAT TSV"
    assert call("sql", statement, "-o", tmp_path / "q.tsv").code == 0
    assert (tmp_path / "q.tsv").read_text() == "42\n"
    assert call("sql", "SELECT 42", "--format", "csv", "-o", tmp_path / "q.txt").code == 0


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
def test_a_named_socket_without_a_daemon_shows_no_other_store(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    folder = Path(os.environ["STEPWELL_DATA"])
    monkeypatch.delenv("STEPWELL_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    (place / "stepwell").symlink_to(folder)  # The default folder has a store.
    for more in ([], ["--socket", place / "t.sock"]):
        wrong = call(*words, *more)
        assert (wrong.code, wrong.out) == (3, "")
        assert f"no daemon answers on {place}" in wrong.err
        assert "--data or STEPWELL_DATA" in wrong.err


def test_the_configuration_names_the_folder_that_is_read(
    call: Call, store: EmbeddedStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPWELL_DATA")
    config = place / "stepwelld.toml"
    config.write_text(f"data = '{store.data_dir}'\n")
    assert "run-c" in call("runs", "--config", config).out


def test_the_folder_of_the_configuration_is_read_while_another_daemon_runs(
    call: Call, store: EmbeddedStore, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPWELL_DATA")
    config = place / "stepwelld.toml"
    config.write_text(f"data = '{store.data_dir}'\n")
    other = FakeDaemon(place / "s.sock", place / "other")
    try:
        told = call("runs", "--config", config)
    finally:
        other.stop()
    assert "run-c" in told.out
    assert told.err == ""
    assert other.flush_count == 0


@pytest.mark.parametrize("names_socket", [True, False])
def test_a_configuration_with_servers_asks_its_own_daemon_only(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch, *, names_socket: bool
) -> None:
    monkeypatch.delenv("STEPWELL_DATA")
    lines = ['sink = "clickhouse"', f'clickhouse_hosts = "127.0.0.1:{free_port()}"']
    lines += [f"data = '{place}/own'"]
    if names_socket:
        lines += [f"socket = '{place}/own.sock'"]
    config = place / "stepwelld.toml"
    config.write_text("\n".join(lines))
    other = FakeDaemon(place / "s.sock", place / "other")
    own = FakeDaemon(place / "own.sock", place / "own")
    own.status["sink"]["kind"] = "clickhouse 127.0.0.1"
    try:
        told = call("runs", "--config", config)
    finally:
        other.stop()
        own.stop()
    assert "connecting to ClickHouse failed" in told.err
    assert "reading the data of the daemon on" not in told.err
    assert (other.flush_count, own.flush_count) == (0, int(names_socket))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE points",
        "  -- a comment\n /* another */ (alter TABLE points DELETE WHERE 1)",
        "INSERT INTO points VALUES (1, 1, 1, 1)",
        "WITH x AS (SELECT 1) INSERT INTO points SELECT 1, 1, 1, 1",
        "SELECT 1; DROP TABLE points",
        "SELECT 1 SETTINGS readonly = 0",
        "SET readonly = 0",
        "EXPLAIN SELECT 1; DROP TABLE points",
        "",
        "-- nothing",
    ],
)
def test_sql_changes_nothing(call: Call, store: EmbeddedStore, statement: str) -> None:
    before = store.query("SELECT count() AS n FROM points")
    wrong = call("sql", statement)
    assert wrong.code == 2, wrong
    assert wrong.out == ""
    assert store.query("SELECT count() AS n FROM points") == before


def test_sql_that_is_wrong_says_so_in_one_line(call: Call) -> None:
    wrong = call("sql", "SELECT nothing FROM nowhere")
    assert wrong.code == 2
    assert "nowhere" in wrong.err
    assert "`stepwell sql 'SHOW TABLES'` lists the tables" in wrong.err
    assert "Traceback" not in wrong.err
    wrong = call("sql", "SELEC 1")
    assert wrong.code == 2
    assert "syntax error at character 1: 'SELEC'" in wrong.err
    assert "did you mean SELECT?" in wrong.err


def test_rm_deletes_for_good_and_only_what_was_named(call: Call, store: EmbeddedStore) -> None:
    project = fresh_project()
    made(store, project, "keep", name="keep")
    made(store, project, "gone1", name="gone one")
    made(store, project, "gone2", name="gone two")
    done = call("rm", f"{project}/gone1", f"{project}/gone two", "--yes")
    assert done.code == 0
    assert done.out == f"deleted {project}/gone1\ndeleted {project}/gone2\n"
    left = json.loads(call("runs", "--project", project, "--json").out)
    assert [each["run_id"] for each in left] == ["keep"]
    assert left[0]["name"] == "keep"


def test_rm_of_an_unknown_run_deletes_nothing(call: Call, store: EmbeddedStore) -> None:
    project = fresh_project()
    made(store, project, "here", name="here")
    assert call("rm", f"{project}/here", f"{project}/missing", "--yes").code == 4
    assert len(json.loads(call("runs", "--project", project, "--json").out)) == 1


def test_rm_asks_where_it_can_and_refuses_where_it_cannot(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        wrong = call("rm", "run-a")
    assert wrong.code == 2
    assert "--yes" in wrong.err


def test_a_daemon_is_asked_to_store_what_it_holds_first(
    call: Call, daemon: FakeDaemon, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_DATA", str(place / "elsewhere"))
    listed = call("runs")
    assert "run-a" in listed.out, "the daemon's folder is read, not the default"
    assert f"to read {place / 'elsewhere'} instead, give it with --data" in listed.err
    assert daemon.flush_count == 1


def test_what_the_daemon_could_not_store_in_time_is_said(call: Call, daemon: FakeDaemon) -> None:
    daemon.flushed.stored = False
    daemon.flushed.pending_bytes = 2_000_000
    listed = call("runs")
    assert "run-a" in listed.out
    assert "2.0 MB in the daemon's spool are not in the store yet" in listed.err


def test_a_folder_that_was_named_wins_over_the_daemons(
    call: Call, daemon: FakeDaemon, place: Path
) -> None:
    assert call("runs", "--data", place / "other").code == 3
    assert daemon.flush_count == 0


@pytest.mark.slow
def test_without_an_engine_one_is_started_for_the_moment(place: Path) -> None:
    environ = {**os.environ, "STEPWELL_SOCKET": str(place / "s.sock")}
    code = (
        "import sys; from pathlib import Path; from stepwell_store import open_embedded\n"
        "store = open_embedded(Path(sys.argv[1])); store.migrate(); store.close()"
    )
    data = place / "data"
    subprocess.run([sys.executable, "-c", code, str(data)], check=True)
    listed = subprocess.run(
        [sys.executable, "-m", "stepwell", "runs", "--json", "--data", str(data)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "[]\n", "")
    assert not (data / "engine.sock").exists()


def test_a_run_that_nobody_saw_end_has_no_exit_code(call: Call, store: EmbeddedStore) -> None:
    made(store, "ends", "run-e", name="ends", state="crashed", exit_code=-1)
    assert "crashed, exit code unknown\n" in call("show", "run-e").out
    shown = json.loads(call("show", "run-e", "--json").out)
    assert (shown["exit_code"], shown["writers"][0]["exit_code"]) == (None, None)
    assert "small, fast" in call("show", "run-e").out


def test_writers_that_ended_differently_are_listed(call: Call, store: EmbeddedStore) -> None:
    made(store, "ranks", "run-r", name="ranks")
    for rank in range(1, 25):
        who = writer("ranks", "run-r", label=f"rank{rank}")
        start = {"rank": rank, "world_size": 25, "label": f"rank{rank}", "started_at": START_US}
        end = {"state": "finished", "exit_code": 0}
        if rank == 24:
            end = {"state": "killed", "exit_code": 137}
        ended_us = START_US + 90_000_000
        tell(store, who, event("start", start), event("finish", end, time_us=ended_us))
    shown = call("show", "run-r").out
    (table,) = (part for part in shown.split("\n\n") if part.startswith("writers\n"))
    lines = table.splitlines()
    assert lines[1].split() == ["label", "host:pid", "state", "exit", "code"]
    assert lines[2].split() == ["rank24", "node-a:42", "killed", "by", "SIGKILL", "137"]
    assert lines[3].split() == ["rank", "0", "node-a:42", "finished", "0"]
    assert lines[-1] == "  … 5 more; --json has all"
    made(store, "ranks", "run-t", name="alike")
    finished = event("finish", {"state": "finished", "exit_code": 0})
    tell(store, writer("ranks", "run-t", label="rank1"), finished)
    assert "\n\nwriters\n" not in call("show", "run-t").out


def test_what_is_missing_is_shown_and_mentioned_until_it_is_filled(
    call: Call, store: EmbeddedStore
) -> None:
    made(store, "holes", "run-h", name="holes")
    who = writer("holes", "run-h", host="node-a")
    steps = {"first_step": 3, "last_step": 5}
    kept = {"reason": "refused by the store, kept in dead_letter/1-2-points.seg", "rows": 3}
    tell(store, who, event("gap", {**kept, "points": 6, **steps}))
    tell(store, who, event("gap", {"reason": "damaged", "rows": 0, "points": 0, **steps}))
    shown = call("show", "run-h")
    assert "MISSING  6 points and 1 piece of unknown size, see below" in shown.out
    assert "1-2-points.seg: 6 points in 3 rows of steps 3 to 5" in shown.out
    assert "damaged: rows logged around steps 3 to 5, not counted" in shown.out
    exported = call("export", "run-h", "-o", "-")
    assert "6 points and 1 piece of unknown size of 1 run are missing" in exported.err
    filled = {**kept, "reason": f"replayed: {kept['reason']}"}
    tell(store, who, event("gap", {**filled, "points": 6, **steps}))
    (left,) = json.loads(call("show", "run-h", "--json").out)["gaps"]
    assert left["reason"] == "damaged"
    one = {"rows": 0, "points": 0, "first_step": 9, "last_step": 9}
    tell(store, who, event("gap", {"reason": "journal damaged, its end is missing", **one}))
    doubt = "journal taken as it reads, no checksum holds for 64 bytes"
    tell(store, who, event("gap", {"reason": doubt, "rows": 0, "points": 0, **steps}))
    shown = call("show", "run-h").out
    assert "MISSING   2 pieces of unknown size, see below" in shown
    assert "IN DOUBT  values of 1 range of steps may be wrong, see below" in shown
    assert "its end is missing: rows logged before or after step 9, not counted" in shown
    assert f"{doubt}: values of steps 3 to 5 may be wrong" in shown
    exported = call("export", "run-h", "-o", "-").err
    assert "stepwell: values of 1 range of steps may be wrong; see `stepwell show RUN`" in exported
    assert "missing" not in call("export", "run-a", "-o", "-").err


def test_lists_of_which_a_rest_is_in_a_journal_here_say_so(call: Call, place: Path) -> None:
    """The run of a process that was killed at its start may be missing in them."""
    records = schema_event() + row(1)
    make_journal(place / "journals", "w", records, project="digits", run_id="run-d")
    waits = "is not complete in this store; 1 journal"
    for words in (
        ("runs", "--project", "digits"),
        ("export", "digits", "-o", "-"),
        ("runs",),
        ("sql", "SELECT 1"),
    ):
        told = call(*words)
        assert told.code == 0
        assert waits in told.err, words
    for words in (
        ("runs", "--project", "faces"),
        ("export", "digits/run-b", "-o", "-"),
    ):
        assert waits not in call(*words).err, words


def test_a_column_of_defined_operations_is_shown_as_on_the_page(
    call: Call, store: EmbeddedStore
) -> None:
    project = fresh_project()
    who = writer(project, "run")
    told = [
        event("define_metric", {"name": name, "summary": operations})
        for name, operations in {"val/loss": ["min", "max"], "acc": ["max"]}.items()
    ]
    tell(store, who, event("start", {"name": "x"}), *told)
    log(store, who, range(2), **{"val/loss": [1.0, 0.25], "acc": [0.75, 0.5]})
    paths = "val/loss,val/loss.min,acc,acc.max"
    listed = call("runs", "--project", project, "--columns", paths)
    cells = re.split(r"\s{2,}", listed.out.splitlines()[1].strip())
    assert cells[-4:] == ["min 0.25, max 1", "0.25", "0.75", "0.75"]
    (run,) = json.loads(call("runs", "--project", project, "--columns", paths, "--json").out)
    assert run["columns"]["val/loss"] == {"min": 0.25, "max": 1.0}
    assert run["columns"]["acc"] == {"max": 0.75}


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("config.lr", {"min": 0.5}, '{"min": 0.5}'),
        ("config.opt", {"_type": "adam", "lr": 1}, '{"_type": "adam", "lr": 1}'),
        ("summary.x", {"min": 0.5, "depth": 2}, '{"min": 0.5, "depth": 2}'),
        ("summary.x", {"min": True}, '{"min": true}'),
        ("summary.x", {}, "{}"),
        ("summary.x", {"last": math.nan, "best": -2.0}, "last nan, best -2"),
        ("summary.x", {"_type": "image-file"}, "(image)"),
    ],
)
def test_only_numbers_of_operations_are_shown_as_such(path: str, value: object, text: str) -> None:
    assert cell_text(path, value) == text
