"""Starts a unit's ExecStart by hand, with what the unit says of user, rights, folders and files.

    folder/          stands for / in the unit's paths and in the settings
    root file system read-only, but for the unit's own folders (ProtectSystem=strict)
    user, group      numbers without a name; capabilities as the unit gives them

Needs root, and a Python that other users may run.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.deploy.manager import Manager
from tests.deploy.places import ROOT
from tests.deploy.units import Unit

DAEMON_ID = 64001
TRAINER_ID = 64002
OUTSIDER_ID = 64003
BLOBS_ID = 64004
_PROGRAMS = {
    "/opt/stepwell/bin/stepwelld": ("-m", "stepwell_daemon"),
    "/opt/stepwell/bin/stepwell": ("-m", "stepwell"),
}
_READ_ONLY = (
    'for place in "$@"; do [ "$place" = -- ] && break; mount --bind "$place" "$place"; done; '
    "mount -t tmpfs tmpfs /var/tmp && chmod 1777 /var/tmp && mount -o remount,bind,ro / && "
    'while [ "$1" != -- ]; do shift; done; shift; exec env WATCHDOG_PID=$$ "$@"'
)


def python_of_all() -> str:
    """Return a Python of this version that other users may run; skip the test without one."""
    if os.geteuid() != 0:
        pytest.skip("only root starts processes of other users")
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # The second may be in root's home: it starts, and its children do not.
    for candidate in (f"/usr/bin/{name}", os.path.realpath(sys.executable)):
        if _works_for_others(candidate):
            return candidate
    pytest.skip(f"no {name} that other users may run, or the sources are hidden from them")


def _works_for_others(python: str) -> bool:
    if not Path(python).exists():
        return False
    code = "import grpc, numpy, stepwell, stepwell_daemon.serve"
    done = subprocess.run(
        [*as_user(OUTSIDER_ID), python, "-c", code], env=bare_environment(), capture_output=True
    )
    return done.returncode == 0


def bare_environment() -> dict[str, str]:
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    sources = [str(ROOT / each) for each in ("proto", "sdk", "daemon", "hub")]
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": ":".join([*sources, packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": "/var/tmp",
    }


def as_user(
    number: int, *, group: int = 0, groups: Sequence[int] = (), capabilities: str = ""
) -> list[str]:
    """Return the command that becomes a user, with these capabilities and no others.

    Args:
        group: 0: the user's own, of the same number.
    """
    names = [name.removeprefix("CAP_").lower() for name in capabilities.split()]
    rights = ",".join(["-all", *(f"+{name}" for name in names)])
    words = ["setpriv", f"--reuid={number}", f"--regid={group or number}", "--no-new-privs"]
    words += [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    words += [f"--bounding-set={rights}", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
    return words


@dataclass
class Service:
    """One unit and its process."""

    unit: Unit
    folder: Path
    python: str
    user: int = DAEMON_ID
    group: int = 0
    groups: tuple[int, ...] = (BLOBS_ID,)
    environ: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def place(self, path: str) -> Path:
        """Return where a path of the unit is in this test."""
        return self.folder / path.lstrip("/")

    def inside(self, text: str) -> str:
        """Return a text with the places that the unit names in this test's folder."""
        for top in ("/run/stepwell", "/var/lib/stepwell", "/etc/stepwell"):
            text = text.replace(top, str(self.place(top)))
        return text

    def make_folders(self) -> list[Path]:
        """Make what systemd makes at the start; return all that the service may write."""
        made = []
        for name, top in (("StateDirectory", "var/lib"), ("RuntimeDirectory", "run")):
            for each in self.unit.all(name):
                path = self.folder / top / each
                path.mkdir(parents=True, exist_ok=True)
                path.chmod(int(self.unit.one(f"{name}Mode"), 8))
                os.chown(path, self.user, self.user)
                made.append(path)
        named = [path for each in self.unit.all("ReadWritePaths") for path in each.split()]
        return made + [self.place(path.lstrip("-")) for path in named]

    def start(self, manager: Manager) -> None:
        """Start it and wait for READY=1."""
        writable = self.make_folders()
        program, *arguments = self.unit.one("ExecStart").split()
        words = [self.python, *_PROGRAMS[program], *map(self.inside, arguments)]
        rights = " ".join(self.unit.all("AmbientCapabilities"))
        user = as_user(self.user, group=self.group, groups=self.groups, capabilities=rights)
        shell = ["unshare", "--mount", "sh", "-ec", _READ_ONLY, "sh", *map(str, writable), "--"]
        os.chmod(manager.path, 0o777)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*shell, *user, *words],
                env={
                    **bare_environment(),
                    "HOME": "/nonexistent",
                    "NOTIFY_SOCKET": str(manager.path),
                    "WATCHDOG_USEC": str(int(self.unit.one("WatchdogSec")) * 1_000_000),
                    **self.environ,
                },
                stdout=log,
                stderr=log,
            )
        try:
            manager.wait_for("READY=1")
            # By the very process that systemd started: WATCHDOG_PID names it.
            manager.wait_for("WATCHDOG=1")
        except TimeoutError:
            raise AssertionError(self.log()) from None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def run_as(
    number: int, words: Sequence[str], environ: Mapping[str, str], *, groups: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command as another user."""
    return subprocess.run(
        [*as_user(number, groups=groups), *words],
        env={**bare_environment(), **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
