"""Make the files of the release that is installed: `python -m tests.golden.make NAME`.

`NAME.tar.xz` has two folders as they lie after a kill: journals that were written offline, and
the spool of a daemon whose store was away. The values are those of `contents`. `code/NAME.tar.xz`
has the release's own packages, which later ones meet as the other side. Once released neither is
ever made again: what a release wrote, every later one reads.
"""

import argparse
import importlib.util
import math
import signal
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from stepwell_wire.journal_files import find_journals
from tests.node import Node
from tests.waiting import wait_until

HERE: Final = Path(__file__).parent
STEPS: Final = 50
PACKAGES: Final = ("stepwell", "stepwell_wire", "stepwell_daemon", "stepwell_store")

_TRAIN: Final = """
import stepwell
run = stepwell.init("golden", id="{run_id}", name="the {run_id}", mode="{mode}",
                    config={{"optimizer": {{"lr": 0.1, "name": "adam"}}, "layers": [1, 2]}},
                    tags=["kept"], settings={{"console": False}})
stepwell.define_metric("loss", summary="min")
for step in range({steps}):
    run.log({{"loss": 1.0 / (step + 1), "odd/näme": float("nan") if step % 7 == 3 else -step}})
    if step == 20:
        run.log({{"wide": 1e308, "text": "seen ünicode", "other": [1, {{"a": None}}]}})
run.summary["best"] = float("-inf")
run.finish(exit_code=3)
"""


def contents() -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) by metric, of each of the two runs."""
    steps = [count if count <= 20 else count + 1 for count in range(STEPS)]
    counted = list(enumerate(steps))
    return {
        "loss": [(step, 1.0 / (count + 1)) for count, step in counted],
        "odd/näme": [
            (step, math.nan if count % 7 == 3 else float(-count)) for count, step in counted
        ],
        "wide": [(21, 1e308)],
    }


def pack_code(target: Path) -> None:
    """Write the packages that this process would import to ``target``."""

    def bare(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return None if "__pycache__" in member.name else member

    target.parent.mkdir(exist_ok=True)
    with tarfile.open(target, "w:xz") as archive:
        for name in PACKAGES:
            found = importlib.util.find_spec(name)
            assert found is not None, name
            archive.add(Path(str(found.origin)).parent, name, filter=bare)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make")
    parser.add_argument("name", help="of the release, e.g. 0.1.0")
    target = HERE / f"{parser.parse_args().name}.tar.xz"
    if target.exists():
        print(f"{target} is there; what was released is not made again", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        node = Node(Path(folder))
        # A daemon that never reaches its store: everything stays in the spool.
        node.variables = {
            "STEPWELLD_SINK": "clickhouse",
            "STEPWELLD_CLICKHOUSE_HOSTS": "127.0.0.1:1",
            "STEPWELLD_SAMPLE_SECONDS": "0",
            "STEPWELLD_SEGMENT_BYTES": str(64 << 10),
        }
        node.start_daemon()
        for run_id, mode in (("spooled", "online"), ("offline", "offline")):
            done = node.python(_TRAIN.format(run_id=run_id, mode=mode, steps=STEPS))
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                return 1
        wait_until(lambda: len(find_journals(node.journals)) == 1, "the online run's journal to go")
        node.stop_daemon(how=signal.SIGKILL)
        with tarfile.open(target, "w:xz") as archive:
            archive.add(node.journals, "journals")
            archive.add(node.data / "spool", "data/spool")
    code = HERE / "code" / target.name
    pack_code(code)
    for made in (target, code):
        print(f"{made}: {made.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
