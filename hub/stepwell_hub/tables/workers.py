"""The hub's side of the workers: started when needed, killed when they hang or the client left."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from stepwell_hub.errors import ApiError
from stepwell_store.channel import Message, receive_message, send_message
from stepwell_wire.interpreter import helper_command

_START_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 600.0
_ATTEMPTS_MAX: Final = 2
_TOO_LARGE: Final = (158, 241, 396)  # Rows, memory, size of the answer.
_TOO_SLOW: Final = (159, 160)
_PATTERN_WRONG: Final = (427,)


class _Worker:
    """One process. Its methods block."""

    def __init__(self, memory_bytes: int, seconds: float) -> None:
        """Start it and wait until it can work.

        Raises:
            OSError: It does not start.
        """
        self.used_at = time.monotonic()
        self._peer, theirs = socket.socketpair()
        command = [*helper_command("stepwell_hub.tables.worker"), f"--fd={theirs.fileno()}"]
        command += [f"--memory-bytes={memory_bytes}", f"--seconds={seconds}"]
        # Its end is always a kill, which leaves the engine's files. tempfile chooses another folder
        # if the one that TMPDIR names cannot be used.
        self._temporary = tempfile.mkdtemp(prefix="stepwell-table-worker-")
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, "TMPDIR": self._temporary},
                )
        except OSError:
            self._peer.close()
            shutil.rmtree(self._temporary, ignore_errors=True)
            raise
        self._peer.settimeout(_START_SECONDS)
        try:
            said = receive_message(self._peer)
            if said is None or "ready" not in said.fields:
                raise OSError(
                    said.fields.get("error") if said else "the worker ended while it started"
                )
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, fields: Mapping[str, Any], seconds: float) -> Message:
        """Return the answer.

        Raises:
            TimeoutError: There is none in time.
            OSError: The worker has ended.
        """
        self._peer.settimeout(seconds)
        send_message(self._peer, fields)
        answer = receive_message(self._peer)
        if answer is None:
            raise ConnectionError("the worker has ended")
        self.used_at = time.monotonic()
        return answer

    def end(self) -> None:
        """End the process at once. Can be called twice, and from another thread."""
        self._process.kill()
        self._process.wait()
        self._peer.close()
        shutil.rmtree(self._temporary, ignore_errors=True)


class TableWorkers:
    """Some workers. Its methods belong to the event loop."""

    def __init__(
        self, *, workers_max: int, waiting_max: int, memory_bytes: int, seconds: float
    ) -> None:
        """
        Args:
            waiting_max: requests that may wait for their turn; more are refused.
            memory_bytes: of one query.
            seconds: time limit of one query.
        """
        self._memory_bytes, self._seconds = memory_bytes, seconds
        self._waiting_max, self._waiting = waiting_max, 0
        self._turns = asyncio.Semaphore(workers_max)
        self._threads = ThreadPoolExecutor(workers_max, thread_name_prefix="table")
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        return [each.pid for each in (*self._idle, *self._busy)]

    async def ask(self, **fields: Any) -> Message:
        """Return a worker's answer; cancelling ends the query.

        Raises:
            ApiError: Too many requests wait, the query failed, or no worker starts.
        """
        if self._turns.locked() and self._waiting >= self._waiting_max:
            raise ApiError(503, "busy", "too many queries are waiting; try again in a few seconds")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._answer(fields)
        finally:
            self._turns.release()

    async def _answer(self, fields: Mapping[str, Any]) -> Message:
        ended = ""
        for _ in range(_ATTEMPTS_MAX):
            worker = await self._take()
            self._busy.add(worker)
            try:
                answer = await self._in_thread(worker.ask, fields, self._seconds + _GRACE_SECONDS)
            except TimeoutError as error:
                worker.end()
                raise ApiError(
                    504,
                    "query_timeout",
                    f"reading the table took more than {self._seconds:g} s; use a narrower "
                    "filter, or raise query_seconds",
                ) from error
            except OSError as error:
                worker.end()
                ended = str(error)
                continue
            except BaseException:
                worker.end()  # Cancelled; its thread sees the end of the connection.
                raise
            finally:
                self._busy.discard(worker)
            self._keep(worker)
            if "error" in answer.fields:
                raise _failure_of(answer.fields)
            assert isinstance(answer, Message)
            return answer
        raise ApiError(
            500, "table_failed", f"the worker ended twice while it read the table: {ended}"
        )

    async def _take(self) -> _Worker:
        if self._closed:
            raise ApiError(503, "busy", "the hub is shutting down")
        if self._idle:
            return self._idle.pop()
        try:
            made = await self._in_thread(_Worker, self._memory_bytes, self._seconds)
        except OSError as error:
            raise ApiError(
                503, "tables_unavailable", f"starting a worker for tables failed: {error}"
            ) from error
        assert isinstance(made, _Worker)
        return made

    def _keep(self, worker: _Worker) -> None:
        if self._closed:
            worker.end()
            return
        self._idle.append(worker)
        asyncio.get_running_loop().call_later(_IDLE_SECONDS + 1, self._end_idle)

    def _end_idle(self) -> None:
        old = time.monotonic() - _IDLE_SECONDS
        for worker in [each for each in self._idle if each.used_at < old]:
            self._idle.remove(worker)
            worker.end()

    async def _in_thread(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """End all. Can be called twice."""
        self._closed = True
        for worker in (*self._idle, *self._busy):
            worker.end()
        self._idle.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _failure_of(fields: Mapping[str, Any]) -> ApiError:
    text, code = str(fields["error"]), fields.get("code")
    if code in _TOO_LARGE:
        return ApiError(
            413,
            "query_too_large",
            f"the query needs more memory than query_memory_bytes allows: {text[:200]}",
        )
    if code in _TOO_SLOW:
        return ApiError(504, "query_timeout", text[:200])
    if code in _PATTERN_WRONG:
        return ApiError(400, "filter_invalid", f"invalid regular expression: {text[:200]}")
    return ApiError(500, "table_failed", f"reading the table failed: {text[:500]}")
