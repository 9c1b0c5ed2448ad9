"""What does one `log` call cost the training loop?

Calls back to back, timed one by one, for 1, 10, 100 and 1,000 floats: stepwell with its daemon,
a JSON line a step and `list.append` in turn in one process; then eight stepwell writers at once.
"""

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable

from benchmarks.harness import daemon_running, percentile, table

WIDTHS = {1: 100_000, 10: 50_000, 100: 10_000, 1000: 2_000}


def time_calls(log: Callable[[dict[str, float]], object], width: int, calls: int) -> list[float]:
    """Return the sorted durations of ``calls`` calls in microseconds."""
    row = {f"metric/{i}": 0.1 * i for i in range(width)}
    clock = time.perf_counter_ns
    for _ in range(50):
        log(row)
    durations = []
    for _ in range(calls):
        start = clock()
        log(row)
        durations.append((clock() - start) / 1000)
    return sorted(durations)


def writer(width: int, calls: int, barrier: object, results: object) -> None:
    import stepwell

    run = stepwell.init(project="bench", reinit="create_new", config={"width": width})
    barrier.wait()  # type: ignore[attr-defined]
    durations = time_calls(run.log, width, calls)
    results.put((percentile(durations, 0.5), percentile(durations, 0.99)))  # type: ignore[attr-defined]
    run.finish()


def main() -> None:
    import stepwell

    rows: list[list[object]] = []
    with daemon_running(), tempfile.TemporaryFile("w") as lines:
        kept: list[dict[str, float]] = []
        run = stepwell.init(project="bench")
        for width, calls in WIDTHS.items():
            for name, log in (
                ("list.append", kept.append),
                ("JSON line", lambda row: lines.write(json.dumps(row) + "\n")),
                ("stepwell", run.log),
            ):
                durations = time_calls(log, width, calls)
                rows.append(
                    [name, width, *(percentile(durations, q) for q in (0.5, 0.99)), durations[-1]]
                )
            kept.clear()
        dropped = run.dropped_points
        run.finish()
        context = multiprocessing.get_context("spawn")
        barrier, results = context.Barrier(8), context.Queue()
        writers = [
            context.Process(target=writer, args=(10, 50_000, barrier, results)) for _ in range(8)
        ]
        for each in writers:
            each.start()
        pairs = [results.get(timeout=300) for _ in writers]
        for each in writers:
            each.join(120)
    medians, tails = sorted(pair[0] for pair in pairs), sorted(pair[1] for pair in pairs)
    rows.append(["stepwell, 8 writers at once (median writer)", 10, medians[4], tails[4], "–"])
    print(table(["logger", "floats", "p50 µs", "p99 µs", "max µs"], rows))
    print(f"\ndropped points: {dropped}")


if __name__ == "__main__":
    main()
