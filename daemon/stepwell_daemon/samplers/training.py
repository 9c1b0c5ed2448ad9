"""The resources of this node's training processes: all together, and each writer separately.

    training/…   the node's: the sum over writers and their children process/…    one process that
    logs, with its children; label ``process-WRITER`` cgroup/…     the control group of that
    process, under the same label process/gpu_memory_bytes   of one GPU; label
    ``process-WRITER@gpu0``

Children count because data loaders are processes. Memory is the resident set: shared pages count
once for each process. The exact figure would make the kernel walk every page table, which disturbs
a large process. A label has the writer's id, which only the writer's run knows. So a run finds its
processes, and the store needs no table for them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from stepwell_daemon.samplers.cgroup import read_cgroup
from stepwell_daemon.samplers.protocol import (
    NODE,
    PROCESS_KIND,
    Device,
    Reading,
    SamplerContext,
    Trainer,
)
from stepwell_daemon.samplers.rates import SPAN_SECONDS_MIN, Rates
from stepwell_store.process_labels import process_label

_PROCESSES_MAX: Final = 4096
_TRAINERS_MAX: Final = 24
"""Maximum of writers with their own readings, the first that came; the sum has all."""

_GPUS_OF_TRAINER_MAX: Final = 16

_PROC: Final = Path("/proc")
_PID_NAMESPACE: Final = Path("/proc/self/ns/pid")
_FIRST_PID_NAMESPACE: Final = 0xEFFF_FFFC
"""The number of the machine's own namespace: PROC_PID_INIT_INO of Linux."""


_Key = tuple[int, float]
"""A process id with the process's start, because ids are used again."""


@dataclass(frozen=True, slots=True)
class _Use:
    """The resources of one process; counters are since its start."""

    key: _Key
    cpu_seconds: float
    resident_bytes: int
    threads: int
    can_tell_bytes: bool = False
    read_bytes: int = 0
    written_bytes: int = 0


class TrainingSampler:
    """Reads processes. One that ends between two samples counts up to the sample before.

    Rates are of the span since an earlier sample, at least half a second. They are left out for
    processes of which no earlier sample is known, unless they have started since.
    """

    def __init__(
        self,
        context: SamplerContext,
        *,
        pid_namespace: Path = _PID_NAMESPACE,
        machine_namespace: int = _FIRST_PID_NAMESPACE,
        proc: Path = _PROC,
    ) -> None:
        """
        Args:
            pid_namespace: the file of this process's id namespace: it shows whether process ids
                here are those of a GPU's driver.
            machine_namespace: inode of the id namespace that the driver uses.
            proc: mount point of /proc.
        """
        self._proc = proc
        self._trainers = context.trainers
        self._gpu_processes = context.gpu_processes
        self._clock = context.clock
        self._sees_all = _has_inode(pid_namespace, machine_namespace)
        self._before: dict[_Key, _Use] = {}
        self._at = 0.0
        self._time = 0.0  # The same moment; seconds since 1970 UTC, as processes' starts.
        self._rates = Rates()

    def sample(self) -> list[Reading]:
        trainers = [each for each in self._trainers() if _is_named_so(self._proc, each.pid)]
        now, wall = self._clock(), time.time()
        if not trainers:
            self._before = {}
            self._rates.take({}, now)
            return []
        tree = ProcessTree()
        uses = {
            process.pid: use
            for process in tree.below({trainer.pid for trainer in trainers})
            if (use := _use_of(process)) is not None
        }
        seconds = now - self._at if self._before else 0.0
        is_new_span = not self._before or seconds >= SPAN_SECONDS_MIN
        shown = [trainer for trainer in trainers if trainer.pid in uses]
        of_all = seconds if all(self._is_known(uses[each.pid]) for each in shown) else 0.0
        readings = [Reading(NODE, self._together(list(uses.values()), of_all))]
        groups: dict[str, dict[str, float]] = {}
        for trainer in shown[:_TRAINERS_MAX]:
            own = [uses[each.pid] for each in tree.below({trainer.pid}) if each.pid in uses]
            label = process_label(trainer.writer_id)
            on_gpus = self._memory_of_gpus(own)
            is_known = self._is_known(uses[trainer.pid])
            values = self._alone(own, seconds if is_known else 0.0)
            if self._sees_all and self._gpu_processes.newest() is not None:
                values["process/gpus"] = float(len(on_gpus))
            readings.append(Reading(Device(PROCESS_KIND, label), values))
            group = read_cgroup(trainer.pid)
            readings.append(Reading(Device(PROCESS_KIND, label), _levels(group)))
            groups[label] = _counters(group)
            readings += _readings_of_gpus(trainer, on_gpus)
        for label, values in self._rates.take(groups, now).items():
            readings.append(Reading(Device(PROCESS_KIND, label), _with_cores(values)))
        if is_new_span:
            self._before = {use.key: use for use in uses.values()}
            self._at, self._time = now, wall
        return readings

    def _is_known(self, use: _Use) -> bool:
        """Return whether all counts of ``use`` since the last span's end are known."""
        return use.key in self._before or use.key[1] >= self._time

    def _together(self, uses: Sequence[_Use], seconds: float) -> dict[str, float]:
        values = {
            "training/processes": float(len(uses)),
            "training/resident_bytes": float(sum(use.resident_bytes for use in uses)),
        }
        if seconds >= SPAN_SECONDS_MIN:
            values["training/cpu_cores"] = self._cores(uses, seconds)
        return values

    def _alone(self, uses: Sequence[_Use], seconds: float) -> dict[str, float]:
        values = {
            "process/processes": float(len(uses)),
            "process/threads": float(sum(use.threads for use in uses)),
            "process/resident_bytes": float(sum(use.resident_bytes for use in uses)),
        }
        if seconds >= SPAN_SECONDS_MIN:
            values["process/cpu_cores"] = self._cores(uses, seconds)
            if any(use.can_tell_bytes for use in uses):
                for name, count in (("read", _read_bytes), ("written", _written_bytes)):
                    moved = self._since(uses, count)
                    values[f"process/{name}_bytes_per_second"] = moved / seconds
        return values

    def _cores(self, uses: Sequence[_Use], seconds: float) -> float:
        used = self._since(uses, _cpu_seconds)
        return min(used / seconds, float(psutil.cpu_count() or 1))

    def _since(self, uses: Sequence[_Use], count: Callable[[_Use], float]) -> float:
        """Return the counts since the last span's end.

        A process that has started since then has its whole count in this span.
        """
        total = 0.0
        for use in uses:
            before = self._before.get(use.key)
            total += max(0.0, count(use) - (count(before) if before is not None else 0.0))
        return total

    def _memory_of_gpus(self, uses: Sequence[_Use]) -> dict[str, int]:
        """Return the memory that processes use together on each GPU, by the GPU's label.

        Empty if the driver's process ids are of another namespace: they would name other processes
        here.
        """
        if not self._sees_all:
            return {}
        by_pid = self._gpu_processes.newest() or {}
        found: dict[str, int] = {}
        for use in uses:
            for label, held in by_pid.get(use.key[0], {}).items():
                found[label] = found.get(label, 0) + held
        return found


