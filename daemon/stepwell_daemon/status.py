"""What the daemon says of itself: the status document, problems, and Prometheus metrics."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stepwell_daemon.config import DaemonConfig
from stepwell_daemon.counters import Counters
from stepwell_daemon.forwarder import Forwarder
from stepwell_daemon.receiver import Receiver
from stepwell_daemon.samplers.schedule import Sampling
from stepwell_daemon.spool.spool import Spool
from stepwell_store import Store
from stepwell_wire import __version__


@dataclass
class Status:
    """Reads the parts; owns nothing. Called on the loop."""

    config: DaemonConfig
    spool: Spool
    receiver: Receiver
    forwarder: Forwarder
    sampling: Sampling
    counters: Counters
    store: Store
    metrics_url: str = ""
    started_at: float = 0.0

    def problems(self) -> list[str]:
        """Return what is not well, a phrase each, with the remedy."""
        found = []
        if self.spool.problem:
            found.append(self.spool.problem)
        if self.receiver.refusing:
            found.append(self.receiver.refusing)
        if self.spool.held_bytes >= self.spool.bytes_max:
            found.append(
                f"the spool is full ({self.spool.bytes_max} bytes): mend the store or raise "
                "spool_bytes_max"
            )
        if self.forwarder.last_error:
            found.append(f"the store takes nothing now, retrying: {self.forwarder.last_error}")
        if self.spool.quarantined_records:
            found.append(
                f"{self.spool.quarantined_records} damaged stretches of the spool were put into "
                f"{self.spool.folder / 'quarantine'}: check the disk"
            )
        if self.counters.set_aside_records:
            found.append(
                f"{self.counters.set_aside_records} records were set aside in "
                f"{self.spool.folder / 'set_aside'}: the log says why"
            )
        return found

    def is_ready(self) -> bool:
        """Return whether frames are accepted and acknowledged."""
        return not self.spool.problem and not self.receiver.refusing

    def oldest_seconds(self) -> float:
        since = self.forwarder.waiting_since
        return time.monotonic() - since if since is not None else 0.0

    def document(self) -> dict[str, Any]:
        """Return the status; docs/formats/status.md names every key."""
        counters, spool = self.counters, self.spool
        inserts = counters.inserts
        return {
            "version": __version__,
            "daemon_id": spool.spool_id,
            "pid": os.getpid(),
            "started_at": int(self.started_at * 1e6),
            "uptime_seconds": time.time() - self.started_at,
            "socket": str(self.config.socket),
            "data_dir": str(self.config.data),
            "page_url": self.receiver.page_url,
            "metrics_url": self.metrics_url,
            "ready": self.is_ready(),
            "problems": self.problems(),
            "writers": self._writers(),
            "rates": {
                "points_received_per_second": counters.receive_rate.per_second(),
                "points_stored_per_second": counters.store_rate.per_second(),
                "bytes_received_per_second": counters.byte_rate.per_second(),
            },
            "totals": {
                "points_received": counters.points_received,
                "points_stored": counters.points_stored,
                "frames_received": counters.frames_received,
                "bytes_received": counters.bytes_received,
                "duplicate_bytes": counters.duplicate_bytes,
                "refused": dict(counters.refused),
                "set_aside_records": counters.set_aside_records,
                "recovered_journals": counters.recovered_journals,
            },
            "spool": {
                "bytes": spool.held_bytes,
                "bytes_max": spool.bytes_max,
                "segments": spool.segment_count,
                "oldest_unforwarded_seconds": self.oldest_seconds(),
                "unforwarded_bytes": spool.unforwarded_bytes(),
                "quarantined_records": spool.quarantined_records,
            },
            "sink": {
                "kind": self.store.kind,
                "healthy": not self.forwarder.last_error,
                "last_error": self.forwarder.last_error,
                "inserts": inserts,
                "insert_seconds_mean": counters.insert_seconds / inserts if inserts else 0.0,
            },
        }

    def _writers(self) -> list[dict[str, Any]]:
        now = time.monotonic()
        found = []
        for connection in self.receiver.connections:
            known = connection.writer.known
            found.append(
                {
                    "project": known.project,
                    "run_id": known.run_id,
                    "writer_id": known.writer_id,
                    "label": known.label,
                    "host": known.host,
                    "pid": known.pid,
                    "connected": True,
                    "position": known.high_water,
                    "points_per_second": connection.rate.per_second(),
                    "seconds_since_last_frame": now - connection.last_frame_at,
                }
            )
        return sorted(found, key=lambda writer: (writer["project"], writer["run_id"]))


# sampler's metric -> Prometheus name and help
_HOST_METRICS = {
    "cpu/utilization_ratio": "Share of CPU time not idle since the last sample.",
    "cpu/load_1m": "Load average over one minute.",
    "memory/total_bytes": "Memory of the node.",
    "memory/available_bytes": "Memory that can be had without swapping.",
    "disk/total_bytes": "Size of the file system of the data folder.",
    "disk/free_bytes": "Free bytes on the file system of the data folder.",
    "disk/read_bytes_total": "Bytes read from disks since boot.",
    "disk/written_bytes_total": "Bytes written to disks since boot.",
    "network/received_bytes_total": "Bytes received on all interfaces but loopback.",
    "network/sent_bytes_total": "Bytes sent on all interfaces but loopback.",
}


class StatusCollector(Collector):
    """Makes Prometheus metrics of the status at the moment of a scrape."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status
        counters, spool, forwarder = status.counters, status.spool, status.forwarder
        info = GaugeMetricFamily(
            "stepwell_build_info", "Version of the daemon.", labels=["version", "daemon_id"]
        )
        info.add_metric([__version__, spool.spool_id], 1)
        yield info
        for name, text, count in (
            ("points_received", "Points taken from writers.", counters.points_received),
            ("points_stored", "Points that the store took.", counters.points_stored),
            ("frames_received", "Frames taken from writers.", counters.frames_received),
            ("received_bytes", "Bytes of records received.", counters.bytes_received),
            ("duplicate_bytes", "Bytes that were known already.", counters.duplicate_bytes),
            ("set_aside_records", "Records that the store refused.", counters.set_aside_records),
            ("recovered_journals", "Journals of dead writers taken.", counters.recovered_journals),
            ("store_inserts", "Blocks inserted.", counters.inserts),
            ("store_insert_errors", "Inserts that failed and are retried.", counters.insert_errors),
            ("store_insert_seconds", "Time spent in inserts.", counters.insert_seconds),
            ("spool_commits", "Group commits of the spool.", spool.commits),
            ("spool_sync_seconds", "Time spent in fdatasync.", spool.sync_seconds),
            ("spool_quarantined", "Damaged stretches set aside.", spool.quarantined_records),
            ("sample_failures", "Samples that failed.", status.sampling.failures),
        ):
            yield CounterMetricFamily(f"stepwell_{name}", text, value=count)
        refused = CounterMetricFamily(
            "stepwell_refused_frames", "Frames refused, by reason.", labels=["reason"]
        )
        for reason, count in counters.refused.items():
            refused.add_metric([reason], count)
        yield refused
        for name, text, value in (
            ("writers", "Writers connected.", len(status.receiver.connections)),
            ("ready", "1 while frames are accepted.", float(status.is_ready())),
            ("spool_bytes", "Bytes held in the spool.", spool.held_bytes),
            ("spool_limit_bytes", "Limit of the spool.", spool.bytes_max),
            ("spool_unforwarded_bytes", "Bytes not in the store yet.", spool.unforwarded_bytes()),
            (
                "spool_oldest_unforwarded_seconds",
                "Age of the oldest record not in the store yet.",
                status.oldest_seconds(),
            ),
            ("store_healthy", "1 while the store takes blocks.", float(not forwarder.last_error)),
            ("sample_duration_seconds", "Time the last sample took.", status.sampling.seconds),
        ):
            yield GaugeMetricFamily(f"stepwell_{name}", text, value=value)
        latest = status.sampling.latest
        for metric, text in _HOST_METRICS.items():
            if metric not in latest:
                continue
            name = "stepwell_node_" + metric.replace("/", "_")
            if name.endswith("_total"):
                yield CounterMetricFamily(name, text, value=latest[metric])
            else:
                yield GaugeMetricFamily(name, text, value=latest[metric])
