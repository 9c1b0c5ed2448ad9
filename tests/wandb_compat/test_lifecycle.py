"""The module `wandb` before, during and after a run: what scripts rely on, by name."""

import json

import pytest

from tests.wandb_compat.conftest import Desk

pytestmark = pytest.mark.processes

PRELUDE = """
import json, os, sys
import wandb

def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__ + ": " + str(error)
"""


def test_nothing_works_before_init_and_everything_says_so(desk: Desk) -> None:
    found = desk.answer(
        PRELUDE
        + """
calls = {
    "log": lambda: wandb.log({"a": 1}),
    "config": lambda: wandb.config.lr,
    "config_set": lambda: setattr(wandb.config, "lr", 1),
    "summary": lambda: wandb.summary["x"],
    "watch": lambda: wandb.watch(None),
    "save": lambda: wandb.save("*"),
    "alert": lambda: wandb.alert("a", "b"),
    "define_metric": lambda: wandb.define_metric("x"),
    "log_artifact": lambda: wandb.log_artifact("x"),
    "use_artifact": lambda: wandb.use_artifact("x"),
}
found = {name: outcome(call) for name, call in calls.items()}
found["finish"] = outcome(wandb.finish)
found["run"] = wandb.run
found["is_error"] = issubclass(wandb.errors.UsageError, wandb.Error)
print(json.dumps(found))
"""
    )
    assert (found.pop("finish"), found.pop("run"), found.pop("is_error")) == (None, None, True)
    for name, text in found.items():
        assert text.startswith("NoRunError: wandb."), (name, text)
        assert "call wandb.init() first" in text


def test_the_names_mean_the_run_while_there_is_one(desk: Desk) -> None:
    found = desk.answer(
        PRELUDE
        + """
early = wandb.log
run = wandb.init(project="p", config={"lr": 0.1}, settings=wandb.Settings(console="off"))
early({"a": 1})
wandb.log({"a": 2, "n": {"b": 3}})
inside = [wandb.run is run, wandb.config.lr, wandb.summary["a"], wandb.summary["n.b"]]
inside += [isinstance(run, wandb.Run), isinstance(run, wandb.wandb_run.Run), type(run).__name__]
wandb.finish()
wandb.finish()
run.finish()
print(json.dumps([inside, wandb.run, outcome(lambda: wandb.log({"a": 3})),
                  outcome(lambda: run.log({"a": 3}))]))
"""
    )
    inside, after, without, finished = found
    assert inside == [True, 0.1, 2.0, 3.0, True, True, "Run"]
    assert after is None
    assert without.startswith("NoRunError")
    assert "is finished" in finished
    assert finished.startswith("RunFinishedError")
    assert [point.value for point in desk.daemon.points("a")] == [1.0, 2.0]


def test_a_second_init_returns_the_run_or_does_as_reinit_says(desk: Desk) -> None:
    found = desk.answer(
        PRELUDE
        + """
first = wandb.init(project="p")
second = wandb.init(project="q")
third = wandb.init(project="p", reinit=True)
beside = wandb.init(project="p", reinit="create_new")
print(json.dumps([second is first, third is first, wandb.run is third, beside is third,
                  first.finished, third.finished]))
"""
    )
    assert found == [True, False, True, False, True, False]
    ended = [event.body["state"] for event in desk.daemon.events("finish")]
    assert ended == ["finished"] * 3


