"""`wandb.init`: the arguments of Weights & Biases' client, in its order."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import stepwell
from stepwell._config_sources import parse_config
from stepwell._init import start_run
from stepwell.wandb_compat._environment import defaults, files_parent
from stepwell.wandb_compat._run import Run

_DEFAULTS_FILE = "config-defaults.yaml"


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: Any = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Iterable[str] | None = None,
    config: Any = None,
    config_exclude_keys: Iterable[str] | None = None,
    config_include_keys: Iterable[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Any = None,
    anonymous: Any = None,
    **others: Any,
) -> Run:
    """Start a run; see `stepwell.init`.

    ``dir`` is the folder in which `run.dir` is made. Journals stay in stepwell's own folder.
    """
    known = [each for each in init.__annotations__ if each not in ("others", "return")]
    if "ipykernel" in sys.modules:  # A cell may run many times.
        allow_val_change = True if allow_val_change is None else allow_val_change
        reinit = "finish_previous" if reinit is None else reinit

    run = start_run(
        {
            "project": project,
            "entity": entity,
            "run_id": id,
            "name": name,
            "notes": notes,
            "tags": tags,
            "group": group,
            "job_type": job_type,
            "mode": mode,
            "reinit": reinit,
            "resume": resume,
        },
        config=config,
        include=config_include_keys,
        exclude=config_exclude_keys,
        settings=settings,
        others={
            **others,
            "save_code": save_code,
            "tensorboard": tensorboard,
            "sync_tensorboard": sync_tensorboard,
            "monitor_gym": monitor_gym,
        },
        known=known,
        allow_val_change=allow_val_change,
        branch=stepwell._branch(resume_from=resume_from, fork_from=fork_from),
        defaults=defaults(),
        files_parent=files_parent(dir),
        make=Run,
    )
    if Path(_DEFAULTS_FILE).is_file():
        run.config.setdefaults(parse_config(_DEFAULTS_FILE))
    assert isinstance(run, Run) or stepwell.run is run  # An active run of `stepwell.init` stays.
    return run  # type: ignore[return-value]
