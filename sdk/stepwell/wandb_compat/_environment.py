"""Settings of `WANDB_*` variables and Weights & Biases' settings files, as ours.

`STEPWELL_*` wins: the person who starts the command sets it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from stepwell._settings import Default
from stepwell._user_folder import absolute
from stepwell_wire.setting import flag

_VARIABLES: Final = {
    "WANDB_PROJECT": "project",
    "WANDB_ENTITY": "entity",
    "WANDB_NAME": "name",
    "WANDB_NOTES": "notes",
    "WANDB_TAGS": "tags",
    "WANDB_JOB_TYPE": "job_type",
    "WANDB_RUN_GROUP": "group",
    "WANDB_RUN_ID": "run_id",
    "WANDB_RESUME": "resume",
    "WANDB_MODE": "mode",
    "WANDB_CONSOLE": "console",
    "WANDB_SILENT": "silent",
    "WANDB_QUIET": "quiet",
    "WANDB_REINIT": "reinit",
    "WANDB_X_LABEL": "label",
    "WANDB_X_PRIMARY": "primary",
}
_OPPOSITES: Final = {"WANDB_DISABLE_GIT": "git", "WANDB_X_DISABLE_META": "metadata"}
_OFF = "WANDB_DISABLED"
_IN_FILES: Final = ("project", "entity", "mode")


def defaults(environ: Mapping[str, str] = os.environ) -> Iterator[Default]:
    """Yield the settings of files and variables; later ones have priority.

    Raises:
        SettingsError: `WANDB_DISABLED` or another switch is neither true nor false.
    """
    for path in settings_files(environ):
        for name, value in _read(path).items():
            if name in _IN_FILES:
                yield Default(name, value, f"{path}: {name}")
    for variable, name in _VARIABLES.items():
        if environ.get(variable):
            yield Default(name, environ[variable], variable)
    for variable, name in _OPPOSITES.items():
        if environ.get(variable):
            yield Default(name, not _is_true(environ[variable]), variable)
    if environ.get(_OFF) and _is_true(environ[_OFF]):
        yield Default("mode", "disabled", _OFF)


def set_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that are set and would count for `import wandb`."""
    names = (*_VARIABLES, *_OPPOSITES, _OFF)
    return [name for name in names if environ.get(name)]


def files_parent(given: object, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which the folder `wandb` with a run's files is made."""
    return absolute(given or environ.get("WANDB_DIR"))


def settings_files(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the settings files of `wandb offline` and the like; later ones have priority."""
    home = environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
    return [Path(home).expanduser() / "settings", files_parent(None, environ) / "wandb/settings"]


def _read(path: Path) -> dict[str, str]:
    """Return the names and values of a settings file; an unreadable file has none."""
    if not path.is_file():
        return {}
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return {}
    return dict(parser["default"]) if parser.has_section("default") else {}


def write_setting(path: Path, name: str, value: str | None) -> None:
    """Remember one setting in a settings file; None forgets it."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    parser["default"] = _read(path)
    if value is None:
        parser["default"].pop(name, None)
    else:
        parser["default"][name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        parser.write(file)


def _is_true(value: str) -> bool:
    try:
        return flag(value)
    except ValueError:
        return True  # As in Weights & Biases: any word switches it on.
