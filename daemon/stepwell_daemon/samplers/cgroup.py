"""The control group of a process: limits, usage, and how often the group was throttled.

Version 2 and version 1, as they are mounted here. A limit may be set on any parent group, so the
lowest one counts. "No limit" is left out, never a number. Values are of the group: in a container,
of all its processes.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_PROC: Final = Path("/proc")
_MICRO: Final = 1e-6
_NANO: Final = 1e-9
_UNLIMITED_BYTES: Final = 1 << 60
"""Version 1 writes "no limit" as a number above this."""
_LEVELS_MAX: Final = 32

Values = dict[str, float]


def read_cgroup(pid: int, *, root: Path = _ROOT, proc: Path = _PROC) -> Values:
    """Return limits and usage of the group of ``pid``; {} if they are unreadable.

    Args:
        root: mount point of control groups.
        proc: mount point of /proc.
    """
    try:
        text = (proc / str(pid) / "cgroup").read_text("utf-8", "replace")
    except OSError:
        return {}
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in controllers.split(","):
            if ".." not in path.split("/"):  # Otherwise it is outside the visible part of the tree.
                paths[name] = path
    if (root / "cgroup.controllers").exists() and "" in paths:
        return _version_2(_folder(root, paths[""]), root)
    return _version_1(paths, root)


def _version_2(folder: Path, root: Path) -> Values:
    found: Values = {}
    _put(found, "cgroup/memory_used_bytes", _number(folder / "memory.current"))
    _put(found, "cgroup/memory_limit_bytes", _tightest(folder, root, _memory_max))
    _put(found, "cgroup/cpu_limit_cores", _tightest(folder, root, _cpu_max))
    cpu = _table(folder / "cpu.stat")
    _put(found, "cgroup/cpu_seconds_total", cpu.get("usage_usec"), _MICRO)
    _put(found, "cgroup/cpu_throttled_seconds_total", cpu.get("throttled_usec"), _MICRO)
    events = _table(folder / "memory.events")
    _put(found, "cgroup/oom_kills_total", events.get("oom_kill"))
    return found


def _version_1(paths: dict[str, str], root: Path) -> Values:
    found: Values = {}
    if "memory" in paths:
        base = root / "memory"
        folder = _folder(base, paths["memory"])
        _put(found, "cgroup/memory_used_bytes", _number(folder / "memory.usage_in_bytes"))
        _put(found, "cgroup/memory_limit_bytes", _tightest(folder, base, _memory_limit_1))
        oom = _table(folder / "memory.oom_control")
        _put(found, "cgroup/oom_kills_total", oom.get("oom_kill"))
    if "cpu" in paths:
        base = _mounted(root, "cpu", "cpu,cpuacct")
        folder = _folder(base, paths["cpu"])
        _put(found, "cgroup/cpu_limit_cores", _tightest(folder, base, _cpu_quota_1))
        stat = _table(folder / "cpu.stat")
        _put(found, "cgroup/cpu_throttled_seconds_total", stat.get("throttled_time"), _NANO)
    if "cpuacct" in paths:
        folder = _folder(_mounted(root, "cpuacct", "cpu,cpuacct"), paths["cpuacct"])
        _put(found, "cgroup/cpu_seconds_total", _number(folder / "cpuacct.usage"), _NANO)
    return found


def _mounted(root: Path, *names: str) -> Path:
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def _folder(root: Path, path: str) -> Path:
    """Return the group's folder, or the root if the path is the machine's and not visible here."""
    folder = root.joinpath(*(part for part in path.split("/") if part))
    return folder if folder.is_dir() else root


def _tightest(folder: Path, root: Path, read: Callable[[Path], float | None]) -> float | None:
    limits = [limit for each in _upwards(folder, root) if (limit := read(each)) is not None]
    return min(limits, default=None)


def _upwards(folder: Path, root: Path) -> Iterator[Path]:
    for _ in range(_LEVELS_MAX):
        yield folder
        if folder in (root, folder.parent):
            return
        folder = folder.parent


def _memory_max(folder: Path) -> float | None:
    return _number(folder / "memory.max")


def _memory_limit_1(folder: Path) -> float | None:
    limit = _number(folder / "memory.limit_in_bytes")
    return limit if limit is not None and limit < _UNLIMITED_BYTES else None


def _cpu_max(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _share(quota, period)


def _cpu_quota_1(folder: Path) -> float | None:
    return _share(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _share(quota: str, period: str) -> float | None:
    """Return cores; None without a limit: ``max``, -1, or no such file."""
    try:
        cores = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None


def _number(path: Path) -> float | None:
    try:
        return float(int(_text(path)))
    except ValueError:
        return None


def _table(path: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(" ")
        try:
            found[name] = float(int(value))
        except ValueError:
            continue
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _put(found: Values, name: str, value: float | None, factor: float = 1.0) -> None:
    if value is not None:
        found[name] = value * factor
