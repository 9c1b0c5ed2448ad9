"""A disk that fails while a spool is opened: what was acknowledged is there at the next start."""

import asyncio
import errno
import math
import shutil
from pathlib import Path

import pytest

from stepwell_daemon.counters import Counters
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool
from tests.daemon.crashing import spool_that_dies
from tests.daemon.disks import CrashError, FaultyDisk, crashes_at, fails_at
from tests.daemon.made import append, new_writer, row, schema_event, spooled_in, steps_in

pytestmark = pytest.mark.holds("spool-disk-fails")

STEPS = range(24)
_SEGMENT_BYTES = 1 << 13


def opened(folder: Path, disk: FaultyDisk) -> list[int]:
    """Open the spool in ``folder``, close it in order, and return the steps that it holds.

    Raises:
        OSError: It could not be opened.
    """

    async def run() -> list[int]:
        settings = SpoolSettings(segment_bytes=_SEGMENT_BYTES)
        spool = Spool(folder, settings, counters=Counters(), disk=disk)
        try:
            return steps_in(spooled_in(spool))
        finally:
            spool.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A spool as a kill left it, in the middle of a group, and what it had acknowledged."""
    folder = tmp_path_factory.mktemp("left") / "spool"
    acked: list[int] = []

    async def run(disk: FaultyDisk, *, until: int) -> None:
        dying = spool_that_dies(folder, disk, segment_bytes=_SEGMENT_BYTES)
        async with dying as (spool, all_durable):
            state = new_writer(spool) if not acked else next(iter(spool.registry.states.values()))
            for step in range(len(acked), until):
                records = (schema_event() if step == 0 else b"") + row(step)
                append(spool, state, records)
                await all_durable()
                acked.append(step)
            raise CrashError

    for until, disk in ((10, FaultyDisk(lambda *_: None)), (len(STEPS), crashes_at(24))):
        with pytest.raises(CrashError):
            asyncio.run(run(disk, until=until))
    assert 10 < len(acked) < len(STEPS), "the second life ended in the middle"
    return folder, acked


@pytest.mark.parametrize("for_calls", [1, math.inf], ids=["once", "for ever"])
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("reads", [False, True], ids=["writing", "reading too"])
def test_an_opening_that_fails_at_any_call_loses_nothing(
    tmp_path: Path, left: tuple[Path, list[int]], for_calls: float, reason: int, reads: bool
) -> None:
    made, acked = left
    quiet = fails_at(0, for_calls=0, reads=reads)
    shutil.copytree(made, tmp_path / "quiet")
    expected = opened(tmp_path / "quiet", quiet)
    assert expected[: len(acked)] == acked
    assert quiet.calls > 5
    refused = 0
    for number in range(1, quiet.calls + 1):
        folder = tmp_path / str(number)
        shutil.copytree(made, folder)
        failing = fails_at(number, for_calls=for_calls, reason=reason, reads=reads)
        try:
            opened(folder, failing)
        except OSError as error:
            refused += error.errno == reason
        found = opened(folder, FaultyDisk(lambda *_: None))
        assert found[: len(acked)] == acked, f"call {number} failed"
        assert found == sorted(set(found)), f"call {number} failed"
        shutil.rmtree(folder)
    assert refused
