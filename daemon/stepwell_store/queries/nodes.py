"""The nodes of a run, their devices, and their metrics while it ran."""

from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.aggregates import NODE_ROLLUP_WIDTHS
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.run_devices import OWN_LABELS, devices_of
from stepwell_store.queries.writers import state_of, writers_of
from stepwell_store.store import Store

_OWN: Final = """
series IN (SELECT series FROM node_series WHERE host IN {hosts:Array(String)} AND OWN_LABELS)
"""
_POINTS: Final = f"""
    SELECT series, count() AS held, toInt64(countIf(isFinite(value))) AS finite,
           min(if(isFinite(value), value, inf)) AS lowest,
           max(if(isFinite(value), value, -inf)) AS highest,
           sum(if(isFinite(value), value, 0)) AS total, max((time, value)) AS latest
    FROM node_points WHERE PLACES AND {_OWN} GROUP BY series
"""
_ROLLED: Final = f"""
    SELECT series, sum(count) AS held,
           toInt64(sum(count) - sum(nan_count) - sum(positive_inf_count)
               - sum(negative_inf_count)) AS finite,
           min(min) AS lowest, max(max) AS highest, sum(sum) AS total, max(last) AS latest
    FROM node_rollups
    WHERE width = {{width:UInt32}} AND time >= {{whole:Int64}} AND time < {{rest:Int64}} AND {_OWN}
    GROUP BY series
"""
_NODES: Final = """
SELECT s.host AS host, s.metric AS metric, s.label AS label, p.points AS points,
       p.minimum AS minimum, p.maximum AS maximum, p.mean AS mean, p.newest AS newest
FROM (
    SELECT series, sum(held) AS points, if(sum(finite) > 0, min(lowest), nan) AS minimum,
           if(sum(finite) > 0, max(highest), nan) AS maximum, sum(total) / sum(finite) AS mean,
           tupleElement(max(latest), 2) AS newest
    FROM (PARTS) GROUP BY series
) AS p
INNER JOIN (
    SELECT DISTINCT host, metric, label, series FROM node_series
    WHERE host IN {hosts:Array(String)} AND OWN_LABELS
) AS s ON s.series = p.series
ORDER BY host, metric, label
"""
_WHOLE: Final = "time BETWEEN {first:Int64} AND {last:Int64}"
_AROUND: Final = (
    "(time BETWEEN {first:Int64} AND {whole:Int64} - 1 OR "
    "time BETWEEN {rest:Int64} AND {last:Int64})"
)
_WIDTH: Final = NODE_ROLLUP_WIDTHS[-1]


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a node; ``kind`` is the first part of its metrics' names, such as ``gpu``."""

    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class NodeMetric:
    """One series of a node during the run; ``label`` is the device's, empty for the node."""

    metric: str
    label: str
    count: int
    min: float
    max: float
    mean: float
    last: float


@dataclass(frozen=True, slots=True)
class RunNode:
    """A node with writers of the run."""

    host: str
    devices: tuple[Device, ...]
    metrics: tuple[NodeMetric, ...]


def run_nodes(
    store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT
) -> tuple[RunNode, ...]:
    """Return the nodes of a run by name; a node without points in the run's time has no metrics.

    Of GPUs and processes, only the run's own are included.
    """
    question = Question(store, limits)
    state = state_of(question, project, run_id)
    if state is None or not state.hosts:
        return ()
    # A running run has no end: points of its nodes that are newer than its last event count.
    last = state.ended_us or 2**62
    of_run = devices_of(question, project, run_id, writers_of(question, project, run_id))
    sql, span = _asked(state.started_us, last)
    rows = question.rows(sql, {"hosts": list(state.hosts), **span, "writers": of_run.writer_ids})
    by_host: dict[str, list[dict[str, Any]]] = {host: [] for host in state.hosts}
    for row in rows:
        if (label := of_run.shown(row["host"], row["label"])) is not None:
            by_host[row["host"]].append({**row, "label": label})
    return tuple(_node(host, held) for host, held in by_host.items())


def _asked(first: int, last: int) -> tuple[str, dict[str, int]]:
    """Return the query for the samples from ``first`` to ``last`` µs, and its span.

    Rollups are used for the buckets that are completely inside, points for the time before and
    after them.
    """
    whole, rest = -(-first // _WIDTH) * _WIDTH, (last + 1) // _WIDTH * _WIDTH
    span = {"first": first, "last": last}
    if whole >= rest:
        parts = _POINTS.replace("PLACES", _WHOLE)
    else:
        parts = f"{_POINTS.replace('PLACES', _AROUND)} UNION ALL {_ROLLED}"
        span |= {"whole": whole, "rest": rest, "width": _WIDTH}
    return _NODES.replace("PARTS", parts).replace("OWN_LABELS", OWN_LABELS), span


def _node(host: str, rows: list[dict[str, Any]]) -> RunNode:
    devices = {(row["label"], _kind(row["metric"])) for row in rows if row["label"]}
    return RunNode(
        host,
        tuple(Device(label, kind) for label, kind in sorted(devices)),
        tuple(
            NodeMetric(
                row["metric"],
                row["label"],
                row["points"],
                row["minimum"],
                row["maximum"],
                row["mean"],
                row["newest"],
            )
            for row in rows
        ),
    )


def _kind(metric: str) -> str:
    """Return the first part of a node's metric: ``gpu`` of ``gpu/power_watts``."""
    return metric.partition("/")[0]
