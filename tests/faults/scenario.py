"""A daemon that dies at a fail-point while trainers log, and what must hold afterwards."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stepwell_daemon.failpoints import VARIABLE
from tests.system.world import World, world

DEADLINE_SECONDS = 240.0
SETTINGS = {
    "STEPWELLD_SEGMENT_BYTES": str(256 << 10),
    "STEPWELLD_KEEP_SECONDS": "0",
    "STEPWELLD_SAMPLE_SECONDS": "0",
    "STEPWELLD_RECOVER_SECONDS": "0.2",
    "STEPWELLD_BLOCK_DELAY_SECONDS": "0.05",
    "STEPWELLD_BLOCK_POINTS": "5000",
    "STEPWELLD_DRAIN_SECONDS": "0",
}
"""Small segments that are freed at once, so that everything happens within a second."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How to reach a fail-point twice: at its first hit and at a later one.

    Attributes:
        before: fail-points at which the daemon dies first, each in a process of its own.
        beside: what else is armed at the first kill, and at the later one.
        later: which hit is the later one; None to do the same again on a spool that is filled.
        dead_writers: whether trainers must die for it.
        may_dead_letter: whether frames may lie in the dead-letter folder as well.
    """

    before: tuple[str, ...] = ()
    beside: tuple[str, str] = ("", "")
    later: int | None = 2
    dead_writers: bool = False
    may_dead_letter: bool = False

    def kills(self, name: str) -> list[str]:
        """Return what to arm in one daemon after the other."""
        first, later = (f",{text}" if text else "" for text in self.beside)
        again = self.before if self.later is None else ()
        return [
            *self.before,
            f"{name}:kill:1{first}",
            *again,
            f"{name}:kill:{self.later or 1}{later}",
        ]


@dataclass
class Trial:
    """One world in which daemons die and trainers go on."""

    world: World
    next_trainer: int = 0
    armed: dict[str, str] = field(default_factory=dict)
    """What was armed in the daemon of each log file."""

    def start_trainer(self) -> None:
        self.world.start_trainer(self.next_trainer)
        self.next_trainer += 1

    def start_daemon(self, armed: str = "") -> subprocess.Popen[bytes]:
        log = self.world.store.launch_daemon(**SETTINGS, **{VARIABLE: armed})
        self.armed[log.name] = armed
        assert self.world.store.daemon is not None
        return self.world.store.daemon

    def log_tail(self) -> str:
        return f"armed: {self.armed}\n{self.world.store.log()}"

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not in {DEADLINE_SECONDS:g} s\n{self.log_tail()}")
            time.sleep(0.02)

    def all_log(self) -> None:
        """Wait until every trainer that runs has logged something."""
        self.wait(
            "a trainer logs", lambda: all(each.counts()[1] > 64 for each in self.world.trainers)
        )

    def replace_trainer(self) -> None:
        """Kill the oldest trainer and start another one."""
        self.all_log()
        self.world.kill_trainer(0)
        self.start_trainer()

    def die_at(self, armed: str, *, dead_writers: bool) -> None:
        """Run a daemon until it kills itself; an AssertionError where it never does."""
        daemon = self.start_daemon(armed)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while daemon.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"never hit: {armed}\n{self.log_tail()}")
            if dead_writers:
                self.replace_trainer()
            time.sleep(0.01)
        assert daemon.returncode == -signal.SIGKILL, f"{armed}\n{self.log_tail()}"

    def replay(self) -> None:
        """Send dead letters again: each is stored once, in its table alone."""
        done = self.world.store.stepwell("spool", "replay", "--all")
        assert done.returncode == 0, done.stdout + done.stderr

    def check(self, *, may_dead_letter: bool) -> dict[str, object]:
        """Restart with nothing armed, let all arrive, and compare."""
        daemon = self.start_daemon()
        self.all_log()
        self.world.stop_trainers()
        self.world.wait_until_stored(timeout_seconds=DEADLINE_SECONDS)
        if may_dead_letter:
            self.replay()
        totals = self.world.compare()
        assert daemon.poll() is None, self.log_tail()
        spool = self.world.store.data / "spool"
        kept = spool / "quarantine"
        damaged = sorted(os.listdir(kept)) if kept.exists() else []
        assert not damaged, f"a kill damages nothing: {damaged}\n{self.log_tail()}"
        assert may_dead_letter or not (spool / "dead_letter").exists()
        return totals


def run_scenario(name: str, scenario: Scenario) -> dict[str, object]:
    """Die at ``name`` twice while trainers log; return what the store holds at the end."""
    with world(1) as made:
        trial = Trial(made)
        trial.start_trainer()
        trial.start_trainer()
        for armed in scenario.kills(name):
            trial.die_at(armed, dead_writers=scenario.dead_writers and armed.startswith(name))
        return trial.check(may_dead_letter=scenario.may_dead_letter)
