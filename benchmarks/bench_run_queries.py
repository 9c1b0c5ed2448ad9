"""How long do the questions of a page of runs take, on a store of 10,000 runs?

Each run has 200 config values and 50 metrics; another project has one run with 100,000 metrics.
Everything is made inside the embedded engine. Beside each question: the SQL that answered it
before queries were filtered, sorted and paged in the engine. Medians of seven, after one that
warms up. ``STEPWELL_BENCH_SCALE=0.01`` makes it small.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.harness import table

REPEATS: Final = 7
METRICS: Final = 50
CONFIG_KEYS: Final = 200
PROJECT: Final = "bench"
WIDE: Final = "wide"
_SECONDS: Final = 600


def main() -> None:
    from stepwell_store import open_embedded
    from stepwell_store.queries import get_run, list_metrics, list_runs, project_pulse

    scale = float(os.environ.get("STEPWELL_BENCH_SCALE", "1"))
    runs, names = round(10_000 * scale), round(100_000 * scale)
    with tempfile.TemporaryDirectory() as folder:
        store = open_embedded(Path(folder))
        store.migrate()
        make_runs(store, runs)
        make_names(store, names)
        one = f"run-{runs // 2:05}"
        filtered: dict[str, Any] = {
            "filter": "lr<0.05 group0/metric0<0.5",
            "sort": ("-group0/metric0", "lr"),
            "columns": ("lr", "group0/metric0", "opt.k001", "metric.group1/metric1:min"),
        }
        search = "metric/0*4[2-5]7$"
        questions: list[tuple[str, Callable[[], Any], Callable[[], Any] | None]] = [
            (
                f"100 of {runs:,} runs by a config and a summary path",
                lambda: list_runs(store, PROJECT, **filtered),
                lambda: former_table(store, ["lr"], ["group0/metric0"]),
            ),
            (
                "100 runs, the newest first",
                lambda: list_runs(store, PROJECT),
                lambda: former_list(store),
            ),
            (
                "the page after that",
                lambda: list_runs(store, PROJECT, cursor=following),
                lambda: former_list(store),
            ),
            (
                f"search over {names:,} metric names",
                lambda: list_metrics(store, WIDE, search=search, limit=100),
                lambda: former_names(store),
            ),
            (
                f"metric names of {runs:,} runs",
                lambda: list_metrics(store, PROJECT, limit=100),
                None,
            ),
            (
                "a run by id",
                lambda: get_run(store, PROJECT, one),
                lambda: former_detail(store, one),
            ),
            ("did anything change?", lambda: project_pulse(store, PROJECT), None),
        ]
        following = list_runs(store, PROJECT).next_cursor
        assert store.engine_pid is not None
        processes = [psutil.Process(), psutil.Process(store.engine_pid)]
        rows = [
            [
                name,
                *measured(ask, processes),
                *(measured(former, processes) if former else ("", "", "")),
            ]
            for name, ask, former in questions
        ]
        store.close()
    heads = ["median ms", "max ms", "CPU ms"]
    print(table(["question", *heads, *(f"former {head}" for head in heads)], rows))


def measured(ask: Callable[[], Any], processes: list[psutil.Process]) -> tuple[str, str, str]:
    """Return median and maximum in milliseconds, and the CPU of one question in ``processes``."""
    ask()
    taken = []
    before = sum(sum(each.cpu_times()[:2]) for each in processes)
    for _ in range(REPEATS):
        started = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - started) * 1000)
    used = sum(sum(each.cpu_times()[:2]) for each in processes) - before
    cpu = used * 1000 / REPEATS
    return f"{statistics.median(taken):.1f}", f"{max(taken):.1f}", f"{cpu:.0f}"


# ---------------------------------------------------------------------- the seeded store


def make_runs(store: Any, runs: int) -> None:
    """Fill every table that the questions read; run ``n`` started ``n`` seconds after the first."""
    from stepwell_store.identity import fingerprint

    metrics = [f"group{number % 5}/metric{number}" for number in range(METRICS)]
    keys = ["lr", *(f"opt.k{number:03}" for number in range(CONFIG_KEYS - 1))]
    ids = [f"run-{number:05}" for number in range(runs)]
    run_keys = [fingerprint(PROJECT, run_id) for run_id in ids]
    named = {
        "project": PROJECT,
        "id": fingerprint(PROJECT),
        "runs": ids,
        "run_keys": run_keys,
        "metrics": metrics,
        "metric_ids": [fingerprint(metric) for metric in metrics],
        "paths": keys,
    }
    start = "1700000000000000 + (rowNumberInAllBlocks() % 10000) * 1000000"
    _fill(
        store,
        "INSERT INTO writers (project, run_id, writer_id, label, host, pid, rank, world_size, "
        "client, resumed, started_at, last_seen, state, run_key) SELECT {project:String}, run.1, "
        f"'w', '', 'node', 1, 0, 1, 'bench', 0, {start} AS began, began + 500000, "
        "(began + 500000, 'finished', 0), run.2 "
        "FROM (SELECT arrayJoin(arrayZip({runs:Array(String)}, {run_keys:Array(UInt64)})) AS run)",
        named,
    )
    number = "cityHash64(run_id, path) / 18446744073709551616."
    for table_name in ("attributes", "attributes_by_path"):
        for part in range(0, runs, 1000):
            _fill(
                store,
                f"INSERT INTO {table_name} SELECT {{project:String}}, run_id, 'config', path, "
                f"'float', {number}, 0, '', 0, 1700000000000000 FROM ("
                "SELECT arrayJoin({runs:Array(String)}) AS run_id, "
                "arrayJoin({paths:Array(String)}) AS path)",
                {**named, "runs": ids[part : part + 1000]},
            )
        _fill(
            store,
            f"INSERT INTO {table_name} SELECT {{project:String}}, run_id, 'run', path, "
            "'text', 0, 0, concat(path, ' of ', run_id), 0, 1700000000000000 FROM ("
            "SELECT arrayJoin({runs:Array(String)}) AS run_id, "
            "arrayJoin(['name', 'group', 'notes']) AS path)",
            named,
        )
    pairs = (
        "(SELECT arrayJoin(arrayZip({runs:Array(String)}, {run_keys:Array(UInt64)})) AS run, "
        "arrayJoin(arrayZip({metrics:Array(String)}, {metric_ids:Array(UInt64)})) AS metric)"
    )
    _fill(
        store,
        "INSERT INTO series SELECT {project:String}, run.1, metric.1, '', "
        f"cityHash64(run.2, metric.2), {{id:UInt64}}, metric.2, run.2 FROM {pairs}",
        named,
    )
    value = "rand() / 4294967296."
    _fill(
        store,
        "INSERT INTO series_stats SELECT {id:UInt64}, metric.2, run.2, "
        f"cityHash64(run.2, metric.2), 1000, 0, 0, 0, {value}, 1 + {value}, 500., (0, 0, 1.), "
        f"(999, 1700000000400000, {value}), 1700000000000000, 1700000000400000 FROM {pairs}",
        named,
    )
    _fill(store, "INSERT INTO series_stats_by_run SELECT * FROM series_stats", named)


def make_names(store: Any, names: int) -> None:
    """Fill the names and statistics of one run with many metrics."""
    from stepwell_store.identity import fingerprint

    metrics = [f"layer{number % 97}/metric/{number:06}" for number in range(names)]
    for part in range(0, names, 20_000):
        chunk = metrics[part : part + 20_000]
        named = {
            "project": WIDE,
            "id": fingerprint(WIDE),
            "key": fingerprint(WIDE, "run"),
            "metrics": chunk,
            "ids": [fingerprint(metric) for metric in chunk],
        }
        pairs = "(SELECT arrayJoin(arrayZip({metrics:Array(String)}, {ids:Array(UInt64)})) AS m)"
        _fill(
            store,
            "INSERT INTO series SELECT {project:String}, 'run', m.1, '', m.2, {id:UInt64}, m.2, "
            f"{{key:UInt64}} FROM {pairs}",
            named,
        )
        _fill(
            store,
            "INSERT INTO series_stats SELECT {id:UInt64}, m.2, {key:UInt64}, m.2, 1, 0, 0, 0, 1., "
            f"1., 1., (0, 0, 1.), (0, 0, 1.), 0, 0 FROM {pairs}",
            named,
        )


def _fill(store: Any, sql: str, parameters: dict[str, Any]) -> None:
    used = {name: value for name, value in parameters.items() if f"{{{name}:" in sql}
    store.query(sql, parameters=used, timeout_seconds=_SECONDS)


# ---------------------------------------------------------------------- how it was asked before

_WRITERS: Final = """
SELECT project, run_id, writer_id, max(w.label) AS label, max(w.host) AS host,
       max(w.pid) AS pid, max(w.rank) AS rank, max(w.world_size) AS world_size,
       max(w.client) AS client, max(w.resumed) AS resumed, max(w.started_at) AS started_at,
       max(w.last_seen) AS last_seen, max(w.state) AS ended
