"""deploy/prometheus, deploy/grafana: promtool accepts them, a daemon exports what they name."""

import importlib.util
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.daemon.nvml import needs_compiler, played_nvml
from tests.deploy.places import DEPLOY, needs
from tests.node import free_port, made_node
from tests.waiting import wait_until

PROMETHEUS = DEPLOY / "prometheus"
GRAFANA = DEPLOY / "grafana"


def promtool(*words: str, folder: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "stepwell.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    path = GRAFANA / "make_dashboard.py"
    spec = importlib.util.spec_from_file_location("stepwell_dashboard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs("promtool")
def test_prometheus_accepts_the_configuration() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs("promtool")
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    done = promtool("test", "rules", "stepwell.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs("promtool")
def test_a_rule_that_fires_at_another_threshold_would_fail_its_test(tmp_path: Path) -> None:
    for name in ("stepwell.rules.yml", "stepwell.rules.test.yml"):
        shutil.copy(PROMETHEUS / name, tmp_path)
    rules = tmp_path / "stepwell.rules.yml"
    rules.write_text(rules.read_text().replace("> 0.8", "> 0.95"))
    assert promtool("test", "rules", "stepwell.rules.test.yml", folder=tmp_path).returncode == 1


def test_every_alert_has_a_test_a_severity_and_words() -> None:
    tested = (PROMETHEUS / "stepwell.rules.test.yml").read_text()
    for alert in alerts():
        assert f"alertname: {alert['alert']}\n" in tested, alert["alert"]
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert set(alert["annotations"]) == {"summary", "description"}


def test_the_dashboard_is_what_its_program_writes(maker: ModuleType) -> None:
    assert maker.FILE.read_text() == maker.text(), "run python deploy/grafana/make_dashboard.py"


def test_panels_do_not_overlap_and_have_numbers_of_their_own(maker: ModuleType) -> None:
    panels = maker.dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def queries(maker: ModuleType) -> list[str]:
    panels = json.loads(maker.FILE.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@needs("promtool")
def test_every_query_of_the_dashboard_is_promql(maker: ModuleType, tmp_path: Path) -> None:
    found = queries(maker)
    assert len(found) > 15
    rules = [
        {
            "record": f"checked:{number}",
            "expr": each.replace("$__rate_interval", "5m").replace("$node", ".+"),
        }
        for number, each in enumerate(found)
    ]
    made = tmp_path / "queries.yml"
    made.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", "--lint=none", str(made))
    assert done.returncode == 0, done.stdout + done.stderr


def metric_names(text: str) -> set[str]:
    return set(re.findall(r"\bstepwell_\w+", text))


@pytest.mark.processes
@needs_compiler
def test_a_daemon_exports_every_metric_that_alerts_and_dashboard_name(
    maker: ModuleType, tmp_path: Path
) -> None:
    named = metric_names(" ".join([*(rule["expr"] for rule in alerts()), *queries(maker)]))
    named |= metric_names(json.dumps(maker.dashboard()["templating"]))
    assert len(named) > 25
    with made_node() as node:
        played = played_nvml(tmp_path, tmp_path)
        played.play(2, "gpu 1 lost 1")
        node.variables.update(played.variables)
        node.start_daemon("--sample-seconds", "0.3")
        address = json.loads(node.stepwell("status", "--json").stdout)["metrics_url"]
        exported: set[str] = set()

        def sampled() -> bool:
            with urllib.request.urlopen(address, timeout=10) as answer:
                exported.update(re.findall(r"(?m)^(stepwell_\w+)", answer.read().decode()))
            return named <= exported

        try:
            wait_until(sampled, "every metric", timeout_seconds=30)
        except AssertionError:
            assert named <= exported
            raise


@needs("prometheus")
@pytest.mark.slow
@pytest.mark.processes
def test_a_real_prometheus_scrapes_by_this_configuration_and_loads_the_alerts(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(PROMETHEUS, folder)
    config = folder / "prometheus.yml"
    config.write_text(config.read_text().replace(": 15s", ": 1s"))
    with made_node() as node:
        node.start_daemon()
        address = json.loads(node.stepwell("status", "--json").stdout)["metrics_url"]
        target = address.removeprefix("http://").removesuffix("/metrics")
        targets = folder / "stepwell.targets.yml"
        targets.write_text(targets.read_text().replace("127.0.0.1:9464", target))
        port = free_port()
        words = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'db'}"]
        running = subprocess.Popen(
            [*words, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL
        )

        def api(path: str) -> Any:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}") as answer:
                    return json.loads(answer.read())["data"]
            except OSError:
                return None

        def is_up() -> bool:
            found = api("query?query=up%7Bjob%3D%22stepwell%22%7D")
            return bool(found and found["result"] and found["result"][0]["value"][1] == "1")

        try:
            wait_until(is_up, "the daemon to be scraped")
            (up,) = api("query?query=stepwell_ready")["result"]
            assert up["metric"]["node"] == "127.0.0.1"
            groups = api("rules")["groups"]
            loaded = {rule["name"] for group in groups for rule in group["rules"]}
            assert loaded == {alert["alert"] for alert in alerts()}
            firing = api("query?query=ALERTS%7Balertstate%3D%22firing%22%7D")["result"]
            assert firing == []
        finally:
            running.terminate()
            running.wait(30)
