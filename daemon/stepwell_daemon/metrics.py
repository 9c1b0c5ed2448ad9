"""Prometheus metrics: the daemon's health and the node's gauges, in base units.

No run, step or writer in a label: their number has no bound, and series are in the store.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from stepwell_daemon.counters import Histogram
from stepwell_daemon.samplers.exposition import sampler_metrics
from stepwell_daemon.status import Facts
from stepwell_wire import __version__
from stepwell_wire.ingest_pb2 import RefusalCode

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_COUNTERS: Final = (
    ("points_received", "Points received from writers."),
    ("points_stored", "Points stored by the store."),
    ("frames_received", "Frames received from writers."),
    ("bytes_received", "Bytes of new records received from writers."),
    ("duplicate_bytes", "Bytes that were received again and ignored."),
    ("skipped_bytes", "Bytes that writers skipped, which this spool does not contain."),
    ("filled_bytes", "Skipped bytes that arrived later through another daemon."),
    ("dead_letter_records", "Frames that the store rejected, kept for replay."),
    ("quarantined_records", "Damaged records of the spool, kept in quarantine."),
    ("recovered_journals", "Imported journals of dead writers."),
    ("commits", "Groups of frames that became durable."),
    ("commit_failures", "Groups of frames that needed several attempts to become durable."),
    ("inserts", "Blocks inserted into the store."),
    ("insert_failures", "Inserts that failed and were retried."),
    ("blobs_stored", "Blobs put into the blob store."),
    ("blobs_known", "Blobs of these that were in the blob store before."),
    ("blobs_failed", "Blobs that could not be converted."),
    ("upstream_changes", "Number of times that the gateway had a new spool."),
    ("handler_errors", "Connections that ended because of an error in the daemon."),
)

_NO_REFUSALS: Final = dict.fromkeys(
    ("unauthenticated", *(name.lower() for name, code in RefusalCode.items() if code)), 0
)
"""Each reason exists from the start, because increase() ignores a counter's first appearance."""


class DaemonCollector(Collector):
    """Reads the daemon's counters at each scrape."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        facts = self._facts
        counters = facts.counters
        for name, text in _COUNTERS:
            yield _counter(f"stepwell_{name}", text, getattr(counters, name))
        refused = CounterMetricFamily(
            "stepwell_refused_frames",
            "Frames and connections refused, by reason.",
            labels=["reason"],
        )
        for reason, count in sorted((_NO_REFUSALS | counters.refused).items()):
            refused.add_metric([reason], float(count))
        yield refused
        for name, text, label, counts in (
            ("bounds_reached", "Refusals and waits at a limit.", "bound", counters.bounds_reached),
            ("dropped_rows", "Lost rows, by reason.", "reason", counters.dropped_rows),
            ("dropped_points", "Lost points.", "reason", counters.dropped_points),
        ):
            family = CounterMetricFamily(f"stepwell_{name}", text, labels=[label])
            for key, count in counts.items():
                family.add_metric([key], float(count))
            yield family
        yield _histogram(
            "stepwell_spool_sync_seconds",
            "Duration of one sync of the spool.",
            counters.sync_seconds,
        )
        yield _histogram(
            "stepwell_insert_seconds",
            "Duration of one insert into the store.",
            counters.insert_seconds,
        )
        yield from self._gauges()
        yield from sampler_metrics(facts.samplers)

    def _gauges(self) -> Iterator[Metric]:
        facts, spool = self._facts, self._facts.spool
        blobs = facts.blobs.status() if facts.blobs is not None else {}
        info = GaugeMetricFamily(
            "stepwell_daemon_info",
            "Version and identity of the daemon.",
            labels=["version", "daemon_id"],
        )
        info.add_metric([__version__, spool.daemon_id], 1.0)
        yield info
        for name, text, value in (
            ("start_time_seconds", "Start time of the daemon, since 1970 UTC.", facts.started_at),
            ("ready", "1 if frames are accepted and made durable, else 0.", facts.ready),
            ("problems", "Number of problems in the status.", len(facts.problems())),
            ("writers_connected", "Connected writers.", len(spool.registry.connected())),
            (
                "writers_relayed",
                "Writers of runs that other daemons relay to this one now.",
                len(spool.registry.relayed()),
            ),
            ("spool_bytes", "Size of the spool on disk.", spool.disk_bytes),
            (
                "spool_bytes_max",
                "Limit of the spooled bytes that are not stored.",
                spool.settings.bytes_max,
            ),
            ("spool_segments", "Number of segments in the spool.", spool.segment_count),
            (
                "spool_unforwarded_bytes",
                "Spooled bytes that are not stored.",
                spool.unforwarded_bytes,
            ),
            (
                "spool_oldest_unforwarded_seconds",
                "Age of the oldest record that is not stored.",
                facts.oldest_unforwarded_seconds(),
            ),
            (
                "spool_in_flight_bytes",
                "Received bytes that are not yet durable.",
                spool.in_flight_bytes,
            ),
            ("blobs_waiting", "Blobs that are not in the blob store yet.", blobs.get("waiting", 0)),
            (
                "blobs_waiting_bytes",
                "Bytes of the blobs that are not in the blob store yet.",
                blobs.get("waiting_bytes", 0),
            ),
            ("blobs_bytes_max", "Limit of the bytes of these blobs.", blobs.get("bytes_max", 0)),
            (
                "relaying_daemons",
                "Connected daemons that relay to this one.",
                len(facts.relaying()),
            ),
            (
                "sink_healthy",
                "1 if the store accepts blocks, else 0.",
                facts.health.healthy and not facts.store_problem,
            ),
        ):
            yield GaugeMetricFamily(f"stepwell_{name}", text, value=float(value))


def render(registry: CollectorRegistry) -> bytes:
    return generate_latest(registry)


def build_registry(facts: Facts) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DaemonCollector(facts))
    return registry


def _counter(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(name, text, value=float(value))


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(
        name, text, buckets=histogram.cumulative(), sum_value=histogram.total
    )
