"""`log` waits for nothing and nobody: counted by how often its thread gives the processor up.

No clock is asked. A call that waits for a disk, a lock, a socket or a sleep is a voluntary context
switch of the thread; a machine that is busy makes involuntary ones, which do not count. Now and
then the interpreter's lock is handed to the sender's thread, a few times a second.
"""

import signal
import subprocess
import sys

import pytest

from tests.faults.stopping import engine_of, stopped
from tests.node import Node, made_node

pytestmark = [pytest.mark.processes, pytest.mark.holds("sigstop")]

CALLS = 20_000
WAITING_CALLS_MAX = CALLS // 100

_TRAIN = f"""
import resource, sys, time
import stepwell

def switches():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

def waiting(call, count):
    found = 0
    for step in range(count):
        before = switches()
        call(step)
        found += switches() > before
    return found

run = stepwell.init(project="p", id="r")
for step in range(100):
    run.log({{"warm": float(step)}})
run.flush(10)
print("ready", flush=True)
sys.stdin.readline()
print(waiting(lambda step: time.sleep(0.001), 50))
print(waiting(lambda step: run.log({{"loss": step * 0.5, "accuracy": 0.25}}), {CALLS}))
sys.stdout.flush()
sys.stdin.readline()
run.finish()
"""


@pytest.mark.holds("log-never-waits")
@pytest.mark.parametrize("state", ["absent", "running", "stopped", "killed", "engine stopped"])
def test_log_does_not_wait_whatever_the_daemon_does(state: str) -> None:
    with made_node() as node:
        if state != "absent":
            node.start_daemon()
        trainer = subprocess.Popen(
            [sys.executable, "-c", _TRAIN],
            env=node.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            _check(node, state, trainer)
        finally:
            trainer.kill()
            trainer.communicate()


def _check(node: Node, state: str, trainer: "subprocess.Popen[str]") -> None:
    assert trainer.stdin is not None
    assert trainer.stdout is not None
    assert trainer.stdout.readline() == "ready\n"

    def measure() -> None:
        assert trainer.stdin is not None
        assert trainer.stdout is not None
        trainer.stdin.write("\n")
        trainer.stdin.flush()
        assert int(trainer.stdout.readline()) >= 45, "a call that waits is seen"
        assert int(trainer.stdout.readline()) <= WAITING_CALLS_MAX

    if state in ("absent", "running"):
        measure()
    elif state == "killed":
        node.stop_daemon(how=signal.SIGKILL)
        measure()
        node.start_daemon()
    else:
        assert node.daemon is not None
        with stopped(node.daemon.pid if state == "stopped" else engine_of(node)):
            measure()
    trainer.stdin.write("\n")
    trainer.stdin.flush()
    assert trainer.wait(60) == 0
