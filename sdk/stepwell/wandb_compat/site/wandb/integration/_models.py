"""Models that the callbacks of this folder log as versions of an artifact of type ``model``.

A failure prints one line and training continues: the model or its feature importances are then
missing from the run.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import wandb
from stepwell_wire.artifact_names import artifact_name


def run_for(call: str) -> Any:
    """Return the current run.

    Raises:
        Error: `init` was not called.
    """
    if wandb.run is None:
        raise wandb.Error(f"call wandb.init() before {call}")
    return wandb.run


def log_saved(
    call: str,
    name: str,
    file_name: str,
    save: Callable[[str], Any],
    aliases: Sequence[str] = (),
) -> None:
    """Log the file that ``save(path)`` writes as ``file_name`` in a version of ``name``.

    Args:
        call: the callback, for the line about a failure.
    """
    run = run_for(call)
    if run.disabled:
        return
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = os.path.join(folder, file_name)
            save(path)
            _log(run, name, path, aliases, is_temporary=True)
    except Exception as error:  # Errors of a framework are of any class.
        _warn(run, call, name, error)


def log_file(call: str, name: str, path: str, aliases: Sequence[str] = ()) -> None:
    """Log a copy of the file or folder ``path``, which the framework may write again in place."""
    run = run_for(call)
    if run.disabled:
        return
    try:
        if not os.path.isdir(path):
            _log(run, name, path, aliases, is_temporary=False)
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            copied = os.path.join(folder, "model")
            shutil.copytree(path, copied)
            _log(run, name, copied, aliases, is_temporary=True)
    except Exception as error:
        _warn(run, call, name, error)


def save_with_run(call: str, path: str) -> None:
    """Keep the file ``path`` as it is now, as `wandb.save` does."""
    run = run_for(call)
    try:
        run.save(path, base_path=os.path.dirname(path), policy="now", glob=False)
    except Exception as error:
        _warn(run, call, f"run-{run.id}-files", error)


def warn_of_importances(call: str, reason: str) -> None:
    """Say once that a model has no feature importances for the summary."""
    run_for(call)._voice.warn_once(
        "feature importances", f"{call}: no feature importances are in the summary: {reason}"
    )


def _log(run: Any, name: str, path: str, aliases: Sequence[str], *, is_temporary: bool) -> None:
    made = wandb.Artifact(artifact_name(name), type="model")
    if os.path.isdir(path):
        made.add_dir(path)
    else:
        made._files.add_file(path, os.path.basename(path), may_link=is_temporary)
    run.log_artifact(made, aliases=list(aliases))


def _warn(run: Any, call: str, name: str, error: Exception) -> None:
    reason = str(error) or type(error).__name__
    run._voice.warn_once(
        f"model {name}", f"{call}: the model was not logged as artifact {name!r}: {reason}"
    )
