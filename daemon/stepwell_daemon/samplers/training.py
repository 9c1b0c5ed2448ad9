"""What the training processes of this node use together: those that log, and their children.

Children count because data loaders are processes. Memory is the resident set: pages that processes
share count once for each. The exact figure would make the kernel walk every page table, which
disturbs a large process.
"""

import psutil

from stepwell_daemon.samplers.protocol import NODE, Reading, SamplerContext

_PROCESSES_MAX = 4096


class TrainingSampler:
    """Adds up processes. One that ends between two samples counts up to the sample before."""

    def __init__(self, context: SamplerContext) -> None:
        self._pids = context.training_pids
        self._clock = context.clock
        self._cpu_before: dict[tuple[int, float], float] = {}
        self._at = 0.0

    def sample(self) -> tuple[Reading, ...]:
        roots = set(self._pids())
        if not roots:
            self._cpu_before = {}
            return ()
        now = self._clock()
        cpu: dict[tuple[int, float], float] = {}
        memory = 0
        for process in with_children(roots):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu[process.pid, process.create_time()] = times.user + times.system
                    memory += process.memory_info().rss
            except psutil.Error:
                continue  # It has ended, or is another user's where only that user may look.
        values = {"training/processes": float(len(cpu)), "training/resident_bytes": float(memory)}
        before, seconds = self._cpu_before, now - self._at
        if before and seconds > 0:
            # A child that is new since then has its whole time in this span.
            used = sum(max(0.0, value - before.get(key, 0.0)) for key, value in cpu.items())
            values["training/cpu_cores"] = min(used / seconds, float(psutil.cpu_count() or 1))
        self._cpu_before, self._at = cpu, now
        return (Reading(NODE, values),)


def with_children(roots: set[int]) -> list[psutil.Process]:
    """Return the processes of ``roots`` and all their descendants, at most 4,096."""
    everyone = {process.pid: process for process in psutil.process_iter()}
    children: dict[int, list[int]] = {}
    for pid, process in everyone.items():
        try:
            children.setdefault(process.ppid(), []).append(pid)
        except psutil.Error:
            continue
    found: dict[int, psutil.Process] = {}
    waiting = sorted(roots)
    while waiting and len(found) < _PROCESSES_MAX:
        pid = waiting.pop()
        if pid in everyone and pid not in found:
            found[pid] = everyone[pid]
            waiting += children.get(pid, ())
    return list(found.values())
