"""A daemon that only answers Control calls, from what a test gives it."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from stepwell_wire.control_pb2 import (
    FlushReply,
    FlushRequest,
    HoldRunsReply,
    HoldRunsRequest,
    StatusReply,
    StatusRequest,
)
from stepwell_wire.service import CONTROL_SERVICE


def healthy_status(socket: Path, data: Path) -> dict[str, Any]:
    """Return a status as docs/formats/status.md describes it, of a daemon that is well."""
    return {
        "version": "0.1.0",
        "daemon_id": "d1",
        "pid": 4242,
        "started_at": 1_700_000_000_000_000,
        "uptime_seconds": 61.0,
        "socket": str(socket),
        "data_dir": str(data),
        "page_url": "",
        "metrics_url": "http://127.0.0.1:9999/metrics",
        "ready": True,
        "problems": [],
        "writers": [
            {
                "project": "digits",
                "run_id": "run-a",
                "writer_id": "w1",
                "label": "rank0",
                "host": "node-a",
                "pid": 7,
                "connected": True,
                "position": 4096,
                "points_per_second": 1234.5,
                "seconds_since_last_frame": 0.2,
            }
        ],
        "rates": {
            "points_received_per_second": 1234.5,
            "points_stored_per_second": 1200.0,
            "bytes_received_per_second": 16000.0,
        },
        "totals": {
            "points_received": 1_000_000,
            "points_stored": 990_000,
            "frames_received": 500,
            "bytes_received": 12_000_000,
            "duplicate_bytes": 0,
            "refused": {},
            "dead_letter_records": 0,
            "recovered_journals": 0,
        },
        "spool": {
            "bytes": 64 << 20,
            "unforwarded_bytes": 512 << 20,
            "bytes_max": 1 << 30,
            "segments": 1,
            "oldest_unforwarded_seconds": 0.4,
            "quarantined_records": 0,
        },
        "sink": {
            "kind": "embedded",
            "healthy": True,
            "last_error": "",
            "inserts": 12,
            "insert_seconds_mean": 0.05,
        },
    }


class FakeDaemon:
    """Listens on ``socket``; ``status`` and ``flushed`` may be changed at any time."""

    def __init__(self, socket: Path, data: Path) -> None:
        self.status = healthy_status(socket, data)
        self.flushed = FlushReply(stored=True)
        self.flush_count = 0
        self.held: list[tuple[str, str]] = []
        """Project and id of the runs that callers hold at this moment."""
        self._server: Any = grpc.server(ThreadPoolExecutor(2))
        calls = {
            "Status": self._handler(self._status, StatusRequest),
            "Flush": self._handler(self._flush, FlushRequest),
            "HoldRuns": grpc.unary_stream_rpc_method_handler(
                self._hold_runs,
                request_deserializer=HoldRunsRequest.FromString,
                response_serializer=lambda reply: reply.SerializeToString(),
            ),
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(CONTROL_SERVICE, calls),)
        )
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    @staticmethod
    def _handler(answer: Callable[[Any, Any], Any], request: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request.FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )

    def _status(self, request: Any, context: Any) -> StatusReply:
        return StatusReply(json=json.dumps(self.status))

    def _flush(self, request: Any, context: Any) -> FlushReply:
        self.flush_count += 1
        return self.flushed

    def _hold_runs(self, request: HoldRunsRequest, context: Any) -> Iterator[HoldRunsReply]:
        ended = threading.Event()
        context.add_callback(ended.set)
        runs = [(each.project, each.run_id) for each in request.runs]
        self.held += runs
        yield HoldRunsReply()
        ended.wait()
        self.held = [run for run in self.held if run not in runs]
