"""`rm` of whole projects, of runs that run and of points without a name; ids used again."""

import asyncio
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepwell_hub.catalog import project_deletion, reports
from stepwell_hub.catalog.catalog import open_catalog
from stepwell_store import EmbeddedStore, open_embedded
from stepwell_store.queries import list_runs
from stepwell_wire.hub_access import hub_dir
from stepwell_wire.journal_files import find_journals
from stepwell_wire.run_notes import notes_folder, run_note, step_note
from tests.cli.conftest import Call, made
from tests.daemon.journals import make_journal
from tests.daemon.made import append, new_writer, row, schema_event, spool_running
from tests.faults.oracle import open_store, wait_until_stored
from tests.node import Node, made_node
from tests.store.made import event, fresh_project, log, tell, writer
from tests.waiting import wait_until


def test_rm_says_what_it_can_delete(call: Call) -> None:
    for words in ([], ["--orphans", "--project", "p"], ["--orphans", "run-a"]):
        wrong = call("rm", *words, "--yes")
        assert wrong.code == 2
        assert "--orphans" in wrong.err
    wrong = call("rm", "run-a", "--project", "my project", "--yes")
    assert wrong.code == 2
    assert "for one run of it give 'my project/run-a'" in wrong.err


def test_rm_deletes_a_project_and_not_the_next(call: Call, store: EmbeddedStore) -> None:
    project, other = fresh_project(), fresh_project()
    for run_id in ("a", "b"):
        made(store, project, run_id, name=run_id)
    made(store, other, "a", name="a")
    wrong = call("rm", "--project", f"{project}-typo", "--yes")
    assert wrong.code == 4
    assert f"did you mean '{project}'" in wrong.err
    done = call("rm", "--project", project, "--yes")
    assert (done.code, done.out) == (0, f"deleted project {project}\n")
    assert not list_runs(store, project).items
    assert len(json.loads(call("runs", "--project", other, "--json").out)) == 1


