"""`stepwell show RUN`: config, results and nodes of a run."""

import argparse
import math
import re
import time
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from stepwell.cli.ended import RUNNING, gone_without_daemon, print_ended
from stepwell.cli.errors import OK
from stepwell.cli.gaps import doubt_text, gap_text, gaps_of, missing_text
from stepwell.cli.options import add_json, add_store, count, places
from stepwell.cli.reading import reading
from stepwell.cli.runs import duration_seconds
from stepwell.cli.text import (
    bytes_text,
    count_text,
    counted,
    flat,
    json_text,
    number_text,
    pairs_text,
    plain,
    seconds_text,
    table_text,
    value_text,
    zoned_text,
)
from stepwell.cli.unsent import print_unsent
from stepwell_wire.exit_note import signal_of
from stepwell_wire.records import FAILED_ARTIFACTS

if TYPE_CHECKING:
    from stepwell_store import Store
    from stepwell_store.queries import HistogramName, RunRef

TAIL_DEFAULT: Final = 10
_NUMBERED: Final = re.compile(r"([^0-9]*)([0-9]*)")
_LINES_MAX: Final = 60
"""Lines shown for each of config, summary, metrics and node; the JSON has all."""
_WRITERS_MAX: Final = 20
_VALUE_CHARACTERS_MAX: Final = 300
_CONSOLE_PAGE_LINES: Final = 10_000
_HISTOGRAMS_AT_ONCE: Final = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="RUN", help="id or name of a run, or PROJECT/RUN")
    parser.add_argument(
        "--tail",
        type=count,
        default=TAIL_DEFAULT,
        metavar="N",
        help=f"number of console lines; default {TAIL_DEFAULT}",
    )
    parser.add_argument("--node", action="store_true", help="include the telemetry of its nodes")
    add_json(parser)
    add_store(parser)


def run(options: argparse.Namespace) -> int:
    where = places(options)
    with reading(where) as store:
        from stepwell_store.queries import find_run

        ref = find_run(store, options.reference)
        detail = detail_of(store, ref, tail=options.tail)
        running = {(ref.project, ref.run_id)} if detail["state"] == RUNNING else set()
        gone = gone_without_daemon(where, store, running)
    print_unsent(where, str(ref))
    print_ended(where, running, gone)
    print(
        json_text(detail)
        if options.json
        else detail_text(detail, now=time.time(), with_node=options.node)
    )
    return OK


def detail_of(store: "Store", ref: "RunRef", *, tail: int) -> dict[str, Any]:
    """Return all facts of a run by the keys of docs/cli.md."""
    from stepwell_store import queries

    where = (store, ref.project, ref.run_id)
    detail = asdict(queries.get_run(*where))
    del detail["columns"]
    metrics = queries.run_metrics(*where)
    detail["metrics"] = [asdict(each) for each in metrics]
    detail["histograms"] = [asdict(each) for each in histograms_of(store, ref)]
    for each in detail["histograms"]:
        del each["run_count"]
    detail["writers"] = [asdict(each) for each in queries.list_writers(*where)]
    detail["gaps"] = gaps_of(store, ref.project, [ref.run_id])
    for gap in detail["gaps"]:
        del gap["run_id"]
    several = {each.metric for each in metrics if len(each.labels) > 1}
    apart = queries.run_series(*where) if several else ()
    series = [_series(asdict(each)) for each in apart if each.metric in several]
    detail["series"] = sorted(series, key=lambda each: (each["metric"], _natural(each["label"])))
    detail["console"] = console_tail(store, ref, tail)
    detail["node"] = [
        {"host": node.host, **asdict(metric)}
        for node in queries.run_nodes(*where)
        for metric in node.metrics
    ]
    return detail


def console_tail(store: "Store", ref: "RunRef", count: int) -> list[dict[str, Any]]:
    """Return the last ``count`` lines of the console, the oldest first."""
    from stepwell_store.queries import console_lines

    found: list[dict[str, Any]] = []
    before = None
    while len(found) < count:
        left = min(count - len(found), _CONSOLE_PAGE_LINES)
        page = console_lines(store, ref.project, ref.run_id, before=before, limit=left)
        lines = [asdict(line) for line in page.lines]
        for line in lines:
            del line["id"], line["cursor"]
        found = lines + found
        before = page.before
        if before is None:
            break
    return found


