"""`init` and what it returns: settings, names, config, summary, definitions, modes."""

import argparse
import copy
import json
import math
import os
import pickle
import re
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stepwell
from stepwell import _notebook, _personal, _session, _spawn
from stepwell._personal import PersonalDaemon
from stepwell._settings import OTHER_VARIABLES, SETTINGS, VARIABLES
from stepwell.errors import (
    ConfigError,
    NoRunError,
    RunFinishedError,
    SettingsError,
)
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start
from tests.sdk.held import read_journal

# ---------------------------------------------------------------------------- the module's names


def test_module_level_names_mean_the_run_while_there_is_one(start: Start) -> None:
    early = stepwell.log
    for call in (
        lambda: stepwell.log({"x": 1}),
        lambda: stepwell.define_metric("x"),
        lambda: stepwell.config.lr,
        lambda: stepwell.config["lr"],
        lambda: stepwell.config.update({}),
        lambda: stepwell.summary.update({}),
    ):
        with pytest.raises(NoRunError, match=r"stepwell\.init") as told:
            call()
        assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)
    stepwell.finish()
    run = start(mode="offline", config={"lr": 0.1})
    assert stepwell.run is run
    stepwell.log({"x": 1.0})
    early({"x": 2.0})
    stepwell.config.later = 3
    stepwell.summary["best"] = 4
    stepwell.define_metric("x", summary="max")
    assert (stepwell.config.lr, run.config["later"], run.summary["best"]) == (0.1, 3, 4)
    folder = run._journal_dir
    stepwell.finish()
    assert stepwell.run is None
    with pytest.raises(NoRunError):
        early({"x": 3.0})
    assert len(read_journal(folder).series("x")) == 2


def test_every_public_name_exists_and_unknown_ones_do_not() -> None:
    for name in stepwell.__all__:
        assert getattr(stepwell, name, None) is not None or name == "run"
    with pytest.raises(AttributeError, match="nothing_such"):
        stepwell.nothing_such  # noqa: B018


def test_variables_of_wandb_that_do_nothing_here_are_named_once(
    start: Start, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "_told", set())
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setenv("WANDB_PROJECT", "digits")
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)  # There are no accounts: nothing is missed.
    start(mode="offline", settings={"quiet": True})
    assert capfd.readouterr().err == ""
    for _ in range(2):
        start(mode="offline", reinit=True)
    said = capfd.readouterr().err
    assert said.count("WANDB_") == 1
    assert "init: WANDB_PROJECT is set but has no effect" in said
    for way in ("STEPWELL_PROJECT", "stepwell run", "STEPWELL_QUIET=1 hides this"):
        assert way in said


# ---------------------------------------------------------------------------- many runs


