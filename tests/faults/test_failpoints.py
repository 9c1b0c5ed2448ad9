"""A daemon killed at every place where it matters, twice: nothing lost, nothing doubled.

python -m pytest tests/faults/test_failpoints.py -k group.written      one place alone
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import stepwell_daemon
from stepwell_daemon import failpoints
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.failpoints import FAILPOINTS, VARIABLE
from tests.faults.scenario import Scenario, run_scenario

AT_ONCE = 3
SCENARIOS = {
    "cursor.created": Scenario(beside=("", "cursor.written:error=EIO"), later=2),
    "cursor.renamed": Scenario(beside=("", "cursor.written:error=EIO"), later=2),
    "forward.dead-letter": Scenario(
        beside=("forward.before-insert:error=REJECTED",) * 2, later=2, may_dead_letter=True
    ),
    "journal.before-remove": Scenario(dead_writers=True, later=2),
    "journal.removed": Scenario(dead_writers=True, later=2),
    "recover.before-salvage": Scenario(before=("group.written:kill:3",), later=None),
    "recover.salvaged": Scenario(before=("group.written:kill:3",), later=None),
    "recover.temporary-removed": Scenario(before=("segment.written:kill:1",), later=None),
    "segment.given-up": Scenario(beside=("group.written:error=EIO",) * 2, later=2),
}
"""How to reach what is not reached by logging alone."""

_ELSEWHERE = ("blob.", "artifact.")
"""In tests/system/test_images.py and test_artifacts.py."""


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[dict[str, object]]]]:
    """Run the trials of all chosen names, some at once: they mostly wait."""
    chosen = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.originalname == "test_a_daemon_killed_there_loses_and_doubles_nothing"
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(run_scenario, name, SCENARIOS.get(name, Scenario()))
            for name in chosen
        }
        pool.shutdown(wait=True, cancel_futures=True)


@pytest.mark.holds("no-fatal-step", "kill-daemon")
@pytest.mark.processes
@pytest.mark.parametrize("name", [name for name in FAILPOINTS if not name.startswith(_ELSEWHERE)])
def test_a_daemon_killed_there_loses_and_doubles_nothing(
    name: str, trials: dict[str, Future[dict[str, object]]]
) -> None:
    totals = trials[name].result()
    assert isinstance(totals["points"], int)
    assert totals["points"] > 0


@pytest.mark.holds("no-fatal-step")
def test_every_name_stands_in_the_code_and_in_the_registry() -> None:
    folder = Path(stepwell_daemon.__path__[0])
    used: set[str] = set()
    for path in set(folder.rglob("*.py")) - {Path(failpoints.__file__)}:
        text = path.read_text()
        used |= set(re.findall(r'failpoints\.hit\(\s*"([^"]+)"', text))
        used |= {name for name in FAILPOINTS if ".mid-" in name and f'"{name}"' in text}
    assert used == set(FAILPOINTS)
    assert set(SCENARIOS) <= set(FAILPOINTS)


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


@pytest.mark.usefixtures("disarmed")
def test_when_says_at_which_hits() -> None:
    failpoints.arm("group.written:error=ENOSPC:2,group.synced:error=EIO:2+")
    failpoints.hit("group.written")
    with pytest.raises(OSError, match="No space left"):
        failpoints.hit("group.written")
    failpoints.hit("group.written")
    failpoints.hit("group.synced")
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            failpoints.hit("group.synced")
    assert failpoints.is_armed("group.synced")
    failpoints.arm("")
    failpoints.hit("group.synced")
    assert not failpoints.is_armed("group.synced")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("group.writen:kill", "did you mean group.written"),
        ("group.written", "expected kill"),
        ("group.written:explode", "not 'explode'"),
        ("group.written:error=EPERM", "expected kill"),
        ("group.written:sleep=soon", "sleep=SECONDS"),
        ("group.written:kill:0", "of at least 1"),
        ("group.written:kill:two", "of at least 1"),
    ],
)
def test_what_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(DaemonConfigError, match=says):
        failpoints.arm(text)


@pytest.mark.processes
def test_a_daemon_refuses_a_name_that_is_none(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stepwell_daemon", "--data", str(tmp_path)],
        env={VARIABLE: "nowhere:kill", "STEPWELL_SOCKET": str(tmp_path / "s")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 2
    assert "unknown fail-point 'nowhere'" in ended.stderr
