"""Whatever a loss of power leaves of what no sync covered: what was acknowledged is there, once.

python -m tests.faults.test_power_loss --seeds 50       every moment, many states of each
"""

import argparse
import asyncio
import copy
import random
import sys
import tempfile
from collections import Counter as Counts
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stepwell_daemon.counters import Counters
from stepwell_daemon.forwarder import Forwarder, ForwardSettings
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store import Block
from tests.daemon.fakes import FakeSink
from tests.daemon.made import append, new_writer, row, schema_event
from tests.daemon.padding import padding
from tests.faults.power import PowerDisk, clear

pytestmark = pytest.mark.holds("acknowledged-survives-power-loss", "power-loss")

WRITERS = ("w1", "w2")
ROUNDS = 8
POISON = 1_000_003
"""A step that the store refuses; its frame is dead-lettered."""
SPOOL = SpoolSettings(segment_bytes=1 << 15, commit_interval_seconds=0.0, keep_seconds=0.0)
FORWARD = ForwardSettings(block_points=8, block_bytes=1 << 15, block_delay_seconds=0.0)


class RecordingSink(FakeSink):
    """Notes before which operation of the disk each block was stored for good."""

    def __init__(self, disk: PowerDisk) -> None:
        super().__init__()
        self._disk = disk
        self.stored: list[tuple[int, str, Block]] = []
        self.rejects = lambda block: block.table == "points" and POISON in _steps(block)

    def insert(self, block: Block, token: str, *, may_repeat: bool = False) -> None:
        held = len(self.blocks)
        super().insert(block, token, may_repeat=may_repeat)
        if len(self.blocks) > held:
            self.stored.append((self._disk.operations, token, block))


def _steps(block: Block) -> list[int]:
    sink = FakeSink()
    sink.blocks = [block]
    return sink.steps()


@dataclass
class Life:
    """One run of a daemon's spool: what the disk did, what was appended, acknowledged, stored."""

    disk: PowerDisk
    sink: RecordingSink
    appended: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in WRITERS})
    acked: list[tuple[int, str, int]] = field(default_factory=list)
    """(operation, writer, how many of its steps)"""

    def acked_before(self, at: int, name: str) -> int:
        return max((n for number, who, n in self.acked if who == name and number <= at), default=0)

    def sink_at(self, at: int, disk: PowerDisk) -> RecordingSink:
        """Return a store that holds what was stored before operation ``at``."""
        sink = RecordingSink(disk)
        for number, token, block in self.sink.stored:
            if number <= at:
                sink.tokens[token] = self.sink.tokens[token]
                sink.blocks.append(block)
        return sink


def step_of(name: str, number: int) -> int:
    """Return the step of the ``number``-th row of a writer."""
    if name == "w1" and number == 5:
        return POISON
    return (WRITERS.index(name) + 1) * 10_000 + number


async def live(life: Life, *, rounds: int, stop_in_order: bool) -> None:
    """Open the spool, append ``rounds`` groups of two writers and forward beside it."""
    spool = Spool(life.disk.root, SPOOL, counters=Counters(), disk=life.disk)
    forwarder = Forwarder(spool, FORWARD, counters=Counters())
    tasks = [asyncio.create_task(spool.run()), asyncio.create_task(forwarder.run(life.sink))]

    def durable(state: WriterState) -> None:
        name = state.info.writer_id
        done = len(life.appended[name]) - state.pending
        life.acked.append((life.disk.operations, name, max(0, done)))

    spool.on_durable = durable
    try:
        for turn in range(rounds):
            for name in WRITERS:
                state = new_writer(spool, name)
                if not state.schemas:
                    append(spool, state, schema_event())
                    await spool.settled()
                step = step_of(name, len(life.appended[name]))
                life.appended[name].append(step)
                append(spool, state, row(step) + padding())
            await spool.settled()
            if turn % 3 == 1:
                await forwarder.reach(spool.end)
        await forwarder.reach(spool.end)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        forwarder.close()
        if stop_in_order:
            spool.save_writers()
        spool.close()


def first_life(folder: Path) -> Life:
    """Two daemons one after the other on one disk, the first not stopped in order."""
    disk = PowerDisk(clear(folder))
    life = Life(disk, RecordingSink(disk))
    asyncio.run(live(life, rounds=ROUNDS, stop_in_order=False))
    asyncio.run(live(life, rounds=ROUNDS // 2, stop_in_order=True))
    return life


def check(life: Life, at: int, folder: Path, source: random.Random, where: str) -> Life:
    """Lose power before operation ``at``, open what is left, forward it, compare."""
    chance = source.choice((0.0, 0.3, 0.7, 1.0))
    life.disk.build(at, clear(folder), source, chance)
    disk = PowerDisk(folder)
    after = Life(disk, life.sink_at(at, disk), copy.deepcopy(life.appended))
    after.sink.stored = [each for each in life.sink.stored if each[0] <= at]
    after.sink.stored = [(-1, token, block) for _, token, block in after.sink.stored]
    asyncio.run(live(after, rounds=0, stop_in_order=False))
    poisoned = {POISON} if _has_dead_letters(folder) else set()
    counts: Counts[int] = Counts(after.sink.steps())
    assert set(counts.values()) <= {2}, f"{where}: doubled {counts}"  # Two metrics a row.
    for name in WRITERS:
        acked = life.acked_before(at, name)
        steps = life.appended[name]
        held = [step for step in steps if step in counts or step in poisoned]
        assert held == steps[: len(held)], f"{where}: {name} has a hole: {held}"
        assert len(held) >= acked, f"{where}: {name} lost {steps[len(held) : acked]}"
        after.appended[name] = steps[: len(held)]
        after.acked.append((-1, name, acked))
    known = {step for steps in life.appended.values() for step in steps}
    assert set(counts) <= known, f"{where}: nobody logged {set(counts) - known}"
    assert not (folder / "quarantine").exists() or chance not in (0.0, 1.0), where
    return after


def _has_dead_letters(folder: Path) -> bool:
    return any((folder / "dead_letter").glob("*-points.seg"))


def explore(folder: Path, *, seed: int, every: int) -> int:
    """Lose power at every ``every``-th operation, then once more while it is recovered from."""
    source = random.Random(seed)
    life = first_life(folder / "first")
    tried = 0
    for at in range(seed % every, life.disk.operations + 1, every):
        done = life.disk.names[at - 1] if at else "nothing"
        where = f"seed={seed} operation={at} after={done}"
        second = check(life, at, folder / "second", source, where)
        again = source.randrange(second.disk.operations + 1)
        check(second, again, folder / "third", source, f"{where} again={again}")
        tried += 2
    return tried


@pytest.mark.parametrize("seed", range(2))
def test_power_lost_at_some_moments(tmp_path: Path, seed: int) -> None:
    assert explore(tmp_path, seed=seed, every=29) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_power_lost_at_every_moment(tmp_path: Path, seed: int) -> None:
    assert explore(tmp_path, seed=seed, every=1) > 200


def main() -> None:
    parser = argparse.ArgumentParser(description="Lose power at every moment, many times.")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            print(f"seed={seed} states={explore(Path(folder), seed=seed, every=1)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
