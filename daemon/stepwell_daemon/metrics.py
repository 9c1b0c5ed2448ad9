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
    ("points_received", "Points taken from writers."),
    ("points_stored", "Points that the store has taken."),
    ("frames_received", "Frames taken from writers."),
    ("bytes_received", "Bytes of new records taken from writers."),
    ("duplicate_bytes", "Bytes that were sent again and were known."),
    ("skipped_bytes", "Bytes that writers went past: not held by this spool."),
    ("filled_bytes", "Skipped bytes that arrived later through another daemon."),
    ("dead_letter_records", "Frames that the store rejected, kept for replay."),
    ("quarantined_records", "Damaged records of the spool, kept in quarantine."),
    ("recovered_journals", "Journals of dead writers that were taken in."),
    ("commits", "Groups of frames made durable."),
    ("commit_failures", "Groups that could not be made durable at once."),
    ("inserts", "Blocks inserted into the store."),
    ("insert_failures", "Inserts that failed and were tried again."),
    ("blobs_stored", "Blobs brought to the blob store."),
    ("blobs_known", "Of these, those that it had already."),
    ("blobs_failed", "Blobs that could not be used."),
    ("upstream_changes", "How often the gateway had another spool than before."),
    ("handler_errors", "Connections that ended by a fault of the daemon."),
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
            ("bounds_reached", "Refusals and waits at a bound.", "bound", counters.bounds_reached),
            ("dropped_rows", "Rows that are gone, by reason.", "reason", counters.dropped_rows),
            ("dropped_points", "Points that are gone.", "reason", counters.dropped_points),
        ):
            family = CounterMetricFamily(f"stepwell_{name}", text, labels=[label])
            for key, count in counts.items():
                family.add_metric([key], float(count))
            yield family
        yield _histogram(
            "stepwell_spool_sync_seconds", "Time of one sync of the spool.", counters.sync_seconds
        )
        yield _histogram(
            "stepwell_insert_seconds", "Time of one insert into the store.", counters.insert_seconds
        )
        yield from self._gauges()
        yield from sampler_metrics(facts.samplers)

    def _gauges(self) -> Iterator[Metric]:
        facts, spool = self._facts, self._facts.spool
        blobs = facts.blobs.status() if facts.blobs is not None else {}
        info = GaugeMetricFamily(
            "stepwell_daemon_info", "The daemon.", labels=["version", "daemon_id"]
        )
        info.add_metric([__version__, spool.daemon_id], 1.0)
        yield info
        for name, text, value in (
            ("start_time_seconds", "When the daemon started, since 1970 UTC.", facts.started_at),
            ("ready", "1 if frames are accepted and made durable, else 0.", facts.ready),
            ("problems", "How many problems the status names.", len(facts.problems())),
            ("writers_connected", "Writers connected.", len(spool.registry.connected())),
            ("spool_bytes", "Bytes that the spool takes on disk.", spool.disk_bytes),
            (
                "spool_bytes_max",
                "Limit of the bytes that wait for the store.",
                spool.settings.bytes_max,
            ),
            ("spool_segments", "Segments of the spool.", spool.segment_count),
            ("spool_unforwarded_bytes", "Spooled, not yet stored.", spool.unforwarded_bytes),
            (
                "spool_oldest_unforwarded_seconds",
                "How long the oldest record waits for the store.",
                facts.oldest_unforwarded_seconds(),
            ),
            ("spool_in_flight_bytes", "Taken, not yet durable.", spool.in_flight_bytes),
            ("blobs_waiting", "Blobs that are not in the blob store yet.", blobs.get("waiting", 0)),
            ("blobs_waiting_bytes", "Their bytes.", blobs.get("waiting_bytes", 0)),
            ("blobs_bytes_max", "Limit of these bytes.", blobs.get("bytes_max", 0)),
            ("relaying_daemons", "Daemons that relay to this one.", len(facts.relaying())),
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
