"""A trial, and the variables and the file of parameters that pass it to the training process.

    STEPWELL_SWEEP_ID  _NUMBER  _FENCING    which trial, and which attempt at it
    STEPWELL_SWEEP_RUN_ID                   the trial's run
    STEPWELL_RUN_ID  STEPWELL_PROJECT       the run that `init` starts: that one, unless a script
                                            changes or removes them
    STEPWELL_SWEEP_PARAM_PATH               JSON: {"wandb_version": 1, "lr": {"value": 0.1}}
    WANDB_SWEEP_ID  WANDB_RUN_ID  WANDB_SWEEP_PARAM_PATH  WANDB_PROJECT
    STEPWELL_SWEEP_LAUNCH                   the agent's own place in the job that started it
    params.json.begun-RANK-RESTART          beside that file: the trial's run has begun

An agent with a function sets them in its own process, so both kinds of agents work alike.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell._config_sources import read_names_and_values
from stepwell._ranks import LAUNCH, launch_of
from stepwell.errors import SettingsError

SWEEP_ID: Final = "STEPWELL_SWEEP_ID"
NUMBER: Final = "STEPWELL_SWEEP_NUMBER"
FENCING: Final = "STEPWELL_SWEEP_FENCING"
PARAMS: Final = "STEPWELL_SWEEP_PARAM_PATH"
RUN_ID: Final = "STEPWELL_RUN_ID"
PROJECT: Final = "STEPWELL_PROJECT"
RUN_ID_OF_WANDB: Final = "WANDB_RUN_ID"
_OWN_RUN_ID: Final = "STEPWELL_SWEEP_RUN_ID"


class Trial(NamedTuple):
    """One attempt at one trial of a sweep.

    Attributes:
        number: number of the trial in its sweep, from 1 on.
        fencing: grows with each attempt; only the newest counts.
        params: nested, in the form of the run's config.
    """

    sweep_id: str
    number: int
    fencing: int
    run_id: str
    project: str
    params: Mapping[str, Any]

    @property
    def place(self) -> dict[str, Any]:
        """The facts of the sweep for the run's start event."""
        return {"id": self.sweep_id, "number": self.number, "fencing": self.fencing}


def variables_of(trial: Trial, params_file: Path) -> dict[str, str]:
    """Return the variables of the process that runs ``trial``."""
    path = str(params_file)
    return {
        SWEEP_ID: trial.sweep_id,
        NUMBER: str(trial.number),
        FENCING: str(trial.fencing),
        RUN_ID: trial.run_id,
        _OWN_RUN_ID: trial.run_id,
        PROJECT: trial.project,
        PARAMS: path,
        LAUNCH: launch_of(),
        "WANDB_SWEEP_ID": trial.sweep_id,
        RUN_ID_OF_WANDB: trial.run_id,
        "WANDB_PROJECT": trial.project,
        "WANDB_SWEEP_PARAM_PATH": path,
    }


def write_params(path: Path, params: Mapping[str, Any]) -> None:
    """Write the file of parameters in the form of Weights & Biases; JSON is also YAML."""
    wrapped = {name: {"value": value} for name, value in params.items()}
    path.write_text(json.dumps({"wandb_version": 1, **wrapped}))


def has_begun(rank: int) -> bool:
    """Whether a process of this trial with this rank, or one without, has begun the trial's run."""
    return any(
        begun is not None and os.path.exists(begun) for begun in map(_begun_file, (rank, -1))
    )


def note_begun(rank: int) -> None:
    """Note for all processes of this trial that its run has begun."""
    begun = _begun_file(rank)
    if begun is not None:
        with contextlib.suppress(OSError):
            begun.touch()


def _begun_file(rank: int) -> Path | None:
    path = os.environ.get(PARAMS)
    # A rank that torchrun starts again begins the run again.
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if rank >= 0 else "0"
    return Path(f"{path}.begun-{rank}-{restart}") if path else None


def find_trial(environ: Mapping[str, str] = os.environ) -> Trial | None:
    """Return the trial of this process, None outside a sweep.

    Raises:
        SettingsError: A variable is missing or is no number, or the file cannot be read.
    """
    if not environ.get(SWEEP_ID):
        return None
    for name in (NUMBER, FENCING):
        text = environ.get(name, "")
        if not text.isdigit():
            raise SettingsError(
                f"{SWEEP_ID} is set, but {name} is {text!r}; expected a number. An agent "
                f"sets both; outside of a sweep unset {SWEEP_ID}"
            )
    run_id = environ.get(_OWN_RUN_ID) or environ.get(RUN_ID)
    if not run_id:
        raise SettingsError(
            f"{SWEEP_ID} is set, but {RUN_ID} is not. An agent sets both; outside of a sweep "
            f"unset {SWEEP_ID}"
        )
    return Trial(
        environ[SWEEP_ID],
        int(environ[NUMBER]),
        int(environ[FENCING]),
        run_id,
        environ.get(PROJECT, ""),
        read_names_and_values(environ[PARAMS], what=PARAMS) if environ.get(PARAMS) else {},
    )