def test_a_second_init_returns_the_active_run_with_a_notice(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = start(mode="offline")
    assert start(mode="offline") is run
    said = capfd.readouterr().err
    assert "still running" in said
    assert "Ignored" not in said
    assert start("other", mode="offline", name=run.name, config={"lr": 1}) is run
    assert capfd.readouterr().err.endswith("Ignored in this call: project, config\n")
    assert start(mode="offline", reinit="return_previous") is run
    assert capfd.readouterr().err == ""


def test_another_id_finishes_the_previous_run_and_begins_the_next(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start(mode="offline", id="first")
    assert start(mode="offline", id="first") is first
    assert start(mode="offline", id="next", reinit="return_previous") is first
    monkeypatch.setenv("STEPWELL_RUN_ID", "of-all")
    assert start(mode="offline") is first, "the environment names no other run"
    capsys.readouterr()
    second = start(mode="offline", id="next")
    assert (first.finished, second.id, stepwell.run) == (True, "next", second)
    assert "run first was still running and is now finished, because run next starts" in (
        capsys.readouterr().err
    )
    third = start("elsewhere", mode="offline", id="next")
    assert (second.finished, third.project) == (True, "elsewhere")
    assert start(mode="offline", id="beside", reinit="create_new") is not third
    assert not third.finished


def test_a_cell_of_a_notebook_that_is_run_again_begins_a_run_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_notebook, "is_kernel", lambda: True)
    first = start(mode="offline", config={"lr": 1})
    first.config.lr = 2
    second = start(mode="offline", config={"lr": 1})
    assert (first.finished, second.id == first.id, second.config["lr"]) == (True, False, 1)
    assert start(mode="offline", reinit="return_previous") is second


def test_reinit_finishes_the_previous_run_or_leaves_it(start: Start) -> None:
    first = start(mode="offline")
    second = start(mode="offline", reinit=True)
    assert first.finished
    assert stepwell.run is second
    third = start(mode="offline", reinit="create_new")
    assert stepwell.run is second
    second.log({"x": 2.0})
    third.log({"x": 3.0})
    assert read_journal(second._journal_dir).series("x") == [(0, 2.0)]
    assert read_journal(third._journal_dir).series("x") == [(0, 3.0)]
    third.finish()
    assert stepwell.run is second


def test_a_run_beside_others_is_current_only_if_none_is(start: Start) -> None:
    first = start(mode="offline", reinit="create_new")
    assert stepwell.run is first
    beside = start(mode="offline", reinit="create_new")
    stepwell.log({"x": 1.0})
    assert (first.summary["x"], "x" in beside.summary) == (1.0, False)
    first.finish()
    assert stepwell.run is None
    with pytest.raises(NoRunError):
        stepwell.log({"x": 2.0})
    beside.log({"x": 2.0})


def test_a_context_manager_ends_the_run_as_it_went(start: Start) -> None:
    folders = []
    with start(mode="offline") as run:
        folders.append(run._journal_dir)
    for error in (ValueError, KeyboardInterrupt):
        run = start(mode="offline")
        folders.append(run._journal_dir)
        with pytest.raises(error), run:
            raise error
    ends = [read_journal(folder).bodies("finish")[0] for folder in folders]
    assert [end["state"] for end in ends] == ["finished", "failed", "killed"]
    assert [end["exit_code"] for end in ends] == [0, 1, 130]


# ---------------------------------------------------------------------------- identity


def test_ids_and_names_are_made_locally(offline: Start) -> None:
    runs = [offline() for _ in range(5)]
    assert len({run.id for run in runs}) == 5
    for run in runs:
        assert len(run.id) == 8
        assert run.id.isalnum()
        assert run.id == run.id.lower()
        first, second, number = run.name.split("-")
        assert first.isalpha()
        assert second.isalpha()
        assert number.isdigit()
        assert run.path == f"test/{run.id}"
    made = run.name
    run.name = "mine"
    run.name = None
    assert run.name == made


def test_a_users_random_seed_neither_moves_nor_decides_the_id(offline: Start) -> None:
    import random

    random.seed(1)
    first = offline().id
    random.seed(1)
    expected = random.Random(1).random()
    second = offline().id
    assert first != second
    assert random.random() == expected


def test_what_describes_a_run_is_kept_and_can_be_changed(start: Start) -> None:
    run = start(
        mode="offline", name="n", notes="some", tags=["a", "b", "a"], group="g", job_type="train"
    )
    assert (run.name, run.notes, run.tags, run.group) == ("n", "some", ("a", "b"), "g")
    run.name = "other"
    run.tags = ("c",)
    run.notes = None
    bodies = read_journal(run._journal_dir).bodies("run")
    assert bodies[0] == {
        "name": "n",
        "notes": "some",
        "tags": ["a", "b"],
        "group": "g",
        "job_type": "train",
    }
    assert bodies[1:] == [{"name": "other"}, {"tags": ["c"]}, {"notes": None}]
    assert copy.copy(run) is copy.deepcopy(run) is run


def test_the_environment_gives_defaults_and_arguments_win(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_PROJECT", "from-env")
    monkeypatch.setenv("STEPWELL_NAME", "env-name")
    monkeypatch.setenv("STEPWELL_TAGS", "a, b,,c")
    monkeypatch.setenv("STEPWELL_RUN_ID", "envid")
    monkeypatch.setenv("STEPWELL_MODE", "offline")
    monkeypatch.setenv("STEPWELL_FLUSH_SECONDS", "0.5")
    run = stepwell.init(name="given", settings={"flush_seconds": 0.7, "console": "off"})
    assert (run.project, run.name, run.id) == ("from-env", "given", "envid")
    assert run.tags == ("a", "b", "c")
    assert run.offline
    assert run.settings.flush_seconds == 0.7
    assert not run.settings.console


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"project": "a/b"}, "must not contain"),
        ({"project": ""}, "expected 1 to"),
        ({"project": "x" * 200}, "expected 1 to"),
        ({"id": "a:b"}, "must not contain"),
        ({"id": ".."}, "expected 1 to"),
        ({"mode": "sideways"}, "expected one of online"),
        ({"resume": "maybe"}, "expected one of allow"),
        ({"reinit": "what"}, "expected one of default"),
        ({"settings": {"flush_secs": 1}}, "did you mean flush_seconds"),
        ({"settings": {"flush_seconds": 0.001}}, "expected 0.02 or more"),
        ({"settings": {"flush_seconds": "soon"}}, "settings: flush_seconds"),
        ({"settings": SimpleNamespace(on_full="explode")}, "drop, block"),
        ({"config": 7}, "expected a dict"),
        ({"config": "/nowhere.yaml"}, "nowhere.yaml"),
        (
            {"config": {"a": 1}, "config_include_keys": ["a"], "config_exclude_keys": ["b"]},
            "not both",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_with_what_is_expected(
    arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint):
        stepwell.init(**{"mode": "offline", **arguments})
    assert stepwell.run is None


def test_a_setting_that_cannot_be_read_is_one_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPWELL_FLUSH_SECONDS", "abc")
    with pytest.raises(SettingsError, match="FLUSH_SECONDS: expected a number, not 'abc'") as found:
        stepwell.init(mode="offline")
    text = "".join(traceback.format_exception(found.value))
    assert text.count("Traceback") == 1


def test_the_table_of_the_environment_has_each_variable_of_a_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "logging.md").read_text()
    table = page.partition("## Environment")[2].partition("## ")[0]
    named = set(re.findall(r"`(STEPWELL_[A-Z_]+)`", table))
    assert set(VARIABLES) <= named <= {*VARIABLES, *OTHER_VARIABLES}


