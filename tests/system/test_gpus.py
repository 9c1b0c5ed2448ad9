"""GPUs in a real daemon: stored, cut to a run's own, told when one is lost, and scraped."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.nvml import GIB, PlayedNvml, needs_compiler, played_nvml, real_gpus
from tests.node import Node
from tests.waiting import wait_until

pytestmark = pytest.mark.processes


@pytest.fixture
def played(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> PlayedNvml:
    return played_nvml(tmp_path, tmp_path_factory.getbasetemp())


def status(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(node.stepwell("status", "--json").stdout)
    return found


def gpus_of(node: Node) -> dict[str, Any]:
    return next(each for each in status(node)["samplers"] if each["name"] == "gpus")


def when(node: Node, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def does() -> bool:
        nonlocal found
        found = gpus_of(node)
        return holds(found)

    wait_until(does, what)
    return found


def scraped(node: Node) -> str:
    with urllib.request.urlopen(status(node)["metrics_url"], timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def sample_of(text: str, metric: str, device: str) -> float:
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith(metric + "{") and f'"{device}"' in line
    )
    return float(line.rsplit(" ", 1)[1])


@needs_compiler
def test_eight_gpus_are_stored_told_and_scraped(node: Node, played: PlayedNvml) -> None:
    node.variables.update(played.variables)
    played.play(8)
    node.start_daemon("--sample-seconds", "0.2")
    when(node, lambda gpus: len(gpus["devices"]) == 8, "eight GPUs")
    text = scraped(node)
    assert sample_of(text, "stepwell_device_gpu_power_watts", "gpu5") == 350.5
    assert sample_of(text, "stepwell_device_gpu_memory_total_bytes", "gpu0") == 80 * GIB
    assert 'index="5"' in text
    assert 'model="Played H100 80GB HBM3"' in text
    if shutil.which("promtool"):
        said = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True
        )
        assert (said.returncode, said.stdout + said.stderr) == (0, "")

    played.play(8, "gpu 3 lost 1", "gpu 4 hang 1")
    found = when(
        node,
        lambda gpus: {each["state"] for each in gpus["conditions"]} == {"lost", "hung"},
        "a lost and a hung GPU",
    )
    assert {each["label"] for each in found["devices"]} == {f"gpu{n}" for n in (0, 1, 2, 5, 6, 7)}
    assert 'stepwell_device_state{device="gpu3",state="lost"} 1.0' in scraped(node)
    problems = status(node)["problems"]
    assert any("gpu3" in each and "is lost" in each for each in problems)
    assert any("gpu4" in each and "has not answered" in each for each in problems)
    assert "gpu3" in node.stepwell("doctor").stdout
    assert node.log().count("state=lost") == 1, "a state is logged once"

    played.play(8)
    when(node, lambda gpus: len(gpus["devices"]) >= 7, "the hung GPU's answer")
    assert node.stop_daemon() == 0


@needs_compiler
def test_a_gpu_that_hangs_does_not_keep_the_daemon_from_stopping(
    node: Node, played: PlayedNvml
) -> None:
    node.variables.update(played.variables)
    played.play(2, "gpu 1 hang 1")
    node.start_daemon("--sample-seconds", "0.2")
    wait_until(lambda: "sampling GPUs" in node.log() or gpus_of(node)["state"] == "hung", "GPUs")
    assert node.stop_daemon() == 0


READS_GPUS = """
import json, time
from pathlib import Path
from stepwell_daemon.samplers.gpus.sampler import GpuSampler
from stepwell_daemon.samplers.protocol import SamplerContext
from stepwell_daemon.samplers.readings import check_answer
sampler = GpuSampler(SamplerContext(Path("/"), time.monotonic, list))
sampler.sample()
checked = check_answer(sampler.sample())
print(json.dumps([
    list(checked.problems), [each.text for each in checked.conditions],
    [[each.device.label, each.device.id, dict(each.values)] for each in checked.readings],
]))
"""


@pytest.mark.parametrize("which", ["played", "real"])
def test_what_a_gpu_says_is_plausible(which: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same on a real GPU, where there is one."""
    variables = dict(os.environ)
    if which == "real":
        if not real_gpus():
            pytest.skip("no NVIDIA GPU here: the sampler was tested with the played NVML only")
    else:
        if shutil.which("cc") is None:
            pytest.skip("no C compiler here; scripts/install_test_packages.sh installs one")
        base = tmp_path_factory.getbasetemp()
        played = played_nvml(tmp_path_factory.mktemp("gpus"), base)
        played.play(8)
        variables |= played.variables
    done = subprocess.run(
        [sys.executable, "-c", READS_GPUS],
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    problems, conditions, readings = json.loads(done.stdout)
    assert (problems, conditions) == ([], [])
    gpus = [each for each in readings if each[1].startswith("GPU-")]
    assert gpus
    for _, _, values in gpus:
        assert 0 <= values["gpu/memory_used_bytes"] <= values["gpu/memory_total_bytes"] < 2**42
        for name, value in values.items():
            assert value >= 0, name
            if name.endswith("_ratio"):
                assert value <= 1, name
            if name.endswith("_celsius"):
                assert value < 150, name
            if name.endswith("_watts"):
                assert value < 5000, name
            if name.endswith("_hertz"):
                assert value == 0 or 1e7 < value < 1e11, name
            if name.endswith("_per_second"):
                assert value < 1e13, name