def test_rm_names_what_is_wrong_before_it_asks(
    call: Call, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fresh_project()
    for run_id in ("a", "b"):
        made(store, project, run_id, name="twin")
    for words, code, said in (
        (["nosuch"], 4, "there is no run 'nosuch'"),
        (["--project", f"{project}-typo"], 4, f"did you mean '{project}'"),
        ([f"{project}/twin"], 2, "2 runs are called"),
        ([f"{project}/a"], 2, "no terminal for the confirmation; add --yes to delete"),
        (["--project", project], 2, "no terminal for the confirmation; add --yes to delete"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        told = call("rm", *words)
        assert (told.code, told.out) == (code, ""), words
        assert said in told.err
    assert len(list_runs(store, project).items) == 2


def test_rm_asks_on_a_terminal(
    call: Call, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fresh_project()
    for run_id in ("a", "b"):
        made(store, project, run_id, name=run_id)
    for typed, code, left in (("n\n", 1, 2), ("", 1, 2), ("yes\n", 0, 1)):
        terminal = io.StringIO(typed)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", terminal)
        told = call("rm", f"{project}/a")
        assert told.code == code
        assert f"{project}/a\ndelete this permanently? [y/N] " in told.err
        assert len(list_runs(store, project).items) == left


def test_rm_of_a_project_is_noted_for_its_hub(call: Call, store: EmbeddedStore) -> None:
    project = fresh_project()
    made(store, project, "a", name="a")
    folder = hub_dir(store.data_dir)
    folder.mkdir(exist_ok=True)
    catalog = open_catalog(folder)
    try:
        assert project_deletion.unfinished(catalog) == []
        assert call("rm", "--project", project, "--yes").code == 0
        assert [each.project for each in project_deletion.unfinished(catalog)] == [project]
    finally:
        catalog.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("is_own", [True, False])
def test_rm_of_a_project_says_that_a_catalog_in_postgresql_keeps_the_rest(
    call: Call, store: EmbeddedStore, *, is_own: bool
) -> None:
    project = fresh_project()
    made(store, project, "a", name="a")
    folder = hub_dir(store.data_dir)
    folder.mkdir(exist_ok=True)
    try:
        (folder / "hub.json").write_text(json.dumps({"has_own_catalog": is_own}))
        said = call("rm", "--project", project, "--yes")
    finally:
        shutil.rmtree(folder)
    assert said.code == 0
    remain = f"reports, sweeps and artifacts of {project} remain: their catalog is in PostgreSQL"
    assert (remain in said.err) is not is_own


def test_rm_deletes_a_project_that_has_a_report_and_no_run(
    call: Call, store: EmbeddedStore
) -> None:
    project = fresh_project()
    folder = hub_dir(store.data_dir)
    folder.mkdir(exist_ok=True)
    catalog = open_catalog(folder)
    try:
        assert call("rm", "--project", project, "--yes").code == 4
        reports.create(catalog, project=project, title="t", text="# t", key="k", now=1.0)
        assert call("rm", "--project", project, "--yes").code == 0
        assert [each.project for each in project_deletion.unfinished(catalog)] == [project]
    finally:
        catalog.close()
        shutil.rmtree(folder)


def test_rm_of_a_run_that_runs_says_what_to_do_and_deletes_none(
    call: Call, store: EmbeddedStore
) -> None:
    project = fresh_project()
    made(store, project, "ended", name="ended")
    tell(store, writer(project, "alive"), event("start", {"name": "alive", "started_at": 1}))
    both = (f"{project}/ended", f"{project}/alive")
    wrong = call("rm", *both, "--yes")
    assert wrong.code == 2
    assert f"still running: {project}/alive; nothing was deleted" in wrong.err
    assert "--force" in wrong.err
    assert len(json.loads(call("runs", "--project", project, "--json").out)) == 2
    assert call("rm", *both, "--yes", "--force").code == 0
    assert not list_runs(store, project).items


def test_doctor_counts_points_without_a_name_and_rm_deletes_them(
    call: Call, store: EmbeddedStore
) -> None:
    call("rm", "--orphans", "--yes")
    project = fresh_project()
    log(store, writer(project), range(7), loss=range(7))
    store.delete_rows("series", "project = {p:String}", {"p": project})
    told = call("doctor")
    assert "7 points of 1 series without a name" in told.out
    assert "stepwell rm --orphans" in told.out
    done = call("rm", "--orphans", "--yes")
    assert done.code == 0
    assert done.out.startswith("deleted 7 of ")
    assert done.out.endswith(" points, of 1 series without a name\n")
    assert "without a name" not in call("doctor").out


def test_a_deleted_run_is_forgotten_on_this_machine(
    call: Call, store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path))
    project = fresh_project()
    noted = []
    for run_id in ("a", "b", "c"):
        made(store, project, run_id, name=run_id)
        noted += [run_note(tmp_path, project, run_id), step_note(tmp_path, project, run_id)]
    notes_folder(tmp_path, project).mkdir(parents=True)
    for path in noted:
        path.write_bytes(b"{}")
    assert call("rm", f"{project}/a", "--yes").code == 0
    assert [path.exists() for path in noted] == [False, False, True, True, True, True]
    assert call("rm", "--project", project, "--yes").code == 0
    assert not any(path.exists() for path in noted)


def test_rm_names_the_journals_here_that_bring_a_run_back(
    call: Call, store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path))
    project = fresh_project()
    for run_id in ("a", "b", "c"):
        made(store, project, run_id, name=run_id)
    records = schema_event() + row(1)
    first = make_journal(tmp_path, "w", records, project=project, run_id="a")
    second = make_journal(tmp_path, "v", records, project=project, run_id="b")
    make_journal(tmp_path, "u", records, acked=len(records), project=project, run_id="c")
    done = call("rm", f"{project}/a", "--yes")
    assert (done.code, done.out) == (0, f"deleted {project}/a\n")
    assert f"{project}/a was deleted from the store; 1 journal of it waits" in done.err
    assert f"`stepwell sync` stores it again. To keep it deleted, delete the folder {first}\n" in (
        done.err
    )
    assert call("rm", f"{project}/c", "--yes").err == ""
    done = call("rm", "--project", project, "--yes")
    assert f"project {project} was deleted from the store; 2 journals of it wait on" in done.err
    assert str(first) in done.err
    assert str(second) in done.err


# With a real daemon and real training processes.

_TRAIN = """
import stepwell
run = stepwell.init(project="p", id="r1", name="{name}", settings={{"console": False}})
for step in range(10): run.log({{"loss": step}})
run.finish()
"""
_TRAIN_LONG = """
import sys, stepwell
run = stepwell.init(project="p", id="r1", config={"lr": 1}, settings={"console": False})
step = 0
for line in sys.stdin:
    for _ in range(10):
        run.log({"loss": step}); step += 1
    run.flush()
    print(step, flush=True)
run.finish()
"""


@pytest.fixture
def node() -> Iterator[Node]:
    with made_node() as running:
        running.variables = {"STEPWELLD_SAMPLE_SECONDS": "0"}
        running.start_daemon("--block-delay-seconds", "0.02")
        yield running


@contextmanager
def training(node: Node) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, "-c", _TRAIN_LONG],
        env=node.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def log_ten(process: "subprocess.Popen[str]") -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


@pytest.mark.processes
def test_an_id_that_was_deleted_is_used_again_and_has_its_metrics(node: Node) -> None:
    for name in ("first", "second", "third"):
        done = node.python(_TRAIN.format(name=name))
        assert done.returncode == 0, done.stderr
        wait_until_stored(node)
        shown = json.loads(node.stepwell("show", "r1", "--json").stdout)
        assert (shown["name"], shown["state"]) == (name, "finished")
        assert [(each["metric"], each["count"]) for each in shown["metrics"]] == [("loss", 10)]
        removed = node.stepwell("rm", "r1", "--yes")
        assert removed.returncode == 0, removed.stderr
        assert json.loads(node.stepwell("runs", "--json").stdout) == []


@pytest.mark.processes
def test_without_a_daemon_a_run_whose_rows_wait_in_the_spool_is_not_deleted(tmp_path: Path) -> None:
    """A daemon that starts later would store them, and the run would come back."""
    store = open_embedded(tmp_path)
    store.migrate()
    for run_id in ("run-w1", "other"):
        made(store, "demo", run_id, name=run_id)
    store.close()

    async def fill() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            state = new_writer(spool, "w1")
            append(spool, state, schema_event())
            append(spool, state, row(1))
            await spool.settled()

    asyncio.run(fill())
    words = ("--yes", "--data", str(tmp_path), "--socket", str(tmp_path / "s"))
    command = [sys.executable, "-m", "stepwell", "rm", *words]
    wrong = subprocess.run([*command, "demo/run-w1"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 1, wrong.stderr
    assert "unstored rows of demo/run-w1" in wrong.stderr
    assert "stepwell up" in wrong.stderr
    done = subprocess.run([*command, "demo/other"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "deleted demo/other\n"), done.stderr


@pytest.mark.processes
def test_what_a_running_run_logs_after_its_forced_deletion_is_deleted_too(node: Node) -> None:
    with training(node) as process:
        assert log_ten(process) == 10
        wait_until(lambda: node.stepwell("show", "r1").returncode == 0, "the run to be stored")
        refused = node.stepwell("rm", "r1", "--yes")
        assert refused.returncode == 2
        assert "still running: p/r1" in refused.stderr
        done = node.stepwell("rm", "r1", "--yes", "--force")
        assert (done.returncode, done.stdout) == (0, "deleted p/r1\n"), done.stderr
        assert json.loads(node.stepwell("runs", "--json").stdout) == []
        assert log_ten(process) == 20
        process.communicate(timeout=300)
        assert process.returncode == 0
    wait_until_stored(node)
    store = open_store(node)
    tables = ("points", "step_rollups", "series_stats", "series", "writers", "removed_writers")

    def is_empty() -> bool:
        return all(not store.query(f"SELECT 1 FROM {table} LIMIT 1") for table in tables)

    wait_until(is_empty, "the rest of the run to go")
    store.close()
    assert json.loads(node.stepwell("runs", "--json").stdout) == []


_TRAIN_AGAIN = """
import stepwell
run = stepwell.init(
    project="p", id="r1", name="again", config={"wd": 2}, settings={"console": False}
)
for step in range(100, 105): run.log({"loss": step}, step=step)
run.finish()
"""


@pytest.mark.processes
@pytest.mark.parametrize("former", ["goes on", "is killed before", "is killed after"])
def test_an_id_is_free_as_soon_as_its_running_run_is_deleted_by_force(
    node: Node, former: str
) -> None:
    with training(node) as process:
        assert log_ten(process) == 10
        wait_until(lambda: node.stepwell("show", "r1").returncode == 0, "the run to be stored")
        assert log_ten(process) == 20
        if former == "is killed before":
            process.kill()
        done = node.stepwell("rm", "r1", "--yes", "--force")
        assert (done.returncode, done.stdout, done.stderr) == (0, "deleted p/r1\n", "")
        assert json.loads(node.stepwell("runs", "--json").stdout) == []
        if former == "is killed after":
            process.kill()
        again = node.python(_TRAIN_AGAIN)
        assert again.returncode == 0, again.stderr
        if former == "goes on":
            assert log_ten(process) == 30
            process.communicate(timeout=300)
            assert process.returncode == 0
    wait_until_stored(node)
    (run,) = json.loads(node.stepwell("runs", "--json").stdout)
    assert (run["run_id"], run["name"], run["state"]) == ("r1", "again", "finished")
    shown = json.loads(node.stepwell("show", "r1", "--json").stdout)
    assert shown["config"]["wd"] == 2
    assert "lr" not in shown["config"]
    assert len(shown["writers"]) == 1
    rows = node.stepwell("export", "r1", "--format", "jsonl", "-o", "-")
    steps = [json.loads(line)["_step"] for line in rows.stdout.splitlines()]
    assert steps == [*range(100, 105)], rows.stderr
    if former != "goes on":
        wait_until(lambda: not list(find_journals(node.journals)), "the former journal to go")
        again_shown = json.loads(node.stepwell("show", "r1", "--json").stdout)
        assert (again_shown["metrics"], again_shown["state"]) == (shown["metrics"], "finished")


@pytest.mark.processes
def test_a_deleted_run_does_not_come_back_after_a_restart_of_the_daemon(node: Node) -> None:
    with training(node) as process:
        assert log_ten(process) == 10
        wait_until(lambda: node.stepwell("show", "r1").returncode == 0, "the run to be stored")
        assert node.stepwell("rm", "r1", "--yes", "--force").returncode == 0
        node.stop_daemon(how=signal.SIGKILL)
        node.start_daemon("--block-delay-seconds", "0.02")
        assert log_ten(process) == 20
        process.communicate(timeout=300)
        assert process.returncode == 0
    wait_until_stored(node)
    assert json.loads(node.stepwell("runs", "--json").stdout) == []


_SLOW_RM = """
import sys
from stepwell.cli.__main__ import main
from stepwell_store import deletion
delete, is_first = deletion.delete_any_rows, [True]

def slowly(store, table, condition, parameters):
    if is_first and is_first.pop():
        print("deleting", flush=True)
        sys.stdin.readline()
    return delete(store, table, condition, parameters)

deletion.delete_any_rows = slowly
sys.exit(main(["rm", *sys.argv[1:], "--yes"]))
"""


@pytest.mark.processes
@pytest.mark.parametrize("words", [("r1",), ("--project", "p")])
def test_a_run_that_begins_while_its_id_is_deleted_is_kept_whole(
    node: Node, words: tuple[str, ...]
) -> None:
    done = node.python(_TRAIN.format(name="former"))
    assert done.returncode == 0, done.stderr
    wait_until_stored(node)
    removing = subprocess.Popen(
        [sys.executable, "-c", _SLOW_RM, *words],
        env=node.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert removing.stdout is not None
        assert removing.stdout.readline() == "deleting\n"
        again = node.python(_TRAIN_AGAIN, STEPWELL_FINISH_TIMEOUT="2")
        assert again.returncode == 0, again.stderr
        removing.communicate("\n", timeout=300)
        assert removing.returncode == 0
    finally:
        removing.kill()
        removing.wait()
    wait_until(lambda: not list(find_journals(node.journals)), "the new run's journal to be sent")
    wait_until_stored(node)
    shown = json.loads(node.stepwell("show", "r1", "--json").stdout)
    assert (shown["name"], shown["state"], len(shown["writers"])) == ("again", "finished", 1)
    assert shown["config"]["wd"] == 2
    assert run_note(node.journals, "p", "r1").exists(), "it can be resumed"
    assert [(each["metric"], each["count"]) for each in shown["metrics"]] == [("loss", 5)]
    rows = node.stepwell("export", "r1", "--format", "jsonl", "-o", "-")
    steps = [json.loads(line)["_step"] for line in rows.stdout.splitlines()]
    assert steps == [*range(100, 105)], rows.stderr
