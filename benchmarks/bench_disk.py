"""How many bytes does a point take on disk after merges?

Twenty runs of ten metrics, 20,000 steps each, through the whole path: noisy losses that came from
float32 (as from a framework), noisy float64 losses, a learning-rate schedule. All tables count:
points, statistics, rollups, series.
"""

import math
import random
import struct

from benchmarks.harness import daemon_running, table

RUNS, METRICS, STEPS = 4, 10, 50_000


def as_float32(value: float) -> float:
    result: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return result


def noisy_loss(step: int, source: random.Random) -> float:
    return 2.0 * math.exp(-step / 10_000) + abs(source.gauss(0.0, 0.05)) + 0.1


SHAPES = {
    "noisy loss, float32 origin": lambda step, source: as_float32(noisy_loss(step, source)),
    "noisy loss, float64": noisy_loss,
    "learning rate, cosine, float64": lambda step, _: 5e-4 * (1 + math.cos(step / STEPS * math.pi)),
}


def main() -> None:
    import stepwell
    from stepwell_store import connect_embedded

    rows = []
    for name, shape in SHAPES.items():
        with daemon_running("--sample-seconds", "0") as daemon:
            source = random.Random(1)
            for _ in range(RUNS):
                run = stepwell.init(project="bench", reinit="create_new")
                for step in range(STEPS):
                    run.log({f"m{i}": shape(step, source) for i in range(METRICS)})
                run.finish()
            daemon.flush()
            store = connect_embedded(daemon.data)
            for held in store.query("SELECT name FROM system.tables WHERE database = 'default'"):
                if held["name"] in ("points", "series_stats", "step_rollups", "series"):
                    store.query_bytes(f"OPTIMIZE TABLE {held['name']} FINAL", output_format="TSV")
            sizes = store.query(
                "SELECT table, sum(bytes_on_disk) AS bytes, sum(rows) AS rows FROM system.parts"
                " WHERE active AND database = 'default' GROUP BY table"
            )
            store.close()
        points = RUNS * METRICS * STEPS
        by_table = {row["table"]: int(row["bytes"]) for row in sizes}
        rows.append(
            [
                name,
                by_table["points"] / points,
                by_table["step_rollups"] / points,
                sum(by_table.values()) / points,
            ]
        )
    print(table(["values", "points B/pt", "rollups B/pt", "all tables B/pt"], rows))


if __name__ == "__main__":
    main()
