"""deploy/systemd: the units, by systemd's own tools and by what real processes do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from stepwell_daemon.config import DaemonConfig
from stepwell_hub.config import HubConfig
from tests.deploy.places import DEPLOY, needs
from tests.deploy.settings import commented, load_daemon, load_hub, names
from tests.deploy.units import Unit
from tests.node import made_node

FILES = DEPLOY / "systemd"
DAEMON = FILES / "stepwelld.service"
HUB = FILES / "stepwell-hub.service"
UNITS = [DAEMON, HUB]

FALLS_BACK = {
    "io_uring_setup": "libuv uses threads instead",
    "io_uring_enter": "only after io_uring_setup",
    "io_uring_register": "only after io_uring_setup",
    "perf_event_open": "the engine has fewer profile events",
    "rseq": "glibc goes on without; systemd 252 does not know it",
}
"""System calls that the filters refuse, and their caller's way without them."""


def systemd(*words: str, **named: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, **named)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system as README.md leaves it, for tools that take one."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(unit, units)
    programs = tmp_path / "opt/stepwell/bin"
    programs.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    for program in (programs / "stepwelld", programs / "stepwell", tmp_path / "bin/kill"):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    theirs = tmp_path / "usr/lib/systemd"
    shutil.copytree("/usr/lib/systemd/system", theirs / "system", symlinks=True)
    return tmp_path


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong(root: Path, unit: Path) -> None:
    done = systemd("systemd-analyze", "verify", f"--root={root}", "--man=no", unit.name)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "stepwell" in line]
    assert (done.returncode, ours) == (0, [])


@needs("systemd-analyze")
def test_a_wrong_setting_would_be_found(root: Path) -> None:
    path = root / "etc/systemd/system" / DAEMON.name
    path.write_text(path.read_text().replace("KillMode=mixed", "KilMode=mixed"))
    done = systemd("systemd-analyze", "verify", f"--root={root}", "--man=no", DAEMON.name)
    assert "KilMode" in done.stdout + done.stderr


