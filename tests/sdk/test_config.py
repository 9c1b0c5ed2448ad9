"""`run.config`: what is given in whatever form is stored, also when it changes in place."""

import argparse
import collections
import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stepwell import Html, Run, Table, _recording, _secrets, _stored_forms
from stepwell._config_sources import parse_config
from stepwell.errors import ConfigError, SettingsError
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start
from tests.sdk.held import read_journal
from tests.sdk.odd_types import INNER, Outer, Pair
from tests.waiting import wait_until


def stored(run: Run) -> dict[str, Any]:
    """What the store has of a config whose names hold no dots."""
    told: dict[str, Any] = {}
    for body in read_journal(run._journal_dir).bodies("config"):
        for path in body.get("delete", ()):
            *parents, name = path.split(".")
            place = told
            for parent in parents:
                place = place.get(parent, {})
            place.pop(name, None)
        _merge(told, body["set"])
    return told


def _merge(told: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(told.get(name), dict):
            _merge(told[name], value)
        else:
            told[name] = value


# ---------------------------------------------------------------------------- what it is made of


class Settings:
    lr = 0.1


MODULE = ModuleType("settings")
vars(MODULE).update(lr=0.1, json=json, Path=Path, read=lambda: 1, __all__=["lr"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Outer(), {"inner": INNER, "several": [{**INNER, "lr": 0.2}]}),
        (Pair(), {"left": 1, "right": 0.5}),
        (SimpleNamespace(a=SimpleNamespace(b=1)), {"a": {"b": 1}}),
        (Settings, {"lr": 0.1}),
        (Settings(), {"lr": 0.1}),
        (MODULE, {"lr": 0.1}),
        ([("lr", 0.1)], {"lr": 0.1}),
        ([], {}),
        ({1: "a", "1": "b", -1: "c", "--lr": 2}, {"1": "a", "1 (str)": "b", "-1": "c", "lr": 2}),
        ({"-neg": 1, "neg": 2, "-x": 3}, {"-neg": 1, "neg": 2, "x": 3}),
        ({"wd": 1, "wd.bias": 2}, {"wd": 1, "wd.bias": 2}),
        ({"caf\udce9": "\udce8\0"}, {"caf\\udce9": "\\udce8\0"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_init_takes_what_people_have(offline: Start, given: Any, kept: dict[str, Any]) -> None:
    run = offline(config=given)
    assert stored(run) == kept
    run.config.update(given)  # The same is no change.
    assert stored(run) == kept


@pytest.mark.parametrize("given", [5, True, b"x", {1}, [1], lambda: 1, "", (i for i in "a")])
def test_what_is_no_config_is_refused_with_what_is_expected(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"config: .*expected"):
        parse_config(given)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("temperature: {value: 1.0, schedule: cosine}\nlr: 1e-4", None),
        ("lr: {value: 1e-4}\nn: {desc: x, value: 2}\nwandb_version: 1", {"lr": 1e-4, "n": 2}),
        ("lr: 1e-4\ndropout: {value: 0.1}", {"lr": 1e-4, "dropout": {"value": 0.1}}),
        ("lr: 0.1\nn: {desc: x, value: 2}", {"lr": 0.1, "n": 2}),
        ("1: a\nday: 2024-01-02", {"1": "a", "day": "2024-01-02"}),
        ("\ufefflr: 1", {"lr": 1}),
        ("name: 1e\nversion: 1.2.3", {"name": "1e", "version": "1.2.3"}),
        ("", {}),
    ],
)
def test_yaml_files_mean_what_they_say(
    offline: Start, folder: Path, text: str, kept: dict[str, Any] | None
) -> None:
    path = folder / "c.yaml"
    path.write_text(text)
    wanted = {"temperature": {"value": 1.0, "schedule": "cosine"}, "lr": 1e-4}
    assert stored(offline(config=path)) == (wanted if kept is None else kept)


def test_one_name_to_leave_out_is_no_list_of_letters(offline: Start) -> None:
    run = offline(config={"lr": 1, "l": 2}, config_exclude_keys="lr")
    assert stored(run) == {"l": 2}
    assert stored(offline(config={"lr": 1, "l": 2}, config_include_keys="lr")) == {"lr": 1}


# ---------------------------------------------------------------------------- changes


def test_a_nested_value_that_is_set_is_stored(offline: Start) -> None:
    run = offline(config={"a": {"b": 0, "c": [1]}, "kept": {"x": 1}})
    run.config["a"]["b"] = 5
    run.config.a["new"] = {"d": 1}
    run.config.get("a")["c"].append(2)
    run.config["late"] = 1
    assert stored(run)["a"] == {"b": 5, "c": [1, 2], "new": {"d": 1}}
    dict(run.config)["a"]["b"] = 6
    run.flush()
    assert stored(run)["a"]["b"] == 6
    run.config["a"]["b"] = 7
    run.finish()
    assert stored(run)["a"]["b"] == 7
    assert stored(run)["kept"] == {"x": 1}


def test_a_nested_value_that_is_set_is_stored_while_the_run_goes_on(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recording, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(_recording, "_LOOK_SHARE", 0)  # A slow look would put off the next one.
    run = start(config={"a": {"b": 0}})
    run.config["a"]["b"] = 5
    run.log({"x": 1.0})
    changed = {"set": {"a": {"b": 5}}}
    wait_until(
        lambda: changed in [each.body for each in daemon.events("config")],
        "a change in place, while the run goes on",
    )


@pytest.mark.parametrize(
    ("config", "path", "names"),
    [
        ({"x.y": 1, "x": {"y": 2}}, "x.y", ("x.y", "x")),
        ({"a": {"b": {"c": 1}}, "a.b": {"c": 2}}, "a.b.c", ("a", "a.b")),
        ({"a": {"b.c": {"d": 1}}, "a.b": {"c.d": 2}}, "a.b.c.d", ("a", "a.b")),
        ({"a": {"": 1}, "a.": 2}, "a.", ("a", "a.")),
        ({"a": {"b": {}}, "a.b": 2}, "a.b", ("a", "a.b")),
        ({"wd": 1, "wd.bias": 2}, "", ()),
        ({"a": {"b": 1}, "a.c": 2}, "", ()),
    ],
)
def test_two_values_at_one_place_of_the_store_are_told(
    offline: Start,
    capfd: pytest.CaptureFixture[str],
    config: dict[str, object],
    path: str,
    names: tuple[str, ...],
) -> None:
    offline(config=config)
    told = [line for line in capfd.readouterr().err.splitlines() if "both have a value" in line]
    assert len(told) == bool(path)
    assert all(
        f"at {path}, of which" in line and f"{name!r}" in line for line in told for name in names
    )


def test_two_large_values_side_by_side_are_compared_in_one_pass(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = offline()
    calls: list[str] = []
    paths_of = _stored_forms.paths_of

    def counted(key: str, value: Any) -> list[str]:
        calls.append(key)
        return paths_of(key, value)

    monkeypatch.setattr(_stored_forms, "paths_of", counted)
    left, right = ({f"{side}{number}": number for number in range(300)} for side in "lr")
    run.config.update({"a": {"b": left}, "a.b": right})
    assert len(calls) < 5000, "not each path of the one for each path of the other"


def test_what_a_program_takes_out_of_a_nested_value_stays_stored(offline: Start) -> None:
    given = {"opt": {"name": "adam", "lr": 0.1}, "steps": [1, 2, 3]}
    run = offline(config=given)
    options = run.config["opt"]
    assert options.pop("name") == "adam"
    run.config["steps"].pop()
    given["opt"]["lr"] = 9
    given["steps"].clear()
    run.finish()
    assert stored(run) == {"opt": {"name": "adam", "lr": 0.1}, "steps": [1, 2, 3]}
    assert run.config["opt"] == {"lr": 0.1}


def test_a_name_with_dashes_is_its_own_beside_the_bare_name(offline: Start) -> None:
    run = offline(config={"-lr": 1, "lr": 2})
    run.config.update({"-lr": 5}, allow_val_change=True)
    assert dict(run.config) == {"-lr": 5, "lr": 2}
    run.config.setdefaults({"-lr": 6, "lr": 7, "-x": 8, "x": 9})
    assert dict(run.config) == {"-lr": 5, "lr": 2, "-x": 8, "x": 9}
    run.config.setdefaults({"-new": 1, "lr": 3})
    assert run.config.setdefault("--seed", 4) == 4
    run.config.update_locked({"-a": 1, "a": 2})
    assert dict(run.config) == {
        "-lr": 5,
        "lr": 2,
        "-x": 8,
        "x": 9,
        "new": 1,
        "seed": 4,
        "-a": 1,
        "a": 2,
    }


def test_names_are_set_and_deleted_as_in_a_dict(offline: Start) -> None:
    run = offline(config={"a": {"b": 1, "c": 2}})
    assert (run.config.setdefault("a", 5), run.config.setdefault("n", 3)) == ({"b": 1, "c": 2}, 3)
    run.config.update({"a": {"b": 2}}, allow_val_change=True)
    assert stored(run) == {"a": {"b": 2}, "n": 3}
    del run.config["a"]
    assert stored(run) == {"n": 3}
    for name, hint in (("pop", "del"), ("copy", "as_dict"), ("unknown", "no value")):
        with pytest.raises(AttributeError, match=hint):
            getattr(run.config, name)
    base = run.config
    run.config["base"] = base
    assert stored(run) == {"n": 3, "base": {"n": 3}}


def test_a_refused_change_sets_nothing_of_its_update(offline: Start) -> None:
    run = offline(config={"a": 1})
    with pytest.raises(ConfigError, match="'a' is 1"):
        run.config.update({"new": 1, "a": 2})
    assert stored(run) == dict(run.config) == {"a": 1}


SCRIPT = """
import enum, pathlib, stepwell
class Thing: pass
class Act: pass
run = stepwell.init("p", id="r", mode="offline", resume="allow", settings={"metadata": False})
run.config.update({"tags": {"a", "b", "c", "d"}, "thing": Thing(), "act": Act, "fn": lambda x: x,
    "path": pathlib.Path("/a"), "colour": enum.Enum("E", "RED").RED,
    "nan": float("nan"), 3: (1, 2)})
print(sorted(run.config.keys()))
"""


@pytest.mark.slow
def test_another_process_gives_the_very_same_config(folder: Path) -> None:
    """Sets have another order there, and objects another address."""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_resumed_script_that_changes_its_config_in_place_does_so_again(start: Start) -> None:
    for _ in range(3):
        run = start(mode="offline", id="again", resume="allow", config={"a": 1})
        run.config.update({"opt": {"lr": 0.1}, "steps": [1]})
        run.config["opt"]["lr"] = 0.5
        run.config["steps"].append(2)
        run.finish()
        assert dict(run.config) == {"a": 1, "opt": {"lr": 0.5}, "steps": [1, 2]}
    with pytest.raises(ConfigError):
        start(mode="offline", id="again", resume="allow").config.update({"opt": {"lr": 0.7}})


def test_what_goes_to_another_process_is_what_is_stored(offline: Start) -> None:
    run = offline(config={"fn": lambda: 1, "opt": Outer()})
    _, (facts,) = run.__reduce__()  # As pickle does.
    info = pickle.loads(pickle.dumps(facts["config"]))
    assert info["opt"]["inner"] == INNER


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"db": {"password": "correct horse"}}, "db.password"),
        ({"note": "sk-" + "a1" * 20}, "note"),
        ({"db": {"url": "postgres://me:hunter22@host/db"}}, "db.url"),
        ({"keys": [{"n": 1}, "AKIA" + "ABCDEFGHIJKLMNOP"]}, "keys"),
        ({"tokenizer": "bert-base-cased", "url": "postgres://host/db", "a": ["text" * 9]}, ""),
    ],
)
def test_a_secret_is_pointed_out_wherever_it_is(
    offline: Start, capfd: pytest.CaptureFixture[str], config: dict[str, object], path: str
) -> None:
    offline(config=config)
    told = [line for line in capfd.readouterr().err.splitlines() if "like a secret" in line]
    assert [f"config {path!r} looks" in line for line in told] == [True] * bool(path)
    assert all(f"config_exclude_keys=[{next(iter(config))!r}]" in line for line in told)


