"""The run's address: known once the daemon said it, and printed by one process alone."""

import re
import time
from pathlib import Path

import pytest

from stepwell import _notebook
from stepwell._page import how_to_look, page_address
from stepwell.testing import RecordingDaemon
from stepwell_wire.hub_access import check_login_code, ensure_key
from stepwell_wire.page_file import note_page, noted_page, page_file
from tests.sdk.conftest import Start

PAGE = "http://127.0.0.1:8470"


def test_the_address_is_none_until_the_daemon_said_it(
    start: Start, daemon: RecordingDaemon
) -> None:
    daemon.page_url = PAGE
    with start(project="a b", id="run-1") as run:
        before = run.url
        assert before in (None, f"{PAGE}/p/a%20b/runs/run-1")
        run.log({"x": 1.0})
        assert run.flush(timeout=30)
        assert run.url == f"{PAGE}/p/a%20b/runs/run-1"
    with start(mode="offline") as run:
        run.log({"x": 1.0})
        assert run.url is None


def test_with_a_daemon_that_runs_the_address_is_there_at_once(
    start: Start, daemon: RecordingDaemon, folder: Path
) -> None:
    note_page(Path(daemon.socket), PAGE)
    with start(project="p", id="run-1") as run:
        assert run.url == f"{PAGE}/p/p/runs/run-1"
    daemon.stop()  # It left its file, as one does that was killed.
    with start(project="p", settings={"finish_timeout": 0.0}) as run:
        assert run.url is None


@pytest.mark.parametrize(
    "text", ["", "no address", "file:///etc/passwd", f"{PAGE}\nmore", "http://ü"]
)
def test_what_is_no_address_beside_the_socket_is_none(daemon: RecordingDaemon, text: str) -> None:
    socket = Path(daemon.socket)
    page_file(socket).write_text(text)
    assert noted_page(socket) == ""
    note_page(socket, "")
    assert not page_file(socket).exists()


def test_the_line_is_printed_once_and_logs_nobody_in_from_a_file(
    start: Start, daemon: RecordingDaemon, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ensure_key(tmp_path / "hub")
    daemon.page_url, daemon.hub_folder = PAGE, str(tmp_path / "hub")
    with start(project="p", id="run-1") as run:
        for _ in range(2):
            run.log({"x": 1.0})
            assert run.flush(timeout=30)
            daemon.stop()
            daemon.start()
    line = (
        f"stepwell: run {run.name} (run-1): see it at {PAGE}/p/p/runs/run-1 "
        "(`stepwell open` logs a browser in)"
    )
    said = capfd.readouterr().err.splitlines()
    # A slow daemon may be waited for at the end, which is said as well.
    assert [each for each in said if run.name in each or "login=" in each] == [line]


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_notebook_has_the_line_in_the_cell_of_init(
    start: Start,
    daemon: RecordingDaemon,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_noted: bool,
) -> None:
    """A notebook shows the output of a thread in another cell, or nowhere."""
    monkeypatch.setattr(_notebook, "is_kernel", lambda: True)
    monkeypatch.setattr("stepwell._recording._PAGE_SECONDS", 30.0)
    daemon.page_url = PAGE
    if is_noted:
        note_page(Path(daemon.socket), PAGE)
    for run_id in ("run-1", "run-2"):
        run = start(project="p", id=run_id)
        assert capfd.readouterr().err.count(f"see it at {PAGE}/p/p/runs/{run_id} ") == 1
        run.log({"x": 1.0})
        run.finish()
        assert "see it at" not in capfd.readouterr().err


def test_a_notebook_whose_daemon_starts_later_has_the_line_in_the_cell_of_finish(
    start: Start,
    daemon: RecordingDaemon,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_notebook, "is_kernel", lambda: True)
    daemon.page_url = PAGE
    daemon.stop()
    run = start(project="p", id="run-1")
    assert "see it at" not in capfd.readouterr().err
    daemon.start()
    run.log({"x": 1.0})
    assert run.flush(timeout=30)
    run.finish()
    first, last = re.findall(r"run-1\): see it at (\S+)", capfd.readouterr().err)
    assert first == last == f"{PAGE}/p/p/runs/run-1"


def test_without_a_page_the_line_names_the_command_that_shows_the_run(
    start: Start, daemon: RecordingDaemon, capfd: pytest.CaptureFixture[str]
) -> None:
    with start(project="p", id="run-1", name="the first") as run:
        run.log({"x": 1.0})
        assert run.flush(timeout=30)
    line = (
        "stepwell: run the first (run-1): see it with `stepwell show p/run-1` on the machine that "
        "has the store"
    )
    assert capfd.readouterr().err.splitlines() == [line]


def test_without_a_daemon_the_line_says_which_run_is_kept_where(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    with start(project="p", id="run-1", name="the first", mode="offline") as run:
        said = capfd.readouterr().err
        kept = run._journal_dir
        assert said == f"stepwell: run the first (run-1) is offline: its data is kept in {kept}\n"
    capfd.readouterr()
    with start(project="p", settings={"finish_timeout": 0.0}) as run:
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"stepwell: run {run.name} ({run.id}): no daemon on ")
        assert run._journal_dir in line


def test_on_a_terminal_the_line_has_a_link_that_logs_in(tmp_path: Path) -> None:
    key = ensure_key(tmp_path / "hub")
    folder = str(tmp_path / "hub")
    line = how_to_look(PAGE, folder, project="p", run_id="r", is_terminal=True)
    (code,) = re.findall(rf"see it at {PAGE}/p/p/runs/r\?login=(\S+)", line)
    assert check_login_code(key, code, now=time.time()) is not None
    assert key not in line


@pytest.mark.parametrize("settings", [{"primary": False, "label": "1"}, {"quiet": True}])
def test_other_ranks_and_quiet_runs_print_no_line(
    start: Start,
    daemon: RecordingDaemon,
    capfd: pytest.CaptureFixture[str],
    settings: dict[str, object],
) -> None:
    daemon.page_url = PAGE
    with start(settings=settings) as run:
        run.log({"x": 1.0})
        assert run.flush(timeout=30)
        assert run.url is not None
    assert "run" not in capfd.readouterr().err


def test_who_may_not_read_the_key_is_given_the_clean_address(tmp_path: Path) -> None:
    address = page_address(PAGE + "/", "p", "r")
    assert address == f"{PAGE}/p/p/runs/r"
    for folder in ("", str(tmp_path / "elsewhere")):
        line = how_to_look(PAGE + "/", folder, project="p", run_id="r", is_terminal=True)
        assert line == f"see it at {address}"
    assert page_address("", "p", "r") is None
