"""Variables that other code sets for the runs to come."""

import os
from collections.abc import MutableMapping

BASE_URL = "WANDB_BASE_URL"
API_KEY = "WANDB_API_KEY"
DIR = "WANDB_DIR"
ENTITY = "WANDB_ENTITY"
MODE = "WANDB_MODE"
NAME = "WANDB_NAME"
NOTES = "WANDB_NOTES"
PROJECT = "WANDB_PROJECT"
RESUME = "WANDB_RESUME"
RUN_GROUP = "WANDB_RUN_GROUP"
RUN_ID = "WANDB_RUN_ID"
SILENT = "WANDB_SILENT"
TAGS = "WANDB_TAGS"

Environ = MutableMapping[str, str] | None


def get_project(default: str | None = None, env: Environ = None) -> str | None:
    return _of(env).get(PROJECT, default)


def get_entity(default: str | None = None, env: Environ = None) -> str | None:
    return _of(env).get(ENTITY, default)


def get_run(default: str | None = None, env: Environ = None) -> str | None:
    return _of(env).get(RUN_ID, default)


def get_dir(default: str | None = None, env: Environ = None) -> str | None:
    return _of(env).get(DIR, default)


def set_project(value: str | None, env: Environ = None) -> None:
    _set(PROJECT, value, env)


def set_entity(value: str | None, env: Environ = None) -> None:
    _set(ENTITY, value, env)


def _of(env: Environ) -> MutableMapping[str, str]:
    return os.environ if env is None else env


def _set(name: str, value: str | None, env: Environ) -> None:
    if value is None:
        _of(env).pop(name, None)
    else:
        _of(env)[name] = value
