"""Scripts that one job starts one after the other have runs of their own, the same on all ranks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stepwell import _job_turns
from stepwell._job_turns import turn_of_job
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import python
from tests.waiting import wait_until

_SCRIPT = """
import os, sys, stepwell
for fold in range(int(sys.argv[1])):
    with stepwell.init(project="p", name=sys.argv[2]) as run:
        run.log({"x": 1.0})
        print(run.id)
"""


def ended(path: Path, label: str, count: int = 0, **more: Any) -> int:
    """Return the turn that a process gets which has ended since."""
    asked = {"restart": 0, "continues": False, **more}
    code = (
        "from pathlib import Path; from stepwell._job_turns import turn_of_job\n"
        f"print(turn_of_job(Path({str(path)!r}), {label!r}, {count}, **{asked!r}))"
    )
    return int(python(code).stdout)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "job.turns"


def test_ranks_that_start_together_have_one_turn_and_the_next_start_another(note: Path) -> None:
    for turn in range(3):
        assert [ended(note, f"rank{rank}") for rank in (0, 1, 2)] == [turn] * 3


def test_the_runs_of_one_process_are_counted_on(note: Path) -> None:
    assert [ended(note, "rank0", count) for count in (0,)] == [0]
    here = [turn_of_job(note, "rank0", n, restart=0, continues=False) for n in (0, 1, 2)]
    assert here == [1, 2, 3]
    other = [turn_of_job(note, "rank1", n, restart=0, continues=False) for n in (0, 1, 2)]
    assert other == [1, 2, 3]


def test_a_start_after_one_with_several_runs_has_the_next_turn(note: Path) -> None:
    assert [ended(note, "rank0", 0), ended(note, "rank1", 0)] == [0, 0]
    noted = json.loads(note.read_text())
    noted["0"]["next"] = 3  # Rank 0 began three runs.
    note.write_text(json.dumps(noted))
    assert [ended(note, "rank1"), ended(note, "rank0")] == [3, 3]


def test_a_second_process_of_a_rank_that_is_at_work_joins_it(note: Path) -> None:
    assert turn_of_job(note, "rank0", 0, restart=0, continues=False) == 0
    assert ended(note, "rank0") == 0


def test_a_process_that_nobody_waited_for_has_ended(note: Path) -> None:
    code = (
        "from pathlib import Path; from stepwell._job_turns import turn_of_job\n"
        f"turn_of_job(Path({str(note)!r}), 'rank0', 0, restart=0, continues=False)"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as started:
        stat = Path(f"/proc/{started.pid}/stat")
        wait_until(lambda: ") Z " in stat.read_text(), "the end of the first process")
        assert turn_of_job(note, "rank0", 0, restart=0, continues=False) == 1


def test_a_restart_of_the_job_begins_again_and_a_resume_goes_on(note: Path) -> None:
    for _ in range(2):
        ended(note, "rank0")
    assert [ended(note, "rank0", restart=1) for _ in range(2)] == [0, 1]
    assert ended(note, "rank0", continues=True) == 1


def test_a_rank_that_the_last_start_lacked_does_not_join_it_late(
    note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 1 of the first start failed before its `init`."""
    assert ended(note, "rank0") == 0
    monkeypatch.setattr(_job_turns, "_TOGETHER_SECONDS", 0.0)
    assert turn_of_job(note, "rank1", 0, restart=0, continues=False) == 1
    assert turn_of_job(note, "rank0", 0, restart=0, continues=False) == 1


def test_a_peer_that_was_stopped_holds_nobody_up(
    note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_job_turns, "_LOCK_SECONDS", 0.1)
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(note)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stopped:
        assert stopped.stdout is not None
        stopped.stdout.readline()
        with pytest.raises(BlockingIOError):
            turn_of_job(note, "rank0", 0, restart=0, continues=False)
        stopped.communicate()
    assert turn_of_job(note, "rank0", 0, restart=0, continues=False) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"0": 3}', '{"0": {"turn": "x"}}', "null"])
def test_a_note_that_cannot_be_read_is_none(note: Path, text: str) -> None:
    note.write_text(text)
    assert turn_of_job(note, "rank0", 2, restart=0, continues=False) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "job",
    [
        {"SLURM_JOB_ID": "1901", "MASTER_ADDR": "127.0.0.1"},  # sbatch, and a launcher by hand
        {"SLURM_JOB_ID": "1901", "SLURM_STEP_ID": "0"},  # srun bash -c "train; evaluate"
    ],
)
def test_scripts_of_one_job_of_slurm_are_runs_of_their_own(
    daemon: RecordingDaemon, tmp_path: Path, job: dict[str, str]
) -> None:
    def start(folds: int, name: str) -> list[list[str]]:
        ranks = []
        for rank in "01":
            names = ("SLURM_PROCID", "SLURM_NTASKS") if "SLURM_STEP_ID" in job else ()
            names = names or ("RANK", "WORLD_SIZE")
            own = {**job, **dict(zip(names, (rank, "2"), strict=True))}
            places = {"STEPWELL_SOCKET": daemon.socket, "STEPWELL_DIR": str(tmp_path)}
            ranks.append(
                subprocess.Popen(
                    [sys.executable, "-c", _SCRIPT, str(folds), name],
                    env={**os.environ, **own, **places},
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        return [rank.communicate(timeout=60)[0].split() for rank in ranks]

    found = [start(1, "seed 1"), start(2, "folds"), start(1, "seed 2")]
    assert all(first == second for first, second in found)
    ids = [each for first, _ in found for each in first]
    assert len(ids) == len(set(ids)) == 4
