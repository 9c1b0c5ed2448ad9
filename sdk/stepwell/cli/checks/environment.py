"""Versions of what is installed, and whether the clock can be right."""

import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from stepwell.cli.checks.finding import Finding, Level
from stepwell_wire import __version__
from stepwell_wire.installation import install_command

_PYTHON_MIN: Final = (3, 11)
_BASE: Final = {
    "grpcio": ((1, 62), None),
    "protobuf": ((5, 26), (8,)),
    "msgpack": ((1, 0), None),
    "blake3": ((1, 0), (2,)),
}
_EXTRAS: Final = ("numpy", "lz4", "prometheus-client", "psutil", "uvloop", "chdb-core")
_WRITTEN_AT: Final = 1_767_225_600  # 2026-01-01: a clock before this is wrong.
_DRIFT_SECONDS_MAX: Final = 5.0

_Version = tuple[int, ...]


def versions() -> Iterator[Finding]:
    """Yield a finding for Python, ourselves and each package, without importing any."""
    python = sys.version.split()[0]
    enough = sys.version_info[:2] >= _PYTHON_MIN
    yield Finding(
        "python",
        Level.OK if enough else Level.FAIL,
        f"Python {python}, stepwell {__version__}",
        "" if enough else "use Python 3.11 or newer",
    )
    for name, (lowest, below) in _BASE.items():
        yield base_package(name, installed(name), lowest, below)
    found = {name: installed(name) for name in _EXTRAS}
    if missing := [name for name, version in found.items() if version is None]:
        yield Finding(
            "extras",
            Level.WARN,
            f"{', '.join(missing)} not installed: this environment can log, but not run a daemon "
            "or read a store",
            f"to run one: {install_command('all')}",
        )
    if present := [f"{name} {version}" for name, version in found.items() if version]:
        yield Finding("extras", Level.OK, ", ".join(present))


def base_package(
    name: str, version: str | None, lowest: _Version, below: _Version | None
) -> Finding:
    """Return whether ``version`` is in the supported range."""
    span = f"{_dotted(lowest)} or newer" + (f", below {_dotted(below)}" if below else "")
    remedy = f"pip install --upgrade stepwell, which brings {name} {span}"
    if version is None:
        return Finding("packages", Level.FAIL, f"{name} is not installed", remedy)
    numbers = release(version)
    if numbers < lowest or (below is not None and numbers >= below):
        message = f"{name} {version}; supported is {span}"
        return Finding("packages", Level.FAIL, message, remedy)
    return Finding("packages", Level.OK, f"{name} {version}")


def installed(name: str) -> str | None:
    """Return the installed version of a distribution."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def release(version: str) -> _Version:
    """Return the leading numbers of a version."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _dotted(version: _Version) -> str:
    return ".".join(map(str, version))


def clock(folder: Path) -> Iterator[Finding]:
    """Yield whether this machine's clock is plausible and agrees with the file system's."""
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if now < _WRITTEN_AT:
        yield Finding(
            "clock",
            Level.FAIL,
            f"the clock is at {shown}: points get a wrong time",
            "set the clock, and run NTP",
        )
        return
    place = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".stepwell-") as file:
            file.write(b"x")
            file.flush()
            drift = Path(file.name).stat().st_mtime - now
    except OSError:
        drift = 0.0  # Whether the folder is writable is another check's.
    if abs(drift) > _DRIFT_SECONDS_MAX:
        yield Finding(
            "clock",
            Level.WARN,
            f"{place}: its clock differs from this machine's by {drift:.0f} s",
            "it is on another machine: use a local disk, or run NTP on both",
        )
        return
    yield Finding("clock", Level.OK, shown)
