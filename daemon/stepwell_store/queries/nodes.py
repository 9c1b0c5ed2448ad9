"""The nodes that a run ran on, their devices, and their metrics while it ran."""

from dataclasses import dataclass
from typing import Any, Final

from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.run_devices import OWN_LABELS, devices_of
from stepwell_store.queries.writers import state_of, writers_of
from stepwell_store.store import Store

_NODES: Final = """
SELECT s.host AS host, s.metric AS metric, s.label AS label, p.points AS points,
       p.minimum AS minimum, p.maximum AS maximum, p.mean AS mean, p.newest AS newest
FROM (
    SELECT series, count() AS points, min(value) AS minimum, max(value) AS maximum,
           avg(value) AS mean, argMax(value, time) AS newest
    FROM node_points
    WHERE time BETWEEN {first:Int64} AND {last:Int64}
      AND series IN (
          SELECT series FROM node_series WHERE host IN {hosts:Array(String)} AND OWN_LABELS
      )
    GROUP BY series
) AS p
INNER JOIN (
    SELECT DISTINCT host, metric, label, series FROM node_series
    WHERE host IN {hosts:Array(String)} AND OWN_LABELS
) AS s ON s.series = p.series
ORDER BY host, metric, label
""".replace("OWN_LABELS", OWN_LABELS)


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a node; ``kind`` is the first part of its metrics' names, such as ``gpu``."""

    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class NodeMetric:
    """One series of a node while the run ran; ``label`` is the device's, empty for the node."""

    metric: str
    label: str
    count: int
    min: float
    max: float
    mean: float
    last: float


@dataclass(frozen=True, slots=True)
class RunNode:
    """A node on which writers of the run ran."""

    host: str
    devices: tuple[Device, ...]
    metrics: tuple[NodeMetric, ...]


def run_nodes(
    store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT
) -> tuple[RunNode, ...]:
    """Return the nodes of a run by name; a node without points in its time has no metrics.

    Of GPUs and processes only the run's own are there.
    """
    question = Question(store, limits)
    state = state_of(question, project, run_id)
    if state is None or not state.hosts:
        return ()
    # A run that runs has no end: points of its nodes that are newer than its last event count.
    last = state.ended_us or 2**62
    of_run = devices_of(question, project, run_id, writers_of(question, project, run_id))
    span = {"first": state.started_us, "last": last}
    rows = question.rows(_NODES, {"hosts": list(state.hosts), **span, "writers": of_run.writer_ids})
    by_host: dict[str, list[dict[str, Any]]] = {host: [] for host in state.hosts}
    for row in rows:
        if (label := of_run.shown(row["host"], row["label"])) is not None:
            by_host[row["host"]].append({**row, "label": label})
    return tuple(_node(host, held) for host, held in by_host.items())


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
