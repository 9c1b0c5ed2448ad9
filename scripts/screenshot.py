"""Make the pictures of the README: real runs in a real page, light and dark.

    python scripts/screenshot.py [--folder docs/images]

A daemon with its hub starts on a temporary folder, the example trains with several settings, the
last one still runs, and chromium draws the charts. `make picture` calls this.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from tests.browser.chromium import enter, launched  # noqa: E402
from tests.browser.site import Site, site_running  # noqa: E402

PROJECT = "digits"
SIZE = (1440, 900)
PICTURE_BYTES_MAX = 300_000
TRAININGS = (
    *((0.02, 128), (0.05, 128), (0.1, 128), (0.2, 128)),
    *((0.05, 512), (0.1, 512), (0.2, 512), (0.4, 512)),
)
"""Learning rate and hidden units of each run."""
EPOCHS = 60
RUNS = len(TRAININGS) + 1
SHOWN = "^train/|^validation/"


def train(site: Site, rate: float, hidden: int, epochs: int) -> subprocess.Popen[bytes]:
    """Start a training of the example on scikit-learn's handwritten digits."""
    words = [sys.executable, "-m", "stepwell", "run", "--", sys.executable]
    words += [str(ROOT / "examples" / "train_digits.py"), "--epochs", str(epochs)]
    words += ["--learning-rate", str(rate), "--hidden", str(hidden)]
    environment = {
        **site.node.environment,
        "STEPWELL_NAME": f"lr-{rate}-hidden-{hidden}",
        "OPENBLAS_NUM_THREADS": "1",  # More of them only wait for each other at this size.
    }
    # A session of its own: the command and the training that it starts end together.
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )


def picture(browser: Browser, site: Site, path: str, theme: str, file: Path) -> None:
    """Write what a signed-in browser shows at ``path``."""
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": SIZE[0], "height": SIZE[1]},
        reduced_motion="reduce",
    )
    page = context.new_page()
    enter(page, site.link("/status"))
    page.goto(f"{site.url}{path}")
    page.wait_for_function(f"() => document.querySelectorAll('.rail [data-run]').length === {RUNS}")
    page.wait_for_selector('[data-metric="train/loss"][data-ready="true"]')
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-metric]')]"
        ".every((panel) => panel.dataset.ready === 'true')"
    )
    page.screenshot(path=str(file), animations="disabled")
    context.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    with site_running("--sample-seconds", "1") as site, sync_playwright() as playwright:
        for rate, hidden in TRAININGS:
            if train(site, rate, hidden, EPOCHS).wait(300) != 0:
                print("a training failed", file=sys.stderr)
                return 1
        path = f"{site.run_path(PROJECT)}?m={quote(SHOWN)}"
        live = train(site, 0.3, 512, 10_000)
        try:
            browser = launched(playwright)
            for theme in ("light", "dark"):
                picture(browser, site, path, theme, options.folder / f"page-{theme}.png")
            browser.close()
        finally:
            os.killpg(live.pid, signal.SIGKILL)
            live.wait(60)
    large = [
        file for file in options.folder.glob("*.png") if file.stat().st_size > PICTURE_BYTES_MAX
    ]
    for file in large:
        print(f"{file}: more than {PICTURE_BYTES_MAX:,} bytes", file=sys.stderr)
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
