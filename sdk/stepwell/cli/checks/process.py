"""The daemon as a process: its version, its clock, its descriptors."""

import resource
import time
from collections.abc import Iterator
from typing import Any, Final

from stepwell.cli.checks.environment import release
from stepwell.cli.checks.finding import Finding, Level
from stepwell.cli.text import count_text, seconds_text
from stepwell_wire import __version__

_JUMP_SECONDS_MAX: Final = 30.0
_FILES_MIN: Final = 1024
_FILES_RATIO_WARN: Final = 0.8


def process(fields: dict[str, Any]) -> Iterator[Finding]:
    """Yield what about the running daemon differs from what is here."""
    yield from version(str(fields["version"]))
    yield from clock(fields["started_at"] / 1e6, fields["uptime_seconds"], time.time())
    limits = fields.get("process", {})
    if limits:
        yield from files("the daemon", limits["open_files"], limits["open_files_max"])


def version(daemon: str, here: str = __version__) -> Iterator[Finding]:
    """Yield how the versions of the daemon and of this environment differ."""
    if daemon == here:
        return
    message = f"the daemon is {daemon}, this environment {here}"
    if release(daemon)[:1] != release(here)[:1]:
        yield Finding(
            "version", Level.FAIL, message, "install the same major release on both sides"
        )
        return
    yield Finding(
        "version",
        Level.WARN,
        message,
        "no action needed, both work together; restart the daemon to use this release",
    )


def clock(started_at: float, uptime_seconds: float, now: float) -> Iterator[Finding]:
    """Yield whether the wall clock went another way than time since the daemon's start."""
    jump = now - (started_at + uptime_seconds)
    if abs(jump) > _JUMP_SECONDS_MAX:
        where = "ahead" if jump > 0 else "back"
        yield Finding(
            "clock",
            Level.WARN,
            f"the clock jumped {seconds_text(abs(jump))} {where} since the daemon's "
            "start, or the machine was suspended",
            "run NTP; the times of points are wrong, their steps are right",
        )


def files(who: str, held: int, most: int) -> Iterator[Finding]:
    """Yield whether ``who`` may open enough files."""
    message = f"{who} has {count_text(held)} of {count_text(most)} files open"
    if held > _FILES_RATIO_WARN * most:
        yield Finding(
            "files", Level.FAIL, message, "raise `ulimit -n`, or LimitNOFILE of its service"
        )
    elif most < _FILES_MIN:
        yield Finding(
            "files",
            Level.WARN,
            f"{message}; {count_text(_FILES_MIN)} or more is safe",
            "raise `ulimit -n`, or LimitNOFILE of its service",
        )


def own_files() -> Iterator[Finding]:
    """Yield whether processes that are started here may open enough files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES_MIN:
        yield Finding(
            "files",
            Level.WARN,
            f"processes started here may open {count_text(soft)} files",
            f"ulimit -n {_FILES_MIN}; a trainer needs 24 free ones to connect",
        )
