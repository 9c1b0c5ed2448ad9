"""`stepwell show RUN`: what a run was started with, what came out, and how its nodes fared."""

import argparse
import math
import time
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.errors import OK
from stepwell.cli.options import add_config, add_data, add_json, add_socket, places
from stepwell.cli.reading import reading
from stepwell.cli.runs import duration_seconds
from stepwell.cli.text import (
    bytes_text,
    count_text,
    flat,
    json_text,
    moment_text,
    number_text,
    pairs_text,
    plain,
    seconds_text,
    table_text,
    value_text,
)

if TYPE_CHECKING:
    from stepwell_store import Store

TAIL_DEFAULT: Final = 10
_LINES_MAX: Final = 60
_UNKNOWN_EXIT_CODE: Final = -1
"""Of config, summary, metrics and node each; the JSON has all."""

_NODE_SUMMARY: Final = """
SELECT s.host AS host, s.metric AS metric, s.label AS label, p.points AS points,
       p.minimum AS minimum, p.maximum AS maximum, p.mean AS mean, p.newest AS newest
FROM (
    SELECT series, count() AS points, min(value) AS minimum, max(value) AS maximum,
           avg(value) AS mean, argMax(value, time) AS newest
    FROM node_points
    WHERE time BETWEEN {first:Int64} AND {last:Int64}
      AND series IN (SELECT series FROM node_series WHERE has({hosts:Array(String)}, host))
    GROUP BY series
) AS p
INNER JOIN (SELECT DISTINCT host, metric, label, series FROM node_series) AS s
    ON s.series = p.series
ORDER BY host, metric, label
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="RUN", help="run id, name, or PROJECT/ either")
    parser.add_argument(
        "--tail", type=int, default=TAIL_DEFAULT, metavar="N", help="so many console lines"
    )
    add_json(parser)
    add_data(parser)
    add_config(parser)
    add_socket(parser)


def run(options: argparse.Namespace) -> int:
    with reading(places(options)) as store:
        from stepwell_store.queries import console_lines, find_run, run_detail

        ref = find_run(store, options.reference)
        detail = run_detail(store, ref.project, ref.run_id)
        detail["series"] = series_of(store, detail)
        detail["console"] = console_lines(store, ref.project, ref.run_id, tail=max(0, options.tail))
        detail["node"] = node_summary(store, detail)
    print(json_text(detail) if options.json else detail_text(detail, now=time.time()))
    return OK


def series_of(store: "Store", detail: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statistics of each label apart, of the metrics that have several labels."""
    if all(len(metric["labels"]) < 2 for metric in detail["metrics"]):
        return []
    from stepwell_store.queries import metrics_of, series_statistics

    project, run_id = detail["project"], detail["run_id"]
    statistics = series_statistics(store, project, run_id)
    joined = [metrics_of(store, project, run_id, statistics=[each])[0] for each in statistics]
    several = {m["metric"] for m in detail["metrics"] if len(m["labels"]) > 1}
    return [
        {
            "metric": each["metric"],
            "label": each["labels"][0],
            **{name: value for name, value in each.items() if name not in ("metric", "labels")},
        }
        for each in joined
        if each["metric"] in several
    ]


