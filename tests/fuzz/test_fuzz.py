"""Every target for a fixed number of inputs; longer: ``python -m tests.fuzz all --frames N``."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no wheel for this Python or machine")

RUNS = {
    "records": 1200,
    "session": 1200,
    "receiver": 700,
    "relay": 700,
    "journal": 400,
    "repair": 400,
    "spool": 400,
}


def fuzz(target: str, runs: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own: atheris hooks the interpreter."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz", target, "--runs", str(runs), "--seed", "1"),
            *("--corpus", str(folder / "corpus"), "--findings", str(folder / "findings")),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.holds("malformed-message", "fuzzing")
@pytest.mark.processes
@pytest.mark.parametrize("target", RUNS)
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    done = fuzz(target, RUNS[target], tmp_path)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert f"{target}: ok runs={RUNS[target]} " in done.stdout
    assert not (tmp_path / "findings").exists()


@pytest.mark.processes
def test_a_finding_ends_the_run_and_is_kept(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The reader is made to fail, at the first input."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text(
        "import stepwell_wire.segment as segment\nsegment.last_step = lambda records: 1 // 0\n"
    )
    done = fuzz("records", 800, tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert len(list((tmp_path / "findings").iterdir())) == 1
