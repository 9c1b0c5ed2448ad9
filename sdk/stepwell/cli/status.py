"""`stepwell status`: state of the daemon, and the places it uses."""

import argparse
from pathlib import Path
from typing import Any, Final

from stepwell.cli.daemon_client import no_daemon, status_of
from stepwell.cli.errors import FAILED, OK, CommandError
from stepwell.cli.options import add_config, add_json, add_socket, places
from stepwell.cli.page import catalog_problem, no_page_problem
from stepwell.cli.reading import configured_socket
from stepwell.cli.text import (
    bytes_text,
    count_text,
    counted,
    json_text,
    number_text,
    pairs_text,
    plain,
    seconds_text,
    table_text,
)

_AWAY_SHOWN: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    add_config(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    socket = configured_socket(places(options))
    try:
        status = status_of(socket)
        if status is None:
            raise no_daemon(socket)
    except CommandError as error:
        if options.json:
            print(json_text({"ready": False, "socket": str(socket), "problems": [str(error)]}))
        raise
    url, folder = status.get("page_url"), status.get("hub_folder")
    if url and folder and (problem := catalog_problem(str(url), Path(folder))):
        status["problems"] = [*status.get("problems", ()), str(problem)]
    print(json_text(status) if options.json else status_text(status))
    return OK if status.get("ready") else FAILED


def status_text(status: dict[str, Any]) -> str:
    """Return the status for a person."""
    blocks = [pairs_text(_places(status), indent="")]
    if problems := status.get("problems"):
        blocks.append("\n".join(f"! {plain(each)}" for each in problems))
    blocks.append(pairs_text(_flow(status), indent=""))
    if writers := status.get("writers"):
        blocks.append(writers_table(writers))
    return "\n\n".join(blocks)


def _places(status: dict[str, Any]) -> list[tuple[str, str]]:
    uptime = seconds_text(status.get("uptime_seconds"))
    state = "ready" if status.get("ready") else "NOT READY"
    return [
        ("daemon", f"{state}, pid {status.get('pid')}, {status.get('version')}, up {uptime}"),
        ("socket", plain(status.get("socket", ""))),
        *(_personal(status) if status.get("personal") else ()),
        ("page", plain(_page(status))),
        ("metrics", plain(status.get("metrics_url") or "off")),
        ("data", plain(status.get("data_dir", ""))),
    ]


def _page(status: dict[str, Any]) -> str:
    """Return the page's address, or why there is none."""
    if no_page_problem(status):
        return "none, see below"
    if url := status.get("page_url"):
        return str(url)
    kind = str((status.get("sink") or {}).get("kind", "embedded"))
    if not status.get("wants_hub", kind == "embedded"):  # An older daemon has no such field.
        return str(status.get("hub_url") or "none here")
    return "none yet"


def _personal(status: dict[str, Any]) -> list[tuple[str, str]]:
    idle = seconds_text(status.get("idle_exit_seconds"))
    return [("personal", f"ends with `stepwell down` or after {idle} without use")]


def _flow(status: dict[str, Any]) -> list[tuple[str, str]]:
    rates, totals = status.get("rates", {}), status.get("totals", {})
    spool, sink = status.get("spool", {}), status.get("sink", {})
    refused = totals.get("refused") or {}
    lines = [
        (
            "received",
            f"{counted(totals.get('points_received', 0), 'point')}, "
            f"{number_text(float(rates.get('points_received_per_second', 0)))} /s now",
        ),
        (
            "stored",
            f"{counted(totals.get('points_stored', 0), 'point')}, "
            f"{number_text(float(rates.get('points_stored_per_second', 0)))} /s now",
        ),
        ("spool", spool_text(spool)),
        ("sink", sink_text(sink)),
    ]
    if media := media_text(status.get("blobs") or {}):
        lines.append(("media", media))
    if artifacts := artifacts_text(status.get("artifacts") or {}):
        lines.append(("artifacts", artifacts))
    if refused:
        lines.append(("refused", ", ".join(f"{plain(k)} {n}" for k, n in refused.items())))
    dead_letters = totals.get("dead_letter_records", 0)
    if dead_letters:
        lines.append(
            ("dead letters", f"{counted(dead_letters, 'record')}, kept in the spool's folder")
        )
    return lines


def waiting_bytes(spool: dict[str, Any]) -> int:
    """Return the spooled bytes that are not yet stored; the files hold more, for a while."""
    return int(spool.get("unforwarded_bytes", spool.get("bytes", 0)))


def spool_text(spool: dict[str, Any]) -> str:
    """Return how full the spool is, in one line."""
    oldest = spool.get("oldest_unforwarded_seconds") or 0.0
    age = f", the oldest {seconds_text(oldest)} old" if oldest else ""
    waiting = waiting_bytes(spool)
    room = max(0, spool.get("bytes_max", 0) - waiting)
    free = spool.get("disk_free_bytes")
    if free is not None:  # A daemon of an older release does not report it.
        # Stored bytes in its segments are freed for new ones.
        room = min(room, free + max(0, spool.get("bytes", 0) - waiting))
    return (
        f"{bytes_text(waiting)} waiting{age}; room for {bytes_text(room)} more, "
        f"{bytes_text(spool.get('bytes', 0))} on disk"
    )


def media_text(blobs: dict[str, Any]) -> str:
    """Return the state of the blobs, in one line; "" without any."""
    counts = {name: int(blobs.get(name) or 0) for name in ("stored", "known", "failed", "waiting")}
    if not any(counts.values()):
        return ""
    parts = [f"{count_text(counts['stored'])} stored"]
    if counts["known"]:
        parts.append(f"{count_text(counts['known'])} of them already existed")
    if counts["failed"]:
        parts.append(f"{count_text(counts['failed'])} FAILED")
    waiting = f"{count_text(counts['waiting'])} waiting"
    parts.append(f"{waiting} ({bytes_text(blobs.get('waiting_bytes') or 0)})")
    return ", ".join(parts)


def artifacts_text(artifacts: dict[str, Any]) -> str:
    """Return the state of the artifacts, in one line; "" without any."""
    counts = {name: int(artifacts.get(name) or 0) for name in ("committed", "failed", "waiting")}
    failures = artifacts.get("failures") or []
    if not counts["failed"] and failures:  # From an earlier daemon.
        last = f"{failures[0]['name']}: {failures[0]['reason']}"
        counts["failed"], artifacts = len(failures), {**artifacts, "last_failure": last}
    if not any(counts.values()):
        return ""
    parts = [f"{count_text(counts['committed'])} committed"]
    if counts["failed"]:
        why = plain(artifacts.get("last_failure", ""))
        parts.append(f"{count_text(counts['failed'])} FAILED, the last one {why}")
    parts.append(f"{count_text(counts['waiting'])} waiting")
    progress = artifacts.get("progress") or {}
    if artifacts.get("name") and progress:
        done, size = (bytes_text(progress.get(each) or 0) for each in ("bytes_done", "bytes"))
        parts.append(f"{plain(artifacts['name'])}: {done} of {size}")
    return ", ".join(parts)


def sink_text(sink: dict[str, Any]) -> str:
    """Return the state of the sink, in one line."""
    health = "healthy" if sink.get("healthy") else f"FAILING: {plain(sink.get('last_error', ''))}"
    mean = seconds_text(sink.get("insert_seconds_mean") or 0.0)
    return (
        f"{sink.get('kind', '')}, {health}, {counted(sink.get('inserts', 0), 'insert')} of {mean}"
    )


def is_active(writer: dict[str, Any]) -> bool:
    """Whether the writer is connected to the daemon, or to one that relays its rows."""
    return bool(writer.get("connected") or writer.get("relayed"))


def writers_table(writers: list[dict[str, Any]]) -> str:
    """Return the table of writers, the busiest first; of disconnected ones only the latest."""
    away = [each for each in writers if not is_active(each)]
    away.sort(key=lambda one: one.get("seconds_since_last_frame") or 0)
    left = away[_AWAY_SHOWN:]
    shown = [each for each in writers if is_active(each)] + away[:_AWAY_SHOWN]
    rows = [
        [
            plain(f"{each['project']}/{each['run_id']}"),
            plain(each.get("label") or "-"),
            plain(f"{each.get('host', '')}:{each.get('pid', '')}"),
            "yes" if each.get("connected") else "relayed" if each.get("relayed") else "no",
            number_text(float(each.get("points_per_second") or 0)),
            seconds_text(each.get("seconds_since_last_frame")),
        ]
        for each in sorted(shown, key=lambda one: -(one.get("points_per_second") or 0))
    ]
    table = table_text(
        ["writer", "label", "host:pid", "connected", "points/s", "last frame"],
        rows,
        right=(4, 5),
    )
    more = f"\n… {count_text(len(left))} more that are not connected; "
    more += "`stepwell status --json` has all"
    return table + (more if left else "")