def test_a_disabled_run_takes_every_call_and_says_nothing(desk: Desk) -> None:
    done = desk.run(
        PRELUDE
        + """
run = wandb.init(project="p", mode="disabled")
run.log({"loss": 0.5, "image": wandb.Image([[0]]), "table": wandb.Table(columns=["a"])})
run.watch(None)
run.save("*.pt")
run.log_artifact(wandb.Artifact("a", type="t")).wait()
run.alert("title", "text")
open(os.path.join(run.dir, "f"), "w").close()
print(json.dumps([run.name.startswith("dummy-"), run.url, run.step, run.summary["loss"],
                  run.disabled, os.listdir(".")]))
""",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == '[true, null, 1, 0.5, true, ["s.sock", "script.py"]]'
    assert done.stderr == ""
    assert desk.daemon.run_ids == []


def test_steps_behave_as_scripts_expect(desk: Desk) -> None:
    desk.run(
        PRELUDE
        + """
run = wandb.init(project="p")
run.log({"a": 1}, commit=False)
run.log({"b": 2})
run.log({"c": 3}, step=10)
run.log({"d": 4})
run.log({"e": 5}, step=3)
run.log({"h": 8})
run.log({"f": 6}, step=20, commit=True)
run.log({})
run.log({"g": 7})
"""
    )
    steps = {name: [p.step for p in desk.daemon.points(name)] for name in "abcdefgh"}
    assert steps == {
        "a": [0],
        "b": [0],
        "c": [10],
        "d": [10],
        "e": [3],
        "h": [11],
        "f": [20],
        "g": [22],
    }


def test_misuse_of_log_raises_and_values_do_not(desk: Desk) -> None:
    found = desk.answer(
        PRELUDE
        + """
run = wandb.init(project="p")
print(json.dumps([outcome(lambda: run.log([1])), outcome(lambda: run.log({"a": 1}, step=1.5)),
                  outcome(lambda: run.log({"object": object(), "a": 1}))]))
"""
    )
    assert [str(text).partition(":")[0] for text in found] == ["TypeError", "TypeError", "None"]
    assert [point.value for point in desk.daemon.points("a")] == [1.0]


def test_config_changes_need_permission_and_raise_the_clients_error(desk: Desk) -> None:
    found = desk.answer(
        PRELUDE
        + """
from wandb.sdk.lib.config_util import ConfigError
run = wandb.init(project="p", config={"a": 1})
try:
    wandb.config.a = 2
except ConfigError:
    caught = True
wandb.config.update({"a": 3}, allow_val_change=True)
wandb.config["model/num_parameters"] = 7
run.finish()
free = wandb.init(project="p", config={"a": 1}, allow_val_change=True)
free.config.a = 5
print(json.dumps([caught, dict(run.config), dict(free.config), "_items" in vars(free.config)]))
"""
    )
    assert found == [True, {"a": 3, "model/num_parameters": 7}, {"a": 5}, True]


def test_an_exception_in_the_block_ends_the_run_as_failed(desk: Desk) -> None:
    done = desk.run(
        PRELUDE + 'with wandb.init(project="p") as run:\n    raise ValueError("the reason")\n'
    )
    assert done.returncode == 1
    (end,) = desk.daemon.events("finish")
    assert (end.body["state"], end.body["exit_code"]) == ("failed", 1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('wandb.init(project="p", nam="x")', "TypeError: init() has no argument 'nam'"),
        ('wandb.init(project="p", nam="x")', "did you mean 'name'?"),
        ('wandb.Settings(x_lable="x")', "did you mean x_label"),
        ('wandb.init(mode="sideways")', "expected one of online"),
        ('wandb.init(resume="must", id="none")', "run none of project uncategorized is unknown"),
        ('wandb.init(fork_from="x")', "expected RUN_ID?_step=NUMBER"),
        ('wandb.init(fork_from="a?_step=1", resume_from="a?_step=1")', "not both"),
        ("wandb.nothing_such", "no 'nothing_such'"),
    ],
)
def test_mistakes_are_named(desk: Desk, call: str, said: str) -> None:
    assert said in desk.answer(PRELUDE + f"print(json.dumps(outcome(lambda: {call})))")


def test_arguments_without_a_meaning_are_taken_and_said_once(desk: Desk) -> None:
    done = desk.run(
        PRELUDE
        + """
for _ in range(2):
    wandb.init(project="p", save_code=True, sync_tensorboard=True, force=True, anonymous="must",
               monitor_gym=False, settings=wandb.Settings(init_timeout=3, x_disable_stats=True))
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("code is not recorded") == 1
    assert done.stderr.count("TensorBoard's files are not read") == 1
    assert "gym" not in done.stderr
    assert "anonymous" not in done.stderr


def test_a_logged_epoch_is_an_int_in_the_process_that_goes_on(desk: Desk) -> None:
    script = """
import json, wandb
run = wandb.init(project="p", id="a", resume="allow", mode="offline")
run.define_metric("lowest", summary="min,mean")
start = wandb.run.summary.get("epoch", -1) + 1
before = dict(run.summary)
for epoch in range(start, start + 3):
    wandb.log({"epoch": epoch, "lowest": epoch + 2, "loss": epoch / 4})
print(json.dumps([start, before, dict(run.summary), run.summary["lowest"]]))
run.finish()
"""
    first, second = desk.answer(script), desk.answer(script)
    assert (first[0], second[0]) == (0, 3)
    for found in (first[2], second[1]):
        assert (found["epoch"], found["_step"], found["loss"]) == (2, 2, 0.5)
        assert str(found["epoch"]) == "2"
        assert json.dumps(found["lowest"]) == '{"min": 2, "mean": 3.0}'
    assert json.dumps(second[3]) == '{"min": 2, "mean": 4.5}'
