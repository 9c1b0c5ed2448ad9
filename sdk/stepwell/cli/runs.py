"""`stepwell runs`: what ran, the newest first."""

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from stepwell.cli.errors import OK
from stepwell.cli.options import add_config, add_data, add_json, add_socket, places
from stepwell.cli.reading import reading
from stepwell.cli.text import json_text, moment_text, plain, seconds_text, table_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", metavar="P", help="only runs of this project")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="at most N; 0 for all")
    add_json(parser)
    add_data(parser)
    add_config(parser)
    add_socket(parser)


def run(options: argparse.Namespace) -> int:
    with reading(places(options)) as store:
        from stepwell_store.queries import list_runs

        limit = options.limit if options.limit > 0 else sys.maxsize
        found = list_runs(store, project=options.project, limit=limit)
    print(json_text(found) if options.json else runs_text(found, now=time.time()))
    return OK


def runs_text(found: list[dict[str, Any]], *, now: float) -> str:
    """Return the table of runs for a person."""
    if not found:
        return "no runs yet"
    rows = [
        [
            plain(each["run_id"]),
            plain(each["project"]),
            plain(each["name"]),
            plain(each["state"]),
            moment_text(each["started_at"]),
            seconds_text(duration_seconds(each, now=now)),
            str(each["writers"]),
            plain(", ".join(each["tags"])),
        ]
        for each in found
    ]
    headers = ["run", "project", "name", "state", "started", "took", "writers", "tags"]
    return table_text(headers, rows, right=(5, 6))


def duration_seconds(overview: Mapping[str, Any], *, now: float) -> float | None:
    """Return how long a run took, or has taken so far as one knows."""
    started = overview["started_at"]
    if started is None:
        return None
    ended = overview["ended_at"] or overview["last_seen"] or now
    return max(0.0, float(ended - started))
