"""`stepwell open`: a link to the page of the daemon that runs, or of one started for it."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stepwell.cli.page import link_to, open_browser, running_hub
from stepwell_store import EmbeddedStore
from stepwell_wire.hub_access import LOCK_FILE, check_login_code, ensure_key, hub_dir, read_key
from stepwell_wire.lock_notes import DATA_LOCK, read_lock_note
from tests.certificates import make_authority, make_certificate
from tests.cli.conftest import Call, made
from tests.daemon.client import status_of
from tests.daemon.conftest import Process, process
from tests.node import free_port
from tests.waiting import wait_until

__all__ = ["process"]  # The fixture.


def opened(link: str) -> str:
    """Return what a browser shows first of ``link``."""
    with urllib.request.urlopen(link, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.processes
def test_it_links_to_the_page_of_the_daemon_that_runs(process: Process, call: Call) -> None:
    process.start("--hub", "auto", "--hub-port", "0")
    words = ("open", "--socket", process.socket)
    said = call(*words, "--no-browser", "--print-link")
    assert said.code == 0
    (link,) = said.out.splitlines()
    assert 'content="0;url=/"' in opened(link)
    asked = json.loads(call(*words, "--json", "--print-link").out)
    assert urlsplit(asked["url"]).path == "/"
    assert asked["link"].startswith(asked["url"] + "?login=")
    # Off a terminal nobody gets a link that did not ask for one: others may read what is printed.
    said = call(*words, "--no-browser")
    assert said.out == f"{asked['url']}\n"
    assert "--print-link prints it here" in said.err
    assert json.loads(call(*words, "--json").out) == {"url": asked["url"], "link": None}


@pytest.mark.processes
@pytest.mark.parametrize(
    ("names", "more", "says"),
    [
        ("DNS:localhost,IP:127.0.0.1", (), "get local issuer certificate), and a browser may warn"),
        ("DNS:runs.example", (), "and a browser may warn"),
        (
            "DNS:runs.example",
            ("--hub-url", "https://runs.invalid"),
            "https://runs.invalid cannot be reached from this machine (",
        ),
    ],
)
def test_a_page_that_cannot_be_checked_from_here_gets_a_link_at_once(
    process: Process, call: Call, tmp_path: Path, names: str, more: tuple[str, ...], says: str
) -> None:
    cert, key = make_certificate(make_authority(tmp_path / "ca"), "hub", names=names)
    files = ("--hub-cert-file", str(cert), "--hub-key-file", str(key))
    process.start("--hub", "auto", "--hub-port", "0", *files, *more)
    words = ("open", "--socket", process.socket, "--no-browser", "--print-link")
    began = time.monotonic()
    said = call(*words)
    assert time.monotonic() - began < 25
    assert said.code == 0, said.err
    assert said.out.startswith("https://")
    assert "?login=" in said.out
    assert says in said.err
    assert status_of(process.socket)["hub_ready"] is True


@pytest.mark.processes
@pytest.mark.parametrize("is_file", [True, False])
def test_a_catalog_that_does_not_answer_is_reported(
    process: Process, call: Call, *, is_file: bool
) -> None:
    remedy = "hub_catalog runs"
    words = ["--hub", "auto", "--hub-port", "0"]
    if is_file:
        hub_dir(process.data).mkdir(mode=0o700, parents=True)
        (hub_dir(process.data) / "catalog.db").write_text("garbage\n")
        remedy = "move it away"
    else:
        words += ["--hub-catalog", f"postgresql://sw@127.0.0.1:{free_port()}/none"]
    process.start(*words)
    said = call("open", "--socket", process.socket, "--no-browser")
    assert said.out.startswith("http://127.0.0.1:")
    assert "the catalog of the page" in said.err
    assert remedy in said.err
    status = call("status", "--socket", process.socket)
    assert "! the catalog of the page" in status.out
    assert status.code == 0, "runs are received and shown"
    doctor = call("doctor", "--json", "--socket", process.socket)
    (found,) = (each for each in json.loads(doctor.out)["findings"] if each["check"] == "page")
    assert found["level"] == "fail"
    assert remedy in found["remedy"]


@pytest.mark.processes
def test_it_says_why_there_is_no_page(process: Process, call: Call) -> None:
    process.start("--hub", "off")
    said = call("open", "--socket", process.socket)
    assert said.code == 3
    assert "--hub off" in said.err


@pytest.mark.processes
def test_a_key_that_is_not_usable_is_the_reason_why_there_is_no_page(
    process: Process, call: Call
) -> None:
    hub_dir(process.data).mkdir(mode=0o700, parents=True)
    (hub_dir(process.data) / "key").write_text("junk\n")
    (hub_dir(process.data) / "key").chmod(0o600)
    process.start("--hub", "auto", "--hub-port", "0")
    for place in (["--socket", process.socket], ["--data", process.data]):
        said = call("open", *place)
        assert said.code == 3
        assert "--hub off" not in said.err
        assert "expected 43 letters" in said.err
        assert "delete it and restart the daemon" in said.err
    assert "page     none, see below" in call("status", "--socket", process.socket).out
    rotate = [sys.executable, "-m", "stepwell_hub", "--rotate-key", "--data", str(process.data)]
    rotated = subprocess.run(rotate, capture_output=True, text=True, timeout=60, check=True)
    assert "Restart the daemon if one runs" in rotated.stdout
    process.stop()
    process.start("--hub", "auto", "--hub-port", "0")
    rotated = subprocess.run(rotate, capture_output=True, text=True, timeout=60, check=True)
    assert "has a new key; `stepwell open` makes a login link" in rotated.stdout
    assert call("open", "--socket", process.socket, "--no-browser").code == 0


@pytest.mark.processes
def test_another_hub_on_the_folder_is_the_reason_why_there_is_no_page(
    process: Process, call: Call
) -> None:
    ensure_key(hub_dir(process.data))
    with (hub_dir(process.data) / LOCK_FILE).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process.start("--hub", "auto", "--hub-port", "0")
        said = call("open", "--socket", process.socket)
        assert (said.code, said.out) == (3, "")
        assert said.err.startswith("stepwell: the daemon has no page of its own: another hub uses ")
        assert said.err.endswith("waits in the spool. The page starts when the other hub ends\n")
        assert "page     none, see below" in call("status", "--socket", process.socket).out
    wait_until(lambda: status_of(process.socket)["hub_ready"], "the hub of the daemon")
    assert call("open", "--socket", process.socket, "--no-browser").code == 0


@pytest.mark.processes
def test_where_no_daemon_runs_one_is_started_on_the_folder(process: Process, call: Call) -> None:
    from stepwell_store import open_embedded

    store: EmbeddedStore = open_embedded(process.data)
    store.migrate()
    made(store, "digits", "run-a", name="first try")
    store.close()
    said = call("open", "first try", "--data", process.data, "--no-browser", "--print-link")
    try:
        assert said.code == 0, said.err
        (link,) = said.out.splitlines()
        assert urlsplit(link).path == "/p/digits/runs/run-a"
        assert 'content="0;url=/p/digits/runs/run-a"' in opened(link)
        assert f"last use of the page, or with `stepwell down --data {process.data}`" in said.err
        again = call("open", "digits", "--data", process.data, "--no-browser")
        assert urlsplit(again.out.strip()).path == "/p/digits"
        assert "15 minutes" not in again.err
        missing = call("open", "nothing", "--data", process.data)
        assert missing.code == 4
        ended = call("down", "--data", process.data)
        assert (ended.code, ended.out) == (
            0, f"the daemon on {process.data}/open.sock has ended\n",
        )  # fmt: skip
        again = call("down", "--data", process.data)
        assert (again.code, again.err) == (
            3, f"stepwell: no daemon uses the data folder {process.data}\n",
        )  # fmt: skip
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(read_lock_note(process.data / DATA_LOCK).pid), signal.SIGTERM)
        wait_until(lambda: running_hub(process.data) is None, "the daemon's end")


def test_a_named_socket_without_a_daemon_opens_no_other_store(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(os.environ["STEPWELL_DATA"])
    monkeypatch.delenv("STEPWELL_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    (place / "stepwell").symlink_to(folder)  # The default folder has a store.
    said = call("open", "--no-browser")
    assert (said.code, said.out) == (3, "")
    assert f"no daemon answers on {place}" in said.err
    assert "--data or STEPWELL_DATA" in said.err


def test_a_folder_without_a_store_is_refused(call: Call, tmp_path: Path) -> None:
    said = call("open", "--data", tmp_path)
    assert said.code == 3
    assert f"no store in {tmp_path}" in said.err


def test_who_may_not_read_the_key_gets_the_clean_address(tmp_path: Path) -> None:
    assert link_to("http://127.0.0.1:1/p/x", str(tmp_path)) == "http://127.0.0.1:1/p/x"
    assert link_to("http://127.0.0.1:1/p/x", "") == "http://127.0.0.1:1/p/x"
    key = ensure_key(tmp_path)
    link = link_to("http://127.0.0.1:1/p/x", str(tmp_path))
    import time

    assert check_login_code(key, link.partition("?login=")[2], now=time.time()) is not None
    assert read_key(tmp_path) == key


@pytest.mark.parametrize(
    "state",
    ["", "{}", '{"url": "http://127.0.0.1:9", "pid": 1}', '{"url": 1, "pid": "x"}', "[]"],
)
def test_a_state_that_a_dead_hub_left_is_no_hub(tmp_path: Path, state: str) -> None:
    hub_dir(tmp_path).mkdir()
    (hub_dir(tmp_path) / "hub.json").write_text(state)
    assert running_hub(tmp_path) is None


def test_no_browser_is_opened_where_there_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert not open_browser("http://127.0.0.1:9/")


def test_a_browser_that_does_not_return_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stuck = tmp_path / "browser"
    stuck.write_text(f"#!/bin/sh\necho $1 > {tmp_path}/seen\nexec sleep 600\n")
    stuck.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{stuck} %s")
    assert open_browser("http://127.0.0.1:9/", wait_seconds=0.2)
    wait_until((tmp_path / "seen").exists, "the browser")
