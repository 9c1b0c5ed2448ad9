"""A real PostgreSQL server, Debian's, for as long as a test needs it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import pytest

_DEBIAN = Path("/usr/lib/postgresql")


def _program(name: str) -> str | None:
    newest = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    return str(newest[-1]) if newest else shutil.which(name)


class PostgreSQLServer:
    """A cluster in a folder of its own that is reached by a unix socket alone.

    It refuses to run as root, so under root it runs as the user that its package made.
    """

    def __init__(self) -> None:
        initdb, self._pg_ctl = _program("initdb"), _program("pg_ctl")
        if initdb is None or self._pg_ctl is None:
            pytest.skip("no postgresql here; scripts/install_test_packages.sh installs it")
        self.folder = Path(tempfile.mkdtemp(prefix="swpg-"))
        self._as: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = ["runuser", "-u", "postgres", "--"]
        self._data = self.folder / "data"
        self._call(initdb, "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._call(self._pg_ctl, "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._call(self._pg_ctl, "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def __enter__(self) -> "PostgreSQLServer":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _call(self, program: str | None, *arguments: str) -> None:
        assert program is not None
        subprocess.run(
            [*self._as, program, *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )
