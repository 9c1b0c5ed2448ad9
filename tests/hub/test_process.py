"""The hub as a process: alone over servers, and live beside a daemon."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stepwell_hub.config import HubConfig, build_parser, load_config
from stepwell_hub.errors import HubConfigError
from stepwell_hub.serve import listen
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import open_server
from stepwell_wire.hub_access import hub_dir, login_link, read_key
from tests.certificates import make_authority, make_certificate
from tests.daemon.client import Client, flush
from tests.daemon.conftest import Process, process
from tests.daemon.hubs import ON, ask, state_of
from tests.daemon.made import hello, row, schema_event
from tests.hub.made import make_run
from tests.servers.clickhouse import ClickHouseServer
from tests.waiting import wait_until

__all__ = ["process"]  # The fixture.

pytestmark = pytest.mark.processes


_started: "list[Alone]" = []


class Alone:
    """`python -m stepwell_hub` with settings of a test's own."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.data = folder
        _started.append(self)
        kept = {name: value for name, value in os.environ.items() if "STEPWELL" not in name}
        self.running = subprocess.Popen(
            [sys.executable, "-m", "stepwell_hub", "--data", str(folder), *arguments],
            env={**kept, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> str:
        """Return a link that logs in. The printed link is read by others and has no code."""
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        assert line, self.running.communicate()
        address = line.split()[1]
        assert "login=" not in address
        return login_link(address, read_key(hub_dir(self.data)), now=time.time())

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        url = json.loads((hub_dir(self.data) / "hub.json").read_bytes())["url"]
        headers = {"Authorization": f"Bearer {read_key(hub_dir(self.data))}"}
        data = None if body is None else json.dumps(body).encode()
        headers |= {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(url + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def stop(self) -> int:
        self.running.send_signal(signal.SIGTERM)
        self.running.communicate()
        return self.running.returncode


def get(hub: Alone, path: str) -> tuple[int, str]:
    """Return status and text for a client without the key."""
    url = json.loads((hub_dir(hub.data) / "hub.json").read_bytes())["url"]
    try:
        with urllib.request.urlopen(url + path, timeout=300) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture(autouse=True)
def none_stays() -> Iterator[None]:
    yield
    while _started:
        hub = _started.pop()
        if hub.running.poll() is None:
            hub.running.kill()
            hub.running.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="swh-") as made:
        yield Path(made)


def test_alone_it_reads_clickhouse_servers_and_survives_their_end(folder: Path) -> None:
    with ClickHouseServer(folder / "server") as server:
        store = open_server(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
        store.migrate()
        make_run(store, "digits", "run-a", name="first")
        store.close()
        where = ("--store", "clickhouse", "--clickhouse-hosts", server.address)
        hub = Alone(folder / "hub", "--port", "0", *where)
        hub.wait_ready()
        assert get(hub, "/readyz") == (200, "ready\n")
        status, page = hub.ask("/api/v1/projects")
        assert (status, [each["project"] for each in page["projects"]]) == (200, ["digits"])
        path = "/api/v1/projects/digits/runs/query"
        status, page = hub.ask(path, {"filter": "first"})
        assert status == 200, page
        assert page["runs"][0]["run_id"] == "run-a"
        server.kill()
        status, answer = hub.ask("/api/v1/projects")
        assert (status, answer["error"]["code"]) == (503, "store_unavailable")
        wait_until(
            lambda: get(hub, "/readyz") == (503, "not ready: store does not answer\n"),
            "the hub to say that its store is away",
        )
        assert get(hub, "/healthz") == (200, "alive\n")
        server.start()
        wait_until(lambda: hub.ask("/api/v1/projects")[0] == 200, "the server's answer")
        assert hub.stop() == 0
        assert not (hub_dir(hub.data) / "hub.json").exists()


def test_a_link_is_made_where_only_browsers_reach_the_hubs_name(folder: Path) -> None:
    with ClickHouseServer(folder / "server") as server:
        where = ("--store", "clickhouse", "--clickhouse-hosts", server.address)
        hub = Alone(folder / "hub", "--port", "0", "--url", "https://runs.invalid", *where)
        assert hub.wait_ready().startswith("https://runs.invalid/?login=")
        words = ["open", "--print-link", "--no-browser", "--data", str(hub.data)]
        done = subprocess.run(
            [sys.executable, "-m", "stepwell", *words], capture_output=True, text=True, timeout=60
        )
        assert done.stdout.startswith("https://runs.invalid/?login="), done.stderr
        assert hub.stop() == 0


def test_a_port_that_was_given_and_is_taken_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ["--data", str(tmp_path), "--port", str(port)]
        given = load_config(build_parser().parse_args(words), {})
        with pytest.raises(HubConfigError, match=f"port {port}: cannot listen .*--port"):
            listen(given)
        unnamed = HubConfig(data=tmp_path, port=port)
        unnamed.folder.mkdir()
        with listen(unnamed) as moved:  # As the default port does.
            kept = moved.getsockname()[1]
    assert kept != port
    with listen(unnamed) as again:
        assert again.getsockname()[1] == kept, "open pages know this one"


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--prot", "1"], {}, "--prot"),
        ([], {"STEPWELLHUB_PROT": "1"}, "did you mean STEPWELLHUB_PORT"),
        (["--host", "0.0.0.0"], {}, "cross the network unencrypted"),
        (["--catalog", "mysql://x"], {}, "postgresql://"),
        (["--config", "/no/such.toml"], {}, "/no/such.toml"),
        (["--store", "clickhouse", "--clickhouse-tls", "maybe"], {}, "on or off or auto"[:2]),
        (["--clickhouse-hosts", "a"], {}, 'no effect without store = "clickhouse"'),
    ],
)
def test_settings_that_cannot_be_are_refused(
    folder: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    hub = Alone(folder, *arguments, **environment)
    _, error = hub.running.communicate(timeout=300)
    assert hub.running.returncode == 2
    assert said in error
    assert "Traceback" not in error


def test_with_a_certificate_it_speaks_tls_and_its_cookie_is_for_tls_alone(folder: Path) -> None:
    authority = make_authority(folder / "certs")
    cert, key = make_certificate(authority, "hub")
    files = ("--cert-file", str(cert), "--key-file", str(key))
    (folder / "data" / "store").mkdir(parents=True)
    hub = Alone(folder / "data", "--port", "0", *files)
    link = hub.wait_ready()
    assert link.startswith("https://127.0.0.1:")
    trusted = ssl.create_default_context(cafile=str(authority))
    with urllib.request.urlopen(link, timeout=300, context=trusted) as answer:
        assert "Secure" in answer.headers["set-cookie"]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(link, timeout=300)

    def is_accepted(context: ssl.SSLContext) -> bool:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=300, context=context).close()
        except urllib.error.URLError:
            return False
        return True

    # New files are used without a restart; while only one of them is new, the former ones are.
    address = link.partition("/?")[0]
    second = make_authority(folder / "certs-2")
    new_cert, new_key = make_certificate(second, "hub")
    newly = ssl.create_default_context(cafile=str(second))
    new_cert.replace(cert)
    time.sleep(3)
    assert is_accepted(trusted)
    new_key.replace(key)
    wait_until(lambda: is_accepted(newly), "the new certificate")
    assert not is_accepted(trusted)
    assert hub.stop() == 0


def test_one_hub_at_a_time_uses_a_folder(process: Process) -> None:
    process.start(*ON)
    state_of(process)
    second = Alone(process.data, "--port", "0")
    _, error = second.running.communicate(timeout=300)
    assert second.running.returncode == 3
    assert "stop it" in error


# ---------------------------------------------------------------------------- live


class Events:
    """A listener over a real connection."""

    def __init__(self, process: Process, path: str, last_event_id: str = "") -> None:
        url = state_of(process)["url"]
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
        headers = {"Authorization": f"Bearer {read_key(hub_dir(process.data))}"}
        headers |= {"Last-Event-ID": last_event_id} if last_event_id else {}
        self.connection.request("GET", f"/api/v1{path}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.last_event_id = ""

    def next(self, kind: str) -> Any:
        """Return the data of the next event of this kind."""
        event = ""
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last_event_id = value
            if name == "event":
                event = value
            if name == "data" and event == kind:
                return json.loads(value)
        raise AssertionError(f"the stream ended before {kind}")

    def close(self) -> None:
        self.connection.close()


def test_points_ring_for_those_who_look_at_them(process: Process) -> None:
    process.start(*ON)
    events = Events(process, "/projects/demo/live")
    subscription = events.next("hello")["subscription"]
    client = Client(process.socket, hello())
    client.next()
    stream = schema_event() + row(0)
    client.send(0, stream)
    client.wait_acked(len(stream))
    assert events.next("runs")["runs_version"]
    metric = metric_of(process)
    body = json.dumps({"runs": [hello().run_id], "metrics": [metric]}).encode()
    key = read_key(hub_dir(process.data))
    request = urllib.request.Request(
        state_of(process)["url"] + f"/api/v1/live/{subscription}",
        body,
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()
    wanted = {"run_id": hello().run_id, "metric": metric}
    assert events.next("series") == {"series": [{**wanted, "version": 1}]}
    client.send(len(stream), row(1))
    client.wait_acked(len(stream) + len(row(1)))
    assert events.next("series") == {"series": [{**wanted, "version": 2}]}
    events.close()
    client.close()


def metric_of(process: Process) -> str:
    assert flush(process.socket).stored
    _, body = ask(process, f"/api/v1/projects/demo/runs/{hello().run_id}/metrics")
    return str(json.loads(body)["metrics"][0]["metric"])


def test_a_stop_ends_the_streams_of_listeners(process: Process) -> None:
    process.start(*ON)
    events = Events(process, "/live")
    events.next("hello")
    assert process.stop() == 0
    while events.answer.readline():
        pass
    events.close()


def test_no_key_is_made_where_no_hub_was(tmp_path: Path) -> None:
    """The key that it should replace would go on to work."""
    hub = Alone(tmp_path, "--rotate-key")
    out, err = hub.running.communicate(timeout=60)
    assert (hub.running.returncode, out) == (2, "")
    assert f"no hub has used {tmp_path}, so there is no key to replace" in err
    assert list(tmp_path.rglob("key")) == []


@pytest.mark.parametrize("option", [[], ["--rotate-key"]], ids=["serve", "rotate"])
def test_a_folder_that_is_not_there_is_an_error_and_is_not_made(
    tmp_path: Path, option: list[str]
) -> None:
    hub = Alone(tmp_path / "typo", "--port", "0", *option)
    out, err = hub.running.communicate(timeout=60)
    assert (hub.running.returncode, out) == (2, "")
    assert str(tmp_path / "typo") in err
    assert "folder" in err
    assert os.listdir(tmp_path) == []
