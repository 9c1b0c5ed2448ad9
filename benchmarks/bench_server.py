"""How many points a second from the sockets to stored in a real ClickHouse server?

As `ingest`, with the server (Debian's 18.16: no codecs, LZ4) in place of the embedded engine,
server and all on the same cores. What the server holds in the end is counted by the server.

    python -m benchmarks.bench_server [SECONDS [POINTS_PER_SECOND]]
"""

import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.bench_ingest import OFFERED, measure
from benchmarks.harness import table
from stepwell_store.server.settings import ServerSettings, parse_endpoints
from stepwell_store.server.store import open_server
from tests.servers.clickhouse import ClickHouseServer


def main(seconds: float = 60.0, offered: float = OFFERED) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        ClickHouseServer(Path(folder) / "server") as server,
    ):
        arguments = ("--sink", "clickhouse", "--clickhouse-hosts", server.address)
        rows = measure(seconds, offered, *arguments)
        process = psutil.Process(server.pid)
        cpu = sum(process.cpu_times()[:2])
        store = open_server(ServerSettings(endpoints=parse_endpoints(server.address, 9000)))
        (held,) = store.query("SELECT count() AS n FROM points", timeout_seconds=300)
        (counted,) = store.query("SELECT sum(count) AS n FROM series_stats", timeout_seconds=300)
        store.close()
        rows += [
            ["points in the server / in its statistics", f"{held['n']:,} / {counted['n']:,}"],
            ["CPU of the server, µs a point", cpu / held["n"] * 1e6],
            ["server RSS MB at the end", process.memory_info().rss / 1e6],
        ]
    print(table(["8 writers, 10 floats a row", ""], rows))


if __name__ == "__main__":
    main(*(float(word) for word in sys.argv[1:3]))
