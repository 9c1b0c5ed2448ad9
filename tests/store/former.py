"""A store as a former release leaves it: its own code, in a process of its own, stores rows.

    with the release's packages first in PYTHONPATH: python -m tests.store.former FOLDER

What that process runs is in both releases. The first release stored in no servers: what it would
have made there is made from its declarations.
"""

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from stepwell_store import Store, open_embedded
from tests.store.made import START_US, build, decoded, event, rows, writer

ROOT: Final = Path(__file__).parents[2]
RELEASES: Final = sorted((ROOT / "tests" / "golden" / "code").glob("*.tar.xz"))
EXTENTS: Final = 4
METRICS: Final = ("loss", "odd/näme", "sparse")
REASONS: Final = {
    "journal full": "journal_full",
    "disk": "journal_disk",
    "console, disk": "console_lines",
    "events, journal full": "events",
    "limit": "writer_limit",
    "journal damaged, up to 64 bytes": "journal_damaged",
    "journal taken as it reads, no checksum holds for 64 bytes": "journal_in_doubt",
    "damaged in the spool, 64 bytes of records": "spool_damaged",
    "refused by the store, kept in set_aside/1-64-points.seg": "dead_letter",
    "replayed: refused by the store, kept in set_aside/1-64-points.seg": "replayed",
    "somebody's own": "unknown",
}
"""Of gaps, as releases before schema 9 gave them, with the kinds that they mean."""


def blocks_of(extent: int, project: str = "former") -> list[Any]:
    """Return the blocks of one extent: two runs, one of two writers; steps below 0 and repeated."""
    random = np.random.default_rng(extent)
    parts = []
    for run_id, label in (("a", ""), ("b", "rank0"), ("b", "rank1")):
        steps = np.arange(-300, 700) + extent * 900
        values = random.integers(-1000, 1000, (len(steps), len(METRICS))).astype("f8")
        values[5, 0], values[6, 1], values[7, 2] = np.nan, np.inf, -np.inf
        times = [START_US + step * 1000 + extent for step in steps.tolist()]
        made = rows(1, steps.tolist(), values, times)
        config = {"set": {"lr": 0.1 * extent, "depth": {"of": extent}}, "delete": ["gone"]}
        told = [
            event("start", {"name": f"name {extent}"}, time_us=extent + 1),
            event("config", config, time_us=extent + 1),
        ]
        told += [
            event("gap", {"reason": reason, "rows": 1, "points": 1}, time_us=extent + 1)
            for reason in REASONS
        ]
        parts.append((writer(project, run_id, label=label), decoded([made], told)))
    parts.append((writer("", "daemon", scope="node", host=f"node-{project}"), _samples(extent)))
    return build(*parts, schemas={1: METRICS})


def _samples(extent: int) -> Any:
    """Return what was sampled of a node: a point a minute and metric, extents interleaved."""
    minutes = np.arange(200) * EXTENTS + extent
    values = np.random.default_rng(extent).integers(-99, 99, (200, len(METRICS))).astype("f8")
    values[3, 0], values[4, 1], values[5, 2] = np.nan, np.inf, -np.inf
    times = [START_US + minute * 60_000_000 for minute in minutes.tolist()]
    return decoded([rows(1, minutes.tolist(), values, times)])


def store_rows(store: Store, project: str = "former") -> None:
    for extent in range(EXTENTS):
        for block in blocks_of(extent, project):
            store.insert(block, f"{project}-{extent}:{block.digest()}")


def unpacked(release: Path, folder: Path) -> Path:
    """Return where the packages of ``release`` are."""
    with tarfile.open(release) as archive:
        # Not in the Python 3.11 of Debian 12; from 3.14 on the default.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)
    return folder


def make_store(folder: Path, packages: Path) -> None:
    """Have the release in ``packages`` make a store in ``folder``, with rows."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.former", str(folder)],
        env={**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        cwd=packages,
    )
    assert done.returncode == 0, done.stderr
    assert str(packages) in done.stdout


def make_server_store(store: Any, *, shards: int = 1) -> None:
    """Make the tables of version 1 in ``store``, with rows; the points are spread over shards."""
    from stepwell_store.tables import (
        ATTRIBUTES_BY_PATH,
        NODE_ROLLUPS,
        ROLLUPS,
        SCHEMA_VERSIONS,
        SERIES_STATS_BY_RUN,
        TABLES,
    )

    since = (ATTRIBUTES_BY_PATH, NODE_ROLLUPS, ROLLUPS, SERIES_STATS_BY_RUN)
    tables = [each for each in TABLES if each not in since]
    columns = tuple(column for column in ROLLUPS.columns if column.name != "first")
    store.servers.make_database()
    for table in (SCHEMA_VERSIONS, *tables, replace(ROLLUPS, name="rollups", columns=columns)):
        store.schema.create(table)
    store.schema.note_version(1, "tables")
    for extent in range(EXTENTS):
        for block in blocks_of(extent):
            if block.table in {table.name for table in tables}:
                placed = replace(block, shard=extent % shards if block.table == "points" else 0)
                store.insert(placed, f"former-{extent}:{block.digest()}")


def main() -> None:
    import stepwell_store

    print(stepwell_store.__file__)
    store = open_embedded(Path(sys.argv[1]))
    store.migrate()
    store_rows(store)
    store.close()


if __name__ == "__main__":
    main()
