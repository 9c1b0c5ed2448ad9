"""Very many of everything: writers at once, names in one run, forks while logging."""

import pytest

from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.node import Node

pytestmark = pytest.mark.processes

_WRITERS = """
import stepwell
runs = [
    stepwell.init(project="many", id=f"r{PART}-{number}", reinit="create_new",
                  settings={"console": False})
    for number in range(50)
]
for step in range(20):
    for run in runs:
        run.log({"loss": step * 0.5}, step=step)
for run in runs:
    run.finish()
"""


@pytest.mark.holds("many-writers")
def test_five_hundred_writers_at_once(node: Node) -> None:
    import subprocess
    import sys

    node.start_daemon()
    parts = [
        subprocess.Popen(
            [sys.executable, "-c", f"PART = {part}\n{_WRITERS}"],
            env=node.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for part in range(10)
    ]
    for part in parts:
        _, errors = part.communicate(timeout=600)
        assert part.returncode == 0, errors
    wait_until_stored(node)
    held = stored_points(node)
    assert len(held) == 500
    assert all(points == one_each(20, lambda step: step * 0.5) for points in held.values())


_NAMES = """
import stepwell
run = stepwell.init(project="many", id="names", settings={"console": False})
for step in range(100):
    run.log({f"layer/{step}/{key}": float(key) for key in range(1000)}, step=step)
run.finish()
"""


@pytest.mark.holds("many-names")
def test_a_hundred_thousand_names_in_one_run(node: Node) -> None:
    node.start_daemon()
    outcome = node.python(_NAMES)
    assert outcome.returncode == 0, outcome.stderr
    wait_until_stored(node)
    held = stored_points(node)
    assert len(held) == 100_000
    for (_, metric), points in held.items():
        _, step, key = metric.split("/")
        assert points == [(int(step), float(key))]


_FORKS = """
import os, sys, threading
import stepwell
run = stepwell.init(project="many", id="forks", settings={"console": False})
logged = 0
def log():
    global logged
    run.log({"loss": logged * 0.5}, step=logged)
    logged += 1
silent = talking = 0
for number in range(COUNT):
    log()
    child = os.fork()
    if child == 0:
        if number % 250 == 0:
            run.log({f"child/{number}": float(number)}, step=number)
            run.finish()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, (number, status)
    log()
run.finish()
print(logged)
"""


@pytest.mark.holds("forks")
def test_thousands_of_forks_while_logging(node: Node) -> None:
    """Children that do nothing, and some that log as writers of their own."""
    node.start_daemon()
    outcome = node.python(f"COUNT = 3_000\n{_FORKS}")
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    logged = int(outcome.stdout.split()[-1])
    assert logged == 6_000
    wait_until_stored(node)
    held = stored_points(node)
    assert held.pop(("forks", "loss")) == one_each(logged, lambda step: step * 0.5)
    assert held == {
        ("forks", f"child/{number}"): [(number, float(number))] for number in range(0, 3_000, 250)
    }
