"""deploy/kubernetes: what kustomize builds, held against schemas, settings and each other."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from stepwell_daemon.config import DaemonConfig
from stepwell_hub.config import HubConfig
from stepwell_wire.hub_access import ensure_key, hub_dir, read_key
from tests.deploy.places import DEPLOY, TOOLS, needs
from tests.deploy.settings import commented, load_daemon, load_hub, names

FILES = DEPLOY / "kubernetes"
BUILDS = ["overlays/example", "base", *(f"components/{name}" for name in
          ("gpu", "podmonitor", "servicemonitor", "several-hubs", "blobs"))]  # fmt: skip
VERSIONS = ("1.30", "1.33", "1.37")
OF_OPERATOR = "monitoring.coreos.com/v1"

pytestmark = needs("kubectl", "its `kubectl kustomize` builds the files; 1.27 or newer")
needs_schemas = pytest.mark.skipif(
    not (TOOLS / "kubernetes-validate").exists() and not os.environ.get("CI"),
    reason="no kubernetes-validate here; `make deploy-tools` installs it",
)

Object = dict[str, Any]


def kustomize(folder: Path) -> list[Object]:
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Object]]:
    """Each build by name; a component is built over the base."""
    found = {}
    copy = tmp_path_factory.mktemp("kubernetes") / "files"
    shutil.copytree(FILES, copy)
    for name in BUILDS:
        folder = copy / name
        if name.startswith("components/"):
            folder = copy / "built" / Path(name).name
            folder.mkdir(parents=True)
            (folder / "kustomization.yaml").write_text(
                f"resources: [../../base]\ncomponents: [../../{name}]\n"
            )
        found[name] = kustomize(folder)
    return found


def one(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (
        each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


def pods(objects: list[Object]) -> list[Object]:
    return [each["spec"]["template"] for each in objects if "template" in each.get("spec", {})]


def example_pod() -> Object:
    found: Object = yaml.safe_load((FILES / "examples" / "training-pod.yaml").read_text())
    return found


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


# ---------------------------------------------------------------------- schemas


@needs_schemas
@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(
    built: dict[str, list[Object]], tmp_path: Path, version: str
) -> None:
    objects = [each for build in built.values() for each in build] + [example_pod()]
    of_kubernetes = [each for each in objects if each["apiVersion"] != OF_OPERATOR]
    assert len(of_kubernetes) > 60
    done = validate(tmp_path, version, *of_kubernetes)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_schemas
def test_a_field_that_kubernetes_does_not_know_would_be_found(tmp_path: Path) -> None:
    pod = example_pod()
    pod["spec"]["containers"][0]["volumeMount"] = []
    assert validate(tmp_path, VERSIONS[0], pod).returncode != 0


def validate(folder: Path, version: str, *objects: Object) -> subprocess.CompletedProcess[str]:
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return subprocess.run(
        [TOOLS / "kubernetes-validate", "-k", version, "--strict", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def operator_schema() -> Any:
    path = Path(__file__).parent / "schemas" / "monitoring.json"
    return jsonschema_rs.validator_for(json.loads(path.read_text()))


def test_the_operators_objects_have_the_fields_that_we_know(built: dict[str, list[Object]]) -> None:
    objects = [each for build in built.values() for each in build]
    of_operator = [each for each in objects if each["apiVersion"] == OF_OPERATOR]
    kinds = {each["kind"] for each in of_operator}
    assert kinds == {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
    for each in of_operator:
        assert list(operator_schema().iter_errors(each)) == []


def test_a_field_that_the_operator_does_not_know_would_be_found(
    built: dict[str, list[Object]],
) -> None:
    monitor = one(built["components/podmonitor"], "PodMonitor", "stepwell-daemon")
    endpoint = {**monitor["spec"]["podMetricsEndpoints"][0], "intervall": "15s"}
    wrong = {**monitor, "spec": {**monitor["spec"], "podMetricsEndpoints": [endpoint]}}
    assert list(operator_schema().iter_errors(wrong))


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize("place", ["base", "overlays/example"])
def test_the_settings_are_known_and_their_places_are_mounted(
    built: dict[str, list[Object]], tmp_path: Path, place: str
) -> None:
    folder = FILES / place
    daemon = load_daemon(folder / "daemon.toml", tmp_path, STEPWELLD_HOST="10.0.0.1")
    hub = load_hub(folder / "hub.toml", tmp_path)
    assert set(commented(folder / "daemon.toml")) <= names(DaemonConfig)
    assert set(commented(folder / "hub.toml")) <= names(HubConfig)
    (pod,) = (each for each in pods(built[place]) if each["spec"].get("hostPID"))
    mounts = [each["mountPath"] for each in pod["spec"]["containers"][0]["volumeMounts"]]
    for path in (daemon.socket, daemon.data, daemon.journals):
        assert any(path.is_relative_to(mount) for mount in mounts), path
    (port,) = pod["spec"]["containers"][0]["ports"]
    assert port["containerPort"] == daemon.metrics_port
    service = one(built[place], "Service", "stepwell-hub")
    assert service["spec"]["ports"][0]["port"] == hub.port
    for path in (folder / "daemon.toml", folder / "hub.toml"):
        for named in re.findall(r'(?m)^\w+_file = "(.+)"', path.read_text()):
            assert Path(named).is_relative_to("/etc/stepwell/clickhouse")


def test_a_training_pod_finds_its_daemon(tmp_path: Path) -> None:
    daemon = load_daemon(FILES / "base" / "daemon.toml", tmp_path, STEPWELLD_HOST="10.0.0.1")
    pod = example_pod()
    (container,) = pod["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables == {
        "STEPWELL_SOCKET": str(daemon.socket),
        "STEPWELL_DIR": str(daemon.journals),
        "STEPWELL_NO_DAEMON": "1",
    }
    volumes = {each["name"]: each["hostPath"]["path"] for each in pod["spec"]["volumes"]}
    mounted = {each["mountPath"]: volumes[each["name"]] for each in container["volumeMounts"]}
    # The same paths inside and outside: the daemon is told the path of a journal.
    assert mounted == {
        str(daemon.socket.parent): str(daemon.socket.parent),
        str(daemon.journals): str(daemon.journals),
    }


# ---------------------------------------------------------------------- what refers to what


@pytest.mark.parametrize("name", BUILDS)
def test_everything_that_is_named_is_there(built: dict[str, list[Object]], name: str) -> None:
    objects = built[name]
    there = {(each["kind"], each["metadata"]["name"]) for each in objects}
    readme = (FILES / "README.md").read_text()
    for pod in pods(objects):
        spec = pod["spec"]
        assert ("ServiceAccount", spec["serviceAccountName"]) in there
        volumes = {each["name"]: each for each in spec["volumes"]}
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in there
            if "secret" in volume:
                assert_made(readme, volume["secret"]["secretName"])
        for container in containers(pod):
            assert {each["name"] for each in container["volumeMounts"]} <= set(volumes)
            for variable in container.get("env", []):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert_made(readme, reference["name"])


def assert_made(readme: str, secret: str) -> None:
    assert f"kubectl -n stepwell create secret generic {secret} " in readme


@pytest.mark.parametrize("name", BUILDS)
def test_selectors_find_the_pods_they_are_for(built: dict[str, list[Object]], name: str) -> None:
    labels = [pod["metadata"]["labels"] for pod in pods(built[name])]
    checked = 0
    for each in built[name]:
        spec = each.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector") or {}
        wanted = selector.get("matchLabels") if each["kind"] != "Service" else selector
        if wanted:
            if each["kind"] == "ServiceMonitor":
                service = one(built[name], "Service", each["metadata"]["name"])
                assert wanted.items() <= service["metadata"]["labels"].items()
            else:
                assert any(wanted.items() <= found.items() for found in labels), each
            checked += 1
    assert checked >= 5


def test_the_job_of_both_monitors_is_the_one_that_alerts_expect(
    built: dict[str, list[Object]],
) -> None:
    monitor = one(built["components/podmonitor"], "PodMonitor", "stepwell-daemon")
    (pod,) = (each for each in pods(built["base"]) if each["spec"].get("hostPID"))
    assert pod["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "stepwell"
    objects = built["components/servicemonitor"]
    monitor = one(objects, "ServiceMonitor", "stepwell-daemon")
    service = one(objects, "Service", "stepwell-daemon")
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "stepwell"


def test_the_alerts_are_those_of_prometheus() -> None:
    path = FILES / "make_rules.py"
    spec = importlib.util.spec_from_file_location("stepwell_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.FILE.read_text() == module.text(), f"run python {path}"
    rules = yaml.safe_load(module.RULES.read_text())
    assert yaml.safe_load(module.text())["spec"] == rules


# ---------------------------------------------------------------------- rights


@pytest.mark.parametrize("name", BUILDS)
def test_no_container_has_more_rights_than_it_needs(
    built: dict[str, list[Object]], name: str
) -> None:
    for pod in pods(built[name]):
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        is_daemon = pod["spec"].get("hostPID", False)
        assert pod["spec"]["securityContext"].get("runAsNonRoot", False) is not is_daemon
        for container in containers(pod):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"]["drop"] == ["ALL"]
            added = rights["capabilities"].get("add", [])
            assert added == (["DAC_OVERRIDE", "FOWNER"] if is_daemon else [])
            assert {"requests", "limits"} == set(container["resources"])


def test_the_daemon_sees_all_gpus_and_takes_none(built: dict[str, list[Object]]) -> None:
    (pod,) = (each for each in pods(built["components/gpu"]) if each["spec"].get("hostPID"))
    (daemon,) = pod["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in daemon["env"]}
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert variables["NVIDIA_DRIVER_CAPABILITIES"] == "utility"
    assert "STEPWELLD_HOST" in variables
    assert pod["spec"]["runtimeClassName"] == "nvidia"
    assert "nvidia.com/gpu" not in json.dumps(daemon["resources"])


def test_several_hubs_share_no_volume_and_have_a_catalog_that_all_reach(
    built: dict[str, list[Object]],
) -> None:
    objects = built["components/several-hubs"]
    hub = one(objects, "Deployment", "stepwell-hub")["spec"]
    assert hub["replicas"] == 2
    volumes = {each["name"]: each for each in hub["template"]["spec"]["volumes"]}
    assert volumes["state"] == {"name": "state", "emptyDir": {}}
    assert not [each for each in objects if each["kind"] == "PersistentVolumeClaim"]
    (container,) = hub["template"]["spec"]["containers"]
    assert [each["name"] for each in container["env"]] == ["STEPWELLHUB_CATALOG"]


# ---------------------------------------------------------------------- the shell in it


def shell_of(objects: list[Object], container: str) -> str:
    (found,) = (
        each for pod in pods(objects) for each in containers(pod) if each["name"] == container
    )
    assert found["command"][:2] == ["sh", "-ec"]
    return str(found["command"][2])


def test_the_hub_accepts_the_key_that_its_first_container_lays_down(
    built: dict[str, list[Object]], tmp_path: Path
) -> None:
    state, secret = tmp_path / "state", tmp_path / "secret"
    made = ensure_key(tmp_path / "made")
    secret.mkdir()
    # As Kubernetes mounts it: a link to a file that the pod's group may read.
    (secret / "..data").mkdir()
    (secret / "..data" / "key").write_text(made + "\n")
    (secret / "..data" / "key").chmod(0o440)
    (secret / "key").symlink_to("..data/key")
    state.mkdir(mode=0o2775)
    state.chmod(0o2775)
    command = shell_of(built["base"], "key")
    command = command.replace("/var/lib/stepwell", str(state))
    command = command.replace("/etc/stepwell/key", str(secret))
    for _ in range(2):  # Again after a restart of the pod.
        subprocess.run(["sh", "-ec", command], check=True)
        assert read_key(hub_dir(state)) == made
        (hub_dir(state) / "key").chmod(0o660)  # What fsGroup does to a volume at its next mount.


def test_the_daemons_folders_are_as_its_group_needs_them(
    built: dict[str, list[Object]], tmp_path: Path
) -> None:
    command = shell_of(built["base"], "folders")
    assert example_pod()["spec"]["securityContext"]["supplementalGroups"] == [10001]
    assert command.count("-g 10001") == 2
    command = command.replace("-g 10001", f"-g {os.getgid()}")
    command = re.sub(r"/(run|var)/", rf"{tmp_path}/\1/", command)
    subprocess.run(["sh", "-ec", command], check=True)
    modes = {
        str(path.relative_to(tmp_path)): path.stat().st_mode & 0o7777
        for path in tmp_path.rglob("*stepwell*/**")
    }
    assert modes["run/stepwell"] == 0o750
    assert modes["var/lib/stepwell"] == 0o755
    assert modes["var/lib/stepwell/data"] == 0o700
    assert modes["var/lib/stepwell/journals"] == 0o1770
