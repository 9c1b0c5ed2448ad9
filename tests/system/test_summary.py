"""The summary is the same while a run is running, after a kill, after finish and over resumes; and
no name, rank or edit replaces another silently. Through a real daemon."""

import csv
import json
from typing import Any

import pytest

from stepwell_store import connect_embedded
from stepwell_store.attributes import flatten
from stepwell_store.queries import edit_run
from tests.faults.oracle import wait_until_stored
from tests.node import Node

pytestmark = pytest.mark.processes

_AUTOMATIC = ("_step", "_timestamp", "_runtime")


def shown(node: Node, run: str) -> dict[str, Any]:
    wait_until_stored(node)
    done = node.stepwell("show", run, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summary(node: Node, run: str = "r1") -> dict[str, Any]:
    found: dict[str, Any] = shown(node, run)["summary"]
    return {name: value for name, value in found.items() if name not in _AUTOMATIC}


def train(node: Node, code: str, **variables: str) -> str:
    head = "import os\n" + "".join(f"os.environ[{k!r}] = {v!r}\n" for k, v in variables.items())
    done = node.python(head + "import stepwell\n" + code)
    assert done.returncode in (0, -9), done.stderr
    return done.stdout


_LOGS = """
run = stepwell.init("p", id="r1", resume="allow")
run.define_metric("acc", summary="min,max,mean,first,last")
run.summary["loss"] = 5.0
for i in range(FIRST, FIRST + 10):
    run.log({"acc": i, "loss": 0.5})
run.summary["best"] = {"epoch": 3}
"""


@pytest.mark.parametrize(
    "end",
    ["run.finish()", "run.flush(); os.kill(os.getpid(), 9)", "run.flush(); os._exit(0)"],
)
def test_however_a_run_ends_its_summary_is_the_same(node: Node, end: str) -> None:
    node.start_daemon()
    train(node, _LOGS.replace("FIRST", "0") + end)
    assert summary(node) == {
        "acc": {"min": 0.0, "max": 9.0, "mean": 4.5, "first": 0.0, "last": 9.0},
        "loss": 0.5,
        "best": {"epoch": 3},
    }


def test_a_resumed_run_is_summed_up_from_its_beginning(node: Node) -> None:
    node.start_daemon()
    train(node, _LOGS.replace("FIRST", "0") + "run.finish()")
    train(
        node,
        _LOGS.replace("FIRST", "10")
        + "expected = {'min': 0, 'max': 19, 'mean': 9.5, 'first': 0, 'last': 19}\n"
        + "assert run.summary['acc'] == expected\n"
        + "run.finish()",
    )
    assert summary(node)["acc"] == {"min": 0, "max": 19, "mean": 9.5, "first": 0, "last": 19}


def test_a_value_that_was_set_last_stays(node: Node) -> None:
    node.start_daemon()
    train(
        node,
        "run = stepwell.init('p', id='r1')\nrun.log({'loss': 1.0, 'acc': 1.0})\n"
        "run.define_metric('acc', summary='max')\nrun.log({'acc': 2.0})\n"
        "run.summary['loss'] = 7\nrun.summary['acc'] = 8\n"
        "assert (run.summary['loss'], run.summary['acc']) == (7, 8)\nrun.finish()",
    )
    assert summary(node) == {"loss": 7, "acc": 8}


_BEGIN = """
run = stepwell.init('p', id='r1', resume='allow')
run.define_metric('top*', summary='max')
"""
_END = """
run.finish()
import json
print(json.dumps({k: v for k, v in run.summary.as_dict().items() if k[0] != "_"}))
"""
_PARTS = (
    "run.log({'top_text': 4.0, 'top_none': 4.0, 'top_inf': 4.0, 'top_set': 5.0, 'b': 1.0})\n"
    "run.summary.update({'none': None, 'gone': None, 'nested': None, 'wide': 1})\n"
    "run.summary.update({'m': {'a': {'b': 1}, 'c': 2}, 'n': {'a': 1, 'b': {}}, 'o': {'a': 1}})\n"
    "run.log({'wide.x': 1.0, 'wide.y': 1.0})",
    "run.log({'top_text': 'n/a', 'top_none': None, 'top_inf': float('inf'), 'b': None})\n"
    "run.summary['top_set'] = 1\n"
    "assert run.summary['gone'] is None\n"
    "for name in ('gone', 'm', 'o', 'wide'): del run.summary[name]\n"
    "held = run.summary['n']\n"
    "del held['a']",
    "run.log({'top_set': 3.0, 'only': None})\nrun.summary['nested'] = {'a': {'b': 1}}\n"
    "run.summary.update({'m': 3, 'n': 4, 'o': {}})\nrun.log({'wide.x': 2.0})",
)
_SUMMARY = {
    "top_text": {"max": 4.0},
    "top_none": {"max": 4.0},
    "top_inf": {"max": 4.0},
    "top_set": {"max": 5.0},
    "b": 1.0,
    "none": None,
    "nested": {"a": {"b": 1}},
    "m": 3,
    "n": 4,
    "o": {},
    "wide.x": 2.0,
    "wide.y": 1.0,
}


@pytest.mark.parametrize("processes", [1, 3])
def test_the_script_sees_what_is_stored(node: Node, processes: int) -> None:
    node.start_daemon()
    parts = ["\n".join(_PARTS)] if processes == 1 else _PARTS
    for part in parts:
        live = json.loads(train(node, _BEGIN + part + _END))
    expected = dict(flatten(_SUMMARY))
    assert dict(flatten(live)) == dict(flatten(summary(node))) == expected


def test_config_names_that_collide_are_all_kept(node: Node) -> None:
    node.start_daemon()
    train(
        node,
        "config = {'wd.bias': 2, 'wd': 1, 'opt': {'lr': 1, 'b': 2}}\n"
        "run = stepwell.init('p', id='r1', config=config)\n"
        "run.config.update({'opt': {'lr': 3}}, allow_val_change=True)\n"
        "run.config.update({'net': 1, 'a': {'b': 1}, 'gone': 1, 'gone.kept': 2})\n"
        "del run.config['gone']\n"
        "run.config.update({'net': {'h': 2}, 'a': 5}, allow_val_change=True)\n"
        "run.finish()",
    )
    assert shown(node, "r1")["config"] == {
        "wd": 1,
        "wd.bias": 2,
        "opt": {"lr": 3},
        "net": {"h": 2},
        "a": 5,
        "gone.kept": 2,
    }


def test_ranks_at_one_step_are_all_exported(node: Node) -> None:
    node.start_daemon()
    for rank in ("0", "1"):
        train(
            node,
            "run = stepwell.init('p')\n"
            f"for i in range(5): run.log({{'loss': i + {rank} * 1000.0}}, step=i)\nrun.finish()",
            RANK=rank,
            WORLD_SIZE="2",
            LOCAL_RANK=rank,
            STEPWELL_RUN_ID="r1",
        )
    wait_until_stored(node)
    lines = node.stepwell("export", "r1", "--format", "csv", "-o", "-").stdout.splitlines()
    rows = list(csv.DictReader(lines))
    assert [(row["_step"], row["_label"], row["loss"]) for row in rows] == [
        (str(step), f"rank{rank}", str(step + rank * 1000.0))
        for step in range(5)
        for rank in (0, 1)
    ]
    lines = node.stepwell("export", "r1", "--join", "-o", "-").stdout.splitlines()
    joined = [json.loads(line) for line in lines]
    assert [row["loss"] for row in joined] == [step + 1000.0 for step in range(5)]
    assert all("_label" not in row for row in joined)
    found = shown(node, "r1")
    assert found["summary"]["loss"] == found["metrics"][0]["last"] == 1004.0


def test_metrics_that_are_called_as_our_columns_are_columns_of_their_own(node: Node) -> None:
    node.start_daemon()
    train(
        node,
        "run = stepwell.init('p', id='r1')\n"
        "run.log({'_step': 10, '_timestamp': 5.0, '_label': 1.0, '_runtime': 7.0, 'loss': 1.0})\n"
        "run.finish()",
    )
    wait_until_stored(node)
    (line,) = node.stepwell("export", "r1", "-o", "-").stdout.splitlines()
    row = json.loads(line)
    assert row["_step"] == 0
    assert row["_timestamp"] > 1e9
    logged = [row[f"_{name} (logged)"] for name in ("step", "timestamp", "label", "runtime")]
    assert logged == [10.0, 5.0, 1.0, 7.0]
    file = node.folder / "x.parquet"
    assert node.stepwell("export", "r1", "-o", str(file)).returncode == 0
    import pyarrow.parquet

    names = pyarrow.parquet.read_table(file).column_names
    assert len(set(names)) == len(names) == 7


def test_a_run_that_is_resumed_by_the_same_script_keeps_an_edit(node: Node) -> None:
    node.start_daemon()
    script = (
        "run = stepwell.init('p', id='r1', name='first', tags=['a'], notes='n', resume='allow')\n"
        "run.log({'x': 1})\nrun.finish()"
    )
    train(node, script)
    wait_until_stored(node)
    store = connect_embedded(node.data)
    edit_run(store, "p", "r1", name="better", tags=["b", "c"], color="#ff0000")
    train(node, script)
    wait_until_stored(node)
    store.close()
    found = shown(node, "better")
    assert (found["name"], found["tags"], found["notes"]) == ("better", ["b", "c"], "n")
    assert found["color"] == "#ff0000"
    train(node, script.replace("tags=['a']", "tags=['new']"))
    assert shown(node, "r1")["tags"] == ["new"]
