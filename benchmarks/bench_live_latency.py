"""How long from `log` to the pixel, in a chromium that shows the charts of a project?

One run logs a probe; a page draws it beside 12 metrics of four runs that log ten times a second.
The moment is that of the frame after the one in which the chart says that it drew the probe's
step. Both clocks are the machine's wall clock. STEPWELL_BENCH_PROBES sets how often.
"""

import multiprocessing
import os
import time
from random import Random
from typing import Any, Final

from benchmarks.harness import percentile, table

PROBES: Final = int(os.environ.get("STEPWELL_BENCH_PROBES", "100"))
METRICS: Final = 12
PROJECT: Final = "live"

_NOTE_DRAWINGS: Final = """
() => {
  const panel = document.querySelector(`[data-metric="probe"]`);
  const chart = panel.querySelector(".chart");
  window.drawn = {};
  new MutationObserver(() => {
    const step = chart.chart.debugState().x[1];
    if (step in window.drawn) return;
    window.drawn[step] = 0;
    // The frame that holds the drawing is over when the next one begins.
    requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn[step] = Date.now(); }));
  }).observe(chart, { attributes: true });
}
"""


def background(stop: Any, number: int) -> None:
    import stepwell

    run = stepwell.init(project=PROJECT, id=f"other-{number}", reinit="create_new")
    step = 0
    while not stop.is_set():
        run.log({f"m/{i:02}": i + 1 / (step + 1) for i in range(METRICS)}, step=step)
        step += 1
        time.sleep(0.1)
    run.finish()


def main() -> None:
    from playwright.sync_api import sync_playwright

    import stepwell
    from tests.browser.chromium import launched
    from tests.browser.site import site_running

    with site_running() as site:
        kept = dict(os.environ)
        os.environ.update(site.node.environment)
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        others = [context.Process(target=background, args=(stop, n)) for n in range(4)]
        for each in others:
            each.start()
        try:
            run = stepwell.init(project=PROJECT, id="probe")
            run.log({"probe": 0.0}, step=0)
            with sync_playwright() as playwright:
                browser = launched(playwright)
                durations = measured(browser, site, run)
                browser.close()
            run.finish()
        finally:
            stop.set()
            for each in others:
                each.join(60)
            os.environ.clear()
            os.environ.update(kept)
    durations.sort()
    rows = [
        [
            "log to pixel",
            *(percentile(durations, share) for share in (0.5, 0.95, 0.99)),
            durations[-1],
        ]
    ]
    print(table(["what", "p50 ms", "p95 ms", "p99 ms", "highest ms"], rows))


def measured(browser: Any, site: Any, run: Any) -> list[float]:
    """Return the milliseconds of each probe."""
    from tests.browser.charts import wait_until_drawn
    from tests.browser.chromium import enter

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    enter(page, site.link(site.run_path(PROJECT)))
    wait_until_drawn(page, "probe", buckets=1)
    page.evaluate(_NOTE_DRAWINGS)
    random = Random(1)
    durations = []
    for step in range(1, PROBES + 1):
        time.sleep(random.uniform(0.1, 0.6))
        logged = time.time() * 1000
        run.log({"probe": random.random()}, step=step)
        page.wait_for_function("(step) => Boolean(window.drawn[step])", arg=step, timeout=30_000)
        durations.append(page.evaluate("(step) => window.drawn[step]", step) - logged)
    return durations


if __name__ == "__main__":
    main()
