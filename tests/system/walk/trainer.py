"""A training process that does what it is asked, and how the walk talks with it.

    python -m tests.system.walk.trainer REPLIES COUNTS

Questions are lines of JSON on standard input, answers are lines of JSON on the descriptor REPLIES.
COUNTS is a small shared file with how many rows of a burst were begun and how many were logged: it
outlives a SIGKILL, as the journal does. What is printed goes to the console of the run.
"""

import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BURST_METRIC: Final = "burst"
_COUNTS: Final = struct.Struct("<QQ")


class TrainerError(AssertionError):
    """A trainer ended, or failed in a way that the walk did not ask for."""


def pixels_of(number: int) -> NDArray[np.uint8]:
    """Return the picture number ``number``; none is like another."""
    generator = np.random.default_rng(number)
    return generator.integers(0, 256, (6 + number % 3, 5, 3), dtype=np.uint8)


def burst_value(number: int, place: int) -> float:
    """Return the value of the row at ``place`` of burst ``number``."""
    return float((number * 1009 + place * 7) % 4001) / 8.0


class Trainer:
    """A training process as the walk sees it."""

    def __init__(self, folder: Path, number: int, environment: Mapping[str, str]) -> None:
        self.number = number
        self._counts_path = folder / f"counts-{number}"
        self._counts_path.write_bytes(bytes(_COUNTS.size))
        read, write = os.pipe()
        words = [sys.executable, "-m", __name__, str(write), str(self._counts_path)]
        self.log_path = folder / f"trainer-{number}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                words,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                pass_fds=(write,),
            )
        os.close(write)
        self._replies = os.fdopen(read)

    def tell(self, what: str, **facts: Any) -> None:
        """Ask for something without waiting for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": what, **facts}) + "\n")
        self.process.stdin.flush()

    def ask(self, what: str, **facts: Any) -> dict[str, Any]:
        """Ask for something and return the answer; an ``error`` in it names an exception.

        Raises:
            TrainerError: The process ended instead.
        """
        self.tell(what, **facts)
        line = self._replies.readline()
        if not line:
            code = self.process.wait(60)
            raise TrainerError(f"trainer {self.number} ended ({code}) at {what}: {self.log()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self, how: int | None = None) -> int:
        """Wait for its end, after the signal ``how``; return the exit code."""
        if how is not None:
            self.process.send_signal(how)
        code = self.process.wait(90)
        self._replies.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return code

    def counts(self) -> tuple[int, int]:
        """Return how many rows of the last burst were begun, and for how many `log` returned."""
        began, returned = _COUNTS.unpack(self._counts_path.read_bytes())
        return began, returned

    def log(self) -> str:
        """Return the end of what it printed."""
        return self.log_path.read_text("utf-8", "replace")[-4000:]


class _Script:
    """The training script's side."""

    def __init__(self, counts_path: str) -> None:
        import stepwell

        self.stepwell = stepwell
        self.run: Any = None
        self.journal = Path()
        with open(counts_path, "r+b") as file:
            self.counts = memoryview(mmap.mmap(file.fileno(), _COUNTS.size)).cast("Q")

    def init(self, **arguments: Any) -> dict[str, Any]:
        self.run = self.stepwell.init(**arguments)
        self.journal = Path(self.run._journal_dir)
        facts = {"label": self.run.label, "name": self.run.name, "resumed": self.run.resumed}
        return {**facts, "journal": self.journal.name}

    def log(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        for row in rows:
            self.run.log(row["data"], step=row["step"], commit=row["commit"])
        return {}

    def image(self, metric: str, number: int, step: int) -> dict[str, Any]:
        self.run.log({metric: self.stepwell.Image(pixels_of(number))}, step=step)
        return {}

    def burst(self, number: int, rows: int, step: int) -> dict[str, Any]:
        for place in range(rows):
            self.counts[0] = place + 1
            self.run.log({BURST_METRIC: burst_value(number, place)}, step=step + place)
            self.counts[1] = place + 1
        return {}

    def define(self, **arguments: Any) -> dict[str, Any]:
        self.run.define_metric(**arguments)
        return {}

    def set_summary(self, values: dict[str, Any]) -> dict[str, Any]:
        self.run.summary.update(values)
        return {}

    def summary(self) -> dict[str, Any]:
        return {"summary": self.run.summary.as_dict()}

    def config(self, values: dict[str, Any]) -> dict[str, Any]:
        self.run.config.update(values, allow_val_change=True)
        return {}

    def forget(self, name: str) -> dict[str, Any]:
        del self.run.config[name]
        return {}

    def about(self, name: str, value: Any) -> dict[str, Any]:
        setattr(self.run, name, value)
        return {}

    def print(self, lines: list[str]) -> dict[str, Any]:
        print(*lines, sep="\n", flush=True)
        return {}

    def flush(self) -> dict[str, Any]:
        return {"flushed": self.run.flush(timeout=60)}

    def finish(self, code: int) -> dict[str, Any]:
        self.run.finish(exit_code=code)
        return {"handed_over": not self.journal.exists()}

    def fail(self) -> dict[str, Any]:
        raise _AskedForError("the walk asked for this")


class _AskedForError(Exception):
    """Ends the script."""


def _serve(replies_descriptor: int, counts_path: str) -> None:
    script = _Script(counts_path)
    with os.fdopen(replies_descriptor, "w") as replies:
        for line in _questions():
            facts = json.loads(line)
            what = facts.pop("do")
            if what == "exit":
                return
            try:
                answer = getattr(script, what)(**facts)
            except (script.stepwell.ResumeError, script.stepwell.ConfigError) as error:
                answer = {"error": type(error).__name__, "message": str(error)}
            if script.run is not None:
                answer["step"] = script.run.step
            replies.write(json.dumps(answer) + "\n")
            replies.flush()


def _questions() -> Iterator[bytes]:
    """Yield the lines of standard input.

    Python checks for signals before it reads. One that comes between the check and the read does
    not end the read: the script would never see it. `select` also waits for the pipe to which
    Python writes each signal.
    """
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    pending = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 64)
        if 0 not in ready:
            continue
        piece = os.read(0, 65_536)
        if not piece:
            return
        *lines, pending = (pending + piece).split(b"\n")
        yield from lines


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _serve(int(sys.argv[1]), sys.argv[2])
