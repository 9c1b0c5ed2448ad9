"""The thread in which one sampler is opened and called, and its answers.

The thread is our own, not an executor's: the interpreter waits at exit for executors' threads, so a
driver that hangs would keep the daemon from stopping. A daemon thread ends with the process.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from stepwell_daemon.samplers.protocol import Condition, Reading, Sampler
from stepwell_daemon.samplers.readings import Checked, check_answer

_ERROR_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one call.

    Attributes:
        time_us: time of the call's return; microseconds since 1970 UTC.
        seconds: duration of the call.
        problems: failed or invalid parts; the readings are valid.
    """

    readings: tuple[Reading, ...]
    problems: tuple[str, ...]
    time_us: int
    seconds: float
    conditions: tuple[Condition, ...] = ()


class SamplerThread:
    """Calls a sampler, one call at a time. Used from one event loop."""

    def __init__(self, name: str, open_sampler: Callable[[], Sampler]) -> None:
        self._name = name
        self._open = open_sampler
        self._sampler: Sampler | None = None
        self._calls: SimpleQueue[asyncio.Future[Outcome] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self) -> "asyncio.Future[Outcome]":
        """Begin a call. The previous call must have been answered.

        Raises:
            RuntimeError: The system has no thread left.
        """
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=f"sample-{self._name}", daemon=True)
            thread.start()
            self._thread = thread
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._calls.put(answer)
        return answer

    def close(self) -> None:
        """Let the thread end after its call; does not wait. Can be called twice."""
        self._calls.put(None)

    def _run(self) -> None:
        while (waiting := self._calls.get()) is not None:
            answer = self._answer()
            with contextlib.suppress(RuntimeError):  # The loop is closed: the daemon has ended.
                waiting.get_loop().call_soon_threadsafe(_give, waiting, answer)

    def _answer(self) -> Outcome:
        started = time.monotonic()
        try:
            if self._sampler is None:
                self._sampler = self._open()
            checked = check_answer(self._sampler.sample())
        except BaseException as error:
            # A driver's library may raise any exception, also SystemExit. This thread is never
            # cancelled.
            checked = Checked(problems=(error_text(error),))
        return Outcome(
            checked.readings,
            checked.problems,
            time.time_ns() // 1000,
            time.monotonic() - started,
            checked.conditions,
        )


def _give(waiting: "asyncio.Future[Outcome]", answer: Outcome) -> None:
    if not waiting.done():
        waiting.set_result(answer)


def error_text(error: BaseException) -> str:
    """Return the error in one line, even if its own text cannot be made."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = "(making its text failed)"
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text[:_ERROR_CHARACTERS].encode("utf-8", "replace").decode()
