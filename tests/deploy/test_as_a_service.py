"""The units' own command lines, users, rights and settings, with real processes of users."""

import json
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from stepwell_wire.hub_access import hub_dir, read_key
from tests.deploy.manager import Manager
from tests.deploy.places import DEPLOY, needs
from tests.deploy.service import (
    BLOBS_ID,
    DAEMON_ID,
    OUTSIDER_ID,
    TRAINER_ID,
    Service,
    python_of_all,
    remove,
    run_as,
)
from tests.deploy.settings import with_secrets
from tests.deploy.units import Unit
from tests.node import free_port
from tests.servers.clickhouse import PASSWORD, ClickHouseServer
from tests.waiting import wait_until

FILES = DEPLOY / "systemd"
CAP_DAC_OVERRIDE, CAP_FOWNER = 1 << 1, 1 << 3

pytestmark = [pytest.mark.processes, needs("setpriv"), needs("unshare")]

TRAIN = """
import os, numpy, stepwell
run = stepwell.init(project="shared", id=os.environ["RUN"])
for step in range(1000):
    run.log({"loss": 1.0 / (step + 1)})
run.log({"picture": stepwell.Image(numpy.zeros((16, 16, 3), "uint8"))})
if os.environ.get("KILLED"):
    os.kill(os.getpid(), 9)
run.finish()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: other users may not enter it, and a socket's path is short.
    made = Path(tempfile.mkdtemp(prefix="swu-"))
    made.chmod(0o755)
    yield made
    remove(made)


@pytest.fixture
def daemon(folder: Path) -> Iterator[Service]:
    python = python_of_all()
    made = Service(Unit.read(FILES / "stepwelld.service"), folder, python)
    made.environ = {"STEPWELLD_METRICS_PORT": "0", "STEPWELLD_HUB_PORT": "0"}
    # As stepwell.tmpfiles.conf says; test_systemd.py holds that.
    journals = made.place("/var/lib/stepwell/journals")
    journals.mkdir(parents=True)
    os.chown(journals, 0, DAEMON_ID)
    journals.chmod(0o1770)
    blobs = made.place("/var/lib/stepwell-blobs")
    blobs.mkdir()
    os.chown(blobs, DAEMON_ID, BLOBS_ID)
    blobs.chmod(0o2770)
    made.place("/etc/stepwell").mkdir(parents=True)
    yield made
    made.close()


def settings_of(service: Service, name: str, text: str) -> None:
    path = service.place(f"/etc/stepwell/{name}")
    path.write_text(with_secrets(service.inside(text), path.parent, PASSWORD))


def training_environment(service: Service, number: int) -> dict[str, str]:
    """Return what stepwell.sh exports, and a home."""
    home = service.folder / f"home-{number}"
    home.mkdir(exist_ok=True)
    os.chown(home, number, number)
    exported = re.findall(r"(?m)^export (\w+)=(.*)$", (FILES / "stepwell.sh").read_text())
    return {name: service.inside(value) for name, value in exported} | {"HOME": str(home)}


def ask(url: str, data: Path, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {read_key(hub_dir(data))}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, content, headers)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.loads(answer.read())


def capabilities(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"CapEff:\s+(\w+)", status)[0], 16)


def hub_of(data: Path) -> str:
    state = hub_dir(data) / "hub.json"
    wait_until(state.exists, "the hub")
    return str(json.loads(state.read_text())["url"])


def test_users_share_a_daemon_that_runs_as_its_unit_says(folder: Path, daemon: Service) -> None:
    settings_of(daemon, "daemon.toml", (FILES / "daemon.toml").read_text())
    data = daemon.place("/var/lib/stepwell/data")
    with Manager(folder / "notify") as manager:
        daemon.start(manager)
        assert daemon.process is not None
        trainer = training_environment(daemon, TRAINER_ID)
        words = [daemon.python, "-c", TRAIN]
        done = run_as(TRAINER_ID, words, {**trainer, "RUN": "whole"}, groups=[DAEMON_ID])
        assert done.returncode == 0, done.stderr + daemon.log()
        # A killed process leaves a journal that is its user's; the daemon takes it in.
        killed = {**trainer, "RUN": "killed", "KILLED": "1"}
        assert run_as(TRAINER_ID, words, killed, groups=[DAEMON_ID]).returncode == -9
        journals = daemon.place("/var/lib/stepwell/journals")
        wait_until(lambda: not list(journals.glob("killed-*")), "the journal to be taken in")

        url = hub_of(data)
        wait_until(lambda: counts(url, data) == {"whole": 1000, "killed": 1000}, "both runs")
        assert journals.stat().st_mode & 0o7777 == 0o1770

        for run in ("whole", "killed"):
            wait_until(lambda run=run: picture_of(url, data, run), f"the picture of {run}")

        processes = psutil.Process(daemon.process.pid).children(recursive=True)
        assert len(processes) >= 3  # Engine, hub and the worker that encoded the pictures.
        assert capabilities(daemon.process.pid) == CAP_DAC_OVERRIDE | CAP_FOWNER
        assert {capabilities(each.pid) for each in processes} == {0}
        assert {each.uids().real for each in processes} == {DAEMON_ID}

        assert daemon.stop() == 0, daemon.log()
        manager.wait_for("STOPPING=1")


def counts(url: str, data: Path) -> dict[str, int]:
    """Return how many points of loss the hub shows, by run; without runs that have none yet."""
    found = {}
    for run in ("whole", "killed"):
        try:
            answer = ask(url, data, f"/api/v1/projects/shared/runs/{run}/metrics")
        except urllib.error.HTTPError:
            continue
        for each in answer["metrics"]:
            if each["metric"] == "loss":
                found[run] = each["count"]
    return found


def picture_of(url: str, data: Path, run: str) -> bool:
    """Return whether the hub has the picture that the run logged, as a picture."""
    media = ask(url, data, f"/api/v1/projects/shared/runs/{run}/media?metric=picture")
    items = [item for value in media["values"] for item in value["items"]]
    addresses = [item["url"] for item in items if item.get("url")]
    if not addresses:
        return False
    headers = {"Authorization": f"Bearer {read_key(hub_dir(data))}"}
    request = urllib.request.Request(url + addresses[0], headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return bool(answer.read(4) == b"\x89PNG")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False  # On its way.


ASK = """
import stepwell
def trial(): stepwell.sweep({"method": "random", "parameters": {"x": {"values": [1]}}}, project="p")
def used():
    with stepwell.init(project="p", id="member", settings={"quiet": True}) as run:
        run.use_artifact("a:latest")
