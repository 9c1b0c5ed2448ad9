"""A real cluster on loopback: two shards of two replicas each, and one ZooKeeper."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.node import free_port
from tests.servers.clickhouse import ClickHouseServer

NAME: Final = "wells"
_JAR: Final = Path("/usr/share/java/zookeeper.jar")
_START_SECONDS: Final = 60.0


class ZooKeeper:
    """One ZooKeeper process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "data").mkdir(parents=True)
        (folder / "zoo.cfg").write_text(
            f"tickTime=500\ndataDir={folder / 'data'}\nclientPort={self.port}\n"
            "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n"
            "maxClientCnxns=0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    "java",
                    "-Xmx256m",
                    "-cp",
                    str(_JAR),
                    "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                    str(self.folder / "zoo.cfg"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "output").read_text()[-2000:]
                raise AssertionError(f"no ZooKeeper: {said}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as peer:
            peer.sendall(b"ruok")
            return peer.recv(16) == b"imok"
        return False


class Cluster:
    """``servers[shard][replica]``, all of the cluster ``NAME``; its first shard is ``half`` too."""

    def __init__(self, folder: Path) -> None:
        if not _JAR.exists() and not os.environ.get("CI"):
            pytest.skip(f"no {_JAR}; apt-get install zookeeper")
        self.folder = folder
        self.zookeeper = ZooKeeper(folder / "zookeeper")
        ports = [[(free_port(), free_port(), free_port()) for _ in range(2)] for _ in range(2)]
        shards = "".join(
            "<shard><internal_replication>true</internal_replication>"
            + "".join(
                f"<replica><host>127.0.0.1</host><port>{each[0]}</port></replica>" for each in shard
            )
            + "</shard>"
            for shard in ports
        )
        half = shards[: shards.index("</shard>")] + "</shard>"
        self.servers = [
            [
                ClickHouseServer(
                    folder / f"{shard}-{replica}",
                    ports=ports[shard][replica],
                    more=f"<remote_servers><{NAME}>{shards}</{NAME}><half>{half}</half></remote_servers>"
                    f"<macros><shard>{shard + 1}</shard><replica>{replica + 1}</replica></macros>"
                    "<zookeeper><node><host>127.0.0.1</host>"
                    f"<port>{self.zookeeper.port}</port></node>"
                    "<session_timeout_ms>6000</session_timeout_ms></zookeeper>"
                    "<distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>"
                    # In tables this small the last part before a kill is a large share, and a
                    # replica does not start where too much of it is not known to ZooKeeper.
                    "<merge_tree><replicated_max_ratio_of_wrong_parts>1"
                    "</replicated_max_ratio_of_wrong_parts></merge_tree>",
                )
                for replica in range(2)
            ]
            for shard in range(2)
        ]

    @property
    def all_servers(self) -> list[ClickHouseServer]:
        return [server for shard in self.servers for server in shard]

    @property
    def hosts(self) -> str:
        return ",".join(server.address for server in self.all_servers)

    def __enter__(self) -> Self:
        self.zookeeper.start()
        first, *others = self.all_servers
        first.start()
        # 18.16 dies of a statement for the cluster that comes before its own worker for these is
        # ready. Alone, the first server's worker makes the queue; and once a statement is done
        # everywhere, every worker is ready.
        with Client("127.0.0.1", first.port) as client:
            deadline = time.monotonic() + _START_SECONDS
            while not _has_queue(client):
                assert time.monotonic() < deadline, first.last_words()
                time.sleep(0.1)
            for server in others:
                server.start()
            client.execute(f"CREATE DATABASE IF NOT EXISTS warm ON CLUSTER {NAME}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self.all_servers:
            server.stop()
        self.zookeeper.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _has_queue(client: Client) -> bool:
    try:
        question = "SELECT 1 FROM system.zookeeper WHERE path = '/clickhouse/task_queue'"
        return bool(client.execute(question))
    except ServerException:
        return False
