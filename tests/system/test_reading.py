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


_READS_ITSELF = """
import os
import threading

import stepwell

api = stepwell.Api()
run = stepwell.init(project="mine", id="r1", config={"lr": 0.1, "net": {"depth": 2}})
other = stepwell.init(project="mine", id="r2", reinit="create_new")
for step in range(3):
    run.log({"loss": step / 2})
    other.log({"loss": step})
    found = api.run("mine/r1") if step == 0 else found
    losses = [row["loss"] for row in found.scan_history(["loss"])]
    assert losses == [at / 2 for at in range(step + 1)]
    found.load(force=True)
    assert found.summary["loss"] == step / 2, found.summary
    runs = api.runs("mine")
    run.log({"at": step})
    assert list(runs.history(["at"], format="arrow").column("at").to_pylist()) == [*range(step + 1)]
    assert list(found.history(pandas=False, keys=["at"]))[-1]["at"] == step
    assert sorted(each.id for each in api.runs("mine")) == ["r1", "r2"]
    (last,) = list(api.run("mine/r2").scan_history(min_step=step))
    assert last["loss"] == step
run.config.net["depth"] = 3
run.log({"note": "a text", "image": stepwell.Image([[0, 255]])})
found = api.run("mine/r1")
assert found.config["net"]["depth"] == 3, found.config
assert found.summary["note"] == "a text"
assert len(found.files()) == 1

def reads_in_a_thread():
    run.log({"loss": 7.0})
    seen.append(api.run("mine/r1").summary["loss"])

seen = []
thread = threading.Thread(target=reads_in_a_thread)
thread.start()
thread.join()
assert seen == [7.0], seen

if (child := os.fork()) == 0:
    try:
        assert api.run("mine/r1").summary["loss"] == 7.0
        os._exit(0)
    finally:
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_process_finds_the_rows_of_its_own_runs_at_work(node: Node) -> None:
    done = node.python(_READS_ITSELF)
    assert done.returncode == 0, done.stderr


def test_a_script_that_starts_the_first_daemon_may_read_at_once() -> None:
    with made_node() as node:
        node.variables = {
            "STEPWELL_NO_DAEMON": "",
            "STEPWELLD_HUB": "auto",
            "STEPWELLD_HUB_PORT": "0",
        }
        code = """
import stepwell

run = stepwell.init(project="first", id="r1")
run.log({"loss": 0.5})
assert stepwell.Api().run("first/r1").summary["loss"] == 0.5
"""
        done = node.python(code)
        ended = node.stepwell("down")
        assert done.returncode == 0, done.stderr
        assert ended.returncode == 0, ended.stderr