def node_summary(store: "Store", detail: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ``{host, metric, label, count, min, max, mean, last}`` in the run's time span."""
    started = detail["started_at"]
    if started is None or not detail["hosts"]:
        return []
    ended = detail["ended_at"] or detail["last_seen"] or time.time()
    rows = store.query(
        _NODE_SUMMARY,
        parameters={
            "hosts": detail["hosts"],
            "first": round(started * 1e6),
            "last": round(ended * 1e6),
        },
    )
    return [
        {
            "host": row["host"],
            "metric": row["metric"],
            "label": row["label"],
            "count": row["points"],
            "min": row["minimum"],
            "max": row["maximum"],
            "mean": row["mean"],
            "last": row["newest"],
        }
        for row in rows
    ]


def detail_text(detail: dict[str, Any], *, now: float) -> str:
    """Return the run for a person."""
    blocks = [pairs_text(_head(detail, now=now), indent="")]
    for name in ("config", "summary"):
        if pairs := flat(detail[name]):
            shown = [(plain(path), _leaf_text(path, value)) for path, value in pairs]
            blocks.append(_section(name, pairs_text(_cut(shown, len(shown)))))
    if metrics := detail["metrics"]:
        blocks.append(_section("metrics", _metrics_table(metrics)))
    if series := detail["series"]:
        apart = [{**each, "metric": f"{each['metric']} [{each['label']}]"} for each in series]
        blocks.append(_section("metrics, each rank apart", _metrics_table(apart)))
    if gaps := detail["gaps"]:
        lines = [f"  {gap_text(gap)}" for gap in gaps[:_LINES_MAX]]
        if len(gaps) > _LINES_MAX:
            lines.append(f"  … {len(gaps) - _LINES_MAX} more; --json has all")
        blocks.append(_section("missing", "\n".join(lines)))
    if node := detail["node"]:
        blocks.append(_section("node, while it ran", _node_table(node)))
    if console := detail["console"]:
        lines = ["  " + plain(line["text"]) for line in console]
        blocks.append(_section("console, the last lines", "\n".join(lines)))
    return "\n\n".join(blocks)


def gap_text(gap: dict[str, Any]) -> str:
    """Return one gap in one line; where nothing is counted, nobody knows how much it was."""
    first, last = gap["first_step"], gap["last_step"]
    span = f"steps {first} to {last}" if first != last else f"step {first}"
    if _is_console(gap):
        what = f"{count_text(gap['rows'])} lines about {span}"
    elif _is_events(gap):
        what = f"{count_text(gap['rows'])} changes of config, summary or the like about {span}"
    elif gap["rows"] or gap["points"]:
        what = f"{count_text(gap['points'])} points in {count_text(gap['rows'])} rows of {span}"
    elif _is_doubt(gap):
        what = f"values of {span} may be wrong"
    elif first == last:
        what = f"what was logged before or after {span}, not counted"
    else:
        what = f"what was logged about {span}, not counted"
    return plain(f"{gap['reason']}: {what}")


def missing_text(gaps: list[dict[str, Any]]) -> str:
    """Return how much ``gaps`` say is missing, "" for nothing."""
    points = sum(gap["points"] for gap in gaps)
    lines = sum(gap["rows"] for gap in gaps if _is_console(gap))
    events = sum(gap["rows"] for gap in gaps if _is_events(gap))
    unknown = sum(
        not (gap["points"] or _is_console(gap) or _is_events(gap) or _is_doubt(gap)) for gap in gaps
    )
    parts = [f"{count_text(points)} points"] if points else []
    if unknown:
        parts.append(f"{count_text(unknown)} piece{'s' * (unknown != 1)} of unknown size")
    if lines:
        parts.append(f"{count_text(lines)} lines of the console")
    if events:
        parts.append(f"{count_text(events)} changes of config, summary or the like")
    return " and ".join(parts)


def doubt_text(gaps: list[dict[str, Any]]) -> str:
    """Return for how many stretches nobody knows whether all values are right, "" for none."""
    doubts = sum(_is_doubt(gap) for gap in gaps)
    return f"values of {count_text(doubts)} stretches of steps may be wrong" if doubts else ""


def _is_doubt(gap: dict[str, Any]) -> bool:
    return str(gap["reason"]).startswith("journal taken as it reads,")


def _is_console(gap: dict[str, Any]) -> bool:
    return str(gap["reason"]).startswith("console,")


def _leaf_text(path: str, value: object) -> str:
    if path == "_timestamp" and isinstance(value, float):
        return moment_text(value)
    return value_text(value)


def _section(title: str, body: str) -> str:
    return f"{title}\n{body}"


def _head(detail: dict[str, Any], *, now: float) -> list[tuple[str, str]]:
    number = detail["exit_code"]
    code = f", exit code {'unknown' if number == _UNKNOWN_EXIT_CODE else number}" if number else ""
    took = seconds_text(duration_seconds(detail, now=now))
    metadata = dict(flat(detail["metadata"]))
    lines = [
        ("run", plain(f"{detail['project']}/{detail['run_id']}")),
        ("name", plain(detail["name"])),
        ("state", plain(detail["state"]) + code),
        ("started", f"{moment_text(detail['started_at'])}, took {took}"),
        ("hosts", plain(", ".join(detail["hosts"]))),
        ("writers", str(len(detail["writers"]))),
        ("points", count_text(sum(metric["count"] for metric in detail["metrics"]))),
    ]
    for name, what in (
        ("MISSING", missing_text(detail["gaps"])),
        ("IN DOUBT", doubt_text(detail["gaps"])),
    ):
        if what:
            lines.append((name, f"{what}, see below"))
    for name in ("tags", "group", "job_type", "notes"):
        if held := detail[name]:
            lines.append((name, plain(", ".join(held) if isinstance(held, list) else held)))
    for path in ("git.commit", "command", "python"):
        if path in metadata:
            lines.append((path, value_text(metadata[path])))
    return lines


def _cut(rows: list[Any], count: int) -> list[Any]:
    if count <= _LINES_MAX:
        return rows
    return [*rows[:_LINES_MAX], ("…", f"{count - _LINES_MAX} more; --json has all")]


def _metrics_table(metrics: list[dict[str, Any]]) -> str:
    rows = [
        [
            "  " + plain(each["metric"]),
            count_text(each["count"]),
            *(number_text(each[name]) for name in ("first", "last", "min", "max", "mean")),
            str(each["last_step"]),
            _odd(each),
        ]
        for each in metrics[:_LINES_MAX]
    ]
    headers = ["  name", "points", "first", "last", "min", "max", "mean", "last step", ""]
    table = table_text(headers, rows, right=range(1, 8))
    left = len(metrics) - _LINES_MAX
    return f"{table}\n  … {left} more; --json has all" if left > 0 else table


def _odd(metric: dict[str, Any]) -> str:
    counts = (
        ("NaN", metric["nan_count"]),
        ("+inf", metric["positive_inf_count"]),
        ("-inf", metric["negative_inf_count"]),
    )
    return ", ".join(f"{count_text(count)} {name}" for name, count in counts if count)


def _node_table(node: list[dict[str, Any]]) -> str:
    """Return the node's series but those that only count up; the JSON has all."""
    several = len({each["host"] for each in node}) > 1
    shown = [each for each in node if not each["metric"].endswith("_total")]
    rows = [
        [
            "  " + plain(" ".join(filter(None, (each["host"] if several else "", each["metric"])))),
            plain(each["label"]),
            *(_node_value(each["metric"], each[name]) for name in ("min", "mean", "max", "last")),
        ]
        for each in shown[:_LINES_MAX]
    ]
    return table_text(["  name", "", "min", "mean", "max", "last"], rows, right=range(2, 6))


def _node_value(metric: str, value: float) -> str:
    if not math.isfinite(value):
        return number_text(value)
    if metric.endswith("_bytes"):
        return bytes_text(value)
    if metric.endswith("_bytes_per_second"):
        return f"{bytes_text(value)}/s"
    return f"{100 * value:.1f} %" if metric.endswith("_ratio") else f"{value:.4g}"


def _is_events(gap: dict[str, Any]) -> bool:
    return str(gap["reason"]).startswith("events,")
