"""The daemon's hub: there with the daemon, back after a kill, gone with the daemon in any way."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.hub_process import HubProcess, bound_log
from stepwell_wire.hub_access import LOCK_FILE, STATE_FILE, ensure_key, hub_dir, read_key
from stepwell_wire.installation import install_command
from stepwell_wire.page_file import noted_page, page_file
from tests.daemon.client import Client, status_of
from tests.daemon.conftest import Process
from tests.daemon.hubs import ON, ask, state_of
from tests.processes import is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


def page_of(config: DaemonConfig) -> str:
    """Return the page's address of a start with ``config``."""
    hub = HubProcess(config)
    hub.prepare()
    url = hub.url
    hub.close()
    return url


def test_where_the_port_is_taken_a_hub_comes_back_on_the_one_it_had(tmp_path: Path) -> None:
    """So that tabs that are open, and links in logs, find it after a restart."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = DaemonConfig(data=tmp_path, hub_port=other.getsockname()[1])
        urls = [page_of(config), page_of(config)]
    assert urls[0] == urls[1]
    assert not urls[0].endswith(f":{config.hub_port}")
    assert page_of(config) == urls[0], "the configured port is free again, but open pages know this"
    (hub_dir(tmp_path) / "port").write_text("no number\n")
    assert page_of(config).endswith(f":{config.hub_port}")


def test_a_port_that_was_chosen_counts_and_the_one_before_is_forgotten(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        moved = page_of(DaemonConfig(data=tmp_path, hub_port=port))
    assert not moved.endswith(f":{port}")
    for named in (frozenset({"hub_port"}), frozenset[str]()):
        url = page_of(DaemonConfig(data=tmp_path, hub_port=port, named=named))
        assert url.endswith(f":{port}")


def test_a_hub_whose_other_port_is_taken_too_notes_the_next_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = DaemonConfig(data=tmp_path, hub_port=other.getsockname()[1])
        first = HubProcess(config)
        first.prepare()
        second = page_of(config)
        assert first.url != second
        first.close()
    assert page_of(config) == second


def test_a_port_that_was_chosen_and_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config = DaemonConfig(data=tmp_path, hub_port=port, named=frozenset({"hub_port"}))
        with pytest.raises(DaemonConfigError) as refused:
            HubProcess(config).prepare()
    told = str(refused.value)
    assert f"port {port}: cannot listen (Address already in use)" in told
    assert "`stepwell up --host` and `--port`, or `stepwelld --hub-host` and `--hub-port`" in told
    assert "STEPWELLD_HUB=off" in told, "`up` has no --hub"


def test_a_daemon_with_a_store_has_a_page_and_says_where(process: Process) -> None:
    process.start(*ON)
    status = status_of(process.socket)
    assert status["page_url"].startswith("http://127.0.0.1:")
    assert status["hub_folder"] == str(hub_dir(process.data))
    code, body = ask(process, "/api/v1/status")
    assert code == 200
    answer = json.loads(body)
    assert answer["daemon"]["pid"] == process.running.pid  # type: ignore[union-attr]
    assert answer["hub"]["store_kind"] == "embedded"
    client = Client(process.socket)
    welcome = client.next().welcome
    assert (welcome.page_url, welcome.hub_folder) == (status["page_url"], status["hub_folder"])
    client.close()


def test_a_killed_hub_comes_back_at_the_same_address(process: Process) -> None:
    process.start(*ON)
    before = state_of(process)
    os.kill(before["pid"], signal.SIGKILL)
    # No wait: the listening socket is the daemon's, so the question waits for the next hub.
    assert ask(process, "/api/v1/status")[0] == 200
    wait_until(lambda: state_of(process)["pid"] != before["pid"], "another hub")
    assert state_of(process)["url"] == before["url"]
    assert "the hub ended unexpectedly" in process.log.read_text()


def test_a_second_hub_on_the_folder_is_waited_for_and_named_once(process: Process) -> None:
    folder = hub_dir(process.data)
    ensure_key(folder)
    (folder / STATE_FILE).write_text('{"pid": 4711, "url": "http://127.0.0.1:8597"}')
    with (folder / LOCK_FILE).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process.start(*ON)
        waits = "another hub uses the folder"
        wait_until(lambda: waits in process.log.read_text(), "a word of the other hub")
        [problem] = status_of(process.socket)["problems"]
        assert "another hub uses" in problem
        assert "(pid 4711, http://127.0.0.1:8597); stop it" in problem
        status, body = ask(process, "/api/v1/status")
        assert (status, json.loads(body)["error"]["message"]) == (503, problem)
    wait_until(lambda: ask(process, "/api/v1/status")[0] == 200, "the own hub")
    log = process.log.read_text()
    assert log.count(waits) == 1
    assert "restarting" not in log


def test_the_address_is_noted_beside_the_socket_while_the_daemon_runs(process: Process) -> None:
    page_file(process.socket).write_text("http://127.0.0.1:1\n")  # Left by one that was killed.
    process.start(*ON)
    assert noted_page(process.socket) == status_of(process.socket)["page_url"]
    process.stop()
    assert not page_file(process.socket).exists()
    page_file(process.socket).write_text("http://127.0.0.1:1\n")
    process.start("--hub", "off")
    assert noted_page(process.socket) == ""


def test_the_log_is_bounded_while_the_hub_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "hub.log"
    bound_log(path)
    with path.open("ab") as log:
        log.write(b"a" * 10 + b"b" * 100)
        log.flush()
        bound_log(path, bytes_max=110)
        assert path.stat().st_size == 110
        bound_log(path, bytes_max=100)
        log.write(b"later")
    assert path.read_bytes() == b"later"
    assert path.with_suffix(".log.1").read_bytes() == b"b" * 100


def test_a_hub_whose_heartbeat_stays_away_is_killed_and_started_again(tmp_path: Path) -> None:
    config = DaemonConfig(data=tmp_path, hub_port=0)

    async def watch() -> None:
        hub = HubProcess(config, silent_seconds=4.0)
        hub.prepare()
        running = asyncio.create_task(hub.run())
        first = await started(hub)
        os.kill(first, signal.SIGSTOP)
        assert await started(hub, other_than=first) != first
        assert not is_alive(first)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        hub.close()

    async def started(hub: HubProcess, other_than: int = 0) -> int:
        state = hub_dir(tmp_path) / "hub.json"
        while True:
            with suppress(OSError):
                pid = int(json.loads(state.read_bytes())["pid"])
                if pid not in (other_than, 0) and pid == hub.pid:
                    return pid
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(watch(), 90))


def test_whoever_looks_at_the_page_keeps_the_daemon_from_idling_out(tmp_path: Path) -> None:
    async def look() -> None:
        used = asyncio.Event()
        hub = HubProcess(DaemonConfig(data=tmp_path, hub_port=0), on_use=used.set)
        hub.prepare()
        running = asyncio.create_task(hub.run())
        key = read_key(hub_dir(tmp_path))
        request = urllib.request.Request(
            f"{hub.url}/api/v1/status", headers={"Authorization": f"Bearer {key}"}
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=300).close())
        await used.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        hub.close()

    asyncio.run(asyncio.wait_for(look(), 90))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_hub_ends_with_the_daemon(process: Process, how: signal.Signals) -> None:
    process.start(*ON)
    pid = state_of(process)["pid"]
    process.stop(how)
    wait_until(lambda: not is_alive(pid), "the hub's end", timeout_seconds=30)


def test_a_daemon_started_again_has_the_same_key(process: Process) -> None:
    process.start(*ON)
    state_of(process)
    key = read_key(hub_dir(process.data))
    process.stop()
    assert not (hub_dir(process.data) / "hub.json").exists()
    process.start(*ON)
    assert read_key(hub_dir(process.data)) == key


def test_the_hub_answers_that_the_store_is_away_while_the_engine_is(process: Process) -> None:
    process.start(*ON)
    assert ask(process, "/api/v1/status")[0] == 200
    engine = int((process.data / "engine.lock").read_text())
    os.kill(engine, signal.SIGKILL)
    code, body = ask(process, "/api/v1/status")
    assert code == 200  # The status is for such moments.
    wait_until(
        lambda: not json.loads(ask(process, "/api/v1/status")[1])["store"]["problem"],
        "the next engine",
    )
    assert body


def test_off_means_off(process: Process) -> None:
    process.start("--hub", "off")
    status = status_of(process.socket)
    assert (status["page_url"], status["hub_folder"]) == ("", "")
    assert not hub_dir(process.data).exists()


def test_without_its_packages_the_daemon_says_once_what_to_install(process: Process) -> None:
    blocker = process.folder / "blocked"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "def find_spec(name, *more):\n"
        "    return None if name == 'starlette' else found(name, *more)\n"
        "importlib.util.find_spec = find_spec\n"
    )
    process.extra_environment["PYTHONPATH"] = str(blocker)
    process.start(*ON)
    assert process.log.read_text().count(install_command("hub")) == 1
    assert status_of(process.socket)["page_url"] == ""


def test_a_key_that_others_may_read_leaves_the_daemon_without_a_page(process: Process) -> None:
    folder = hub_dir(process.data)
    folder.mkdir(parents=True)
    (folder / "key").write_text("k" * 43)
    (folder / "key").chmod(0o644)
    process.start(*ON)
    status = status_of(process.socket)
    assert status["page_url"] == ""
    assert any("other users may read" in problem for problem in status["problems"])


def test_beyond_loopback_the_daemon_refuses_to_start_without_tls(process: Process) -> None:
    done = subprocess.run(
        process.command("--hub-host", "0.0.0.0"),
        env=process.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "hub_cert_file" in done.stderr
    assert sys.executable not in done.stderr
