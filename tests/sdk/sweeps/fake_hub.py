"""A hub of one sweep, in this process: the calls of agents, answered from a list of trials."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.waiting import wait_until

KEY = "k" * 43


class FakeHub:
    """Hands out ``trials`` in order; what agents sent is in ``ends``, ``asked`` and ``beats``.

    Attributes:
        drop: calls whose answer is lost after they were done: the path's last word to a count.
        stop_at_beat: the reason that the next heartbeats give for the held trial to stop.
        waiting: number of trials that wait to be handed out again.
        deleted_runs: number of trials whose run was deleted.
        unsettled_reads: so many lists of trials come before the values of ended ones are known.
        refuse: code, message and field of the error that `POST /sweeps` answers.
    """

    def __init__(self) -> None:
        self.trials: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.project = "p"
        self.created: list[dict[str, Any]] = []
        self.ends: list[dict[str, Any]] = []
        self.asked = 0
        self.beats: list[dict[str, Any]] = []
        self.changes: list[dict[str, Any]] = []
        self.drop: Counter[str] = Counter()
        self.metric: dict[str, str] | None = None
        self.is_listed = True
        self.steps: list[int] = []
        self.unsettled_reads = 0
        self.waits = 0
        self.waiting = 0
        self.deleted_runs = 0
        self.wait_reason = ""
        self.stop_at_beat = ""
        self.counted = True
        self.refuse: dict[str, Any] | None = None
        self.beat_seconds = 0.05
        self._answers: dict[str, Any] = {}
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers["Authorization"] != f"Bearer {KEY}":
                    self.answer(401, {"error": {"code": "unauthorized", "message": "no"}})
                    return
                with fake._lock:
                    status, answer = fake.do(
                        self.command,
                        self.path.removeprefix("/api/v1").partition("?")[0],
                        json.loads(body or b"{}"),
                    )
                    last = self.path.partition("?")[0].rpartition("/")[2]
                    if fake.drop[last] > 0:
                        fake.drop[last] -= 1
                        self.close_connection = True
                        return
                self.answer(status, answer)

            do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

            def answer(self, status: int, answer: Any) -> None:
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, **params: Any) -> None:
        """Let the next trial have these parameters."""
        number = len(self.trials) + 1
        self.trials.append(
            {
                "number": number,
                "fencing": 1,
                "run_id": f"trial{number:03d}",
                "params": params,
                "lease_seconds": 30,
            }
        )

    def wait_for_beat(self) -> None:
        seen = len(self.beats)
        wait_until(lambda: len(self.beats) > seen + 1, "a heartbeat", timeout_seconds=30)

    @property
    def sweep(self) -> dict[str, Any]:
        return {
            "id": "abcd1234",
            "project": self.project,
            "name": "",
            "state": "running",
            "config": self.config,
            "counts": {"running": 0, "waiting": self.waiting, "finished": len(self.ends)},
            "best": None,
            "deleted_runs": self.deleted_runs,
            "metric": self.metric,
        }

    def do(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if "key" in body and body["key"] in self._answers:
            answer: tuple[int, Any] = self._answers[body["key"]]
            return answer
        answer = self._first(method, path, body)
        if "key" in body:
            self._answers[body["key"]] = answer
        return answer

    def _first(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/sweeps" and method == "POST":
            if self.refuse is not None:
                return 400, {"error": self.refuse}
            self.created.append(body)
            return 201, {**self.sweep, "project": body["project"]}
        if path == "/sweeps":
            return 200, {"sweeps": [self.sweep] if self.is_listed else [], "next_cursor": None}
        if path == "/projects":
            return 200, {"projects": [{"project": "digits"}]}
        if path == "/sweeps/abcd1234":
            if method == "PATCH":
                self.changes.append(body)
            return 200, {**self.sweep, **body}
        if path.endswith("/trials"):
            is_settled = self.unsettled_reads == 0
            self.unsettled_reads = max(0, self.unsettled_reads - 1)
            ended = {"state": "finished", "is_settled": is_settled}
            steps = self.steps if is_settled else [0] * len(self.steps)
            return 200, {"trials": [{**ended, "steps": each} for each in steps]}
        if path.endswith("/agents"):
            return 201, {"agent": "a1", "lease_seconds": 30, "beat_seconds": self.beat_seconds}
        if path.endswith("/ask"):
            return 200, self._ask()
        if path.endswith("/beat"):
            self.beats.append(body)
            stop = {"command": "stop", "reason": self.stop_at_beat}
            commands = [{**held, **stop} for held in body["trials"] if self.stop_at_beat]
            return 200, {"state": "running", "commands": commands}
        if path.endswith("/end"):
            number = int(path.split("/")[-2])
            self.ends.append({"number": number, **body})
            self.stop_at_beat = ""
            return 200, {"counted": self.counted}
        return 404, {"error": {"code": "not_found", "message": f"no sweep at {path}"}}

    def _ask(self) -> dict[str, Any]:
        if self.waits:
            self.waits -= 1
            return {"command": "wait", "seconds": 0.01, "reason": self.wait_reason}
        if self.asked >= len(self.trials):
            return {"command": "exit", "reason": "the sweep is finished"}
        self.asked += 1
        return {"command": "run", "trial": self.trials[self.asked - 1]}

    def states(self) -> list[str]:
        return [end["state"] for end in self.ends]