def test_every_variable_that_the_sdk_sets_or_reads_is_known() -> None:
    texts = [path.read_text("utf-8") for path in Path(stepwell.__file__).parent.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"\bSTEPWELL_[A-Z_]*[A-Z]\b", text)}
    known = {*VARIABLES, *OTHER_VARIABLES}
    assert len(named & known) > 10
    assert not named - known
    assert all(each.help for each in SETTINGS.values())


def test_a_variable_that_nobody_reads_is_named_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPWELL_PROJEKT", "x")
    stepwell.init("p", mode="disabled")
    assert "did you mean STEPWELL_PROJECT?" in capfd.readouterr().err


def test_settings_that_were_made_before_keep_only_what_was_given(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPWELL_NAME", "from-env")
    monkeypatch.setenv("STEPWELL_CONSOLE", "0")
    given = stepwell.Settings(console=True, x_label="me", disable_git=True, init_timeout=9)
    assert (given.console, given.label, given.x_label, given.git) == (True, "me", "me", False)
    assert (given.disable_git, given.init_timeout, given.base_url) == (True, 9, None)
    run = stepwell.init("p", mode="offline", settings=given)
    assert (run.name, run.label) == ("from-env", "me")
    assert (run.settings.console, run.settings.git) == (True, False)
    assert run.settings.socket.endswith("no-daemon.sock")
    again = stepwell.init(reinit="create_new", settings=run.settings)
    assert again.settings == run.settings._replace(reinit="create_new")
    assert pickle.loads(pickle.dumps(run.settings)) == run.settings
    with pytest.raises(AttributeError, match=r"Settings\(mode=…\)"):
        given.mode = "online"
    with pytest.raises(SettingsError, match="did you mean console"):
        stepwell.Settings(consol=True)
    with pytest.raises(SettingsError, match="settings: on_full"):
        stepwell.Settings(on_full="explode")


def test_settings_of_setup_hold_for_all_runs_and_count_less_than_inits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEPWELL_PROJECT", "from-env")
    held = stepwell.setup({"project": "of-setup", "mode": "offline", "_disable_meta": True})
    assert (held.settings.project, held.settings.metadata) == ("of-setup", False)
    run = stepwell.init(settings={"console": False, "name": "n"})
    assert (run.project, run.mode, run.name) == ("of-setup", "offline", "n")
    other = stepwell.init("p", reinit=True)
    assert other.project == "p"
    stepwell.teardown()
    assert (run.finished, other.finished) == (True, True)
    assert stepwell.setup().settings.project == "from-env"


def test_unknown_arguments_are_refused_and_known_ones_are_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(TypeError, match=r"no argument 'nam'; did you mean 'name'\?"):
        stepwell.init("p", mode="offline", nam="x")
    assert stepwell.run is None
    for name in ("label", "console"):
        wrong: dict[str, Any] = {name: "x"}
        with pytest.raises(TypeError) as raised:
            stepwell.init("p", mode="offline", **wrong)
        how = f"; pass settings={{{name!r}: …}} or set STEPWELL_{name.upper()}"
        assert str(raised.value).endswith(how)
    stepwell.init("p", mode="offline", save_code=True, force=True, monitor_gym=False)
    said = capfd.readouterr().err
    assert said.count("code is not recorded") == 1
    assert "gym" not in said
    assert "force" not in said


def test_a_branch_starts_after_its_step(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    run = start(mode="offline", fork_from="parent?_step=41")
    assert (run.step, run.id != "parent") == (42, True)
    assert "init(fork_from=…) is not available yet" in capfd.readouterr().err
    run.finish()
    again = start(mode="offline", resume_from="again?_step=9")
    assert (again.id, again.step) == ("again", 10)
    again.finish()
    for step in (2**62 + 1, 2**70):
        with pytest.raises(SettingsError, match="the largest step is"):
            start(mode="offline", fork_from=f"parent?_step={step}")


def test_settings_of_other_trackers_are_taken_without_effect(start: Start) -> None:
    run = start(mode="offline", settings={"save_code": True, "x_label": "me", "init_timeout": 3})
    assert run.label == "me"


# ---------------------------------------------------------------------------- config


def test_config_is_read_by_item_and_attribute_and_set_once(offline: Start) -> None:
    run = offline(config={"lr": 0.1, "n": {"a": 1}, "--dash": 2})
    config = run.config
    assert (config.lr, config["n"], config.get("none", 5), config.dash) == (0.1, {"a": 1}, 5, 2)
    config.lr = 0.1
    config["new"] = [1, 2]
    config.setdefaults({"lr": 7, "default": 8})
    with pytest.raises(ConfigError, match="allow_val_change"):
        config.lr = 0.2
    config.update({"lr": 0.3}, allow_val_change=True)
    with pytest.raises(AttributeError, match="missing"):
        config.missing  # noqa: B018
    assert not hasattr(config, "missing")
    del config["default"]
    assert dict(config) == {"lr": 0.3, "n": {"a": 1}, "dash": 2, "new": [1, 2]}
    assert vars(config)["_items"] == dict(config)
    assert ("lr" in config, len(config), list(config)) == (True, 4, ["lr", "n", "dash", "new"])
    config.update_locked({"lr": 9})
    config.lr = 10
    assert config.lr == 9
    told: dict[str, Any] = {}
    for body in read_journal(run._journal_dir).bodies("config"):
        told.update(body["set"])
        for path in body.get("delete", ()):
            del told[path]
    assert told == {"lr": 9, "n": {"a": 1}, "dash": 2, "new": [1, 2]}


def test_a_nested_value_that_changed_in_place_is_kept(offline: Start) -> None:
    run = offline(config={"opt": {"lr": 0.1}})
    held = run.config["opt"]
    held["lr"] = 0.5
    run.config.update({"opt": held}, allow_val_change=True)
    run.config.update({"opt": {"lr": 0.5}})
    bodies = read_journal(run._journal_dir).bodies("config")
    assert [body["set"] for body in bodies] == [{"opt": {"lr": 0.1}}, {"opt": {"lr": 0.5}}]


def test_the_same_value_is_no_change_and_another_type_is_one(offline: Start) -> None:
    run = offline(config={"betas": (0.9, 0.99), "n": 1, "nan": math.nan, "path": Path("/a")})
    run.config.update({"betas": [0.9, 0.99], "n": 1, "nan": math.nan, "path": Path("/a")})
    for other in (2, "1", None):
        with pytest.raises(ConfigError, match="'n' is 1"):
            run.config.n = other
    run.config.n = 1.0
    assert read_journal(run._journal_dir).bodies("config")[-1]["set"] == {"n": 1.0}


def test_a_resumed_run_takes_its_own_config_again(start: Start) -> None:
    config = {"betas": (0.9, 0.99), "data": Path("/data"), "set": {1}}
    start(mode="offline", id="again", config=config).finish()
    run = start(mode="offline", id="again", resume="allow")
    run.config.update(config)
    assert run.config["betas"] == [0.9, 0.99]


def test_a_copy_of_the_config_is_a_dict(offline: Start) -> None:
    config = offline(config={"a": [1]}).config
    for copied in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert (type(copied), copied) == (dict, {"a": [1]})


def test_config_and_summary_are_not_replaced(offline: Start) -> None:
    run = offline()
    with pytest.raises(AttributeError, match=r"run\.config\.update"):
        run.config = {"a": 1}
    with pytest.raises(AttributeError, match=r"run\.summary\.update"):
        run.summary = {"a": 1}


def test_changes_after_the_end_are_neither_stored_nor_shown(
    start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    config = {"lr": 1, "opt": {"beta": 0.9}}
    run = start(mode="offline", name="n", tags=["a"], notes="first", config=config)
    run.summary["best"] = {"loss": 4}
    opt = run.config["opt"]
    run.finish()
    capfd.readouterr()
    for _ in range(2):
        run.summary["late"] = 1
        run.summary["best"] = 2
        run.summary["best"]["loss"] = 2
        del run.summary["best"]
        run.config["late"] = 1
        run.config.lr = 2  # No ConfigError.
        run.config["opt"]["beta"] = 0.5
        run.config.update({"late": 2}, allow_val_change=True)
        run.config.update_locked({"locked": 1})
        assert run.config.setdefault("late", 3) == 3
        del run.config["lr"]
        run.tags = (*run.tags, "b")
        run.name = "late"
        run.notes = None
    run.config.update({"lr": 1})  # No change.
    assert run.summary["best"] == {"loss": 4}
    assert "late" not in run.summary
    assert dict(run.config) == config
    assert (run.name, run.tags, run.notes) == ("n", ("a",), "first")
    said = capfd.readouterr().err.splitlines()
    assert [line.split(" was changed after finish()")[0] for line in said] == [
        f"stepwell: run.{what}" for what in ("summary", "config", "tags", "name", "notes")
    ]
    opt["beta"] = 0.1
    run.config.persist()
    held = read_journal(run._journal_dir)
    assert len(held.bodies("config")) == len(held.bodies("summary")) == 1
    with pytest.raises(RunFinishedError):
        run.log({"x": 1.0})


def test_config_comes_from_what_people_have(offline: Start, folder: Path) -> None:
    (folder / "c.json").write_text(json.dumps({"a": 1, "b": {"value": 2, "desc": "x"}}))
    assert dict(offline(config=folder / "c.json").config) == {"a": 1, "b": 2}
    (folder / "d.json").write_text(json.dumps({"t": {"value": 1, "schedule": "cosine"}}))
    assert dict(offline(config=folder / "d.json").config)["t"]["schedule"] == "cosine"
    assert dict(offline(config=argparse.Namespace(a=1, b=None)).config) == {"a": 1, "b": None}
    run = offline(config={"a": 1, "b": 2, "c": 3}, config_exclude_keys=["b"])
    assert dict(run.config) == {"a": 1, "c": 3}
    assert dict(offline(config=run.config).config) == {"a": 1, "c": 3}


def test_config_takes_what_is_no_json_as_text(offline: Start) -> None:
    run = offline(config={"path": Path("/a"), "set": {1}, "fn": len, "big": 2**70})
    (body,) = read_journal(run._journal_dir).bodies("config")
    assert body["set"]["set"] == [1]
    assert "/a" in body["set"]["path"]
    assert body["set"]["big"] == str(2**70)


@pytest.mark.slow
def test_a_huge_config_is_cut_into_events(offline: Start) -> None:
    run = offline(config={f"k{i}": "x" * 10_000 for i in range(500)})
    bodies = read_journal(run._journal_dir).bodies("config")
    assert len(bodies) > 1
    assert len({key for body in bodies for key in body["set"]}) == 500


# ---------------------------------------------------------------------------- summary


def test_the_summary_is_the_last_value_unless_set(offline: Start) -> None:
    run = offline(settings={"journal_segment_bytes": 64 * 1024})
    for i in range(3000):  # Several segments.
        run.log({"x": float(i), "y": 1.0})
    run.log({"note": "text", "nothing": None, "z": math.nan})
    summary = run.summary
    assert (summary["x"], summary.y, summary["note"], summary["_step"]) == (
        2999.0,
        1.0,
        "text",
        3000,
    )
    assert math.isnan(summary["z"])
    assert "nothing" not in summary
    summary["x"] = -1
    assert summary.get("x") == -1
    run.log({"x": 5.0})
    assert summary["x"] == 5.0
    summary.update({"best": {"a": 1}})
    del summary["y"]
    with pytest.raises(KeyError):
        summary["y"]
    assert not hasattr(summary, "y")
    assert summary.get("y", 3) == 3
    assert dict(summary)["best"] == {"a": 1}
    folder = run._journal_dir
    run.finish()
    told = [body["set"] for body in read_journal(folder).bodies("summary")]
    assert told == [{"x": -1}, {"best": {"a": 1}}, {}]  # Not once more at the end.


# ---------------------------------------------------------------------------- define_metric


def test_defined_summaries_are_kept_over_all_rows(offline: Start) -> None:
    run = offline()
    run.define_metric("loss", summary="min,max,mean,first,last")
    run.define_metric("acc", summary="best", goal="maximize")
    run.define_metric("hid*", summary="none")
    run.define_metric("last", summary="last")
    run.define_metric("copy", summary="copy")
    run.define_metric("both", summary="min,copy")
    for value in (3.0, 1.0, math.nan, 2.0):
        names = ("loss", "acc", "hidden", "last", "copy", "both")
        run.log(dict.fromkeys(names, value))
    summary = run.summary.as_dict()
    assert summary["loss"] == {"min": 1.0, "max": 3.0, "mean": 2.0, "first": 3.0, "last": 2.0}
    assert summary["acc"] == {"best": 3.0}
    assert "hidden" not in summary
    assert summary["last"] == summary["copy"] == 2.0
    assert summary["both"] == {"min": 1.0}
    definitions = read_journal(run._journal_dir).bodies("define_metric")
    stored = {each["name"]: each["summary"] for each in definitions}
    assert (stored["copy"], stored["both"]) == (["last"], ["min"])
    assert len(read_journal(run._journal_dir).series("loss")) == 4


def test_a_definition_also_holds_for_schemas_that_are_in_use(offline: Start) -> None:
    run = offline()
    run.log({"loss": 5.0})
    run.log({"loss": 4.0})
    run.define_metric("loss", summary="max")
    run.log({"loss": 1.0})
    assert run.summary["loss"] == {"max": 1.0}
    run.define_metric("loss", summary="min")
    run.log({"loss": 0.5})
    assert run.summary["loss"] == {"min": 0.5}


def test_rows_get_the_step_metric_that_they_lack(offline: Start) -> None:
    run = offline()
    run.define_metric("epoch")
    run.define_metric("val/*", step_metric="epoch")
    for _ in range(2):
        run.log({"val/loss": 1.0})
        run.log({"epoch": 3.0, "train/loss": 0.0})
        run.log({"val/loss": 2.0})
        run.log({"val/loss": 3.0, "epoch": 7.0})
    held = read_journal(run._journal_dir)
    assert [
        (r.values["val/loss"], r.values["epoch"]) for r in held.rows if "val/loss" in r.values
    ] == [
        (1.0, 0.0),
        (2.0, 3.0),
        (3.0, 7.0),
        (1.0, 7.0),
        (2.0, 3.0),
        (3.0, 7.0),
    ]
    assert "epoch" not in held.rows[0].values or held.rows[0].values["epoch"] == 0.0
    assert held.bodies("define_metric")[1] == {
        "name": "val/*",
        "step_metric": "epoch",
        "step_sync": True,
        "summary": [],
        "goal": None,
        "hidden": False,
    }


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("a*b",), ValueError),
        (("",), ValueError),
        ((3,), TypeError),
        (("a", 3), TypeError),
        (("a", None, None, None, "median"), ValueError),
        (("a", None, None, None, "best", "up"), ValueError),
    ],
)
def test_a_definition_that_cannot_be_is_refused(
    offline: Start, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error, match="define_metric"):
        offline().define_metric(*arguments)


