"""A real ClickHouse server of Debian's package, on loopback, in a folder of its own.

    with ClickHouseServer(folder) as server: ...

It can be killed, stopped by a signal and started again on the same data.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from xml.sax.saxutils import escape

import pytest

from tests.node import free_port

BINARY: Final = "clickhouse-server"
_START_SECONDS: Final = 60.0

_CONFIG: Final = """<?xml version="1.0"?>
<yandex>
  <logger><level>information</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{port}</tcp_port>
  <http_port>{http_port}</http_port>
  <interserver_http_host>127.0.0.1</interserver_http_host>
  <interserver_http_port>{interserver_port}</interserver_http_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <max_connections>256</max_connections>
  <max_concurrent_queries>64</max_concurrent_queries>
  <keep_alive_timeout>3</keep_alive_timeout>
{more}
</yandex>
"""

_USERS: Final = """<?xml version="1.0"?>
<yandex>
  <profiles><default>
    <log_queries>0</log_queries>{profile}
  </default><readonly><readonly>1</readonly></readonly></profiles>
  <users>
    <default><password></password><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota></default>
    <writer><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota></writer>
    <reader><password></password><networks><ip>127.0.0.1</ip></networks>
      <profile>readonly</profile><quota>default</quota></reader>
  </users>
  <quotas><default></default></quotas>
</yandex>
"""

PASSWORD: Final = "se<cr&t'"
"""Of the user `writer`; it has what configuration files and languages quote."""


class ClickHouseServer:
    """One server process; ``more`` is XML for its configuration, ``profile`` for its users'."""

    def __init__(
        self,
        folder: Path,
        *,
        more: str = "",
        profile: Mapping[str, object] | None = None,
        ports: tuple[int, int, int] | None = None,
    ) -> None:
        self.folder = folder
        self.port, http_port, interserver_port = ports or (free_port(), free_port(), free_port())
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = (self.port, http_port, interserver_port)
        self.ports_to_wait_for = [self.port]  # It listens on one after the other.
        for name in ("data", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.configure(more=more, profile=profile)

    def configure(self, *, more: str = "", profile: Mapping[str, object] | None = None) -> None:
        """Write the configuration, for the next start."""
        port, http_port, interserver_port = self._ports
        settings = "".join(f"<{name}>{value}</{name}>" for name, value in (profile or {}).items())
        (self.folder / "users.xml").write_text(
            _USERS.format(profile=settings, password=escape(PASSWORD))
        )
        (self.folder / "config.xml").write_text(
            _CONFIG.format(
                folder=self.folder,
                port=port,
                http_port=http_port,
                interserver_port=interserver_port,
                more=more,
            )
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the process and wait until it takes connections."""
        if shutil.which(BINARY) is None and not os.environ.get("CI"):
            pytest.skip(f"no {BINARY}; apt-get install clickhouse-server")
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [BINARY, f"--config-file={self.folder / 'config.xml'}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                for port in self.ports_to_wait_for:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(f"no server: {self.last_words()}") from None
                time.sleep(0.05)

    def last_words(self) -> str:
        words = ""
        for name in ("output", "errors"):
            path = self.folder / name
            words += path.read_text(errors="replace")[-6000:] if path.exists() else ""
        return words

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order, for good after a while. Can be called twice."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def stored_in(hosts: str) -> dict[str, str]:
    """Return the variables that have a daemon store in ``hosts``."""
    return {"STEPWELLD_SINK": "clickhouse", "STEPWELLD_CLICKHOUSE_HOSTS": hosts}
