"""Runs one target under atheris and counts. Once a process: atheris hooks the interpreter."""

import contextlib
import hashlib
import importlib
import io
import logging
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import atheris

from tests.fuzz.targets.target import Target

TARGETS: Final = {
    "records": ("tests.fuzz.targets.records", "Records"),
    "session": ("tests.fuzz.targets.session", "Sessions"),
    "receiver": ("tests.fuzz.targets.receiver", "Receivers"),
    "relay": ("tests.fuzz.targets.relay", "Relays"),
    "journal": ("tests.fuzz.targets.journal", "Journals"),
    "repair": ("tests.fuzz.targets.journal", "Repairs"),
    "spool": ("tests.fuzz.targets.spool", "Spools"),
}
_TOLD_SECONDS: Final = 30.0
_FINDING: Final = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """When to end: at the first that is reached; 0 is none."""

    runs: int = 0
    frames: int = 0
    seconds: float = 0.0


def load(name: str, *, instrument: bool = True) -> Target:
    """Return target ``name``, what it reads with instrumented for coverage."""
    module, cls = TARGETS[name]
    if instrument:
        packages = ["stepwell_wire", "stepwell_daemon"]
        with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(packages):
            made = getattr(importlib.import_module(module), cls)
    else:
        made = getattr(importlib.import_module(module), cls)
    target: Target = made()
    return target


def fuzz(name: str, limits: Limits, corpus: Path | None, findings: Path, *, seed: int = 0) -> None:
    """Fuzz until a limit is reached or something is found; ends the process.

    Args:
        corpus: where interesting inputs are kept and taken from; None: in a temporary folder.
        findings: where an input that breaks something is written.
        seed: makes a run repeatable; 0 takes one at random.
    """
    logging.disable()  # Refusals and damage by the million are no news here.
    target = load(name)
    temporary = tempfile.mkdtemp(prefix="swf-") if corpus is None else None
    corpus = corpus or Path(str(temporary))
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / _digest(data)).write_bytes(data)
    started = told = time.monotonic()
    runs = frames = 0

    def tell(word: str) -> None:
        seconds = time.monotonic() - started
        rate = frames / max(seconds, 1e-9)
        print(
            f"{name}: {word} runs={runs} frames={frames} seconds={seconds:.1f} "
            f"frames_per_second={rate:.0f}",
            flush=True,
        )

    def end(code: int) -> None:
        target.close()
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # libFuzzer has no other end that leaves the exit code to us.

    def one(data: bytes) -> None:
        nonlocal runs, frames, told
        try:
            frames += target.feed(data)
        except Exception:
            import traceback

            traceback.print_exc()
            findings.mkdir(parents=True, exist_ok=True)
            path = findings / f"{name}-{_digest(data)[:12]}"
            path.write_bytes(data)
            print(f"{name}: finding kept; again: python -m tests.fuzz {name} --replay {path}")
            tell("FAILED")
            end(_FINDING)
        runs += 1
        now = time.monotonic()
        if (
            (limits.runs and runs >= limits.runs)
            or (limits.frames and frames >= limits.frames)
            or (limits.seconds and now - started >= limits.seconds)
        ):
            tell("ok")
            end(0)
        if now - told > _TOLD_SECONDS:
            told = now
            tell("goes on")

    options = [f"-max_len={target.length_max}", "-len_control=0", "-verbosity=0"]
    options += ["-timeout=60", "-rss_limit_mb=3072"]
    if seed:
        options.append(f"-seed={seed}")
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
