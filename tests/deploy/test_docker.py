"""deploy/docker, as far as it goes without a Docker engine: linted, resolved, its commands run."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from stepwell_daemon.config import DaemonConfig
from stepwell_hub.config import HubConfig
from tests.deploy.context import copy_context, instructions, runs
from tests.deploy.places import DEPLOY, ROOT, TOOLS
from tests.deploy.settings import commented, load_daemon, load_hub, names
from tests.node import free_port

FILES = DEPLOY / "docker"
DOCKERFILE = FILES / "Dockerfile"
needs_tools = pytest.mark.skipif(
    not (TOOLS / "hadolint").exists() and not os.environ.get("CI"),
    reason="no hadolint here; `make deploy-tools` installs it",
)


@needs_tools
def test_the_linter_finds_nothing() -> None:
    done = subprocess.run([TOOLS / "hadolint", DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@needs_tools
def test_the_linter_would_find_a_user_that_may_do_everything(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(DOCKERFILE.read_text().replace("USER 10001:10001", "USER root"))
    assert subprocess.run([TOOLS / "hadolint", wrong], capture_output=True).returncode != 0


def compose(tmp_path: Path, *files: str) -> dict[str, Any]:
    """Return the Compose files as docker compose resolves them."""
    done = subprocess.run(
        [TOOLS / "docker-compose", *(f"--file={FILES / each}" for each in files), "config"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLICKHOUSE_PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


@needs_tools
def test_compose_accepts_both_files_and_every_file_that_they_mount_is_there(
    tmp_path: Path,
) -> None:
    found = compose(tmp_path, "compose.yaml", "compose.gpu.yaml")
    services = found["services"]
    assert set(services) == {"daemon", "hub", "clickhouse", "prometheus", "grafana"}
    assert services["daemon"]["runtime"] == "nvidia"
    mounted = [
        each["source"]
        for service in services.values()
        for each in service["volumes"]
        if each["type"] == "bind" and each["source"].startswith(str(ROOT))
    ]
    assert len(mounted) == 8
    assert [each for each in mounted if not Path(each).exists()] == []


@needs_tools
def test_without_a_password_compose_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [TOOLS / "docker-compose", f"--file={FILES / 'compose.yaml'}", "config"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "README.md" in done.stderr


@needs_tools
def test_only_what_needs_it_has_rights_and_ports_are_on_loopback(tmp_path: Path) -> None:
    services = compose(tmp_path, "compose.yaml")["services"]
    for name in ("daemon", "hub"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    assert services["daemon"]["cap_add"] == ["DAC_OVERRIDE", "FOWNER"]
    assert "user" not in services["hub"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


@needs_tools
def test_the_settings_are_known_and_agree_with_the_compose_file(tmp_path: Path) -> None:
    daemon = load_daemon(FILES / "daemon.toml", tmp_path)
    hub = load_hub(FILES / "hub.toml", tmp_path)
    assert set(commented(FILES / "daemon.toml")) <= names(DaemonConfig)
    assert set(commented(FILES / "hub.toml")) <= names(HubConfig)
    found = compose(tmp_path, "compose.yaml")
    services = found["services"]
    targets = {each["target"] for each in services["daemon"]["volumes"]}
    for path in (daemon.socket, daemon.data, daemon.journals):
        assert any(path.is_relative_to(target) for target in targets)
    (port,) = services["hub"]["ports"]
    assert int(port["target"]) == hub.port
    (network,) = found["networks"]["stepwell"]["ipam"]["config"]
    assert hub.proxy == network["gateway"]
    assert {daemon.clickhouse_hosts, hub.clickhouse_hosts} == {"clickhouse:9000"}
    user = services["clickhouse"]["environment"]["CLICKHOUSE_USER"]
    assert {daemon.clickhouse_user, hub.clickhouse_user} == {user}
    for name in ("daemon.toml", "hub.toml"):
        secret = '"/run/secrets/clickhouse-password"'
        assert f"clickhouse_password_file = {secret}" in (FILES / name).read_text()
    scraped = yaml.safe_load((FILES / "stepwell.targets.yml").read_text())
    assert scraped == [{"targets": [f"daemon:{daemon.metrics_port}"]}]


def test_grafana_finds_the_dashboard_where_it_is_mounted() -> None:
    provider = yaml.safe_load((FILES / "grafana" / "dashboards.yaml").read_text())["providers"][0]
    assert (
        f":{provider['options']['path']}/stepwell-dashboard.json:ro"
        in (FILES / "compose.yaml").read_text()
    )


# ---------------------------------------------------------------------- the image's own commands


@pytest.mark.slow
@pytest.mark.processes
def test_the_images_commands_make_a_daemon_with_a_page_that_its_health_check_likes(
    tmp_path: Path,
) -> None:
    context, wheels, installed = tmp_path / "source", tmp_path / "wheels", tmp_path / "stepwell"
    copy_context(ROOT, FILES / "Dockerfile.dockerignore", context)
    clean = tmp_path / "clean"
    venv.create(clean, with_pip=True)
    environ = {
        **{name: value for name, value in os.environ.items() if "STEPWELL" not in name},
        "PATH": f"{clean / 'bin'}:{os.environ['PATH']}",
    }

    def run(command: str, folder: Path) -> None:
        for inside, here in (
            ("/wheels", wheels),
            ("/opt/stepwell", installed),
            ("/requirements.lock", context / "requirements.lock"),
        ):
            command = command.replace(inside, str(here))
        done = subprocess.run(
            ["sh", "-ec", command], cwd=folder, env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    (build,) = runs(DOCKERFILE, "wheel")
    run(build, context)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as content:
        assert "stepwell_hub/static/index.html" in content.namelist()
    (install,) = runs(DOCKERFILE, "environment")
    run(install, tmp_path)

    found = dict(instructions(DOCKERFILE))
    (program,) = json.loads(found["CMD"])
    check = json.loads(found["HEALTHCHECK"].partition("CMD ")[2])
    assert f":{DaemonConfig().metrics_port}/healthz" in found["ENV"]
    port, data = free_port(), tmp_path / "data"
    daemon = subprocess.Popen(
        [installed / "bin" / program, "--metrics-port", str(port), "--hub-port", "0"],
        env={**environ, "STEPWELL_SOCKET": str(tmp_path / "s"), "STEPWELL_DATA": str(data)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stderr is not None
        assert any("the hub started" in line for line in daemon.stderr)
        for address, code in ((port, 0), (free_port(), 1)):
            url = f"http://127.0.0.1:{address}/healthz"
            done = subprocess.run(
                [sys.executable, *check[1:]], env={**environ, "HEALTH_URL": url}, stderr=-3
            )
            assert done.returncode == code
    finally:
        daemon.terminate()
        daemon.communicate(timeout=300)
