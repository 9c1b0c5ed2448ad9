"""A real Prometheus scrapes the daemon and accepts every metric."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

from tests.node import Node, free_port
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None and not os.environ.get("CI"),
        reason="no prometheus here; scripts/install_test_packages.sh installs it",
    ),
]


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def test_promtool_finds_nothing_to_say_about_the_metrics(node: Node) -> None:
    node.start_daemon("--sample-seconds", "0.5")
    address = json.loads(node.stepwell("status", "--json").stdout)["metrics_url"]
    time.sleep(1.5)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=get(address), capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout + checked.stderr == ""


def test_prometheus_scrapes_points_and_host_gauges(node: Node) -> None:
    node.start_daemon("--sample-seconds", "0.5")
    address = json.loads(node.stepwell("status", "--json").stdout)["metrics_url"]
    target = re.sub(r"^http://|/metrics$", "", address)
    done = node.python(
        "import stepwell\n"
        "run = stepwell.init(project='scrape')\n"
        "for step in range(100): run.log({'a': 1.0, 'b': 2.0})\n"
        "run.finish()"
    )
    assert done.returncode == 0, done.stderr
    port = free_port()
    config = node.folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: stepwell, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    prometheus = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={node.folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(expression: str) -> float | None:
        query = urllib.parse.urlencode({"query": expression})
        try:
            answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?{query}"))
        except OSError:
            return None
        found = answer["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    try:
        seen = "stepwell_points_received_total >= 200"
        wait_until(lambda: ask(seen) is not None, "Prometheus to see the points")
        assert ask('up{job="stepwell"}') == 1
        assert ask("stepwell_ready") == 1
        assert (ask("stepwell_node_memory_total_bytes") or 0) > 2**20
        assert ask("stepwell_spool_bytes") is not None
    finally:
        prometheus.terminate()
        prometheus.wait(20)
