"""Real training frameworks, in an environment of their own that has no wandb.

`make integrations` makes `.venv-integrations`; `make test` does it as well. Without it these
tests are skipped, and the summary of the test run says so.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.node import Node, made_node

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
_STORED_SECONDS = 60.0


@dataclass
class Trained:
    """One run as the store has it, and what the process said."""

    node: Node
    run: dict[str, Any]
    rows: list[dict[str, Any]]
    done: "subprocess.CompletedProcess[str]"

    def steps_of(self, metric: str) -> list[int]:
        return [row["_step"] for row in self.rows if metric in row]

    def values_of(self, metric: str) -> list[Any]:
        return [row[metric] for row in self.rows if metric in row]


@dataclass
class Bench:
    """A node with a daemon and a store, on which scripts of `.venv-integrations` train."""

    node: Node

    def train(self, *texts: str, launcher: Sequence[str] = ()) -> Trained:
        """Run a script made of ``texts`` (files beside this one); return its only run."""
        (trained,) = self.train_several(*texts, launcher=launcher).values()
        return trained

    def train_several(self, *texts: str, launcher: Sequence[str] = ()) -> dict[str, Trained]:
        """Run a script under `stepwell run`; return its runs by name.

        ``launcher`` are words of a command of `.venv-integrations` in place of `python`.
        """
        program, *options = launcher or ("python",)
        script = self.node.folder / "train.py"
        script.write_text("".join((Path(__file__).parent / text).read_text() for text in texts))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "stepwell", "run", "--"),
                *(str(PYTHON.with_name(program)), *options, script.name),
            ],
            env={**self.node.environment, "HF_HUB_OFFLINE": "1", "STEPWELL_GIT": "0"},
            cwd=self.node.folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return {
            each["name"]: self._trained(each["run_id"], done)
            for each in self._stored("runs", "--json")
        }

    def _trained(self, run_id: str, done: "subprocess.CompletedProcess[str]") -> Trained:
        run = self._stored("show", run_id, "--json", "--tail", "1000")
        lines = self.node.stepwell("export", run_id, "-o", "-").stdout.splitlines()
        return Trained(self.node, run, [json.loads(line) for line in lines], done)

    def _stored(self, *words: str) -> Any:
        """Return a command's JSON, when the run that it tells of has ended."""
        deadline = time.monotonic() + _STORED_SECONDS
        while True:
            done = self.node.stepwell(*words)
            found = json.loads(done.stdout) if done.returncode == 0 else None
            runs = found if isinstance(found, list) else [found]
            if found and all(run["state"] != "running" for run in runs):
                return found
            assert time.monotonic() < deadline, (done.stdout[-2000:], done.stderr[-2000:])
            time.sleep(0.2)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with _made() as made:
        yield made


@pytest.fixture
def bench_with_hub() -> Iterator[Bench]:
    with _made(STEPWELLD_HUB="auto", STEPWELLD_HUB_PORT="0") as made:
        yield made


@contextmanager
def _made(**variables: str) -> Iterator[Bench]:
    if not PYTHON.exists():
        pytest.skip("REAL FRAMEWORKS ARE NOT TESTED: `make integrations` installs them")
    with made_node() as node:
        node.variables = variables
        shutil.rmtree(node.folder / "results", ignore_errors=True)
        node.start_daemon()
        yield Bench(node)
