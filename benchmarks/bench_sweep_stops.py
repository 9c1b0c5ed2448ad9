"""How long from the `log` that decides an early stop until the trainer has it?

Trials of a sweep with hyperband log worse and worse values, so each is stopped at its first band.
Timed is from the call of `log` at the band to what follows in the trainer: `TrialStopped` out of a
later `log` (the training step takes 10 ms), or in a step that does not log, or the end of the
process that a command is.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import daemon_running, percentile, table

STOPS: Final = 40
_BAND: Final = 3
_STEP_SECONDS: Final = 0.01
_LONG_SECONDS: Final = 60.0
_COUNT: Final = STOPS + 1  # The first trial has nothing to be compared with: it ends by itself.


def _train(notes: Path, *, is_logging: bool) -> None:
    """Log up to the band, then go on until the stop comes; note how long that took."""
    import stepwell

    run = stepwell.init(settings={"metadata": False, "console": "off", "silent": True})
    number = int(os.environ["STEPWELL_SWEEP_NUMBER"])
    for _ in range(_BAND - 1):
        run.log({"loss": float(number)})
    decided_at = time.monotonic()
    run.log({"loss": float(number)})
    if number == 1:
        run.finish()
        return
    try:
        while time.monotonic() < decided_at + _LONG_SECONDS:
            if is_logging:
                run.log({"other": 1.0})
            time.sleep(_STEP_SECONDS)
        raise RuntimeError(f"no stop within {_LONG_SECONDS:g} s")
    finally:
        _note(notes, decided_at=decided_at, stopped_at=time.monotonic())


def _note(notes: Path, **what: float) -> None:
    with notes.open("a") as file:
        file.write(f"{json.dumps(what)}\n")


def _config(notes: Path) -> dict[str, Any]:
    train = [sys.executable, "-m", "benchmarks.bench_sweep_stops", "train", str(notes)]
    return {
        "method": "random",
        "metric": {"name": "loss"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
        "early_terminate": {"type": "hyperband", "min_iter": _BAND},
        "command": train,
    }


def _agent(notes: Path, kind: str) -> None:
    """Run a sweep's trials one after the other; called in a process of its own."""
    import stepwell
    from stepwell._sweeps.command_mode import CommandAgent

    sweep = stepwell.sweep(_config(notes), project="stops")
    if kind == "command":
        execute = CommandAgent._execute

        def noting(self: Any, trial: Any) -> int:
            code = execute(self, trial)
            if trial.number > 1:
                _note(notes, ended_at=time.monotonic())
            return code

        CommandAgent._execute = noting  # type: ignore[method-assign]
        stepwell.agent(sweep, count=_COUNT)
        return
    stepwell.agent(sweep, lambda: _train(notes, is_logging=kind == "log"), count=_COUNT)


def measure(kind: str) -> dict[str, list[float]]:
    """Return seconds from the decision until ``stopped_at`` and ``ended_at``, sorted."""
    with tempfile.TemporaryDirectory(prefix="sw-bench-") as folder:
        notes = Path(folder) / "notes"
        words = [sys.executable, "-m", "benchmarks.bench_sweep_stops", "agent", str(notes), kind]
        done = subprocess.run(words, capture_output=True, text=True, timeout=1200)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        found: dict[str, list[float]] = {}
        decided_at = 0.0
        for line in notes.read_text().splitlines():
            note = json.loads(line)
            decided_at = note.pop("decided_at", decided_at)
            for name, moment in note.items():
                found.setdefault(name, []).append(moment - decided_at)
    return {name: sorted(times) for name, times in found.items()}


def main() -> None:
    rows = []
    with daemon_running("--hub", "auto", "--hub-port", "0"):
        for kind, name, what in (
            ("log", "stopped_at", "a function: out of its next `log`"),
            ("silent", "stopped_at", "a function that does not log"),
            ("command", "stopped_at", "a command: out of its next `log`"),
            ("command", "ended_at", "a command: the process has ended"),
        ):
            if name == "stopped_at":
                found = measure(kind)
            times = [each * 1000 for each in found[name]]
            figures = (percentile(times, 0.5), percentile(times, 0.99), times[-1])
            rows.append((what, str(len(times)), *(f"{each:.0f}" for each in figures)))
    print(table(("an early stop", "stops", "p50 ms", "p99 ms", "max ms"), rows))


if __name__ == "__main__":
    what, where, *kind = sys.argv[1:]
    if what == "train":
        _train(Path(where), is_logging=True)
    else:
        _agent(Path(where), kind[0])
