"""An agent that runs commands: real children, a fake hub."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import stepwell
from tests.sdk.sweeps.fake_hub import FakeHub
from tests.waiting import wait_until

REPORT = """
import json, os, sys
names = ("STEPWELL_SWEEP_ID", "STEPWELL_SWEEP_FENCING", "WANDB_RUN_ID", "STEPWELL_PROJECT")
file = json.load(open(os.environ["STEPWELL_SWEEP_PARAM_PATH"]))
print(json.dumps([sys.argv[1:], [os.environ[n] for n in names], file, sys.stdin.read(),
                  os.getpgid(0) == os.getpid()]))
"""


def test_each_trial_is_a_process_that_gets_arguments_and_variables(
    hub: FakeHub, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(REPORT)
    hub.config = {"program": str(script), "command": [sys.executable, "${program}", "${args}"]}
    hub.add(lr=0.5)
    stepwell.agent("abcd1234")
    import json

    assert json.loads(capfd.readouterr().out) == [
        ["--lr=0.5"],
        ["abcd1234", "1", "trial001", "p"],
        {"wandb_version": 1, "lr": {"value": 0.5}},
        "",
        True,
    ]
    assert hub.states() == ["finished"]


def test_exit_codes_say_how_a_trial_ended(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPWELL_AGENT_DISABLE_FLAPPING", "1")
    hub.config = {"command": ["sh", "-c", "${args_no_hyphens}"]}
    for code in ("exit 0", "exit 3", "kill -9 $$"):
        hub.add(x=f"1; {code}")
    stepwell.agent("abcd1234")
    assert [(end["state"], end["exit_code"]) for end in hub.ends] == [
        ("finished", 0),
        ("failed", 3),
        ("crashed", 137),
    ]
    assert "ended with SIGKILL" in capsys.readouterr().err


def test_a_command_that_does_not_exist_fails_the_trial(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    from stepwell.cli.__main__ import main

    hub.config = {"command": ["no-such-command"]}
    hub.add(x=1)
    assert main(["agent", "abcd1234"]) == 1, "all of its trials failed"
    assert [(end["state"], end["exit_code"]) for end in hub.ends] == [("failed", 127)]
    assert "no-such-command: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "finds_ours"), [([], True), (["--keep-wandb"], False)])
def test_programs_import_stepwells_wandb_unless_it_is_kept(
    hub: FakeHub, capfd: pytest.CaptureFixture[str], options: list[str], finds_ours: bool
) -> None:
    from stepwell import wandb_compat
    from stepwell.cli.__main__ import main

    look = "import importlib.util as u; s = u.find_spec('wandb'); print(s and s.origin)"
    hub.config = {"command": [sys.executable, "-c", look]}
    hub.add(x=1)
    assert main(["agent", "abcd1234", *options]) == 0
    assert wandb_compat.is_ours(capfd.readouterr().out.strip()) is finds_ours


def test_an_agent_says_once_that_its_sweep_is_paused(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.waits, hub.wait_reason = 3, "the sweep is paused"
    hub.config = {"command": ["true"]}
    hub.add(x=1)
    stepwell.agent("abcd1234")
    assert capsys.readouterr().err.count("with `stepwell sweep --resume abcd1234`") == 1


def test_an_agent_says_that_finished_trials_never_logged_the_metric(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.metric, hub.steps = {"name": "loss", "goal": "minimize"}, [3, 0]
    hub.config = {"command": ["true"]}
    hub.add(x=1)
    stepwell.agent("abcd1234")
    assert (
        "1 of 2 finished trials have no value of the sweep's metric 'loss'"
        in capsys.readouterr().err
    )
    hub.steps = [3, 4]
    stepwell.agent("abcd1234")
    assert "no value" not in capsys.readouterr().err


def test_an_agent_waits_for_the_values_of_trials_that_just_ended(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.metric, hub.steps = {"name": "loss", "goal": "minimize"}, [3, 0]
    hub.config, hub.unsettled_reads = {"command": ["true"]}, 3
    hub.add(x=1)
    stepwell.agent("abcd1234")
    assert "1 of 2 finished trials have no value" in capsys.readouterr().err
    assert hub.unsettled_reads == 0


def test_an_agent_waits_for_values_no_longer_than_a_while(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepwell._sweeps.calls._SETTLE_SECONDS", 0.2)
    hub.metric, hub.steps = {"name": "loss", "goal": "minimize"}, [0]
    hub.config, hub.unsettled_reads = {"command": ["true"]}, 10_000
    hub.add(x=1)
    stepwell.agent("abcd1234")
    assert "no value" not in capsys.readouterr().err, "a value may still come"


def test_a_program_that_fails_in_another_python_than_the_agents_says_which(
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    other = tmp_path / "bin" / "python"
    other.parent.mkdir()
    other.symlink_to("/bin/false")
    monkeypatch.setenv("PATH", f"{other.parent}{os.pathsep}{os.environ['PATH']}")
    hub.config = {"program": "train.py"}
    hub.add(x=1)
    hub.add(x=2)
    stepwell.agent("abcd1234")
    said = capsys.readouterr().err
    assert said.count(f"programs run with {other}") == 1, said
    assert sys.executable in said


def test_a_stop_terminates_the_child_and_kills_it_when_that_does_not_help(
    hub: FakeHub, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    ready = tmp_path / "ready"
    hub.config = {
        "command": [
            *("sh", "-c"),
            f"trap 'touch {asked}' TERM; touch {ready}; while :; do sleep 0.05; done",
        ]
    }
    hub.add(x=1)
    beat = hub._first

    def stop_when_ready(method: str, path: str, body: dict[str, object]) -> tuple[int, object]:
        if ready.exists():
            hub.stop_at_beat = "early_terminate"
        return beat(method, path, body)

    hub._first = stop_when_ready  # type: ignore[method-assign,assignment]
    stepwell.agent("abcd1234", term_timeout=0.3)
    assert asked.exists()
    assert [(end["state"], end["exit_code"]) for end in hub.ends] == [("stopped", 137)]


@pytest.mark.parametrize(
    ("number", "state", "code"),
    [(signal.SIGINT, "preempted", 7), (signal.SIGTERM, "preempted", 143)],
)
def test_signals_to_the_agent_reach_the_child_and_give_the_trial_back(
    hub: FakeHub, tmp_path: Path, number: signal.Signals, state: str, code: int
) -> None:
    ready = tmp_path / "ready"
    hub.config = {
        "command": [
            *("bash", "-c"),
            f"trap 'exit 7' INT; touch {ready}; while :; do sleep 0.05; done",
        ]
    }
    hub.add(x=1)
    hub.add(x=2)
    agent = subprocess.Popen(
        [sys.executable, "-m", "stepwell", "agent", "abcd1234"],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(ready.exists, "the child", timeout_seconds=60)
        agent.send_signal(number)
        _, told = agent.communicate(timeout=60)
    finally:
        agent.kill()
        agent.wait()
    assert [(end["number"], end["state"], end["exit_code"]) for end in hub.ends] == [
        (1, state, code)
    ]
    assert hub.asked == 1
    assert agent.returncode == 128 + number
    assert "Traceback" not in told


def test_the_command_line_creates_changes_and_lists_sweeps(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from stepwell.cli.__main__ import main

    file = tmp_path / "sweep.json"
    file.write_text('{"method": "grid", "run_cap": 5}')
    assert main(["sweep", str(file), "--project", "q", "--name", "n"]) == 0
    assert hub.created[0]["config"] == {"method": "grid", "run_cap": 5, "name": "n"}
    for word, state in (
        ("--pause", "paused"),
        ("--resume", "running"),
        ("--stop", "finished"),
        ("--cancel", "canceled"),
    ):
        assert main(["sweep", word, "e/p/abcd1234"]) == 0
        assert hub.changes[-1] == {"state": state}
    assert main(["sweep", str(file), "--update", "abcd1234"]) == 0
    assert hub.changes[-1] == {"config": {"run_cap": 5}}
    assert main(["sweep", "ls"]) == 0
    said, told = capsys.readouterr()
    assert said.splitlines()[0] == "abcd1234"
    assert "Run agents with: stepwell.agent('abcd1234', function), in a script" in told
    file.write_text('{"method": "grid", "program": "train.py"}')
    hub.config = {"method": "grid", "program": "train.py"}
    assert main(["sweep", str(file)]) == 0
    assert "Run agents with: stepwell agent abcd1234\n" in capsys.readouterr().err
    assert said.splitlines()[-1] == "p/abcd1234: running; no trials"
    assert main(["sweep", "--pause", "zzzz0000"]) == 4
    assert main(["sweep"]) == 2
    assert main(["sweep", "--pause"]) == 2
    assert "no sweep given" in capsys.readouterr().err


def test_sweeps_are_listed_with_their_page_a_missing_metric_and_a_mistyped_project(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from stepwell.cli.__main__ import main

    assert main(["sweep", "ls", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["url"] == f"{hub.url}/p/p/sweeps/abcd1234"
    hub.waiting = 1
    assert main(["sweep", "ls"]) == 0
    assert capsys.readouterr().out == "p/abcd1234: running; 1 waiting\n"
    hub.waiting = 0
    hub.metric, hub.ends = {"name": "loss", "goal": "minimize"}, [{}]
    assert main(["sweep", "ls"]) == 0
    assert capsys.readouterr().out == "p/abcd1234: running; 1 finished; no value of loss\n"
    hub.deleted_runs = 1
    assert main(["sweep", "ls"]) == 0
    assert capsys.readouterr().out.endswith("; no value of loss; 1 run deleted\n")
    hub.is_listed = False
    assert main(["sweep", "ls", "--project", "digts"]) == 4
    assert "no project 'digts'" in (told := capsys.readouterr().err)
    assert "did you mean 'digits'?" in told
