"""How many points a second from the sockets to durable in the embedded engine?

Eight writers, each a process that sends ready-made frames (10 floats a row, about 1 MiB a frame)
as the SDK's sender does. Together they offer a fixed rate for a minute, senders and all on the same
cores; what the store holds when the time is up is counted, and how long the rest takes. Memory of
daemon and engine is sampled meanwhile.

    python -m benchmarks.bench_ingest [SECONDS [POINTS_PER_SECOND]]
"""

import multiprocessing
import os
import struct
import sys
import time
import zlib
from typing import Any

from benchmarks.harness import daemon_running, table

WRITERS = 8
WIDTH = 10
ROWS = 10_000  # About a MiB.
OFFERED = 2_400_000.0


def send(number: int, socket: str, seconds: float, offered: float, results: Any) -> None:
    """Send frames for ``seconds`` at ``offered`` points a second; put the number of points."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    import grpc
    import numpy as np

    from stepwell_wire.ingest_pb2 import ClientMessage, Hello, ServerMessage
    from stepwell_wire.records import pack_event
    from stepwell_wire.service import STREAM

    random = np.random.default_rng(number)
    size = 24 + 8 * WIDTH
    row = np.zeros(ROWS, [("head", "<u8"), ("step", "<i8"), ("time", "<i8"), ("v", "<f8", WIDTH)])
    row["head"] = struct.unpack("<Q", struct.pack("<II", 1, size))[0]
    noise = random.normal(0, 0.05, (16, ROWS, WIDTH)).astype("f4").astype("f8")
    info = Hello(protocol_major=1, project="bench", run_id=f"ingest{number}", scope="run")
    info.writer_id = f"ingest-writer-{number}"
    keys = [f"layer{i}/loss" for i in range(WIDTH)]
    names = {"project": "bench", "run_id": info.run_id, "writer_id": info.writer_id}
    sent = 0

    def messages() -> Any:
        nonlocal sent
        yield ClientMessage(hello=info)
        now = time.time_ns() // 1000
        payload = pack_event("start", names, step=0, time_us=now)
        payload += pack_event("schema", {"id": 1, "keys": keys}, step=0, time_us=now)
        position = step = 0
        start = time.monotonic()
        while True:
            message = ClientMessage()
            message.frame.position = position
            message.frame.records = payload
            message.frame.crc32 = zlib.crc32(payload)
            position += len(payload)
            yield message
            sent = step * WIDTH
            due = start + sent / offered
            if due > start + seconds:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            row["step"] = np.arange(step, step + ROWS)
            row["time"] = time.time_ns() // 1000 + np.arange(ROWS)
            row["v"] = noise[(step // ROWS) % 16] + np.exp(-row["step"] / 1e6)[:, None]
            payload = row.tobytes()
            step += ROWS

    with grpc.insecure_channel(f"unix:{socket}") as channel:
        stream = channel.stream_stream(
            STREAM, ClientMessage.SerializeToString, ServerMessage.FromString
        )
        for reply in stream(messages()):
            if reply.WhichOneof("body") == "refusal":
                raise RuntimeError(f"refused: {reply.refusal.detail}")
    results.put(sent)


def main(seconds: float = 60.0, offered: float = OFFERED) -> None:
    rows = measure(seconds, offered)
    print(table(["8 writers, 10 floats a row", ""], rows))


def measure(seconds: float, offered: float, *arguments: str) -> list[list[Any]]:
    """Return the rows of the table; ``arguments`` are the daemon's.

    "Engine" is every child of the daemon: without an embedded store there is none.
    """
    with daemon_running("--sample-seconds", "0", *arguments) as daemon:
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        writers = [
            context.Process(
                target=send, args=(n, str(daemon.socket), seconds, offered / WRITERS, results)
            )
            for n in range(WRITERS)
        ]
        before, start = daemon.cpu_seconds(), time.monotonic()
        for each in writers:
            each.start()
        memory = []
        stored_in_time = 0
        while time.monotonic() - start < seconds:
            time.sleep(1.0)
            memory.append(daemon.rss_bytes())
            stored_in_time = daemon.status()["totals"]["points_stored"]
        elapsed = time.monotonic() - start
        for each in writers:
            each.join(120)
        sent = sum(results.get(timeout=60) for _ in writers)
        daemon.flush(600)
        drained = time.monotonic() - start
        stored = daemon.status()["totals"]["points_stored"]
        cpu = daemon.cpu_seconds() - before
        return [
            ["points stored per second while sending", stored_in_time / elapsed],
            ["points stored per second until drained", stored / drained],
            ["points sent / stored", f"{sent:,} / {stored:,}"],
            ["seconds of sending / until drained", f"{elapsed:.1f} / {drained:.1f}"],
            ["CPU of daemon + engine, µs a point", cpu / stored * 1e6],
            ["daemon RSS MB, first quarter / last / highest", _spread(memory, 0)],
            ["engine RSS MB, first quarter / last / highest", _spread(memory, 1)],
        ]


def _spread(memory: list[tuple[int, int]], part: int) -> str:
    sizes = [pair[part] / 1e6 for pair in memory]
    return f"{sizes[len(sizes) // 4]:.0f} / {sizes[-1]:.0f} / {max(sizes):.0f}"


if __name__ == "__main__":
    main(*(float(word) for word in sys.argv[1:3]))
