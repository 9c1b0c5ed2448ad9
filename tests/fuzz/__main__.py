"""The command; see the package."""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.engine import TARGETS, Limits, fuzz, load

_COUNTS = re.compile(r"ok runs=(\d+) frames=(\d+) seconds=([\d.]+)")
# By what is read over a socket most: the rest of the frames goes to those whose input is files.
_SHARES = {
    "session": 68,
    "receiver": 8,
    "journal": 7,
    "records": 6,
    "relay": 5,
    "spool": 4,
    "repair": 2,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--runs", type=int, default=0, help="inputs, for each target")
    parser.add_argument("--frames", type=int, default=0, help="frames, of all targets together")
    parser.add_argument("--seconds", type=float, default=0.0, help="for each target")
    parser.add_argument("--corpus", type=Path, help="kept between runs; else a temporary folder")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--seed", type=int, default=0, help="repeats a run; 0: at random")
    parser.add_argument("--replay", type=Path, help="feed this one input without the fuzzer")
    chosen = parser.parse_args()
    if chosen.target == "all":
        return run_all(chosen)
    if chosen.replay is not None:
        target = load(chosen.target, instrument=False)
        print(f"{chosen.target}: ok frames={target.feed(chosen.replay.read_bytes())}")
        target.close()
        return 0
    limits = Limits(chosen.runs, chosen.frames, chosen.seconds)
    fuzz(chosen.target, limits, chosen.corpus, chosen.findings, seed=chosen.seed)
    return 0


def run_all(chosen: argparse.Namespace) -> int:
    """Run every target in a process of its own, one after the other; 1 where one failed."""
    runs = frames = 0
    seconds = 0.0
    failed = []
    for name, share in _SHARES.items():
        with tempfile.TemporaryDirectory(prefix="swf-") as temporary:
            corpus = chosen.corpus / name if chosen.corpus is not None else Path(temporary)
            command = [
                *(sys.executable, "-m", "tests.fuzz", name, "--corpus", str(corpus)),
                *("--runs", str(chosen.runs), "--seconds", str(chosen.seconds)),
                *("--frames", str(-(-chosen.frames * share // 100))),
                *("--findings", str(chosen.findings), "--seed", str(chosen.seed)),
            ]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                counts = None
                for line in child.stdout:
                    print(line, end="", flush=True)
                    counts = _COUNTS.search(line) or counts
            if child.returncode or counts is None:
                failed.append(name)
                continue
            runs += int(counts[1])
            frames += int(counts[2])
            seconds += float(counts[3])
    print(
        f"all: runs={runs} frames={frames} seconds={seconds:.1f} "
        f"frames_per_second={frames / max(seconds, 1e-9):.0f} failed={','.join(failed) or 'none'}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