def test_of_many_secrets_in_a_value_one_is_named(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    many = {f"host{number}": {"password": "correct horse"} for number in range(100)}
    offline(config={"hosts": many, "api_key": "correct horse"})
    assert capfd.readouterr().err.count("like a secret") == 2


def test_of_a_data_set_in_a_config_only_a_part_is_searched_for_secrets(
    offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []

    def count(text: str) -> str:
        searched.append(len(text))
        return text

    monkeypatch.setattr(_secrets, "hide_in_text", count)
    offline(config={"texts": ["some text " * 900] * 1000})
    assert 100_000 < sum(searched) <= 300_000


def test_a_secret_in_a_config_is_pointed_out(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline(config={"api_key": "abcdefgh", "pad_token": "<|endoftext|>", "token": "x"})
    run.config.update({"hub_token": "<HUB_TOKEN>", "key": {"api_key": "${oc.env:KEY}"}})
    run.config.update({"api_key": "abcdefghi"}, allow_val_change=True)
    told = capfd.readouterr().err
    assert told.count("looks like a secret") == 1
    assert "config_exclude_keys=['api_key']" in told
    assert stored(run)["api_key"] == "abcdefghi"


def test_media_in_a_config_are_named_once_each(
    offline: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    run = offline(config={"table": Table(columns=["a"], data=[[1]]), "lr": 0.1})
    run.config.update({"best": {"page": Html("<p>")}})
    run.config["best"]["more"] = 1
    run.config.persist()
    run.finish()
    lines = [line for line in capfd.readouterr().err.splitlines() if "content of" in line]
    assert [line.partition("config ")[2] for line in lines] == [
        "'table': the content of Table() is not stored, because a config has no media; log it: "
        "run.log({'table': …})",
        "'best': the content of Html() is not stored, because a config has no media; log it: "
        "run.log({'best': …})",
    ]


class Tree(collections.UserDict[str, Any]):
    """A mapping of another package, such as a DictConfig of OmegaConf."""


class Branch(collections.UserList[Any]):
    """A list of another package."""


@dataclasses.dataclass
class Optimizer:
    lr: float = 0.1


def test_mappings_records_and_lists_are_plain_copies_whose_changes_are_stored(
    offline: Start,
) -> None:
    tree = Tree(name="bert", layers=Branch([1, Tree(a=2)]))
    space, tags = argparse.Namespace(a=1, inner=argparse.Namespace(b=2)), {"x"}
    run = offline(config={"tree": tree, "space": space, "optimizer": Optimizer(), "tags": tags})
    tree["name"] = space.a = "of the script"
    tags.add("of the script")
    plain = {
        "tree": {"name": "bert", "layers": [1, {"a": 2}]},
        "space": {"a": 1, "inner": {"b": 2}},
        "optimizer": {"lr": 0.1},
        "tags": {"x"},
    }
    assert run.config.as_dict() == plain
    assert type(run.config["tree"]["layers"][1]) is dict
    run.config["tree"]["layers"][1]["a"] = 3
    run.config["space"]["inner"]["b"] = 4
    run.config["optimizer"]["lr"] = 0.2
    run.config["tags"].add("y")
    run.config.update({"optimizer": Optimizer()})  # As it was set first: no change.
    run.config.persist()
    assert stored(run) == {
        "tree": {"name": "bert", "layers": [1, {"a": 3}]},
        "space": {"a": 1, "inner": {"b": 4}},
        "optimizer": {"lr": 0.2},
        "tags": ["x", "y"],
    }


def test_a_locked_value_that_is_given_again_in_another_form_is_no_new_one(
    offline: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    run = offline()
    run.config.update_locked({"lr": 1})
    run.config.update({"lr": 1.0})
    assert "is locked" not in capsys.readouterr().err
    run.config.update({"lr": 2.0})
    assert "config 'lr' is locked; the new value is ignored" in capsys.readouterr().err
    assert run.config["lr"] == 1


def test_a_series_of_pandas_is_a_config_and_a_frame_is_refused(offline: Start) -> None:
    pd = pytest.importorskip("pandas")
    grid = pd.DataFrame({"lr": [0.1, 0.2], "model": ["svm", "rf"]})
    run = offline(config=grid.iloc[0])
    assert run.config.as_dict() == {"lr": 0.1, "model": "svm"}
    run.config.update(pd.Series({"size": 3}))
    run.config.setdefaults(pd.Series({"size": 4, "depth": 2}))
    assert run.config.as_dict() == {"lr": 0.1, "model": "svm", "size": 3, "depth": 2}
    again = offline(config=grid.iloc[1], reinit="return_previous")
    assert again is run
    for wrong in (grid, grid.to_numpy()):
        with pytest.raises(SettingsError, match="config: expected a dict"):
            run.config.update(wrong)
        with pytest.raises(SettingsError, match="config: expected a dict"):
            offline(config=wrong, reinit="create_new")


def test_a_dict_that_makes_every_attribute_is_a_config(offline: Start) -> None:
    class Grown(dict[str, Any]):
        def __getattr__(self, name: str) -> Any:
            return type(self)()

    assert offline(config=Grown(lr=0.1)).config.as_dict() == {"lr": 0.1}
