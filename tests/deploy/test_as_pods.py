"""The pods of deploy/kubernetes: their shell, command lines, users, rights and settings, for real.

No cluster: processes with the rights that the pods' security contexts give, in a folder that stands
for / of the node and another one for / of the hub's pod, over a real ClickHouse server.
"""

import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepwell_wire.hub_access import ensure_key
from tests.deploy.manager import Manager
from tests.deploy.places import DEPLOY, needs
from tests.deploy.service import (
    DAEMON_ID,
    OUTSIDER_ID,
    TRAINER_ID,
    Service,
    as_user,
    python_of_all,
    remove,
    run_as,
)
from tests.deploy.settings import with_secrets
from tests.deploy.units import Unit
from tests.node import free_port
from tests.servers.clickhouse import PASSWORD, ClickHouseServer
from tests.waiting import wait_until

FILES = DEPLOY / "kubernetes"
GROUP = DAEMON_ID
"""In place of 10001, which may be a user of this machine."""

pytestmark = [pytest.mark.processes, needs("setpriv"), needs("unshare")]

TRAIN = """
import os, stepwell
run = stepwell.init(project="pods", id=os.environ["RUN"])
for step in range(1000):
    run.log({"loss": 1.0 / (step + 1)})
if os.environ.get("KILLED"):
    os.kill(os.getpid(), 9)
run.finish()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="swp-"))
    made.chmod(0o755)
    yield made
    remove(made)


def pod_of(name: str, kind: str) -> dict[str, Any]:
    for each in yaml.safe_load_all((FILES / "base" / name).read_text()):
        if each["kind"] == kind:
            found: dict[str, Any] = each["spec"]["template"]["spec"]
            return found
    raise AssertionError(f"{name} has no {kind}")


def rights_of(container: dict[str, Any]) -> str:
    added = container["securityContext"]["capabilities"].get("add", [])
    return " ".join(f"CAP_{name}" for name in added)


def service_of(pod: dict[str, Any], folder: Path, python: str, **named: Any) -> Service:
    """Return the pod's only container as a service; what it may write is what is mounted so."""
    (container,) = pod["containers"]
    mounts = [
        each["mountPath"]
        for each in container["volumeMounts"]
        if not each.get("readOnly") and each["mountPath"] != "/tmp"
    ]
    program, *arguments = container["args"]
    settings = (
        ("ExecStart", " ".join([f"/opt/stepwell/bin/{program}", *arguments])),
        ("AmbientCapabilities", rights_of(container)),
        ("ReadWritePaths", " ".join(mounts)),
        ("WatchdogSec", "60"),
    )
    for mount in mounts:
        (folder / mount.lstrip("/")).mkdir(parents=True, exist_ok=True)
    return Service(Unit(FILES, settings), folder, python, group=GROUP, groups=(), **named)


def prepare(pod: dict[str, Any], service: Service) -> None:
    """Run the pod's first container."""
    (first,) = pod["initContainers"]
    command = service.inside(first["command"][2]).replace("-g 10001", f"-g {GROUP}")
    rights = as_user(service.user, group=GROUP, capabilities=rights_of(first))
    subprocess.run([*rights, "sh", "-ec", command], check=True)


def configure(service: Service, name: str, address: str) -> None:
    """Write the base's settings where the pod mounts them, with the server's address."""
    place = service.place(f"/etc/stepwell/{name}/{name}.toml")
    place.parent.mkdir(parents=True)
    text = (FILES / "base" / place.name).read_text()
    assert "clickhouse.example:9440" in text
    text = service.inside(text.replace("clickhouse.example:9440", address))
    place.write_text(with_secrets(text, place.parent, PASSWORD))
    os.chown(place.parent / "password", 0, GROUP)


def ask(port: int, key: str, path: str) -> Any:
    # As the ingress controller passes it on.
    headers = {"Authorization": f"Bearer {key}", "Host": "runs.example"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.loads(answer.read())


def counts(port: int, key: str) -> dict[str, int]:
    """Return how many points the hub shows, by run and metric."""
    found = {}
    for run in ("whole", "killed"):
        try:
            answer = ask(port, key, f"/api/v1/projects/pods/runs/{run}/metrics")
        except urllib.error.HTTPError:
            continue
        for each in answer["metrics"]:
            found[f"{run}/{each['metric']}"] = each["count"]
    return found


def test_a_training_pod_logs_through_its_nodes_daemon_and_the_hub_shows_it(folder: Path) -> None:
    python = python_of_all()
    with ClickHouseServer(folder / "server") as server:
        users = folder / "server" / "users.xml"
        users.write_text(users.read_text().replace("writer>", "stepwell>"))
        server.stop()
        server.start()

        node = folder / "node"
        pod = pod_of("daemon.yaml", "DaemonSet")
        daemon = service_of(pod, node, python, user=0)
        daemon.environ = {"STEPWELLD_HOST": "127.0.0.1", "STEPWELLD_METRICS_PORT": "0"}
        prepare(pod, daemon)
        configure(daemon, "daemon", server.address)

        pod = pod_of("hub.yaml", "Deployment")
        hub = service_of(pod, folder / "pod", python, user=OUTSIDER_ID)
        port = free_port()
        hub.environ = {"STEPWELLHUB_PORT": str(port)}
        state = hub.place("/var/lib/stepwell")
        os.chown(state, 0, GROUP)
        state.chmod(0o2775)  # As fsGroup leaves it.
        key = ensure_key(folder / "made")
        secret = hub.place("/etc/stepwell/key/key")
        secret.parent.mkdir(parents=True)
        secret.write_text(key)
        os.chown(secret, 0, GROUP)
        secret.chmod(0o440)
        prepare(pod, hub)
        configure(hub, "hub", server.address)

        example = yaml.safe_load((FILES / "examples" / "training-pod.yaml").read_text())
        variables = example["spec"]["containers"][0]["env"]
        trainer = {each["name"]: daemon.inside(each["value"]) for each in variables}
        words = [python, "-c", TRAIN]
        try:
            with Manager(folder / "notify") as manager:
                daemon.start(manager)
                for more in ({"RUN": "whole"}, {"RUN": "killed", "KILLED": "1"}):
                    done = run_as(TRAINER_ID, words, {**trainer, **more}, groups=[GROUP])
                    assert done.returncode == (-9 if "KILLED" in more else 0), done.stderr
                journals = daemon.place("/var/lib/stepwell/journals")
                wait_until(lambda: not list(journals.glob("*-*")), "the journals to be taken in")
            with Manager(folder / "notify-hub") as manager:
                hub.start(manager)
                expected = {"whole/loss": 1000, "killed/loss": 1000}
                wait_until(lambda: counts(port, key) == expected, "both runs")
            assert daemon.stop() == 0, daemon.log()
            assert hub.stop() == 0, hub.log()
        finally:
            hub.close()
            daemon.close()
