"""status and top: what a daemon says of itself, and what is said when there is none."""

import contextlib
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from stepwell.cli import top, up
from stepwell.cli.daemon_client import DaemonClient
from stepwell.cli.errors import CommandError
from stepwell.cli.status import spool_text, status_text
from tests.cli.conftest import Call
from tests.fake_daemon import FakeDaemon, healthy_status


def test_status_names_socket_page_and_metrics(call: Call, daemon: FakeDaemon, place: Path) -> None:
    told = call("status")
    assert told.code == 0
    for part in (
        str(place / "s.sock"),
        "page     none yet",
        "http://127.0.0.1:9999/metrics",
        "1,000,000 points",
        "536.9 MB waiting",
        "digits/run-a",
        "rank0",
    ):
        assert part in told.out


def test_status_names_the_latest_of_many_writers_that_are_away(
    call: Call, daemon: FakeDaemon
) -> None:
    (one,) = daemon.status["writers"]
    away = [
        {**one, "run_id": f"away-{age}", "connected": False, "seconds_since_last_frame": age}
        for age in reversed(range(80))
    ]
    daemon.status["writers"] = [one, *away]
    told = call("status").out
    assert "digits/run-a" in told
    assert [f"away-{age}" in told for age in (0, 4, 5, 79)] == [True, True, False, False]
    assert "75 more that are not connected; `stepwell status --json` has all" in told
    assert len(json.loads(call("status", "--json").out)["writers"]) == 81


def test_status_says_that_a_daemon_is_personal_and_what_ends_it(
    call: Call, daemon: FakeDaemon
) -> None:
    assert "personal" not in call("status").out
    daemon.status |= {"personal": True, "idle_exit_seconds": 900.0}
    assert "ends with `stepwell down` or after 15" in call("status").out


def test_status_as_json_is_the_daemons_own(call: Call, daemon: FakeDaemon) -> None:
    assert json.loads(call("status", "--json").out) == daemon.status


def test_a_daemon_that_is_not_ready_says_why_and_fails(call: Call, daemon: FakeDaemon) -> None:
    daemon.status["ready"] = False
    daemon.status["problems"] = ["the disk is full: make room"]
    told = call("status")
    assert told.code == 1
    assert "NOT READY" in told.out
    assert "! the disk is full: make room" in told.out


def test_without_a_daemon_status_says_so_and_ends_with_3(call: Call, place: Path) -> None:
    told = call("status")
    assert (told.code, told.out) == (3, "")
    assert f"no daemon answers on {place / 's.sock'}" in told.err
    assert "stepwell up" in told.err
    as_json = call("status", "--json")
    assert as_json.code == 3
    found = json.loads(as_json.out)
    assert (found["ready"], found["socket"]) == (False, str(place / "s.sock"))


def test_a_socket_that_is_left_over_is_no_daemon(call: Call, place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place / "s.sock"))
    assert call("status").code == 3
    assert call("top", "--once").code == 3


def _close_all(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def test_something_else_on_the_socket_is_told_apart_from_nothing(call: Call, place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place / "s.sock"))
        other.listen()
        # It accepts and closes; then grpc sees an end rather than a timeout.
        thread = threading.Thread(target=_close_all, args=(other,), daemon=True)
        thread.start()
        told = call("status")
        other.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert told.code == 3
    assert f"pid {os.getpid()}, does not answer (unavailable)" in told.err
    assert f"another program may listen there; see `ps {os.getpid()}`" in told.err


@pytest.mark.parametrize("command", ["down", "doctor", "status"])
def test_a_daemon_that_hangs_is_named_with_the_command_that_ends_it(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(DaemonClient.status, "__defaults__", (0.2,))
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(place / "s.sock"))
        hung.listen()  # The kernel accepts, as it does for a process that is stopped.
        told = call(command)
    text = told.out + told.err
    pid = os.getpid()
    assert told.code == (1 if command == "doctor" else 3)
    assert f"pid {pid}, does not answer (deadline exceeded)" in text
    assert f"end it with `kill {pid}`, then with `kill -9 {pid}`" in text
    assert "stepwell down" not in text
    assert "stepwell doctor" not in text


