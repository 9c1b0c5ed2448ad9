"""A training process that logs steadily until a test tells it to stop."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.oracle import one_each, stored_points, wait_until_stored
from tests.node import Node
from tests.waiting import wait_until

_TRAIN = """
import os, sys, time
import stepwell
run = stepwell.init(project="faults", id="steady", settings={"console": False, "quiet": True})
step = 0
count = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT, 0o600)
while not os.path.exists(sys.argv[1]):
    run.log({"loss": step * 0.5}, step=step)
    step += 1
    os.pwrite(count, b"%d" % step, 0)
    time.sleep(0.002)
run.finish()
print(step)
"""


class Trainer:
    """A process that logs until it is told to stop."""

    def __init__(self, node: Node) -> None:
        self._stop = node.folder / "stop"
        self._count = node.folder / "count"
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TRAIN, str(self._stop), str(self._count)],
            env=node.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.wait_for_steps(20)

    @property
    def steps(self) -> int:
        try:
            return int(self._count.read_text() or 0)
        except FileNotFoundError:
            return 0

    def wait_for_steps(self, more: int) -> None:
        """Wait until ``more`` steps were logged from now on."""
        target = self.steps + more
        wait_until(lambda: self.steps >= target or self._has_ended(), f"step {target}")
        assert not self._has_ended(), f"training ended: {self.process.communicate()}"

    def _has_ended(self) -> bool:
        return self.process.poll() is not None

    def finish(self) -> tuple[int, str]:
        """Stop; return the number of steps and what was said on standard error."""
        self._stop.touch()
        out, errors = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, errors
        return int(out.split()[-1]), errors


@contextmanager
def training(node: Node) -> Iterator[Trainer]:
    trainer = Trainer(node)
    try:
        yield trainer
    finally:
        if trainer.process.poll() is None:
            trainer.process.send_signal(signal.SIGCONT)
            trainer.process.kill()
            trainer.process.wait()


def assert_all_stored(node: Node, steps: int) -> None:
    wait_until_stored(node)
    assert stored_points(node) == {("steady", "loss"): one_each(steps, lambda step: step * 0.5)}
