"""Which process of a distributed job this is, from what its launcher put in the environment."""

import os
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from stepwell._identity import run_id_from
from stepwell_wire.limits import RESTART_MARK_MAX


class Place(NamedTuple):
    """This process among its peers.

    Attributes:
        rank: 0 to ``world_size - 1``; -1 when this is no distributed job.
        run_id: the id that all processes of the job derive alike, None without a source.
    """

    rank: int = -1
    world_size: int = 1
    run_id: str | None = None

    @property
    def label(self) -> str:
        return f"rank{self.rank}" if self.rank >= 0 else ""

    @property
    def is_primary(self) -> bool:
        return self.rank <= 0


# Launcher: rank, world size, and a third variable that must exist, so that a variable left over in
# a shell does not make one process part of a job.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, accelerate, deepspeed, Ray
    ("RANK", "WORLD_SIZE", "MASTER_ADDR"),  # what torch needs: Kubeflow, own scripts
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_ID"),  # srun
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE", "PMI_RANK"),  # MPICH, Intel MPI
)


LAUNCH: Final = "STEPWELL_SWEEP_LAUNCH"
"""The ranks of a sweep's agent in the jobs that started it: they are not those of the trial."""
_BETWEEN: Final = ";"
_NAMES_OF_A_LAUNCH: Final = (
    *("SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"),
    *("PMI_FD", "PMI_PORT"),
)


class Restart(NamedTuple):
    """A start of a job that its launcher calls a restart.

    Attributes:
        number: how often the launcher has restarted the job.
        variable: the variable that says so.
        mark: 1 to `RESTART_MARK_MAX`, another one than that of the restart before and after.
    """

    number: int
    variable: str
    mark: int


_OF_TORCHRUN, _OF_SLURM = "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"
_OF_A_LAUNCH = (
    *("SLURM_JOB_ID", "SLURM_STEP_ID", _OF_SLURM),
    *("TORCHELASTIC_RUN_ID", _OF_TORCHRUN, "MASTER_ADDR", "MASTER_PORT"),
)
_ENDED = ("Z", "X")  # States of a process that ended and whose parent did not wait for it yet.


def find_place(environ: Mapping[str, str] = os.environ) -> Place:
    """Return this process's place; a job of one process is no distributed job."""
    agents = environ.get(LAUNCH, "").split(_BETWEEN)
    for rank, size, launch in _launches(environ):
        if launch not in agents:
            return Place(rank, size, _job_run_id(environ))
    return Place()


def launch_of(environ: Mapping[str, str] = os.environ) -> str:
    """Return the launches that made this process a rank, as a text for `LAUNCH`."""
    return _BETWEEN.join(dict.fromkeys(launch for *_, launch in _launches(environ)))


def _launches(environ: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield rank, number of ranks, and a text of its own for each launch of this process."""
    for rank_name, size_name, proof in _LAUNCHERS:
        rank, size = _number(environ.get(rank_name)), _number(environ.get(size_name))
        if rank is None or size is None or proof not in environ:
            continue
        if size > 1 and 0 <= rank < size:
            names = ("MASTER_ADDR", "MASTER_PORT") if rank_name == "RANK" else _NAMES_OF_A_LAUNCH
            yield (
                rank,
                size,
                " ".join(f"{each}={environ.get(each)}" for each in (rank_name, *names)),
            )


def find_launch(environ: Mapping[str, str] = os.environ) -> str:
    """Return what the processes of one start of a job have alike, and those of its next not."""
    return " ".join(environ.get(name, "") for name in _OF_A_LAUNCH)


def find_restart(
    environ: Mapping[str, str] = os.environ, *, names_run: bool = True
) -> Restart | None:
    """Return the restart of the job that this start belongs to, None for a first start.

    Args:
        names_run: the run's id is given. Else it is the launcher's, which may be another one in
            each start of a Slurm job.
    """
    torchrun, slurm = (max(_number(environ.get(n)) or 0, 0) for n in (_OF_TORCHRUN, _OF_SLURM))
    if not names_run and _is_named_after_process(environ):
        slurm = 0
    if not torchrun and not slurm:
        return None
    # A job of Slurm may contain a torchrun, which counts from 0 again after each requeue.
    mark = 1 + (slurm * (RESTART_MARK_MAX // 2) + torchrun) % RESTART_MARK_MAX
    if torchrun:
        return Restart(torchrun, _OF_TORCHRUN, mark)
    return Restart(slurm, _OF_SLURM, mark)


def is_elastic(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the launcher may start ranks again, also with other numbers."""
    return "TORCHELASTIC_RUN_ID" in environ


def _job_run_id(environ: Mapping[str, str]) -> str | None:
    elastic = environ.get("TORCHELASTIC_RUN_ID")
    if elastic and elastic != "none":  # torchrun's default is the word none.
        return run_id_from(f"torchelastic {elastic}")
    job = environ.get("SLURM_JOB_ID")
    step = f"slurm {job} {environ.get('SLURM_STEP_ID', '')}"
    if elastic or "LOCAL_SIZE" in environ:
        # A job of Slurm may have several torchruns, and each has children of its own.
        if _is_one_node(environ):
            parent = os.getppid()
            return run_id_from(f"launcher {os.uname().nodename} {parent} {process_start(parent)}")
        if job is None:
            return None
        meeting = f"{environ.get('MASTER_ADDR', '')}:{environ.get('MASTER_PORT', '')}"
        return run_id_from(f"{step} {meeting}")
    # Before Slurm's: mpirun starts its own node's ranks outside the Slurm step of the others.
    if namespace := environ.get("PMIX_NAMESPACE") or environ.get("OMPI_MCA_ess_base_jobid"):
        return run_id_from(f"mpi {namespace}")
    return None if job is None else run_id_from(step)


def _is_named_after_process(environ: Mapping[str, str]) -> bool:
    """Return whether `_job_run_id` is another one in each start of a Slurm job."""
    elastic = environ.get("TORCHELASTIC_RUN_ID")
    if elastic and elastic != "none":
        return False
    if elastic or "LOCAL_SIZE" in environ:
        return _is_one_node(environ)
    namespace = environ.get("PMIX_NAMESPACE") or environ.get("OMPI_MCA_ess_base_jobid") or "slurm"
    return not namespace.startswith("slurm")  # srun --mpi=pmix: slurm.pmix.JOB.STEP


def _is_one_node(environ: Mapping[str, str]) -> bool:
    """Return whether all ranks are children of one launcher, which starts once for each job."""
    local = environ.get("LOCAL_WORLD_SIZE") or environ.get("LOCAL_SIZE")  # The latter: deepspeed.
    return local is not None and local == environ.get("WORLD_SIZE")


def process_start(pid: int) -> str:
    """Return when a process started, in kernel ticks; "" if it has ended or /proc is not there."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *more = file.read().rpartition(")")[2].split()
        return "" if state in _ENDED else more[18]
    except (OSError, ValueError, IndexError):
        return ""


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None
