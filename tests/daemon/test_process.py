"""The daemon as a process: what is acknowledged survives a kill, and a stop is orderly."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from stepwell_daemon.errors import AlreadyRunningError, DaemonConfigError
from stepwell_daemon.instance import Instance, make_private_folder
from stepwell_daemon.local_server import LocalServer
from stepwell_store import connect_embedded
from stepwell_wire import __version__
from stepwell_wire.ingest_pb2 import BUSY, GAP, LIMIT, MALFORMED, ClientMessage
from stepwell_wire.lock_notes import read_lock_note, socket_lock
from tests.daemon.client import Client, flush, status_of
from tests.daemon.conftest import Process
from tests.daemon.journals import make_journal
from tests.daemon.made import frame, hello, row, schema_event
from tests.waiting import wait_until

ROWS = 20
START = schema_event()
STREAM = START + b"".join(row(step) for step in range(ROWS))


def send_all(process: Process, name: str = "w1") -> None:
    client = Client(process.socket, hello(name))
    assert client.next().welcome.position == 0
    client.send(0, STREAM)
    client.wait_acked(len(STREAM))
    client.close()


def count_points(process: Process) -> int:
    store = connect_embedded(process.data)
    try:
        return int(store.query("SELECT count() AS n FROM points")[0]["n"])
    finally:
        store.close()


def test_acknowledged_frames_survive_a_kill_and_are_stored_once(process: Process) -> None:
    process.start("--block-delay-seconds", "30")
    send_all(process)
    process.stop(signal.SIGKILL)
    process.start()
    client = Client(process.socket)
    assert client.next().welcome.position == len(STREAM)
    client.send(0, STREAM)  # All of it is known.
    client.wait_acked(len(STREAM))
    client.send(len(STREAM), row(ROWS))
    client.wait_acked(len(STREAM) + len(row(0)))
    client.close()
    assert flush(process.socket).stored
    assert count_points(process) == 2 * (ROWS + 1)
    totals = status_of(process.socket)["totals"]
    assert totals["duplicate_bytes"] == len(STREAM)
    assert totals["points_received"] == 2
    assert totals["points_stored"] == 2 * (ROWS + 1)


def test_what_a_writer_goes_past_is_counted(process: Process) -> None:
    process.start()
    send_all(process)
    client = Client(process.socket, hello(position=len(STREAM) + 4096))
    assert client.next().welcome.position == len(STREAM) + 4096
    client.close()
    assert status_of(process.socket)["totals"]["skipped_bytes"] == 4096


def test_a_stop_drains_and_removes_the_socket(process: Process) -> None:
    process.start("--block-delay-seconds", "30")
    assert stat.S_IMODE(process.socket.stat().st_mode) == 0o660
    send_all(process)
    assert process.stop() == 0
    assert not process.socket.exists()
    assert "spooled_bytes=0" in process.log.read_text()
    assert count_points(process) == 2 * ROWS


def test_a_metrics_port_that_was_named_and_is_taken_ends_the_start(process: Process) -> None:
    log = process.folder / "file.log"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            process.command("--metrics-port", str(port), "--log-file", str(log)),
            env=process.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    said = f"host 127.0.0.1 port {port}: cannot listen (Address already in use); choose others"
    assert done.stderr.startswith(f"stepwelld: {said}")
    assert "`stepwell up --metrics-host` and `--metrics-port`" in done.stderr
    logged = log.read_text()
    assert f"starting version={__version__} pid=" in logged
    assert f"socket={process.socket} data={process.data} sink=embedded" in logged
    assert f"ERROR {said}" in logged, "the file has the reason, too"
    assert not process.socket.exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("hub_port = {port}", "hub_host 127.0.0.1 port {port}: cannot listen (Address already"),
        ("metrics_port = {port}", "host 127.0.0.1 port {port}: cannot listen (Address already"),
        (
            'gateway_listen = "127.0.0.1:{port}"\ngateway_tokens_file = "{tokens}"',
            "gateway_listen 127.0.0.1:{port}: cannot listen (Address already in use)",
        ),
    ],
)
def test_a_named_port_that_is_in_use_is_one_line_and_a_wrong_setting(
    process: Process, setting: str, says: str
) -> None:
    file, tokens = process.folder / "stepwelld.toml", process.folder / "tokens"
    tokens.write_text(f"node {'0' * 64}\n")
    tokens.chmod(0o600)
    process.extra_environment["STEPWELLD_HUB"] = "auto"
    command = process.command("--config", str(file))
    if "metrics" in setting:
        command = [word for word in command if word not in ("--metrics-port", "0")]
        command.remove("--sample-seconds")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        file.write_text(setting.format(port=port, tokens=tokens))
        done = subprocess.run(
            command, env=process.environment, capture_output=True, text=True, timeout=60
        )
    lines = [line for line in done.stderr.splitlines() if line.startswith("stepwelld: ")]
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert lines[0].startswith(f"stepwelld: {says.format(port=port)}")
    assert "Traceback" not in done.stderr
    assert ".cc:" not in done.stderr, "no line of gRPC's own"
    assert not process.socket.exists()


def test_a_connected_writer_is_told_that_the_daemon_stops(process: Process) -> None:
    process.start()
    client = Client(process.socket)
    client.next()
    client.send(0, STREAM)
    client.wait_acked(len(STREAM))
    assert process.running is not None
    process.running.send_signal(signal.SIGTERM)
    answer = client.next()
    assert answer.refusal.code == BUSY
    assert "shutting down" in answer.refusal.detail
    assert answer.refusal.position == len(STREAM)
    assert process.running.wait(60) == 0


def test_a_second_daemon_ends_at_once_with_its_own_code(process: Process) -> None:
    process.start()
    for words in (process.command(), process.command("--data", str(process.folder / "other"))):
        second = subprocess.run(
            words, env=process.environment, capture_output=True, timeout=300, check=False
        )
        assert second.returncode == 3
        assert b"another daemon" in second.stderr
        assert str(process.running.pid if process.running else "").encode() in second.stderr
    assert status_of(process.socket)["ready"]


@pytest.mark.holds("malformed-message")
def test_wrong_frames_are_refused_with_a_reason_and_harm_nobody_else(process: Process) -> None:
    process.start("--writers-max", "3")
    good = Client(process.socket, hello("good"))
    good.next()
    damaged = ClientMessage(frame=frame(0, STREAM))
    damaged.frame.crc32 ^= 1
    for first, message, code in (
        (b"\xff\xff\xff", None, MALFORMED),
        (ClientMessage(frame=frame(0, STREAM)).SerializeToString(), None, MALFORMED),
        (hello("bad"), ClientMessage(hello=hello("bad")), MALFORMED),
        (hello("bad"), ClientMessage(frame=frame(8, STREAM)), GAP),
        (hello("bad"), ClientMessage(frame=frame(0, bytes(5 << 20))), LIMIT),
        (hello("bad"), damaged, MALFORMED),
    ):
        client = Client(process.socket, first)
        if message is not None:
            assert client.next().WhichOneof("body") == "welcome"
            client.send_bytes(message.SerializeToString())
        answer = client.next()
        assert answer.refusal.code == code
        assert answer.refusal.detail
        with pytest.raises(StopIteration):
            client.next()
        client.close()
    good.send(0, STREAM)
    good.wait_acked(len(STREAM))
    good.end()
    with pytest.raises(StopIteration):
        good.next()
    refused = status_of(process.socket)["totals"]["refused"]
    assert refused == {"malformed": 4, "gap": 1, "limit": 1}


def test_a_client_that_goes_away_takes_nothing_back(process: Process) -> None:
    process.start()
    client = Client(process.socket)
    client.next()
    client.send(0, STREAM)
    client.end()  # The half-close waits for the ack.
    client.wait_acked(len(STREAM))
    client.close()
    assert flush(process.socket, run_id="run-w1").stored
    assert count_points(process) == 2 * ROWS


def test_journals_of_dead_writers_are_taken_in_at_start(process: Process) -> None:
    folder = make_journal(process.journals, "dead", STREAM)
    process.start("--idle-exit", "0.2")
    assert process.running is not None
    assert process.running.wait(60) == 0
    process.running = None
    assert not folder.exists()
    assert count_points(process) == 2 * ROWS
    store = connect_embedded(process.data)
    states = store.query("SELECT state.state AS s FROM writers FINAL")
    store.close()
    assert [row["s"] for row in states] == ["crashed"]


def test_journals_in_the_fallback_folder_that_name_its_socket_are_imported(
    process: Process,
) -> None:
    process.extra_environment["TMPDIR"] = str(process.folder)
    process.start("--recover-seconds", "0.2")
    own = process.folder / f"stepwell-{os.geteuid()}"
    own.mkdir(mode=0o700)  # Only after the start.
    ours = make_journal(own / "journals", "w1", STREAM, socket=str(process.socket))
    others = [
        make_journal(own / "journals", "w2", STREAM, socket="/another.sock"),
        make_journal(own / "journals", "w3", STREAM),  # Of an older release.
    ]
    wait_until(lambda: not ours.exists(), "the import", timeout_seconds=30)
    assert flush(process.socket).stored
    assert count_points(process) == 2 * ROWS
    assert all(each.exists() for each in others)


def test_journals_of_another_daemon_with_a_store_of_its_own_are_left_to_it(
    process: Process,
) -> None:
    other, its_data = process.folder / "other.sock", process.folder / "its-data"
    Instance(its_data, other).close()  # It has ended, and may come back.
    left = make_journal(process.journals, "w1", STREAM, socket=str(other))
    taken = [
        make_journal(process.journals, "w2", STREAM, socket=str(process.socket)),
        make_journal(process.journals, "w3", STREAM, socket="/no/daemon.sock"),
        make_journal(process.journals, "w4", STREAM),
    ]
    process.start("--recover-seconds", "0.2")
    wait_until(lambda: not any(each.exists() for each in taken), "imports", timeout_seconds=30)
    assert flush(process.socket).stored
    assert count_points(process) == 3 * 2 * ROWS
    assert left.exists()
    shutil.rmtree(its_data)  # It does not come back.
    wait_until(lambda: not left.exists(), "the last import", timeout_seconds=30)


def test_http_is_there_and_the_address_is_in_the_status(process: Process) -> None:
    process.start()
    status = status_of(process.socket)
    base = status["metrics_url"].removesuffix("/metrics")
    assert base.startswith("http://127.0.0.1:")
    for path, expected in (
        ("/metrics", b"stepwell_ready 1.0"),
        ("/healthz", b"alive"),
        ("/readyz", b"ready"),
        ("/status.json", status["daemon_id"].encode()),
    ):
        with urllib.request.urlopen(base + path, timeout=30) as answer:
            assert expected in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(base + "/other", timeout=30)


def test_a_reload_changes_what_it_can(process: Process) -> None:
    config = process.folder / "c.toml"
    config.write_text("log_level = 'info'\n")
    process.start("--config", str(config))
    config.write_text("log_level = 'debug'\nsegment_bytes = 1000000\n")
    assert process.running is not None
    process.running.send_signal(signal.SIGHUP)
    process.wait_logged("configuration reloaded changed=log_level")
    process.wait_logged("changes that need a restart: segment_bytes")
    assert any("segment_bytes" in each for each in status_of(process.socket)["problems"])
    config.write_text("log_levle = 'debug'\n")
    process.running.send_signal(signal.SIGHUP)
    process.wait_logged("did you mean log_level?")
    [problem] = status_of(process.socket)["problems"]
    assert "the settings stay as they were" in problem
    assert "log_levle" in problem
    config.write_text("log_level = 'debug'\n")
    process.running.send_signal(signal.SIGHUP)
    process.wait_logged("changed=none")
    assert status_of(process.socket)["problems"] == []


@pytest.mark.holds("broken-socket")
def test_a_stale_socket_is_replaced(process: Process) -> None:
    process.start()
    process.stop(signal.SIGKILL)
    assert process.socket.exists()
    process.start()
    assert status_of(process.socket)["ready"]


@pytest.mark.holds("broken-socket")
@pytest.mark.parametrize("gone", ["socket", "folder", "session"])
def test_a_socket_that_disappears_is_made_again(process: Process, gone: str) -> None:
    """As at the last logout of a user, and at their next login."""
    session = process.folder / "session"
    session.mkdir()
    process.socket = session / "stepwell" / "s.sock"
    process.start()
    first = Client(process.socket)
    try:
        assert first.next().WhichOneof("body") == "welcome"
        if gone == "socket":
            process.socket.unlink()
        else:
            shutil.rmtree(session if gone == "session" else process.socket.parent)
        if gone == "session":
            process.wait_logged("listening again failed, trying again: ")
            assert process.log.read_text().count("trying again: ") == 1
            session.mkdir()
        process.wait_logged("was gone, listening on it again")
        assert status_of(process.socket)["ready"]
        assert process.socket.stat().st_mode & 0o777 == 0o660
        assert read_lock_note(socket_lock(process.socket)).pid == str(process.running.pid)
        with pytest.raises(AlreadyRunningError):
            Instance(process.folder / "other", process.socket)
        # The former connection is not touched.
        first.send(0, schema_event() + row(1))
        first.wait_acked(len(schema_event() + row(1)))
        assert flush(process.socket).stored
        process.socket.unlink()
        wait_until(process.socket.exists, "the socket to be there once more")
    finally:
        first.close()
    assert process.stop() == 0
    assert not process.socket.exists()


@pytest.mark.holds("broken-socket")
def test_a_socket_that_cannot_be_made_again_ends_nothing(tmp_path: Path) -> None:
    """gRPC raises its own error if it cannot bind."""
    path = tmp_path / "s.sock"

    async def keep() -> None:
        server = LocalServer(path, (), look_seconds=0.01)
        await server.start()
        try:
            path.unlink()
            path.mkdir()
            task = asyncio.create_task(server.keep())
            await asyncio.sleep(0.2)
            assert not task.done()
            path.rmdir()
            async with asyncio.timeout(60):
                while not path.is_socket():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            task.cancel()
        finally:
            await server.stop(None)

    asyncio.run(keep())
    with pytest.raises(DaemonConfigError, match="cannot listen there; choose another socket"):
        asyncio.run(LocalServer(tmp_path / "none" / "s.sock", ()).start())


@pytest.mark.holds("broken-socket")
def test_a_socket_that_another_daemon_took_is_left_to_it(process: Process) -> None:
    process.start()
    process.socket.unlink()
    socket_lock(process.socket).unlink()
    with Instance(process.folder / "other", process.socket), socket.socket(socket.AF_UNIX) as other:
        other.bind(str(process.socket))
        other.listen()
        process.wait_logged("listening again failed, trying again: another daemon")
        # gRPC removes the path when the first one stops; the other one finds that as above.
        assert process.stop() == 0


@pytest.mark.holds("socket-is-private")
def test_a_socket_folder_that_everybody_may_write_is_refused(process: Process) -> None:
    open_folder = process.folder / "open"
    open_folder.mkdir()
    os.chmod(open_folder, 0o777)
    ended = subprocess.run(
        process.command("--socket", str(open_folder / "s.sock")),
        env=process.environment,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 2
    assert b"every user may write" in ended.stderr


def test_a_file_in_place_of_a_folder_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(DaemonConfigError, match="/x: not a folder; choose a folder"):
        make_private_folder(tmp_path / "x")