def test_definitions_add_up_unless_overwritten(offline: Start) -> None:
    run = offline()
    epoch = run.define_metric("epoch")
    run.define_metric("loss", step_metric=epoch)
    merged = run.define_metric("loss", summary="min")
    assert (merged.step_metric, merged.summary) == ("epoch", ("min",))
    fresh = run.define_metric("loss", summary="max", overwrite=True)
    assert (fresh.step_metric, fresh.summary) == (None, ("max",))


def test_a_summary_value_by_hand_is_no_value_of_a_step_metric(start: Start) -> None:
    run = start(mode="offline", id="axis")
    run.define_metric("val", step_metric="epoch")
    run.log({"epoch": 3})
    run.summary["epoch"] = 2
    run.log({"val": 1.0})
    run.summary["epoch"] = "last"
    run.summary["epoch"] = "the last"
    run.log({"val": 2.0})
    del run.summary["epoch"]
    run.log({"val": 3.0})
    run.log({"epoch": 4})
    run.log({"val": 4.0})
    run.summary["epoch"] = 10**400
    run.log({"val": 5.0})
    held = read_journal(run._journal_dir)
    run.finish()
    found = [row.values["epoch"] for row in held.rows if "val" in row.values]
    assert found == [3.0, 3.0, 3.0, 4.0, 4.0]
    again = start(mode="offline", id="axis", resume="must")
    again.log({"val": 6.0})  # Of an earlier process only the summary is known.
    again.finish()
    assert again.summary["val"] == 6.0