def _cpu_seconds(use: _Use) -> float:
    return use.cpu_seconds


def _read_bytes(use: _Use) -> float:
    return float(use.read_bytes)


def _written_bytes(use: _Use) -> float:
    return float(use.written_bytes)


def _readings_of_gpus(trainer: Trainer, held: Mapping[str, int]) -> list[Reading]:
    return [
        Reading(
            Device(PROCESS_KIND, process_label(trainer.writer_id, label)),
            {"process/gpu_memory_bytes": float(held[label])},
        )
        for label in sorted(held)[:_GPUS_OF_TRAINER_MAX]
    ]


def _counters(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name.endswith("_total")}


def _levels(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not name.endswith("_total")}


def _with_cores(values: dict[str, float]) -> dict[str, float]:
    """Return a group's values; processor seconds a second are cores."""
    cores = values.pop("cgroup/cpu_seconds_per_second", None)
    return values if cores is None else {**values, "cgroup/cpu_cores": cores}


def _use_of(process: psutil.Process) -> _Use | None:
    try:
        with process.oneshot():
            times = process.cpu_times()
            used = _Use(
                (process.pid, process.create_time()),
                times.user + times.system,
                process.memory_info().rss,
                process.num_threads(),
            )
    except psutil.Error:
        return None  # It has ended, or belongs to another user and only that user may read it.
    try:
        moved = process.io_counters()
    except (psutil.Error, OSError):  # Only its own user may read these.
        return used
    return replace(
        used, can_tell_bytes=True, read_bytes=moved.read_bytes, written_bytes=moved.write_bytes
    )


def _is_named_so(proc: Path, pid: int) -> bool:
    """Return whether the process ``pid`` has this number in its own namespace too.

    A trainer sends its number as it sees it. In a container with the machine's name and separate
    process ids, that number belongs to another process here.
    """
    try:
        status = (proc / str(pid) / "status").read_text("utf-8", "replace")
    except OSError:
        return True  # It has ended, or is not visible.
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return line.split()[-1] == str(pid)
    return True  # A kernel without namespaces.


def _has_inode(path: Path, inode: int) -> bool:
    try:
        return path.stat().st_ino == inode
    except OSError:
        return False


class ProcessTree:
    """All processes of this moment, by their parents."""

    def __init__(self) -> None:
        self._everyone = {process.pid: process for process in psutil.process_iter()}
        self._children: dict[int, list[int]] = {}
        for pid, process in self._everyone.items():
            try:
                self._children.setdefault(process.ppid(), []).append(pid)
            except psutil.Error:
                continue

    def below(self, roots: set[int]) -> list[psutil.Process]:
        """Return the processes of ``roots`` and all their descendants, at most 4,096."""
        found: dict[int, psutil.Process] = {}
        waiting = sorted(roots)
        while waiting and len(found) < _PROCESSES_MAX:
            pid = waiting.pop()
            if pid in self._everyone and pid not in found:
                found[pid] = self._everyone[pid]
                waiting += self._children.get(pid, ())
        return list(found.values())
