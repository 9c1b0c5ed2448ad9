"""The daemon's report: the status JSON (docs/formats/status.md) and its problems."""

import os
import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepwell_daemon.blobs.part import Blobs
from stepwell_daemon.config import DaemonConfig, wants_hub
from stepwell_daemon.counters import Counters
from stepwell_daemon.delivery import SinkHealth
from stepwell_daemon.hub_process import HubProcess
from stepwell_daemon.samplers.health import SamplerHealth
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import NODE_SCOPE
from stepwell_wire import __version__

_LISTED_MAX = 1000
_SHOWN_SECONDS = 600.0


@dataclass(slots=True)
class Facts:
    """The sources of a status. Read on the event loop only."""

    config: DaemonConfig
    spool: Spool
    counters: Counters
    health: SinkHealth
    started_at: float = field(default_factory=time.time)
    started: float = field(default_factory=time.monotonic)
    metrics_url: str = ""
    hub: HubProcess | None = None
    blobs: Blobs | None = None
    sink_kind: str = "embedded"
    store_problem: str = ""
    store_problem_kind: str = ""
    engine_restarts: Callable[[], int] = lambda: 0
    accepting: bool = False
    samplers: Sequence[SamplerHealth] = ()
    relaying: Callable[[], list[str]] = list
    """The ids of the daemons that relay to this one now."""
    gateway_port: int = 0
    personal: bool = False
    """A training script or a command started the daemon, and may start it again."""
    journal_problems: dict[Any, str] = field(default_factory=dict)
    reload_problem: str = ""
    """What the last SIGHUP did not do."""

    @property
    def ready(self) -> bool:
        """Whether frames are taken and made durable; independent of the store."""
        return self.accepting and self.spool.failure is None and not self.spool.is_full

    def problems(self) -> list[str]:
        found = list(self.spool.problems)
        if self.spool.failure is not None:
            found.append(str(self.spool.failure))
        if self.spool.is_full:
            found.append(
                f"the spool is full ({self.spool.unforwarded_bytes} bytes not yet stored): "
                "see the problems of the store, or raise spool_bytes_max"
            )
        if self.store_problem:
            found.append(self.store_problem)
        elif not self.health.healthy:
            found.append(
                f"the sink accepts no rows now, they wait in the spool: {self.health.last_error}"
            )
        if self.counters.dead_letter_records:
            found.append(
                f"the store rejected {self.counters.dead_letter_records} frames, kept in "
                f"{self.spool.folder / 'dead_letter'}; the .reason files have the reasons"
            )
        if self.counters.quarantined_records:
            found.append(
                f"{self.counters.quarantined_records} damaged records were skipped and kept in "
                f"{self.spool.folder / 'quarantine'}; check the disk"
            )
        found += self.journal_problems.values()
        if self.reload_problem:
            found.append(self.reload_problem)
        now = time.monotonic()
        for sampler in self.samplers:
            found += sampler.problems(now)
        if self.hub is not None and self.hub.problem:
            found.append(self.hub.problem)
        if self.blobs is not None:
            found += self.blobs.problems()
        return found

    def oldest_unforwarded_seconds(self) -> float:
        oldest = self.spool.waiting_since
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)