# ---------------------------------------------------------------------------- modes


def test_a_disabled_run_keeps_nothing_and_takes_every_call(start: Start, folder: Path) -> None:
    run = start(mode="disabled", config={"a": 1})
    run.define_metric("x", summary="max")
    run.log({"x": 1.0, "note": "text"})
    run.log({"x": 0.5}, step=4)
    run.name = "other"
    run.summary["s"] = 1
    assert run.flush()
    assert run.summary.as_dict()["x"] == {"max": 1.0}
    assert run.summary["note"] == "text"
    assert (run.url, run.step, run.dropped_points, run.disabled) == (None, 4, 0, True)
    run.finish()
    assert not (folder / "journals").exists()
    with pytest.raises(RunFinishedError):
        run.log({"x": 1.0})


def test_a_label_of_the_settings_or_the_environment_is_stored(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(mode="offline", settings={"label": "node1"})
    assert (run.label, read_journal(run._journal_dir).bodies("start")[0]["label"]) == (
        "node1",
        "node1",
    )
    run.finish()
    monkeypatch.setenv("STEPWELL_LABEL", "node2")
    run = start(mode="offline")
    assert (run.label, read_journal(run._journal_dir).bodies("start")[0]["label"]) == (
        "node2",
        "node2",
    )


def test_shared_mode_gives_each_further_process_a_label(start: Start) -> None:
    run = start(mode="shared", id="together", settings={"x_primary": False})
    assert "-" in run.label
    primary = start(mode="shared", id="together", settings={"x_primary": True}, reinit=True)
    assert primary.label == ""


def test_offline_runs_say_how_to_send_them(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    run = start(mode="offline")
    folder = run._journal_dir
    run.finish()
    assert f"stepwell sync {folder}" in capfd.readouterr().err


def test_silent_is_silent(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    run = start(settings={"silent": True})
    run.log({"x": object()})
    run.finish()
    assert capfd.readouterr().err == ""


# ---------------------------------------------------------------------------- a personal daemon


def test_a_personal_daemon_is_started_when_nobody_listens(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[str, Path]] = []
    monkeypatch.setenv("STEPWELL_NO_DAEMON", "0")
    monkeypatch.setattr(_spawn, "can_start_daemon", lambda: True)
    daemon = RecordingDaemon(folder / "no-daemon.sock")

    def start_daemon(socket: str, data_dir: Path) -> SimpleNamespace:
        started.append((socket, data_dir))
        daemon.start()
        return SimpleNamespace(pid=os.getpid(), poll=lambda: None)

    monkeypatch.setattr(_spawn, "start_daemon", start_daemon)
    try:
        run = start()
        run.log({"x": 1.0})
        run.finish()
        assert started == [(str(folder / "no-daemon.sock"), folder / "data")]
        assert len(daemon.points("x")) == 1
        line = (
            f"run {run.name} ({run.id}): see it with `stepwell show test/{run.id}` on the machine"
        )
        assert [line in said for said in capfd.readouterr().err.splitlines()] == [True]
    finally:
        daemon.stop()


def test_a_wait_for_an_artifact_starts_a_daemon_that_died_again(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are delivered, so the sender has nothing to send."""
    started: list[str] = []
    monkeypatch.setenv("STEPWELL_NO_DAEMON", "0")
    monkeypatch.setattr(_spawn, "can_start_daemon", lambda: True)
    daemon = RecordingDaemon(folder / "no-daemon.sock")

    def start_daemon(socket: str, data_dir: Path) -> SimpleNamespace:
        started.append(socket)
        daemon.start()
        return SimpleNamespace(pid=os.getpid(), poll=lambda: -9 if len(started) == 1 else None)

    monkeypatch.setattr(_spawn, "start_daemon", start_daemon)
    monkeypatch.setattr(_personal, "_TURN_SECONDS", 0.0)
    monkeypatch.setattr(PersonalDaemon, "_kind", lambda self: "personal")
    monkeypatch.setattr(_personal, "_is_starting", lambda descriptor: False)
    try:
        run = start()
        run.log({"x": 1.0})
        assert run.flush(10)
        daemon.stop()
        (folder / "f.txt").write_text("x")
        artifact = stepwell.Artifact("a", type="t")
        artifact.add_file(str(folder / "f.txt"))
        run.log_artifact(artifact)
        artifact.wait(20)
        assert len(started) == 2
    finally:
        daemon.stop()


def test_a_daemon_on_the_socket_is_used_as_it_is(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setenv("STEPWELL_NO_DAEMON", "0")
    monkeypatch.setattr(_spawn, "start_daemon", never)
    start().finish()
    assert len(daemon.events("finish")) == 1


def test_the_hooks_are_installed_once(offline: Start) -> None:
    import sys

    offline()
    hook = sys.excepthook
    offline()
    assert sys.excepthook is hook
    assert len(_session.active) == 2


def test_a_writer_says_which_gpus_it_may_use_where_its_environment_limits_them(
    daemon: RecordingDaemon, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    start().finish()
    assert daemon.events("environment") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    start(settings={"metadata": True}).finish()
    expected = {"CUDA_VISIBLE_DEVICES": "", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert [event.body for event in daemon.events("environment")] == [expected]
    assert daemon.merged("metadata")["environment"] == expected
