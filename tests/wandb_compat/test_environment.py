"""`WANDB_*` variables and settings files mean what they say; `STEPWELL_*` counts more."""

from pathlib import Path

import pytest

from stepwell._other_trackers import IGNORED
from stepwell._settings import Settings, read_settings
from stepwell.errors import SettingsError
from stepwell.wandb_compat._environment import (
    defaults,
    files_parent,
    settings_files,
    write_setting,
)


@pytest.fixture
def no_files(tmp_path: Path) -> dict[str, str]:
    return {"WANDB_CONFIG_DIR": str(tmp_path / "config"), "WANDB_DIR": str(tmp_path / "work")}


def read(environ: dict[str, str]) -> Settings:
    return read_settings({}, environ=environ, defaults=defaults(environ))


def test_each_variable_sets_what_it_names(no_files: dict[str, str]) -> None:
    settings = read(
        {
            **no_files,
            "WANDB_PROJECT": "p",
            "WANDB_ENTITY": "team",
            "WANDB_NAME": "n",
            "WANDB_NOTES": "some",
            "WANDB_TAGS": "a, b",
            "WANDB_JOB_TYPE": "train",
            "WANDB_RUN_GROUP": "g",
            "WANDB_RUN_ID": "id1",
            "WANDB_RESUME": "allow",
            "WANDB_MODE": "dryrun",
            "WANDB_CONSOLE": "off",
            "WANDB_SILENT": "true",
            "WANDB_QUIET": "1",
            "WANDB_DISABLE_GIT": "true",
            "WANDB_X_DISABLE_META": "true",
            "WANDB_X_LABEL": "node-1",
            "WANDB_X_PRIMARY": "false",
            "WANDB_API_KEY": "0" * 40,
            "WANDB_BASE_URL": "https://example.org",
        }
    )
    assert (settings.project, settings.entity, settings.name) == ("p", "team", "n")
    assert (settings.notes, settings.tags, settings.job_type) == ("some", ("a", "b"), "train")
    assert (settings.group, settings.run_id, settings.resume) == ("g", "id1", "allow")
    assert (settings.mode, settings.console) == ("offline", False)
    assert (settings.silent, settings.quiet) == (True, True)
    assert (settings.git, settings.metadata) == (False, False)
    assert (settings.label, settings.primary) == ("node-1", False)


def test_ours_count_more_than_theirs_and_arguments_more_than_both(
    no_files: dict[str, str],
) -> None:
    environ = {**no_files, "WANDB_PROJECT": "theirs", "STEPWELL_PROJECT": "ours"}
    assert read(environ).project == "ours"
    held = read_settings({"project": "argument"}, environ=environ, defaults=defaults(environ))
    assert held.project == "argument"


@pytest.mark.parametrize(
    ("word", "mode"), [("true", "disabled"), ("false", "online"), ("", "online")]
)
def test_wandb_disabled_disables(no_files: dict[str, str], word: str, mode: str) -> None:
    assert read({**no_files, "WANDB_DISABLED": word}).mode == mode


def test_an_impossible_value_is_named_by_its_variable(no_files: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="WANDB_MODE: expected one of online"):
        read({**no_files, "WANDB_MODE": "sideways"})


def test_settings_files_count_less_than_variables(no_files: dict[str, str]) -> None:
    user, folder = settings_files(no_files)
    write_setting(user, "project", "of-the-user")
    write_setting(user, "entity", "team")
    write_setting(folder, "project", "of-the-folder")
    write_setting(folder, "mode", "offline")
    assert read(no_files).project == "of-the-folder"
    assert (read(no_files).entity, read(no_files).mode) == ("team", "offline")
    assert read({**no_files, "WANDB_MODE": "online"}).mode == "online"
    write_setting(folder, "mode", None)
    assert read(no_files).mode == "online"
    folder.write_text("no settings at all\n")
    assert read(no_files).project == "of-the-user"


def test_the_folder_of_files_is_the_argument_the_variable_or_here(tmp_path: Path) -> None:
    assert files_parent(tmp_path, {"WANDB_DIR": "/other"}) == tmp_path
    assert files_parent(None, {"WANDB_DIR": str(tmp_path)}) == tmp_path
    assert files_parent(None, {}) == Path.cwd()


def test_the_docs_list_the_settings_without_an_effect() -> None:
    docs = (Path(__file__).resolve().parents[2] / "docs" / "wandb.md").read_text()
    listed = docs.partition("have no effect:\n\n```text\n")[2].partition("```")[0].split()
    assert listed == sorted(IGNORED)


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_a_setting_without_an_effect_is_accepted(name: str) -> None:
    made = Settings(**{name: "given"})
    assert getattr(made, name) == "given"
    assert read_settings({}, made, environ={}) == read_settings({}, environ={})


def test_without_a_current_folder_the_folder_of_files_stays_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert files_parent(None, {}) == Path(".")
    assert files_parent(None, {"WANDB_DIR": str(tmp_path)}) == tmp_path
