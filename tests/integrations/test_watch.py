"""`watch` with the real torch: each case of `watch_cases.py`, and the script that people copy."""

import ast
import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.conftest import PYTHON, ROOT, Bench

pytestmark = [pytest.mark.processes, pytest.mark.slow]

_FILE = Path(__file__).with_name("watch_cases.py")
_NAMES = [
    node.name.replace("_", " ")
    for node in ast.parse(_FILE.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.decorator_list
    if getattr(node.decorator_list[0], "id", "") == "case"
]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """What was wrong in each case, "" for nothing."""
    if not PYTHON.exists():
        pytest.skip("REAL FRAMEWORKS ARE NOT TESTED: `make integrations` installs them")
    done = subprocess.run(
        [str(PYTHON), "-m", "tests.integrations.watch_cases"],
        env={**os.environ, "STEPWELL_NO_DAEMON": "1", "STEPWELL_GIT": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", _NAMES)
def test_case(outcomes: dict[str, str], name: str) -> None:
    if outcomes[name] == "no GPU here":
        pytest.skip("no GPU that torch can use here: counted on the CPU only")
    assert outcomes[name] == ""


def test_every_case_is_one_of_them(outcomes: dict[str, str]) -> None:
    assert sorted(outcomes) == sorted(_NAMES)


def test_the_pytorch_script_logs_the_histograms_that_torch_counts(bench: Bench) -> None:
    trained = bench.train("pytorch_before.txt", "pytorch_block.txt", "pytorch_rest.txt")
    run = trained.run
    assert (run["project"], run["state"]) == ("pytorch-demo", "finished")
    assert trained.values_of("epoch") == list(range(20))
    names = {
        f"{kind}/{layer}.{part}"
        for kind in ("gradients", "parameters")
        for layer in "02"
        for part in ("weight", "bias")
    }
    held = {each["metric"]: each for each in run["histograms"]}
    assert set(held) == names
    # 20 epochs of 32 batches; every tenth is recorded, in the row of its epoch.
    assert {each["histogram_count"] for each in held.values()} == {64}
    expected: dict[str, Any] = json.loads((trained.node.folder / "expected.json").read_text())
    assert len(expected) == 20
    exact = 0
    for row in trained.rows:
        for name, (low, high, counts, below, up_to) in expected[str(row["_step"])].items():
            logged = row[name]
            assert (logged["bins"][0], logged["bins"][-1]) == (low, high)
            assert sum(logged["values"]) == sum(counts)
            # Only a value on an edge, as float32 rounds it, may be in the neighbouring bin.
            so_far = list(itertools.accumulate(logged["values"]))[:-1]
            assert all(a <= b <= c for a, b, c in zip(below, so_far, up_to, strict=True))
            exact += logged["values"] == counts
    assert exact >= 0.95 * 20 * len(names)
    assert "not available yet" not in trained.done.stderr


_WITH_GRADIENT = """
import torch, stepwell

run = stepwell.init("p", mode="offline", settings={"console": False, "metadata": False})
loss = torch.tensor(1.5, requires_grad=True)
for _ in range(3):
    run.log({"loss": loss * 2, "of one value": loss.reshape(1)})
assert (run.summary["loss"], run.summary["of one value"]) == (3.0, 1.5), dict(run.summary)
run.finish()
"""


@pytest.mark.skipif(not PYTHON.exists(), reason="`make integrations` installs torch")
def test_a_loss_with_its_gradient_is_logged_without_a_warning_of_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(PYTHON), "-W", "always", "-c", _WITH_GRADIENT],
        env={**os.environ, "STEPWELL_DIR": str(tmp_path), "STEPWELL_NO_DAEMON": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