FROM writers AS w
WHERE project = {project:String} AND ({run_id:String} = '' OR run_id = {run_id:String})
GROUP BY project, run_id, writer_id ORDER BY project, run_id, rank, started_at, writer_id
"""
_ATTRIBUTES: Final = """
SELECT project, run_id, kind, path, type, float, int, text, deleted, version
FROM attributes FINAL
WHERE project = {project:String} AND ({run_id:String} = '' OR run_id = {run_id:String})
  AND kind IN {kinds:Array(String)}
"""
_STATISTICS: Final = """
SELECT series, sum(count), sum(nan_count), sum(positive_inf_count), sum(negative_inf_count),
       min(min), max(max), sum(sum), min(first), max(last), min(time_min), max(time_max)
FROM series_stats
WHERE project_id = {id:UInt64} AND run_key = {key:UInt64} AND metric_id IN {ids:Array(UInt64)}
GROUP BY series
"""


def former_list(store: Any) -> None:
    """Every writer, every `run` attribute and the last points of every series."""
    from stepwell_store.identity import fingerprint

    store.query(_WRITERS, parameters={"project": PROJECT, "run_id": ""})
    _former_attributes(store, "", ["run"])
    store.query(
        "SELECT run_key, max(s.time_max) AS time_max FROM series_stats AS s "
        "WHERE project_id = {id:UInt64} GROUP BY run_key",
        parameters={"id": fingerprint(PROJECT)},
    )


def former_table(store: Any, paths: list[str], metrics: list[str]) -> None:
    """The list, and for its columns all of config and the statistics of the metrics."""
    from stepwell_store.identity import fingerprint

    former_list(store)
    store.query(
        "SELECT run_id, path, type, float, int, text FROM attributes FINAL "
        "WHERE project = {project:String} AND kind = 'config' AND path IN {paths:Array(String)}",
        parameters={"project": PROJECT, "paths": paths},
    )
    store.arrays(
        "SELECT metric_id, run_key, sum(count) AS points, min(min) AS minimum, max(max) AS maximum,"
        " sum(sum) AS total, max(last.step) AS newest_step, "
        "argMax(last.value, bitShiftLeft(toInt128(last.step), 64) + last.time) AS newest "
        "FROM series_stats WHERE project_id = {id:UInt64} AND metric_id IN {ids:Array(UInt64)} "
        "GROUP BY metric_id, run_key",
        parameters={"id": fingerprint(PROJECT), "ids": [fingerprint(each) for each in metrics]},
    )


def former_names(store: Any) -> None:
    """All names, to be searched by the caller."""
    store.query(
        "SELECT DISTINCT metric FROM series WHERE project = {project:String} ORDER BY metric",
        parameters={"project": WIDE},
    )


def former_detail(store: Any, run_id: str) -> None:
    """The seven queries of one run."""
    from stepwell_store.identity import fingerprint

    where = {"project": PROJECT, "run_id": run_id}
    store.query(_WRITERS, parameters=where)
    names = store.query(
        "SELECT DISTINCT metric, label, series, metric_id FROM series "
        "WHERE project = {project:String} AND run_id = {run_id:String} ORDER BY metric, label",
        parameters=where,
    )
    store.query(
        _STATISTICS,
        parameters={
            "id": fingerprint(PROJECT),
            "key": fingerprint(PROJECT, run_id),
            "ids": [row["metric_id"] for row in names],
        },
    )
    _former_attributes(store, run_id, ["config", "summary", "metadata", "run", "define_metric"])
    store.query(
        "SELECT metric, max((step, time, type, text)) AS last FROM texts "
        "WHERE project = {project:String} AND run_id = {run_id:String} GROUP BY metric",
        parameters=where,
    )
    store.query(
        "SELECT DISTINCT * FROM gaps WHERE project = {project:String} AND run_id = {run_id:String}",
        parameters=where,
    )


def _former_attributes(store: Any, run_id: str, kinds: list[str]) -> None:
    store.query(_ATTRIBUTES, parameters={"project": PROJECT, "run_id": run_id, "kinds": kinds})


if __name__ == "__main__":
    main()
