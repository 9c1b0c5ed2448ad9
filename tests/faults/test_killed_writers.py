"""Whatever moment a writer is killed in, its journal is whole: nobody may call it damaged."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import find_journals
from stepwell_wire.repair import Repair, plan_repair
from tests.node import Node, made_node
from tests.waiting import wait_until

KILLS = 24
SEGMENT = 64 * 1024

_TRAIN = f"""
import itertools, signal, sys, stepwell
mode = sys.argv[1]
bytes_max, interrupted, rows = map(int, sys.argv[2:])
run = stepwell.init("killed", mode=mode, settings={{
    "console": False, "journal_segment_bytes": {SEGMENT}, "journal_bytes_max": bytes_max}})
calls = itertools.count()
if interrupted:
    signal.signal(signal.SIGALRM, lambda *_: run.log({{"signal": next(calls)}}))
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
print("begun", flush=True)
for step in itertools.count():
    run.log({{"x": float(step), "y": step * 0.5}})
    if step % 977 == 0:
        run.log({{f"z{{step % 13}}": step}})
    if step == rows:
        run.finish()
        signal.pause()
"""


@pytest.fixture
def node() -> Iterator[Node]:
    with made_node() as made:
        made.start_daemon("--recover-seconds", "0")  # What is left is looked at here.
        yield made


def left_by_a_killed_writer(node: Node, chance: random.Random) -> list[Path]:
    words = [
        chance.choice(["online", "online", "offline"]),
        chance.choice([4 * SEGMENT, 16 * SEGMENT, 1024 * SEGMENT]),
        chance.choice([0, 1]),
        chance.choice([-1, -1, 5_000, 30_000]),
    ]
    trainer = subprocess.Popen(
        [sys.executable, "-c", _TRAIN, *map(str, words)],
        env=node.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert trainer.stdout is not None
    with trainer.stdout:
        trainer.stdout.readline()
        time.sleep(chance.random() ** 2)
        trainer.kill()
    trainer.wait()
    return find_journals(node.journals)


@pytest.mark.holds("kill-writer-any-moment")
@pytest.mark.processes
def test_no_kill_leaves_a_journal_that_is_called_damaged(node: Node) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    looked_at = segments = 0
    for _ in range(KILLS):
        for path in left_by_a_killed_writer(node, chance):
            with closing(JournalReader(path)) as reader:
                assert reader.damage() == "", f"seed={seed}"
            assert not _plan(path).is_needed, f"seed={seed}"
            segments += len(list(path.glob("*.seg")))
            looked_at += 1
            path.rename(node.folder / f"seen-{looked_at}")
    assert looked_at > KILLS / 4
    assert segments > looked_at, "none had more than one segment"


def _plan(path: Path) -> Repair:
    """Return the plan once no child that the killed writer was just starting has its lock."""
    found: list[Repair] = []

    def is_free() -> bool:
        try:
            found.append(plan_repair(path))
        except JournalError as error:
            if "in use by its writer" not in str(error):
                raise
            return False
        return True

    wait_until(is_free, "the lock of a killed writer")
    return found[0]
