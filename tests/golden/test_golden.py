"""What a release wrote, every later one reads: journals and a spool as they lay after a kill."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.oracle import stored_points, wait_until_stored
from tests.golden.make import contents
from tests.node import Node, made_node

pytestmark = [pytest.mark.processes, pytest.mark.holds("other-versions")]

RELEASES = sorted(Path(__file__).parent.glob("*.tar.xz"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node with the files of a release, as they lay when it was killed."""
    with made_node() as made, tarfile.open(request.param) as archive:
        # Not in the Python 3.11 of Debian 12; from 3.14 on the default.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(made.folder, **safely)
        yield made


def store_all(node: Node) -> None:
    node.start_daemon()
    done = node.stepwell("sync")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until_stored(node)


def test_spool_and_journals_of_a_release_are_stored_by_this_one(node: Node) -> None:
    assert len(RELEASES) >= 1
    store_all(node)
    expected = {
        (run_id, metric): points
        for run_id in ("spooled", "offline")
        for metric, points in contents().items()
    }
    # As text: NaN differs from itself.
    assert sorted(map(repr, stored_points(node).items())) == sorted(map(repr, expected.items()))


def test_what_it_told_of_the_runs_is_read(node: Node) -> None:
    store_all(node)
    for run_id in ("spooled", "offline"):
        shown = json.loads(node.stepwell("show", run_id, "--json").stdout)
        assert shown["name"] == f"the {run_id}"
        assert (shown["state"], shown["exit_code"]) == ("failed", 3)
        assert shown["config"] == {"optimizer": {"lr": 0.1, "name": "adam"}, "layers": [1, 2]}
        assert shown["tags"] == ["kept"]
        assert shown["summary"]["loss"] == {"min": 1.0 / 50}
        assert shown["summary"]["text"] == "seen ünicode"
        assert shown["summary"]["other"] == [1, {"a": None}]
        assert shown["summary"]["best"] == "-Infinity" or shown["summary"]["best"] == float("-inf")


def test_the_tools_find_nothing_wrong(node: Node) -> None:
    done = node.stepwell("spool", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    done = node.stepwell("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