def histograms_of(store: "Store", ref: "RunRef") -> "list[HistogramName]":
    """Return the run's metrics of histograms, by name."""
    from stepwell_store.queries import list_histograms

    found: list[HistogramName] = []
    cursor = None
    while True:
        page = list_histograms(
            store, ref.project, run_ids=[ref.run_id], limit=_HISTOGRAMS_AT_ONCE, cursor=cursor
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def _natural(label: str) -> list[tuple[str, int]]:
    """Return a key by which rank2 comes before rank10."""
    return [(text, int(digits or 0)) for text, digits in _NUMBERED.findall(label)]


def _series(joined: dict[str, Any]) -> dict[str, Any]:
    """Return one series of several: its only label in place of ``labels``."""
    (label,) = joined.pop("labels")
    return {"metric": joined.pop("metric"), "label": label, **joined}


def detail_text(detail: dict[str, Any], *, now: float, with_node: bool = False) -> str:
    """Return the run for a person."""
    blocks = [pairs_text(_head(detail, now=now), indent="")]
    if writers := _differing(detail["writers"]):
        blocks.append(_section("writers", _writers_table(writers)))
    for name in ("config", "summary"):
        if pairs := flat(detail[name], has_media=name == "summary"):
            shown = [(plain(path), _leaf_text(path, value)) for path, value in pairs]
            blocks.append(_section(name, pairs_text(_cut(shown, len(shown)))))
    if metrics := detail["metrics"]:
        blocks.append(_section("metrics", _metrics_table(metrics)))
    if series := detail["series"]:
        apart = [{**each, "metric": f"{each['metric']} [{each['label']}]"} for each in series]
        blocks.append(_section("metrics, each rank apart", _metrics_table(apart)))
    if histograms := detail["histograms"]:
        blocks.append(_section("histograms", _histograms_table(histograms)))
    if gaps := detail["gaps"]:
        lines = [f"  {gap_text(gap)}" for gap in gaps[:_LINES_MAX]]
        blocks.append(_section("missing", "\n".join(lines) + _more(gaps)))
    if failed := list(detail["metadata"].get(FAILED_ARTIFACTS, {}).values()):
        lines = [
            f"  {plain(each['name'])}, {zoned_text(each['at'])}: {plain(each['reason'])}"
            for each in failed[:_LINES_MAX]
        ]
        blocks.append(_section("artifacts that were not made", "\n".join(lines) + _more(failed)))
    if node := detail["node"]:
        if with_node:
            blocks.append(_section("node, while it ran", _node_table(node)))
        else:
            blocks.append(f"node  {count_text(len(node))} series; --node shows them")
    if console := detail["console"]:
        lines = ["  " + plain(line["text"]) for line in console]
        blocks.append(_section("console, the last lines", "\n".join(lines)))
    return "\n\n".join(blocks)


def _leaf_text(path: str, value: object) -> str:
    if path == "_timestamp" and isinstance(value, float):
        return zoned_text(value)
    text = value_text(value)
    if len(text) <= _VALUE_CHARACTERS_MAX:
        return text
    size = counted(len(text), "character")
    if isinstance(value, list):
        size = counted(len(value), "value")
    return f"{text[:_VALUE_CHARACTERS_MAX]}… ({size}; --json has all)"


def _section(title: str, body: str) -> str:
    return f"{title}\n{body}"


def _state_text(state: str, exit_code: int | None) -> str:
    name = signal_of(exit_code) if state == "killed" and exit_code is not None else ""
    return f"killed by {name}" if name else plain(state)


def _head(detail: dict[str, Any], *, now: float) -> list[tuple[str, str]]:
    number = detail["exit_code"]
    code = f", exit code {number}" if number else ""
    if number is None and detail["state"] not in ("running", "unknown"):
        code = ", exit code unknown"
    took = seconds_text(duration_seconds(detail, now=now))
    metadata = dict(flat(detail["metadata"]))
    lines = [
        ("run", plain(f"{detail['project']}/{detail['run_id']}")),
        ("name", plain(detail["name"])),
        ("state", _state_text(detail["state"], number) + code),
        ("started", f"{zoned_text(detail['started_at'])}, took {took}"),
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
    for name in ("tags", "group", "job_type", "sweep", "notes"):
        if held := detail[name]:
            lines.append((name, plain(", ".join(held) if isinstance(held, list | tuple) else held)))
    for path in ("git.commit", "command", "python"):
        if path in metadata:
            lines.append((path, value_text(metadata[path])))
    return lines


def _differing(writers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the writers, those with the less common ends first; none if all ended alike."""
    ends = Counter((each["state"], each["exit_code"]) for each in writers)
    if len(ends) < 2:
        return []
    return sorted(writers, key=lambda each: ends[each["state"], each["exit_code"]])


def _writers_table(writers: list[dict[str, Any]]) -> str:
    rows = [
        [
            "  " + (plain(each["label"]) or (f"rank {each['rank']}" if each["rank"] >= 0 else "-")),
            plain(f"{each['host']}:{each['pid']}"),
            _state_text(each["state"], each["exit_code"]),
            "-" if each["exit_code"] is None else str(each["exit_code"]),
        ]
        for each in writers[:_WRITERS_MAX]
    ]
    left = len(writers) - _WRITERS_MAX
    more = f"\n  … {left} more; --json has all" if left > 0 else ""
    return table_text(["  label", "host:pid", "state", "exit code"], rows, right=(3,)) + more


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
    return table_text(headers, rows, right=range(1, 8)) + _more(metrics)


def _histograms_table(histograms: list[dict[str, Any]]) -> str:
    rows = [
        [
            "  " + plain(each["metric"]),
            count_text(each["histogram_count"]),
            str(each["first_step"]),
            str(each["last_step"]),
        ]
        for each in histograms[:_LINES_MAX]
    ]
    headers = ["  name", "histograms", "first step", "last step"]
    return table_text(headers, rows, right=range(1, 4)) + _more(histograms)


def _more(found: list[Any]) -> str:
    """Return the line that says how many of ``found`` are not shown, "" for none."""
    left = len(found) - _LINES_MAX
    return f"\n  … {left} more; --json has all" if left > 0 else ""


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
