"""An agent with a function: one call a trial, and what `init` makes of it."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

import stepwell
from stepwell import _session
from stepwell.errors import (
    HubError,
    HubUnreachableError,
    SettingsError,
    SweepError,
    TrialStopped,
    UsageError,
)
from stepwell.testing import RecordingDaemon
from tests.sdk.sweeps.fake_hub import FakeHub
from tests.waiting import wait_until

QUIET = {"console": False, "metadata": False}


def starts(daemon: RecordingDaemon) -> list[dict[str, object]]:
    return [event.body for event in daemon.events("start")]


def test_sweep_creates_it_and_prints_id_and_address(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("method: grid\nproject: of-file\nparameters:\n  lr: {values: [1e-3, 2]}\n")
    assert stepwell.sweep(str(file)) == "abcd1234"
    stepwell.sweep({"method": "random"}, project="q")
    stepwell.sweep(lambda: {"method": "bayes"})
    assert [(made["project"], made["config"]["method"]) for made in hub.created] == [
        ("of-file", "grid"),
        ("q", "random"),
        ("uncategorized", "bayes"),
    ]
    assert hub.created[0]["config"]["parameters"] == {"lr": {"values": [0.001, 2]}}
    assert capsys.readouterr().out.splitlines()[:2] == [
        "Create sweep with ID: abcd1234",
        f"Sweep URL: {hub.url}/p/of-file/sweeps/abcd1234",
    ]


def test_a_configuration_that_the_hub_refuses_names_file_line_and_field(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.refuse = {
        "code": "sweep_invalid",
        "message": "parameters.lr.min: expected a number, not 'x'",
        "field": "parameters.lr.min",
    }
    file = tmp_path / "sweep.yaml"
    file.write_text("method: random\nparameters:\n  lr:\n    min: x\n    max: 2\n")
    with pytest.raises(SweepError, match=r"sweep.yaml, line 4: parameters.lr.min: expected"):
        stepwell.sweep(file)
    with pytest.raises(SweepError, match=r"^parameters.lr.min: expected"):
        stepwell.sweep({"method": "random"})
    with pytest.raises(SweepError, match="or a function that returns a dict, not int"):
        stepwell.sweep(5)
    with pytest.raises(SettingsError, match="No such file"):
        stepwell.sweep("missing.yaml")


def test_without_a_hub_it_says_what_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HubUnreachableError, match="start one with `stepwell up`"):
        stepwell.sweep({"method": "grid"})
    monkeypatch.setenv("STEPWELL_HUB", "example.org")
    with pytest.raises(HubUnreachableError, match="expected http://"):
        stepwell.agent("abcd1234", print)


def test_a_wrong_key_and_an_unknown_sweep_are_told(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubError, match="no sweep at"):
        stepwell.agent("wxyz9876", print)
    with pytest.raises(UsageError, match="is in project 'p', not in 'q'"):
        stepwell.agent("q/abcd1234", print)
    monkeypatch.setenv("STEPWELL_HUB_KEY", "wrong")
    with pytest.raises(HubError, match=r"STEPWELL_HUB_KEY: the key is invalid: expected 43"):
        stepwell.agent("abcd1234", print)
    monkeypatch.setenv("STEPWELL_HUB_KEY", "w" * 43)
    with pytest.raises(HubError, match=r"rejected the key .*; set STEPWELL_HUB_KEY_FILE"):
        stepwell.agent("abcd1234", print)


def test_each_trial_is_a_run_with_locked_parameters(hub: FakeHub, daemon: RecordingDaemon) -> None:
    hub.add(lr=0.5, opt={"name": "adam"})
    hub.add(lr=0.25, opt={"name": "sgd"})
    seen = []

    def train() -> None:
        run = stepwell.init(project="other", id="mine", config={"lr": 9, "size": 3}, settings=QUIET)
        run.config.update({"opt": {"name": "x"}}, allow_val_change=True)
        seen.append((run.id, run.project, run.sweep_id, run.config.as_dict()))
        file = json.loads(Path(os.environ["WANDB_SWEEP_PARAM_PATH"]).read_text())
        assert file["lr"] == {"value": run.config.lr}
        run.log({"loss": run.config.lr})

    stepwell.agent("e/p/abcd1234", train)
    assert seen == [
        ("trial001", "p", "abcd1234", {"lr": 0.5, "opt": {"name": "adam"}, "size": 3}),
        ("trial002", "p", "abcd1234", {"lr": 0.25, "opt": {"name": "sgd"}, "size": 3}),
    ]
    assert [body["sweep"] for body in starts(daemon)] == [
        {"id": "abcd1234", "number": 1, "fencing": 1},
        {"id": "abcd1234", "number": 2, "fencing": 1},
    ]
    assert [event.body["sweep"] for event in daemon.events("run")] == ["abcd1234"] * 2
    assert hub.states() == ["finished", "finished"]
    assert "STEPWELL_SWEEP_ID" not in os.environ
    assert not _session.active
    assert [event.body["state"] for event in daemon.events("finish")] == ["finished"] * 2


def test_count_limits_this_agent_and_waiting_is_no_trial(hub: FakeHub) -> None:
    for number in range(5):
        hub.add(x=number)
    hub.waits = 3
    calls: list[int] = []
    stepwell.agent("abcd1234", lambda: calls.append(1), count=2)
    assert len(calls) == 2
    assert hub.asked == 2


def test_an_answer_that_is_lost_on_the_way_takes_no_second_trial(hub: FakeHub) -> None:
    for number in range(3):
        hub.add(x=number)
    hub.drop.update(ask=2, end=1, agents=1)
    numbers: list[str] = []
    stepwell.agent("abcd1234", lambda: numbers.append(os.environ["STEPWELL_SWEEP_NUMBER"]))
    assert numbers == ["1", "2", "3"]
    assert [end["number"] for end in hub.ends] == [1, 2, 3]


def test_an_exception_fails_the_trial_and_three_end_the_agent(
    hub: FakeHub, daemon: RecordingDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        hub.add(x=number)

    def train() -> None:
        stepwell.init(settings=QUIET)
        raise ArithmeticError("no such optimiser")

    stepwell.agent("abcd1234", train)
    assert hub.states() == ["failed"] * 3
    assert [event.body["state"] for event in daemon.events("finish")] == ["failed"] * 3
    told = capsys.readouterr().err
    assert "3 trials failed in the first 60 seconds" in told
    assert 'raise ArithmeticError("no such optimiser")' in told


def test_exit_of_the_script_ends_the_trial_and_ctrl_c_gives_it_back(hub: FakeHub) -> None:
    for number in range(3):
        hub.add(x=number)
    errors = [SystemExit(0), SystemExit(3), KeyboardInterrupt()]

    def train() -> None:
        raise errors[len(hub.ends)]

    with pytest.raises(KeyboardInterrupt):
        stepwell.agent("abcd1234", train)
    assert hub.states() == ["finished", "failed", "preempted"]


def test_a_trial_that_logs_is_stopped_at_its_next_log(
    hub: FakeHub, daemon: RecordingDaemon
) -> None:
    hub.add(x=1)
    hub.add(x=2)
    stopped: list[str] = []

    def train() -> None:
        run = stepwell.init(settings=QUIET)
        if hub.asked == 2:
            return
        hub.stop_at_beat = "early_terminate"
        try:
            while True:
                run.log({"loss": 1.0})
                time.sleep(0.001)
        except TrialStopped as error:
            stopped.append(error.reason)
            raise

    stepwell.agent("abcd1234", train)
    assert stopped == ["early_terminate"]
    assert hub.states() == ["stopped", "finished"]
    assert [event.body for event in daemon.events("finish")] == [
        {"state": "finished", "exit_code": 0}
    ] * 2


def test_a_trial_that_logs_nothing_is_stopped_all_the_same(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(x=1)

    def train() -> None:
        hub.stop_at_beat = "superseded"
        wait_until(lambda: False, "the stop", timeout_seconds=60)

    hub.counted = False
    stepwell.agent("abcd1234", train)
    assert hub.states() == ["stopped"]
    told = capsys.readouterr().err
    assert "was stopped: superseded" in told
    assert "another agent got the trial" in told


def test_a_command_on_the_data_stream_stops_it_too(hub: FakeHub, daemon: RecordingDaemon) -> None:
    hub.add(x=1)
    hub.beat_seconds = 600

    def train() -> None:
        run = stepwell.init(settings=QUIET)
        run.log({"loss": 1.0})
        assert run.flush(60)
        daemon.command("stop", "canceled", sweep_id="other123", number=1)
        daemon.command("dance", "", sweep_id="abcd1234", number=1)
        daemon.command("stop", "early_terminate", sweep_id="abcd1234", number=1)
        wait_until(lambda: bool(run.log({"loss": 1.0})), "the stop", timeout_seconds=60)

    stepwell.agent("abcd1234", train)
    assert hub.states() == ["stopped"]


def test_heartbeats_name_the_trial_that_runs_and_go_on_between_trials(hub: FakeHub) -> None:
    hub.add(x=1)

    def train() -> None:
        hub.wait_for_beat()

    stepwell.agent("abcd1234", train)
    assert {"agent": "a1", "trials": [{"number": 1, "fencing": 1}]} in hub.beats
    assert hub.beats[-1] == {"agent": "a1", "trials": [], "is_ending": True}
    assert sum("is_ending" in each for each in hub.beats) == 1
    assert not [each for each in threading.enumerate() if each.name == "stepwell-beat"]


def test_variables_of_a_sweep_that_are_not_complete_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEPWELL_SWEEP_ID", "abcd1234")
    with pytest.raises(SettingsError, match="STEPWELL_SWEEP_NUMBER is ''; expected a number"):
        stepwell.init(mode="offline", settings=QUIET)


def test_a_stop_that_comes_after_the_function_returned_hits_nothing() -> None:
    from stepwell._sweeps import stopping

    for _ in range(200):
        stopper = stopping.Stopper(wait_seconds=0.0)
        thread = threading.Thread(target=stopper.stop, args=("late",))
        try:
            thread.start()
            stopper.close()
        except TrialStopped:
            stopper.close()
        thread.join()  # From here on nothing is raised, whenever the stop came.
        assert sum(range(100)) == 4950