def status(facts: Facts) -> dict[str, Any]:
    """Return the status as JSON, in its public form."""
    config, spool, counters = facts.config, facts.spool, facts.counters
    inserts = counters.insert_seconds
    return {
        "version": __version__,
        "daemon_id": spool.daemon_id,
        "pid": os.getpid(),
        "started_at": int(facts.started_at * 1e6),
        "uptime_seconds": time.monotonic() - facts.started,
        "socket": str(config.socket),
        "data_dir": str(config.data),
        "journals_dir": str(config.journals),
        "page_url": facts.hub.url if facts.hub is not None else "",
        "hub_folder": facts.hub.folder if facts.hub is not None else "",
        "hub_ready": facts.hub is not None and facts.hub.is_ready,
        "hub_url": config.hub_url,
        "wants_hub": wants_hub(config),
        "metrics_url": facts.metrics_url,
        "personal": facts.personal,
        "idle_exit_seconds": config.idle_exit,
        "ready": facts.ready,
        "problems": facts.problems(),
        "writers": _writers(spool),
        "rates": {
            "points_received_per_second": counters.points_received_rate.per_second(),
            "points_stored_per_second": counters.points_stored_rate.per_second(),
            "bytes_received_per_second": counters.bytes_received_rate.per_second(),
        },
        "totals": {
            "points_received": counters.points_received,
            "points_stored": counters.points_stored,
            "frames_received": counters.frames_received,
            "bytes_received": counters.bytes_received,
            "duplicate_bytes": counters.duplicate_bytes,
            "skipped_bytes": counters.skipped_bytes,
            "filled_bytes": counters.filled_bytes,
            "refused": dict(counters.refused),
            "bounds_reached": _counted(counters.bounds_reached),
            "dropped": {
                reason: {"rows": rows, "points": counters.dropped_points[reason]}
                for reason, rows in counters.dropped_rows.items()
                if rows or counters.dropped_points[reason]
            },
            "dead_letter_records": counters.dead_letter_records,
            "recovered_journals": counters.recovered_journals,
        },
        "spool": {
            "bytes": spool.disk_bytes,
            "unforwarded_bytes": spool.unforwarded_bytes,
            "bytes_max": config.spool_bytes_max,
            "disk_free_bytes": _free_bytes(config.data),
            "segments": spool.segment_count,
            "oldest_unforwarded_seconds": facts.oldest_unforwarded_seconds(),
            "quarantined_records": counters.quarantined_records,
            "full": spool.is_full,
            "failure": str(spool.failure or ""),
        },
        "blobs": facts.blobs.status() if facts.blobs is not None else {},
        "artifacts": facts.blobs.artifacts.status() if facts.blobs is not None else {},
        "gateway": {
            "port": facts.gateway_port,
            "daemons": facts.relaying(),
            "upstream_changes": counters.upstream_changes,
        },
        "process": _process(),
        "samplers": [sampler.as_status() for sampler in facts.samplers],
        "sink": {
            "kind": facts.sink_kind,
            "healthy": facts.health.healthy and not facts.store_problem,
            "last_error": facts.store_problem or facts.health.last_error,
            "last_error_kind": (
                facts.store_problem_kind if facts.store_problem else facts.health.last_error_kind
            ),
            "engine_restarts": facts.engine_restarts(),
            "inserts": counters.inserts,
            "insert_seconds_mean": inserts.total / inserts.count if inserts.count else 0.0,
        },
    }


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _process() -> dict[str, int]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        held = len(os.listdir("/proc/self/fd"))
    except OSError:  # There is no descriptor left for the check.
        held = soft
    return {"open_files": held, "open_files_max": soft}


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _writers(spool: Spool) -> list[dict[str, Any]]:
    """Return the connected and relayed writers first, then those seen recently."""
    now = time.time()
    shown = [
        state
        for state in spool.registry.states.values()
        if state.info.scope != NODE_SCOPE
        and (state.session is not None or now - state.seen_at < _SHOWN_SECONDS)
    ]
    shown.sort(key=lambda state: (state.session is None and not state.is_relayed, -state.seen_at))
    return [_writer(state, now) for state in shown[:_LISTED_MAX]]


def _writer(state: WriterState, now: float) -> dict[str, Any]:
    info = state.info
    return {
        "project": info.project,
        "run_id": info.run_id,
        "writer_id": info.writer_id,
        "label": info.label,
        "host": info.host,
        "pid": info.pid,
        "connected": state.session is not None,
        "relayed": state.is_relayed,
        "position": state.durable,
        "points_per_second": state.rate.per_second(),
        "seconds_since_last_frame": max(0.0, now - state.seen_at),
    }
