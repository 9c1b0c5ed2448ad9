"""A daemon that cannot open its spool says where, why and what to do, and ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

_ENDS_SECONDS_MAX = 60.0
_FULL = 'mount -t tmpfs -o size=8k tmpfs "$0" && head -c 8192 /dev/zero > "$0/filler" && exec "$@"'


def refused(data: Path, *wrapper: str) -> str:
    """Start a daemon on ``data`` that must fail; return the line that says why."""
    ended = subprocess.run(
        [
            *(*wrapper, sys.executable, "-m", "stepwell_daemon", "--metrics-port", "0"),
            *("--data", str(data), "--socket", str(data.parent / "s" / "stepwell.sock")),
        ],
        capture_output=True,
        text=True,
        timeout=_ENDS_SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    started, line = ended.stderr.splitlines()
    assert f"data={data}" in started
    return line


def test_a_spool_that_is_no_folder_ends_the_start_with_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "spool").write_text("no folder")
    line = refused(data)
    assert line.startswith(f"stepwelld: {data / 'spool'}: opening the spool failed (")
    assert "start the daemon again" in line


@pytest.mark.holds("spool-disk-fails")
def test_a_full_disk_ends_the_start_with_one_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    rights = "-m" if os.geteuid() == 0 else "-rm"
    line = refused(data, "unshare", rights, "sh", "-c", _FULL, str(data))
    assert str(data / "spool") in line
    assert "No space left on device" in line
    assert "free disk space" in line