@needs("systemd-analyze")
@pytest.mark.parametrize(
    ("unit", "score"), [(DAEMON, "2.3"), (HUB, "1.4")], ids=lambda each: str(each)[-16:]
)
def test_the_exposure_is_what_the_readme_says(unit: Path, score: str) -> None:
    threshold = str(int(float(score) * 10))
    done = systemd(
        "systemd-analyze", "security", "--offline=yes", f"--threshold={threshold}", str(unit)
    )
    assert done.returncode == 0, done.stdout[-200:]
    assert score in (FILES / "README.md").read_text()


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
def test_users_and_folders_are_made_as_the_units_expect_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = systemd("systemd-sysusers", f"--root={tmp_path}", str(FILES / "stepwell.sysusers.conf"))
    assert made.returncode == 0, made.stderr
    users = {line.split(":")[0] for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    assert users >= {Unit.read(unit).one("User") for unit in UNITS}
    groups = (tmp_path / "etc/group").read_text()
    numbers = {line.split(":")[0]: int(line.split(":")[2]) for line in groups.splitlines()}
    made = systemd(
        "systemd-tmpfiles",
        "--create",
        f"--root={tmp_path}",
        str(FILES / "stepwell.tmpfiles.conf"),
    )
    assert made.returncode == 0, made.stderr
    unit = Unit.read(DAEMON)
    journals = tmp_path / unit.one("ReadWritePaths").split()[0].lstrip("/")
    assert journals.stat().st_mode & 0o7777 == 0o1770
    blobs = tmp_path / "var/lib/stepwell-blobs"
    assert blobs.stat().st_mode & 0o7777 == 0o2770
    if os.geteuid() == 0:
        assert journals.stat().st_gid == numbers[unit.one("Group")]
        assert blobs.stat().st_gid == numbers["stepwell-blobs"]


def options_of(unit: Path) -> tuple[str, list[str]]:
    program, *arguments = Unit.read(unit).one("ExecStart").split()
    return program, arguments


def test_the_units_start_programs_that_the_package_has_with_the_files_beside_them() -> None:
    assert options_of(DAEMON) == (
        "/opt/stepwell/bin/stepwelld",
        ["--config", "/etc/stepwell/daemon.toml"],
    )
    assert options_of(HUB) == (
        "/opt/stepwell/bin/stepwell",
        ["hub", "--config", "/etc/stepwell/hub.toml"],
    )
    assert (Path(sys.executable).parent / "stepwelld").exists()


def test_the_daemons_settings_are_known_and_agree_with_the_unit(tmp_path: Path) -> None:
    config = load_daemon(FILES / "daemon.toml", tmp_path)
    unit = Unit.read(DAEMON)
    assert str(config.data) == f"/var/lib/{unit.one('StateDirectory')}"
    assert str(config.socket.parent) == f"/run/{unit.one('RuntimeDirectory')}"
    journals, blobs = unit.one("ReadWritePaths").split()
    assert str(config.journals) == journals
    assert f'blob_store = "{blobs[1:]}"' in (FILES / "daemon.toml").read_text()
    shell = (FILES / "stepwell.sh").read_text()
    assert f"export STEPWELL_SOCKET={config.socket}\n" in shell
    assert f"export STEPWELL_DIR={config.journals}\n" in shell
    others = set(commented(FILES / "daemon.toml"))
    assert {"sink", "clickhouse_hosts", "gateway_address", "hub_url"} <= others
    assert others <= names(DaemonConfig)


def test_the_hubs_settings_are_known_and_agree_with_the_unit(tmp_path: Path) -> None:
    config = load_hub(FILES / "hub.toml", tmp_path)
    assert config.store == "clickhouse"
    assert str(config.data) == f"/var/lib/{Unit.read(HUB).one('StateDirectory')}"
    assert config.blob_store == Unit.read(DAEMON).one("ReadWritePaths").split()[1][1:]
    assert set(commented(FILES / "hub.toml")) <= names(HubConfig)


# ---------------------------------------------------------------------- the filter of system calls


def filtered(unit: Path) -> set[str]:
    """Return the system calls that a unit's SystemCallFilter lets through."""
    allowed: set[str] = set()
    for value in Unit.read(unit).all("SystemCallFilter"):
        names = set().union(*(expanded(word) for word in value.removeprefix("~").split()))
        allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


def expanded(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    listed = systemd("systemd-analyze", "syscall-filter", word)
    assert listed.returncode == 0, listed.stderr
    lines = [line.strip() for line in listed.stdout.splitlines()[1:]]
    return set().union(*(expanded(line) for line in lines if line and not line.startswith("#")))


def traced(path: Path) -> set[str]:
    """Return the system calls in a log of strace."""
    log = path.read_text(errors="replace")
    return set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", log, re.M))


@needs("systemd-analyze")
@needs("strace")
@pytest.mark.processes
def test_what_daemon_engine_and_hub_call_passes_the_filters(tmp_path: Path) -> None:
    with made_node() as node:
        log = tmp_path / "trace"
        node.variables = {"STEPWELLD_HUB": "auto"}
        node.wrapper = ("strace", "-f", "-qq", "-o", str(log))
        node.start_daemon("--hub-port", "0", "--sample-seconds", "0.5")
        done = node.python(
            "import numpy, stepwell\n"
            "run = stepwell.init(project='demo', name='calls')\n"
            "for step in range(1000): run.log({'a': 1.0})\n"
            "run.log({'b': stepwell.Image(numpy.zeros((9, 9, 3), 'uint8'))})\n"
            "run.finish()"
        )
        assert done.returncode == 0, done.stderr
        assert node.stepwell("runs").returncode == 0
        assert node.stepwell("show", "calls", "--json").returncode == 0
        assert node.daemon is not None
        psutil.Process(node.daemon.pid).children()[0].terminate()
        assert node.daemon.wait(60) == 0
        called = traced(log)
        assert called >= {"fdatasync", "execve", "bind", "flock"}, called
        assert called - filtered(DAEMON) - set(FALLS_BACK) == set()
