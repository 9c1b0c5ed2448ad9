"""What a framework and a server cost the hub: start, memory, one small JSON answer.

    python -m benchmarks.bench_hub_frameworks

Needs `pip install starlette fastapi litestar uvicorn httptools uvloop granian` in the environment;
the figures of the decision are in docs/decisions/0008-hub-framework.md. Every combination is a
process of its own that answers one route with a page of 100 runs as JSON.
"""

import http.client
import json
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import Final

APPS: Final = {
    "starlette": """
import json
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
async def runs(request):
    return Response(json.dumps(ROWS).encode(), media_type="application/json")
app = Starlette(routes=[Route("/runs/{project}", runs)])
""",
    "fastapi": """
from fastapi import FastAPI
app = FastAPI()
@app.get("/runs/{project}")
async def runs(project: str) -> list[Run]:
    return ROWS_OF_CLASS
""",
    "litestar": """
from litestar import Litestar, get
@get("/runs/{project:str}")
async def runs(project: str) -> list[Run]:
    return ROWS_OF_CLASS
app = Litestar([runs])
""",
}
ROWS: Final = """
import dataclasses
@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    run_id: str
    name: str
    state: str
    started_at: float
    tags: list[str]
    columns: dict[str, float]
ROWS_OF_CLASS = [Run(f"run{i}", f"run {i}", "running", 1e9 + i, ["a", "b"],
                     {f"config.{k}": k * 0.1 for k in range(8)}) for i in range(100)]
ROWS = [dataclasses.asdict(row) for row in ROWS_OF_CLASS]
"""
SERVERS: Final = {
    "uvicorn": """
import uvicorn
uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error", loop="uvloop", http="HTTP")
""",
    "granian": """
import asyncio
from granian.server.embed import Server
server = Server(app, address="127.0.0.1", port=PORT, interface="asgi", log_enabled=False)
asyncio.run(server.serve())
""",
}
COMBINATIONS: Final = (
    ("starlette", "uvicorn", "h11"),
    ("starlette", "uvicorn", "httptools"),
    ("starlette", "granian", ""),
    ("fastapi", "uvicorn", "httptools"),
    ("litestar", "uvicorn", "httptools"),
)
REQUESTS: Final = 500
ROUNDS: Final = 3


def measure(framework: str, server: str, parser: str, port: int) -> dict[str, float]:
    """Return start seconds, resident MiB and milliseconds of one answer."""
    source = ROWS + APPS[framework] + SERVERS[server].replace("HTTP", parser)
    source = source.replace("PORT", str(port))
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", source])
    try:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            try:
                connection.request("GET", "/runs/p")
                rows = json.loads(connection.getresponse().read())
                break
            except ConnectionRefusedError:
                time.sleep(0.005)
        started = time.perf_counter() - began
        assert len(rows) == 100, rows
        began = time.perf_counter()
        for _ in range(REQUESTS):
            connection.request("GET", "/runs/p")
            connection.getresponse().read()
        each = (time.perf_counter() - began) / REQUESTS
        with open(f"/proc/{process.pid}/status") as status:
            kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    finally:
        process.terminate()
        process.wait()
    return {"start_seconds": started, "memory_mib": kib / 1024, "request_ms": each * 1e3}


def main() -> None:
    port = 18_470
    names = {name for combination in COMBINATIONS for name in combination if name}
    if missing := sorted(name for name in names - {"h11"} if find_spec(name) is None):
        print(f"left out: {', '.join(missing)} not installed; figures are in decision 8")
        return
    for framework, server, parser in COMBINATIONS:
        found = []
        for _ in range(ROUNDS):
            port += 1
            found.append(measure(framework, server, parser, port))
        middle = {name: statistics.median(each[name] for each in found) for name in found[0]}
        shown = "  ".join(f"{name} {value:.3g}" for name, value in middle.items())
        print(f"{framework:10} {server:8} {parser:10} {shown}", flush=True)


if __name__ == "__main__":
    main()
