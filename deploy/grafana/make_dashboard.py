"""Write stepwell-dashboard.json: the daemons, their spools and stores, and their nodes.

    python deploy/grafana/make_dashboard.py

A panel is one line below; the JSON is checked in, and a test holds that it is what this writes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("stepwell-dashboard.json")
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_WIDTH: Final = 24
_HEIGHT: Final = 8
_NODE: Final = 'instance=~"$node"'

# Panels by row: (title, unit of Grafana, [(expression, legend)]).
# N stands for the chosen nodes, R for the range of a rate.
ROWS: Final[dict[str, list[tuple[str, str, list[tuple[str, str]]]]]] = {
    "Daemons": [
        ("Ready", "none", [("stepwell_ready{N}", "{{instance}}")]),
        ("Problems in the status", "none", [("stepwell_problems{N}", "{{instance}}")]),
        (
            "Writers",
            "none",
            [
                ("stepwell_writers_connected{N}", "{{instance}} connected"),
                ("stepwell_writers_relayed{N} > 0", "{{instance}} relayed"),
            ],
        ),
        (
            "Points a second",
            "cps",
            [
                ("rate(stepwell_points_received_total{N}[R])", "{{instance}} received"),
                ("rate(stepwell_points_stored_total{N}[R])", "{{instance}} stored"),
            ],
        ),
        (
            "Points and rows lost",
            "none",
            [
                (
                    "sum by (instance, reason) (increase(stepwell_dropped_points_total{N}[R])) > 0",
                    "{{instance}} points, {{reason}}",
                ),
                (
                    "sum by (instance, reason) (increase(stepwell_dropped_rows_total{N}[R])) > 0",
                    "{{instance}} rows, {{reason}}",
                ),
            ],
        ),
        (
            "Refusals",
            "none",
            [
                (
                    "sum by (instance, reason) (increase(stepwell_refused_frames_total{N}[R])) > 0",
                    "{{instance}} {{reason}}",
                ),
                (
                    "sum by (instance, bound) (increase(stepwell_bounds_reached_total{N}[R])) > 0",
                    "{{instance}} bound {{bound}}",
                ),
            ],
        ),
    ],
    "Spool and store": [
        (
            "Spool: share of its limit",
            "percentunit",
            [
                (
                    "stepwell_spool_unforwarded_bytes{N} / stepwell_spool_bytes_max{N}",
                    "{{instance}}",
                )
            ],
        ),
        (
            "Age of the oldest frame that is not stored",
            "s",
            [("stepwell_spool_oldest_unforwarded_seconds{N}", "{{instance}}")],
        ),
        ("The store accepts blocks", "none", [("stepwell_sink_healthy{N}", "{{instance}}")]),
        (
            "Time of a sync of the spool, 99th percentile",
            "s",
            [
                (
                    "histogram_quantile(0.99, sum by (instance, le) "
                    "(rate(stepwell_spool_sync_seconds_bucket{N}[R])))",
                    "{{instance}}",
                )
            ],
        ),
        (
            "Time of an insert, 99th percentile",
            "s",
            [
                (
                    "histogram_quantile(0.99, sum by (instance, le) "
                    "(rate(stepwell_insert_seconds_bucket{N}[R])))",
                    "{{instance}}",
                )
            ],
        ),
        (
            "Failed syncs and inserts",
            "none",
            [
                ("increase(stepwell_commit_failures_total{N}[R])", "{{instance}} syncs"),
                ("increase(stepwell_insert_failures_total{N}[R])", "{{instance}} inserts"),
            ],
        ),
    ],
    "GPUs": [
        (
            "Share of time with a running kernel",
            "percentunit",
            [("stepwell_device_gpu_utilization_ratio{N}", "{{instance}} {{device}}")],
        ),
        (
            "Memory",
            "percentunit",
            [
                (
                    "stepwell_device_gpu_memory_used_bytes{N} "
                    "/ stepwell_device_gpu_memory_total_bytes{N}",
                    "{{instance}} {{device}}",
                )
            ],
        ),
        (
            "Power",
            "watt",
            [("stepwell_device_gpu_power_watts{N}", "{{instance}} {{device}}")],
        ),
        (
            "Temperature",
            "celsius",
            [("stepwell_device_gpu_temperature_celsius{N}", "{{instance}} {{device}}")],
        ),
        (
            "XID events and uncorrected memory errors",
            "none",
            [
                ("increase(stepwell_device_gpu_xid_events_total{N}[R])", "{{instance}} {{device}}"),
                (
                    "increase(stepwell_device_gpu_ecc_uncorrected_errors_total{N}[R])",
                    "{{instance}} {{device}} memory",
                ),
            ],
        ),
        (
            "States of devices that cannot be read",
            "none",
            [("stepwell_device_state{N}", "{{instance}} {{device}} {{state}}")],
        ),
    ],
    "Nodes": [
        (
            "Processor",
            "percentunit",
            [("stepwell_node_cpu_utilization_ratio{N}", "{{instance}}")],
        ),
        (
            "Memory",
            "percentunit",
            [("stepwell_node_memory_utilization_ratio{N}", "{{instance}}")],
        ),
        (
            "Disk of the data folder, free",
            "percentunit",
            [
                (
                    "stepwell_node_disk_free_bytes{N} / stepwell_node_disk_total_bytes{N}",
                    "{{instance}}",
                )
            ],
        ),
        (
            "Network",
            "Bps",
            [
                (
                    "rate(stepwell_device_network_receive_bytes_total{N}[R])",
                    "{{instance}} {{device}} in",
                ),
                (
                    "-rate(stepwell_device_network_transmit_bytes_total{N}[R])",
                    "{{instance}} {{device}} out",
                ),
            ],
        ),
        (
            "Disks",
            "Bps",
            [
                (
                    "rate(stepwell_device_disk_read_bytes_total{N}[R])",
                    "{{instance}} {{device}} read",
                ),
                (
                    "-rate(stepwell_device_disk_written_bytes_total{N}[R])",
                    "{{instance}} {{device}} written",
                ),
            ],
        ),
        (
            "Samplers that fail",
            "none",
            [("stepwell_sampler_healthy{N} == 0", "{{instance}} {{sampler}}")],
        ),
    ],
}


def query(expression: str) -> str:
    """Return an expression of ``ROWS`` as Grafana evaluates it."""
    return expression.replace("{N}", f"{{{_NODE}}}").replace("[R]", "[$__rate_interval]")


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": "stepwell",
        "title": "Stepwell",
        "tags": ["stepwell"],
        "timezone": "browser",
        "editable": True,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), _nodes()]},
        "annotations": {"list": []},
        "panels": list(_panels()),
    }


def _source() -> dict[str, Any]:
    return {
        "name": "source",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _nodes() -> dict[str, Any]:
    return {
        "name": "node",
        "label": "Node",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": "label_values(stepwell_ready, instance)", "refId": "node"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    across = _WIDTH // 3
    for row, panels in ROWS.items():
        number += 1
        at = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": row, "gridPos": at, "panels": []}
        top += 1
        for place, (title, unit, targets) in enumerate(panels):
            number += 1
            x, y = place % 3 * across, top + place // 3 * _HEIGHT
            yield _panel(number, title, unit, targets, {"x": x, "y": y, "w": across, "h": _HEIGHT})
        top += -(-len(panels) // 3) * _HEIGHT


def _panel(
    number: int, title: str, unit: str, targets: list[tuple[str, str]], at: dict[str, int]
) -> dict[str, Any]:
    ratio = {"min": 0, "max": 1} if unit == "percentunit" else {}
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": _SOURCE,
        "gridPos": at,
        "fieldConfig": {
            "defaults": {"unit": unit, "custom": {"lineWidth": 1, "fillOpacity": 0}, **ratio},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": query(expression),
                "legendFormat": legend,
            }
            for place, (expression, legend) in enumerate(targets)
        ],
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