for ask in (lambda: list(stepwell.Api().projects()), used, trial):
    try:
        ask()
    except stepwell.StepwellError as error:
        print(error)
"""


LOG = """
import stepwell
settings = {"quiet": True}
with stepwell.init(project="vision", id="digits", name="first try", settings=settings) as run:
    run.log({"loss": 1.0})
"""


def test_a_member_of_the_group_learns_who_may_read_and_how(folder: Path, daemon: Service) -> None:
    settings_of(daemon, "daemon.toml", (FILES / "daemon.toml").read_text())
    data = daemon.place("/var/lib/stepwell/data")
    with Manager(folder / "notify") as manager:
        daemon.start(manager)
        member = training_environment(daemon, TRAINER_ID)

        def call(*words: str, **more: str) -> tuple[int, str, str]:
            command = [daemon.python, "-m", "stepwell", *words]
            done = run_as(TRAINER_ID, command, {**member, **more}, groups=[DAEMON_ID])
            return done.returncode, done.stdout, done.stderr

        url = hub_of(data)
        owner = f"#{DAEMON_ID}"
        code, out, error = call("open", "--print-link", "--no-browser")
        assert (code, out) == (1, f"{url}/\n")
        assert f"sudo -u '{owner}' stepwell open --print-link" in error
        assert "STEPWELL_HUB_KEY_FILE" in error
        assert "works once" not in error
        assert json.loads(call("open", "--json", "--print-link")[1])["link"] is None
        assert call("open", "--json", "--print-link")[0] == 1
        code, out, _ = call("open", "--print-link", STEPWELL_HUB_KEY=read_key(hub_dir(data)))
        assert code == 0
        assert out.startswith(f"{url}/?login=")

        logged = run_as(TRAINER_ID, [daemon.python, "-c", LOG], member, groups=[DAEMON_ID])
        assert logged.returncode == 0, logged.stderr
        copy = folder / "copy-of-key"
        copy.write_text(f"{read_key(hub_dir(data))}\n")
        copy.chmod(0o644)
        with_copy = {"STEPWELL_HUB": url, "STEPWELL_HUB_KEY_FILE": str(copy)}
        for reference, path in (
            ("vision", "/p/vision"),
            ("vision/digits", "/p/vision/runs/digits"),
            ("digits", "/p/vision/runs/digits"),
            ("vision/first try", "/p/vision/runs/digits"),
        ):
            spelt = {"STEPWELL_HUB": url.replace("127.0.0.1", "localhost") + "/"}
            for named in (with_copy, with_copy | spelt):
                code, out, error = call("open", reference, "--print-link", **named)
                assert code == 0, (reference, error)
                assert out.startswith(f"{url}{path}?login="), reference
        code, out, error = call("open", "--print-link", **with_copy | {"STEPWELL_HUB": f"{url}1"})
        assert (code, out) == (1, f"{url}/\n")
        code, out, error = call("open", "vision/digit", "--print-link", **with_copy)
        assert (code, out) == (4, "")
        assert "no project 'vision/digit'; did you mean 'vision/digits'" in error

        copy.write_text(f"{read_key(hub_dir(data))}x\n")
        for words in (("open",), ("open", "vision")):
            code, out, error = call(*words, "--print-link", **with_copy)
            assert (code, out) == (1, "")
            assert f"STEPWELL_HUB_KEY_FILE: the key in {copy} is invalid: expected 43" in error
        copy.write_text("A" * 43)  # As after `stepwell hub --rotate-key`.
        for words in (("open",), ("open", "vision")):
            code, out, error = call(*words, "--print-link", **with_copy)
            assert (code, out) == (1, "")
            assert f"{url}: the hub rejected the key" in error

        done = run_as(TRAINER_ID, [daemon.python, "-c", ASK], member, groups=[DAEMON_ID])
        lines = done.stdout.splitlines()
        for listing in (("artifact", "ls", "p"), ("report", "ls"), ("sweep", "ls", "-p", "p")):
            code, _, error = call(*listing)
            assert code in (1, 3)
            lines.append(error)
        assert len(lines) == 6, done.stderr
        for each in lines:
            assert f"only user {owner} may read the key of the hub {url}" in each
            assert f"set STEPWELL_HUB={url} and STEPWELL_HUB_KEY_FILE to the copy" in each

        reading = [
            ("runs",),
            ("show", "p/r"),
            ("export", "p/r", "-o", str(folder / "out.csv")),
            ("sql", "SELECT 1"),
            ("open", "p"),
        ]
        reading += [("rm", "p/r", "--yes"), ("backup", str(folder / "copy"))]
        reading.append(("runs", "--data", str(data)))
        for words in reading:
            code, _, error = call(*words)
            assert code == 1, (words, error)
            assert f"{data} belongs to user {owner}" in error, words
            assert f"`sudo -u '{owner}' stepwell …`" in error
            assert f"set STEPWELL_HUB={url}" in error
            code, _, error = call(*words, **with_copy)
            assert f"stepwell.Api(), which uses the hub {url}" in error or words[0] == "open"

        for action in ("verify", "dump"):
            code, _, error = call("spool", action)
            assert code == 1
            assert f"`sudo -u '{owner}' stepwell spool {action} …`" in error

        code, out, _ = call("doctor")
        assert f"{data} belongs to user {owner}, who runs the daemon" in out
        assert "change its owner" not in out
        assert "let your user read there" not in out
        assert daemon.stop() == 0, daemon.log()


def test_a_user_outside_the_group_reaches_neither_socket_nor_journals(
    folder: Path, daemon: Service
) -> None:
    settings_of(daemon, "daemon.toml", (FILES / "daemon.toml").read_text())
    with Manager(folder / "notify") as manager:
        daemon.start(manager)
        outsider = training_environment(daemon, OUTSIDER_ID)
        connect = "import os, socket; socket.socket(1).connect(os.environ['STEPWELL_SOCKET'])"
        done = run_as(OUTSIDER_ID, [daemon.python, "-c", connect], outsider)
        assert "PermissionError" in done.stderr
        done = run_as(
            OUTSIDER_ID, ["ls", str(daemon.place("/var/lib/stepwell/journals"))], outsider
        )
        assert done.returncode != 0
        # Without the variables: the node's socket that one may not look at is none.
        socket = daemon.place("/run/stepwell/stepwell.sock")
        default = (
            "from pathlib import Path; from stepwell_wire import places; "
            f"places.SYSTEM_SOCKET = Path({str(socket)!r}); print(places.default_socket())"
        )
        done = run_as(OUTSIDER_ID, [daemon.python, "-c", default], {})
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"/var/tmp/stepwell-{OUTSIDER_ID}/stepwell.sock"


# ---------------------------------------------------------------------- over ClickHouse servers


def over_servers(text: str, address: str) -> str:
    """Return daemon.toml with its second block instead of its first."""
    head, first, second, _ = re.split(r"(?m)^# [123]\. .*\n", text)
    assert 'sink = "embedded"' in first
    second = re.sub(r"(?m)^# (?=\w+ = )", "", second)
    second = re.sub(r"(?m)^clickhouse_cluster = .*\n", "", second)
    second = second.replace("ch1.example, ch2.example", address)
    return head + second


def test_daemon_and_hub_meet_in_a_clickhouse_server(folder: Path, daemon: Service) -> None:
    with ClickHouseServer(folder / "server") as server:
        users = folder / "server" / "users.xml"
        users.write_text(users.read_text().replace("writer>", "stepwell>"))
        server.stop()
        server.start()
        secrets = daemon.place("/etc/stepwell")
        text = over_servers((FILES / "daemon.toml").read_text(), server.address)
        settings_of(daemon, "daemon.toml", text)
        hub = Service(
            Unit.read(FILES / "stepwell-hub.service"), folder, daemon.python, user=OUTSIDER_ID
        )
        port = free_port()
        hub.environ = {"STEPWELLHUB_PORT": str(port)}
        text = (FILES / "hub.toml").read_text()
        text = text.replace(
            'clickhouse_hosts = "127.0.0.1"', f'clickhouse_hosts = "{server.address}"'
        )
        settings_of(hub, "hub.toml", text)
        # One file for two users, each of whom would have one of their own.
        os.chown(secrets / "clickhouse-password", OUTSIDER_ID, DAEMON_ID)
        try:
            with Manager(folder / "notify") as manager:
                daemon.start(manager)
                trainer = training_environment(daemon, TRAINER_ID)
                words = [daemon.python, "-c", TRAIN]
                done = run_as(TRAINER_ID, words, {**trainer, "RUN": "whole"}, groups=[DAEMON_ID])
                assert done.returncode == 0, done.stderr + daemon.log()
            with Manager(folder / "notify-hub") as manager:
                hub.start(manager)
                data = hub.place("/var/lib/stepwell-hub")
                url = hub_of(data)
                assert url == f"http://127.0.0.1:{port}"
                wait_until(lambda: counts(url, data) == {"whole": 1000}, "the run")
                wait_until(lambda: picture_of(url, data, "whole"), "the picture")
                assert hub.process is not None
                assert capabilities(hub.process.pid) == 0
                words = ["open", "--no-browser", "--print-link", "--data", str(data)]
                opened = run_as(hub.user, [hub.python, "-m", "stepwell", *words], {})
                assert opened.stdout.startswith(f"{url}/?login="), opened.stderr
                assert hub.stop() == 0
                manager.wait_for("STOPPING=1")
        finally:
            hub.close()
        assert "login=" not in hub.log()


def test_a_setting_that_is_none_ends_the_service_with_the_code_that_stops_restarts(
    folder: Path, daemon: Service
) -> None:
    settings_of(daemon, "daemon.toml", (FILES / "daemon.toml").read_text() + "sync = 1\n")
    daemon.make_folders()
    words = [daemon.python, "-m", "stepwell_daemon", "--config"]
    path = str(daemon.place("/etc/stepwell/daemon.toml"))
    done = run_as(DAEMON_ID, [*words, path], {})
    assert str(done.returncode) in daemon.unit.one("RestartPreventExitStatus").split()
    assert "sync: no such setting" in done.stderr
