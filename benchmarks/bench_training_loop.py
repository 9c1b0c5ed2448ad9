"""What does a training loop lose? One millisecond of Python work a step, ten floats every step.

Bare loop, an empty logger and stepwell, in turn in one process, several rounds; CPU of all threads
of the training process by its own accounting, and the loop's wall time.
"""

import statistics
import time
from collections.abc import Callable

from benchmarks.harness import daemon_running, table

STEPS = 1000
ROUNDS = 21


def work() -> float:
    """Take about a millisecond in Python."""
    total = 0.0
    for i in range(14_000):
        total += i * 0.5
    return total


def loop(log: Callable[[dict[str, float]], object] | None) -> tuple[float, float, float]:
    """Return wall, CPU and CPU of the other threads, in microseconds a step."""
    wall, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    for step in range(STEPS):
        loss = work()
        if log is not None:
            log({f"m{i}": loss + i for i in range(10)})
        elif step < 0:
            break
    return (
        (time.perf_counter() - wall) / STEPS * 1e6,
        (time.process_time() - cpu) / STEPS * 1e6,
        (time.process_time() - cpu - (time.thread_time() - own)) / STEPS * 1e6,
    )


def main() -> None:
    import stepwell

    def empty(row: dict[str, float]) -> None:
        """Take the row and forget it."""

    with daemon_running():
        run = stepwell.init(project="bench")
        time.sleep(2.0)
        loop(run.log)
        variants: dict[str, Callable[[dict[str, float]], object] | None] = {
            "bare": None,
            "empty logger": empty,
            "empty logger again": empty,
            "stepwell": run.log,
        }
        figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in variants}
        for _ in range(ROUNDS):
            for name, log in variants.items():
                # Each begins right after the one before, so that the clock speed is the same; what
                # is left of stepwell's work is charged to the bare loop that follows it.
                figures[name].append(loop(log))
        run.finish()
    rows = []
    for name, pairs in figures.items():
        walls = [
            pair[0] / base[0] for pair, base in zip(pairs, figures["empty logger"], strict=True)
        ]
        cpus = [
            pair[1] / base[1] for pair, base in zip(pairs, figures["empty logger"], strict=True)
        ]
        rows.append(
            [
                name,
                statistics.median(pair[0] for pair in pairs),
                statistics.median(pair[1] for pair in pairs),
                statistics.mean(pair[2] for pair in pairs),
                f"{(statistics.median(walls) - 1) * 100:+.2f} %",
                f"{(statistics.median(cpus) - 1) * 100:+.2f} %",
            ]
        )
    headings = [
        "loop",
        "wall µs/step",
        "CPU µs/step",
        "of it other threads",
        "wall against empty",
        "CPU against empty",
    ]
    print(table(headings, rows))


if __name__ == "__main__":
    main()
