"""How long from `log` to queryable, at a moderate load?

One run logs ten floats a hundred times a second beside a background of four such writers. A probe
row is logged, then the store is asked for it until it answers; the time of a query is part of it.
"""

import multiprocessing
import time
from typing import Any

from benchmarks.harness import daemon_running, percentile, table

PROBES = 100


def background(stop: Any) -> None:
    import stepwell

    run = stepwell.init(project="bench", reinit="create_new")
    step = 0
    while not stop.is_set():
        run.log({f"m{i}": step * 0.5 + i for i in range(10)}, step=step)
        step += 1
        time.sleep(0.01)
    run.finish()


def main() -> None:
    import stepwell
    from stepwell_store import connect_embedded

    durations = []
    with daemon_running() as daemon:
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        others = [context.Process(target=background, args=(stop,)) for _ in range(4)]
        for each in others:
            each.start()
        run = stepwell.init(project="bench", id="probe")
        run.log({"probe": -1.0}, step=0)
        run.flush()
        daemon.flush()
        store = connect_embedded(daemon.data)
        (row,) = store.query(
            "SELECT series FROM series WHERE run_id = 'probe' AND metric = 'probe' LIMIT 1"
        )
        question = f"SELECT count() AS n FROM points WHERE series = {int(row['series'])} AND step ="
        time.sleep(3.0)
        for probe in range(1, PROBES + 1):
            time.sleep((probe * 37 % 100) / 500)  # Not in step with any timer.
            start = time.perf_counter()
            run.log({"probe": float(probe)}, step=probe)
            while not int(store.query(f"{question} {probe}")[0]["n"]):
                time.sleep(0.005)
            durations.append((time.perf_counter() - start) * 1000)
        store.close()
        stop.set()
        for each in others:
            each.join(60)
        run.finish()
    durations.sort()
    rows = [[percentile(durations, 0.5), percentile(durations, 0.99), durations[-1]]]
    print(table(["p50 ms", "p99 ms", "max ms"], rows))


if __name__ == "__main__":
    main()
