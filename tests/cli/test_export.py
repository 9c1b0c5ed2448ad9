"""`stepwell export`: one history row a line, in three formats, whole or not at all."""

import csv
import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from stepwell.cli import export
from stepwell_store import EmbeddedStore
from tests.cli.conftest import Call


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_has_step_timestamp_and_what_was_logged_then(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    done = call("export", "run-a", "-o", file)
    assert done.code == 0
    assert done.err == f"10 rows in {file}\n"
    rows = lines(file)
    assert [row["_step"] for row in rows] == list(range(10))
    assert list(rows[0]) == ["_step", "_timestamp", "odd", "train/loss"]
    assert rows[0]["_timestamp"] == 1_700_000_000.0
    assert [row["odd"] for row in rows[:4]] == ["NaN", "Infinity", "-Infinity", 0.5]
    assert rows[3]["note"] == 'good, "really"'
    assert rows[3]["shape"] == [1, 2]
    assert "note" not in rows[4]
    assert rows[4]["weights"] == {
        "_type": "histogram",
        "values": [1, 2],
        "bins": [0.0, 0.5, 1.0],
        "nan_count": 3,
    }


def test_csv_has_a_column_for_every_metric(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "run.csv"
    assert call("export", "digits/run-a", "-o", file).code == 0
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == [
        *("_step", "_timestamp", "note", "odd", "shape", "train/loss", "weights")
    ]
    assert math.isnan(float(rows[0]["odd"]))
    assert rows[3]["note"] == 'good, "really"'
    assert rows[3]["shape"] == "[1, 2]"
    assert rows[4]["note"] == ""
    assert json.loads(rows[4]["weights"])["values"] == [1, 2]
    assert float(rows[9]["train/loss"]) == 0.1


def test_parquet_has_typed_columns(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "run.parquet"
    assert call("export", "run-a", "-o", file).code == 0
    table = pyarrow.parquet.read_table(file)
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "_step": "int64",
        "_timestamp": "double",
        "note": "string",
        "odd": "double",
        "shape": "string",
        "train/loss": "double",
        "weights": "string",
    }
    rows = table.to_pylist()
    assert math.isnan(rows[0]["odd"])
    assert rows[1]["odd"] == math.inf
    assert (rows[3]["note"], rows[4]["note"]) == ('good, "really"', None)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_project_adds_the_run_to_every_row(call: Call, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"all.{ending}"
    assert call("export", "digits", "-o", file).code == 0
    if ending == "jsonl":
        runs = [row["_run"] for row in lines(file)]
    elif ending == "csv":
        runs = [row["_run"] for row in csv.DictReader(file.read_text().splitlines())]
    else:
        runs = [row["_run"] for row in pyarrow.parquet.read_table(file).to_pylist()]
    assert runs == ["run-a"] * 10 + ["run-b"] * 10


def test_only_the_metrics_asked_for(call: Call) -> None:
    out = call("export", "run-a", "-o", "-", "--metric", "note", "--metric", "odd").out
    rows = [json.loads(line) for line in out.splitlines()]
    assert set().union(*rows) == {"_step", "_timestamp", "note", "odd"}
    wrong = call("export", "run-a", "-o", "-", "--metric", "train/lss")
    assert wrong.code == 4
    assert "no metric 'train/lss'; did you mean 'train/loss'" in wrong.err


def test_stdout_takes_any_format(call: Call) -> None:
    written = call("export", "run-a", "-o", "-", "--format", "csv")
    assert written.out.startswith("_step,_timestamp,")
    assert written.err == ""


def test_an_ending_that_says_nothing_is_asked_about(call: Call, tmp_path: Path) -> None:
    wrong = call("export", "run-a", "-o", tmp_path / "run.xlsx")
    assert wrong.code == 2
    assert "--format" in wrong.err


def test_an_unknown_name_is_neither_run_nor_project(call: Call, tmp_path: Path) -> None:
    assert call("export", "nobody", "-o", tmp_path / "x.csv").code == 4
    assert call("export", "nobody/", "-o", tmp_path / "x.csv").code == 4
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_both_a_run_and_a_project_is_asked_about(call: Call, tmp_path: Path) -> None:
    wrong = call("export", "faces", "-o", tmp_path / "x.jsonl")
    assert wrong.code == 2
    assert "faces/run-c or faces/" in wrong.err
    assert call("export", "faces/", "-o", tmp_path / "x.jsonl").code == 0
    assert lines(tmp_path / "x.jsonl")[0]["_run"] == "run-c"


def test_a_failure_half_way_leaves_what_was_there(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text("before\n")

    def failing(*_: object, **__: object) -> Any:
        yield {"_step": 0}
        raise OSError(28, "No space left on device", str(file))

    monkeypatch.setattr(export, "rows_of", failing)
    wrong = call("export", "run-a", "-o", file)
    assert wrong.code == 1
    assert wrong.err == f"stepwell: {file}: No space left on device\n"
    assert [path.name for path in tmp_path.iterdir()] == ["run.jsonl"]
    assert file.read_text() == "before\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_removes_the_incomplete_file_and_ends_the_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "run.csv"
    file.write_text("as it was")
    script = (
        "import os, signal, sys, time; from stepwell.cli import __main__ as cli, output\n"
        # A shell that started the tests in the background lets them ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def run(options):\n"
        "    with output.replaced_file(sys.argv[1]) as file:\n"
        "        file.write(b'x' * 100_000)\n"
        "        print(len(os.listdir(os.path.dirname(sys.argv[1]))), flush=True)\n"
        "        time.sleep(60)\n"
        "cli._dispatch = run\n"
        "sys.exit(cli.main([]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"2\n"
        process.send_signal(number)
        said = process.communicate(timeout=60)
    assert said == (b"", b"")
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert file.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [file]


def test_a_run_without_points_is_an_empty_file(
    call: Call, store: EmbeddedStore, tmp_path: Path
) -> None:
    from tests.store.made import event, tell, writer

    tell(store, writer("empty", "silent"), event("run", {"name": "silent"}))
    tell(store, writer("empty", "silent"), event("finish", {"state": "finished", "exit_code": 0}))
    for ending in ("csv", "jsonl", "parquet"):
        assert call("export", "silent", "-o", tmp_path / f"x.{ending}").code == 0
    assert (tmp_path / "x.jsonl").read_text() == ""
    assert (tmp_path / "x.csv").read_text() == "_step,_timestamp\n"
    assert pyarrow.parquet.read_table(tmp_path / "x.parquet").num_rows == 0


def test_the_written_file_is_as_readable_as_any_other(call: Call, tmp_path: Path) -> None:
    made_by_us = tmp_path / "ours"
    made_by_us.touch()
    call("export", "run-a", "-o", tmp_path / "x.csv")
    assert (tmp_path / "x.csv").stat().st_mode == made_by_us.stat().st_mode


def test_a_project_with_a_wrong_letter_is_proposed(call: Call, tmp_path: Path) -> None:
    wrong = call("export", "digts", "-o", tmp_path / "x.csv")
    assert wrong.code == 4
    assert "no run and no project has the name 'digts'; did you mean the project 'digits'?" in (
        wrong.err
    )