def test_host_and_port_of_up_are_those_of_the_page(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def start(*arguments: str) -> NoReturn:
        given.extend(arguments)
        raise CommandError("not started")

    monkeypatch.setattr(up.signal, "signal", lambda *_: None)  # They are this process's.
    monkeypatch.setattr(up.daemon_process, "start_attached", start)
    call("up", "--host", "::1", "--port", "8471", "--metrics-host", "::", "--metrics-port", "0")
    words = ["--hub-host", "::1", "--hub-port", "8471", "--host", "::", "--metrics-port", "0"]
    assert given == words


@pytest.mark.processes
@pytest.mark.parametrize("by_variable", [True, False])
def test_up_uses_the_places_of_the_file(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch, *, by_variable: bool
) -> None:
    file, socket_path = place / "gw.toml", place / "of-file.sock"
    file.write_text(
        f"socket = '{socket_path}'\ndata = '{place / 'of-file'}'\nhub = 'off'\n"
        "metrics_port = 0\nsample_seconds = 0\n"
    )
    words = [] if by_variable else ["--config", str(file)]
    if by_variable:
        monkeypatch.setenv("STEPWELLD_CONFIG", str(file))
    command = [sys.executable, "-m", "stepwell", "up", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            assert lines[0].split() == ["socket", str(socket_path)]
            assert lines[1].split() == ["data", str(place / "of-file")]
            assert f"`stepwell down --socket {socket_path}` stops it" in lines[3]
            assert call("status", *words).code == 0
            assert f"socket   {socket_path}" in call("status", *words).out
            assert "0 of 0 writers" in call("top", "--once", *words).out
            assert call("down", *words).out == f"the daemon on {socket_path} has ended\n"
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.terminate()


@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
def test_a_port_that_cannot_be_is_reported_under_the_name_that_up_gives_it(
    call: Call, option: str
) -> None:
    wrong = call("up", option, "99999")
    assert wrong.code == 2
    assert f"argument {option}: expected 0 to 65535, not 99999" in wrong.err


def test_top_prints_one_frame_for_a_pipe(call: Call, daemon: FakeDaemon) -> None:
    told = call("top", "--once")
    assert told.code == 0
    assert "[" + "#" * 15 + "." * 15 + "]" in told.out
    assert "1 of 1 writers connected" in told.out
    assert "\x1b" not in told.out


def test_writers_that_a_node_relays_count_as_connected(call: Call, daemon: FakeDaemon) -> None:
    (writer,) = daemon.status["writers"]
    daemon.status["writers"] = [
        {**writer, "writer_id": f"w{number}", "connected": number == 0, "relayed": number > 0}
        for number in range(8)
    ]
    told = call("top", "--once")
    assert "8 of 8 writers connected, 7 of them through other daemons" in told.out
    told = call("status")
    assert told.out.count(" relayed ") == 7
    assert "more that are not connected" not in told.out


def test_top_without_a_terminal_points_at_once(call: Call, daemon: FakeDaemon) -> None:
    told = call("top")
    assert told.code == 2
    assert "--once" in told.err


def test_top_draws_until_q_and_leaves_the_terminal_as_it_was(
    daemon: FakeDaemon, place: Path
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stepwell", "top", "--socket", str(place / "s.sock")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "100", "LINES": "30"},
    )
    os.close(theirs)
    drawn = b""
    while b"q: quit" not in drawn:
        drawn += os.read(ours, 65_536)
    os.write(ours, b"q")
    assert process.wait(30) == 0
    while True:
        try:
            data = os.read(ours, 65_536)
        except OSError:  # The other end of the terminal is closed.
            break
        drawn += data
    os.close(ours)
    assert drawn.startswith(b"\x1b[?1049h")
    assert drawn.endswith(b"\x1b[?1049l")
    assert b"digits/run-a" in drawn


def test_names_that_steer_a_terminal_are_made_harmless(place: Path) -> None:
    status = healthy_status(place / "s.sock", place)
    status["writers"][0]["project"] = "\x1b[2Jevil\n"
    status["sink"] |= {"healthy": False, "last_error": "\x07no room"}
    text = "\n".join(top.frame(status, now=0.0))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "FAILING: no room" in text


@pytest.mark.parametrize(("part", "filled"), [(0, 0), (5, 15), (10, 30), (99, 30)])
def test_a_bar_is_full_at_the_limit(part: float, filled: int) -> None:
    assert top.bar(part, 10).count("#") == filled


@pytest.mark.parametrize(
    ("free_bytes", "room"), [(0, "0 B"), (50_000_000, "50.0 MB"), (None, "8.0 GB")]
)
def test_the_spool_has_no_more_room_than_its_disk(free_bytes: int | None, room: str) -> None:
    spool = {"unforwarded_bytes": 1000, "bytes": 1000, "bytes_max": 8_000_001_000}
    assert f"room for {room} more" in spool_text({**spool, "disk_free_bytes": free_bytes})


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({"wants_hub": False, "hub_url": "https://runs.invalid"}, "https://runs.invalid"),
        ({"wants_hub": False, "hub_url": ""}, "none here"),
        ({"sink": {"kind": "gateway gate:7077"}}, "none here"),
        ({"sink": {"kind": "embedded"}}, "none yet"),
        ({"wants_hub": True, "problems": ["no page: the key"]}, "none, see below"),
        ({"wants_hub": True, "page_url": "http://127.0.0.1:8470"}, "http://127.0.0.1:8470"),
    ],
)
def test_status_says_where_the_page_is_or_that_none_comes(
    fields: dict[str, object], page: str
) -> None:
    assert f"page     {page}\n" in status_text(fields)
