"""A process that reads through `Api` finds what other processes logged before it."""

from collections.abc import Iterator

import pytest

from tests.node import Node, made_node

pytestmark = pytest.mark.processes

_LOGS = """
import stepwell

with stepwell.init(project="one", id="r1", config={"lr": 0.1}) as run:
    for step in range(100):
        run.log({"loss": 1.0 / (step + 1)})
"""
_READS = """
import stepwell

api = stepwell.Api()
(run,) = api.runs("one")
assert (run.state, run.config) == ("finished", {"lr": 0.1}), (run.state, run.config)
assert [row["loss"] for row in run.scan_history()] == [1 / (step + 1) for step in range(100)]
"""


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A daemon that lets rows gather for a minute, unless somebody asks for them."""
    with made_node() as made:
        made.variables = {
            "STEPWELLD_HUB": "auto",
            "STEPWELLD_HUB_PORT": "0",
            "STEPWELLD_BLOCK_DELAY_SECONDS": "60",
        }
        made.start_daemon()
        yield made


def test_a_run_that_another_process_has_just_ended_is_there(node: Node) -> None:
    for code in (_LOGS, _READS):
        done = node.python(code)
        assert done.returncode == 0, done.stderr


_USES = """
import stepwell

artifact = stepwell.Artifact("data", type="dataset")
with artifact.new_file("a.txt") as file:
    file.write("1")
api = stepwell.Api()
made = stepwell.init(project="arts", id="maker")
assert made.log_artifact(artifact).wait().logged_by().id == "maker"
user = stepwell.init(project="arts", id="user", reinit="create_new")
versions = user.use_artifact("data:v0"), api.artifact("arts/data:v0")
for version in versions:
    assert [each.id for each in version.used_by()] == ["user"], version.used_by()
for run in (user, made):
    run.finish()
for version in versions:
    assert [each.state for each in version.used_by()] == ["finished"], version.used_by()
    assert version.logged_by().state == "finished", version.logged_by()
"""


def test_the_runs_around_a_version_are_there_at_once(node: Node) -> None:
    done = node.python(_USES)
    assert done.returncode == 0, done.stderr
