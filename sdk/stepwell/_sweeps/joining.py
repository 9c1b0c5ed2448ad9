"""Which run `init` begins in a trial of a sweep: the trial's run, or one beside it."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stepwell._ranks import find_place
from stepwell._settings import Default, Settings
from stepwell._sweeps.trial import (
    RUN_ID,
    RUN_ID_OF_WANDB,
    Trial,
    find_trial,
    has_begun,
    note_begun,
)

_LATER: Final = (
    'after the first init of a trial, init(reinit="create_new") begins a run beside its run'
)


class Joining(NamedTuple):
    """An `init` in a trial.

    Attributes:
        arguments: those that count.
        is_left: the script removed or changed the ids that the agent set, so it begins a run beside
            the trial's run, such as a fold of a cross-validation.
    """

    trial: Trial
    arguments: dict[str, Any]
    settings: Settings
    is_left: bool

    def is_own(self, run_id: str) -> bool:
        return run_id == self.trial.run_id

    @property
    def hint(self) -> str:
        """How to begin a run beside the trial's run, "" if `init` was asked to."""
        return "" if self.settings.reinit == "create_new" else f"; {_LATER}"

    def note_begun(self, run_id: str) -> None:
        """Let later calls of `init` in this trial begin other runs."""
        if self.is_own(run_id):
            note_begun(find_place().rank)


def join(
    arguments: dict[str, Any],
    defaults: Sequence[Default],
    read: Callable[..., Settings],
    warn: Callable[[str, str], None],
) -> Joining | None:
    """Return what `init` does in the trial of this process, None outside a sweep.

    Args:
        read: reads the settings from arguments, ``environ`` and ``defaults``.
        warn: takes the kind and the text of a warning.

    Raises:
        SettingsError: The agent's variables are not complete.
    """
    trial = find_trial()
    if trial is None:
        return None
    names_it = arguments.get("run_id") == trial.run_id
    if not names_it and _is_left(os.environ, trial):
        beside = _read_beside(trial, arguments, defaults, read)
        return Joining(trial, arguments, beside, is_left=True)
    project = trial.project or None
    own = {**arguments, "entity": None, "project": project, "run_id": trial.run_id}
    joining = Joining(trial, own, read(own, defaults=defaults), is_left=False)
    is_new = joining.settings.reinit == "create_new"
    if is_new and not names_it and has_begun(find_place().rank):
        beside = _read_beside(trial, arguments, defaults, read)
        return joining._replace(arguments=arguments, settings=beside)
    for name, called in {"project": "project", "entity": "entity", "run_id": "id"}.items():
        given = arguments.get(name)
        if given is not None and given != own[name]:
            hint = joining.hint if name == "run_id" else ""
            text = f"init({called}={given!r}) is ignored in a trial of a sweep{hint}"
            warn(f"sweep {name}", text)
    return joining


def _is_left(environ: Mapping[str, str], trial: Trial) -> bool:
    return any(environ.get(name) != trial.run_id for name in (RUN_ID, RUN_ID_OF_WANDB))


def _read_beside(
    trial: Trial,
    arguments: dict[str, Any],
    defaults: Sequence[Default],
    read: Callable[..., Settings],
) -> Settings:
    """Return the settings as they are outside of a sweep: without the id of the trial's run."""
    environ = {
        name: text for name, text in os.environ.items() if (name, text) != (RUN_ID, trial.run_id)
    }
    others = [each for each in defaults if (each.name, each.value) != ("run_id", trial.run_id)]
    return read(arguments, environ=environ, defaults=others)
