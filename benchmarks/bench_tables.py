"""How long does the hub take for a page of a table of a million rows, and what does one cost?

1,000,000 rows × 10 columns (five numeric, five text). The rows are packed as `log` packs them,
written as a worker of the daemon writes them, and asked for as the page asks: by HTTP, warm, the
median of seven. Every question has a text in its filter that no other has, so no count is kept.
"""

import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3
from starlette.testclient import TestClient

from benchmarks.harness import table
from stepwell._table_rows import pack_rows
from stepwell_daemon.blobs.tables import write_table
from stepwell_hub.app import create_app
from stepwell_hub.config import HubConfig
from stepwell_hub.key_file import KeyFile
from stepwell_hub.serve import make_context
from stepwell_store import open_embedded
from stepwell_wire.hub_access import ensure_key

ROWS, REPEATS = 1_000_000, 7
_NAMES = [f"number {n}" for n in range(5)] + [f"text {n}" for n in range(5)]


def main() -> None:
    rows = _rows()
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as name:
        folder = Path(name)
        packing, payload = _timed(lambda: b"".join(pack_rows(_NAMES, rows, str)))
        rows.clear()
        target = folder / "table.parquet"
        writing, _ = _timed(lambda: write_table(io.BytesIO(payload), len(payload), target))
        lines = [
            ["packed by log", f"{packing:.2f} s", f"{len(payload) / 1e6:.0f} MB"],
            ["Parquet", f"{writing:.2f} s", f"{target.stat().st_size / 1e6:.0f} MB"],
        ]
        lines += _questions(folder, target)
    print(table(["", "median", "highest, or size"], lines))


def _rows() -> list[list[Any]]:
    chance = random.Random(9)
    kinds = ("cat", "dog", "bird", "fish")
    return [
        [
            chance.random(),
            number,
            chance.gauss(0, 1),
            number % 7,
            chance.random() * 1e5,
            f"name {number % 1000}",
            f"id-{number}",
            chance.choice(kinds),
            f"text number {number * 7919 % ROWS} of the table",
            f"k{number % 50}",
        ]
        for number in range(ROWS)
    ]


def _questions(folder: Path, parquet: Path) -> list[list[str]]:
    store = open_embedded(folder / "data", memory_bytes_max=1 << 30)
    try:
        store.migrate()
        config = HubConfig(data=folder / "data")
        key = ensure_key(config.folder)
        context = make_context(config, store)
        digest = blake3(parquet.read_bytes()).hexdigest()
        context.blobs.put(digest, parquet)
        url = f"/api/v1/projects/p/runs/r/tables/{digest}"
        headers = {"Authorization": f"Bearer {key}"}
        app = create_app(context, KeyFile(config.folder))
        with TestClient(app, base_url="http://127.0.0.1:8470", headers=headers) as client:
            return [_measured(client, url, name, form) for name, form in _FORMS.items()]
    finally:
        store.close()


def _measured(
    client: TestClient, url: str, name: str, form: Callable[[int], dict[str, Any]]
) -> list[str]:
    times = []
    for turn in range(REPEATS + 2):  # Two to warm up.
        seconds, answer = _timed(lambda turn=turn: client.post(f"{url}/query", json=form(turn)))
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["rows"]) == 100
        times.append(seconds)
    warm = times[2:]
    return [name, f"{statistics.median(warm) * 1000:.0f} ms", f"{max(warm) * 1000:.0f} ms"]


_TWO = [{"column": 0, "descending": True}, {"column": 5}]
_FORMS: dict[str, Callable[[int], dict[str, Any]]] = {
    "filter of number and text, sort by two, page at 1,000": lambda turn: {
        "filter": [
            {"column": 2, "op": "gt", "value": 0.5 + turn / 1000},
            {"column": 8, "op": "contains", "value": "number 7"},
        ],
        "sort": _TWO,
        "offset": 1000,
    },
    "regular expression, sort by text, page at 100": lambda turn: {
        "filter": [{"column": 6, "op": "matches", "value": f"{turn}[0-9]*5$"}],
        "sort": [{"column": 8}],
        "offset": 100,
    },
    "all rows, sort by two, page at 1,000": lambda turn: {"sort": _TWO, "offset": 1000 + turn},
    "all rows, sort by two, page at 500,000": lambda turn: {"sort": _TWO, "offset": 500_000 + turn},
}


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found
