"""Releases that meet: the training process, the daemon and its files are not of one age.

The other side is the real code of a former release, as it lies in `code/`.
"""

import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from stepwell_wire import __version__
from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.node import Node
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.holds("other-versions")]

RELEASES = sorted((Path(__file__).parent / "code").glob("*.tar.xz"))
_PATH = "PYTHONPATH"

_TRAIN = """
import stepwell, stepwell_wire
print(stepwell_wire.__version__, flush=True)
run = stepwell.init(project="skew", id="{run_id}", config={{"lr": 0.1}},
                    settings={{"console": False}})
run.define_metric("loss", summary="min")
for step in range({steps}):
    run.log({{"loss": step * 0.5, "text": f"at {{step}}"}}, step=step)
run.finish(exit_code=2)
"""
_TRAIN_LONG = """
import os, time
import stepwell
run = stepwell.init(project="skew", id="{run_id}", settings={{"console": False}})
step = 0
while not os.path.exists("{end}"):
    run.log({{"loss": step * 0.5}}, step=step)
    step += 1
    time.sleep(0.001)
run.finish()
print(step)
"""


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def release(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    """A release's version, and the folder of its packages."""
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(request.param) as archive:
        # Not in the Python 3.11 of Debian 12; from 3.14 on the default.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)
    return request.param.name.removesuffix(".tar.xz"), str(folder)


def start_daemon(node: Node, path: str = "") -> None:
    """Start a daemon from the packages in ``path``, "" for this release."""
    node.variables[_PATH] = path
    # The first release knows no such setting.
    node.wrapper = ("env", "-u", "STEPWELLD_HUB") if path else ()
    try:
        node.start_daemon()
    finally:
        del node.variables[_PATH]


def is_stored(node: Node, run_id: str, steps: int) -> None:
    assert stored_points(node) == {(run_id, "loss"): one_each(steps, lambda step: step * 0.5)}
    shown = json.loads(node.stepwell("show", run_id, "--json").stdout)
    assert (shown["state"], shown["exit_code"]) == ("failed", 2)
    assert shown["config"] == {"lr": 0.1}
    told = {name: value for name, value in shown["summary"].items() if name[0] != "_"}
    assert told == {"loss": {"min": 0.0}, "text": f"at {steps - 1}"}


def test_a_former_sdk_sends_to_this_daemon(node: Node, release: tuple[str, str]) -> None:
    version, folder = release
    start_daemon(node)
    done = node.python(_TRAIN.format(run_id="old", steps=500), **{_PATH: folder})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == version
    wait_until_stored(node)
    is_stored(node, "old", 500)


def test_this_sdk_sends_to_a_former_daemon(node: Node, release: tuple[str, str]) -> None:
    _, folder = release
    start_daemon(node, folder)
    done = node.python(_TRAIN.format(run_id="new", steps=500))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == __version__
    wait_until_stored(node)
    assert node.stop_daemon() == 0
    is_stored(node, "new", 500)  # Its store is read, and first brought up to date, by this release.


def test_the_command_line_asks_a_former_daemon(node: Node, release: tuple[str, str]) -> None:
    _, folder = release
    start_daemon(node, folder)
    for words in (("status",), ("doctor",)):
        done = node.stepwell(*words)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0, (words, done.stdout, done.stderr)


@pytest.mark.parametrize("sdk", ["former", "this"])
def test_a_daemon_is_upgraded_while_a_run_logs(
    node: Node, release: tuple[str, str], sdk: str
) -> None:
    _, folder = release
    start_daemon(node, folder)
    end = node.folder / "end"
    trainer = subprocess.Popen(
        [sys.executable, "-c", _TRAIN_LONG.format(run_id="long", end=end)],
        env={**node.environment, _PATH: folder if sdk == "former" else ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: len(list((node.data / "spool").glob("*.seg"))) >= 1, "a segment")
        time.sleep(1.0)
        assert node.stop_daemon() == 0
        time.sleep(0.5)
        start_daemon(node)
        time.sleep(1.0)
        end.touch()
        printed, _ = trainer.communicate(timeout=300)
    finally:
        trainer.kill()
        trainer.wait()
    assert trainer.returncode == 0
    wait_until_stored(node)
    assert stored_points(node) == {
        ("long", "loss"): one_each(int(printed), lambda step: step * 0.5)
    }


def test_a_daemon_taken_back_to_the_former_release_keeps_all_until_it_is_upgraded(
    node: Node, release: tuple[str, str]
) -> None:
    """It stores nothing in tables of a later version."""
    _, folder = release
    start_daemon(node)
    assert node.python(_TRAIN.format(run_id="a", steps=100)).returncode == 0
    wait_until_stored(node)
    assert node.stop_daemon() == 0
    start_daemon(node, folder)
    done = node.python(_TRAIN.format(run_id="b", steps=100))
    assert done.returncode == 0, done.stderr
    wait_until(lambda: "this stepwell knows versions up to" in node.log(), "a refusal")
    assert node.stop_daemon() == 0
    start_daemon(node)
    wait_until_stored(node)
    points = one_each(100, lambda step: step * 0.5)
    assert stored_points(node) == {("a", "loss"): points, ("b", "loss"): points}
