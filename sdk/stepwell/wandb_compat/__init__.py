"""The module `wandb`, for scripts that are written for Weights & Biases.

    stepwell run -- python train.py         the script says `import wandb`
    stepwell.install_as_wandb()             the same from inside a program, before that import

`site/` is a folder for `PYTHONPATH`: a package `wandb` and the metadata of a distribution of that
name, which other packages look up. It has only names, special cases and a version; `stepwell` does
the work. No path contains the folder until one of the two calls.
"""

import os
import sys
from collections.abc import MutableMapping

from stepwell.errors import UsageError
from stepwell_wire.interpreter import PYTHON_VARIABLE

VERSION = "0.31.0"
"""The release of Weights & Biases' client whose names and rules `wandb` has."""

_HERE = os.path.dirname(os.path.realpath(__file__))
SITE = os.path.join(_HERE, "site")
BIN = os.path.join(_HERE, "bin")


def install_as_wandb() -> None:
    """Let `import wandb` mean stepwell from now on, in this process and those it spawns.

    Programs that are started in other ways, by `subprocess` for example, need `stepwell run`.

    Raises:
        UsageError: `wandb` was imported already, and is not ours.
    """
    loaded = sys.modules.get("wandb")
    if loaded is not None:
        if is_ours(getattr(loaded, "__file__", None)):
            return
        raise UsageError(
            f"wandb was imported before, from {getattr(loaded, '__file__', None)}; call "
            "stepwell.install_as_wandb() before the first import of wandb and of packages that "
            "import it, or start the program with `stepwell run`"
        )
    if SITE not in sys.path:
        sys.path.insert(0, SITE)


def is_ours(path: str | None) -> bool:
    """Whether ``path`` is a file of our module `wandb`."""
    return path is not None and os.path.realpath(path).startswith(SITE + os.sep)


def put_in_front(environ: MutableMapping[str, str]) -> None:
    """Let programs that are started with ``environ`` find our `wandb`, module and command."""
    remove(environ)
    _prepend(environ, "PYTHONPATH", SITE)
    _prepend(environ, "PATH", BIN)
    environ[PYTHON_VARIABLE] = sys.executable
    if folder := environ.get("WANDB_ARTIFACT_DIR"):
        environ.setdefault("STEPWELL_ARTIFACT_DIR", folder)


def remove(environ: MutableMapping[str, str]) -> None:
    """Undo `put_in_front`, also that of an outer `stepwell run`."""
    for name, ours in (("PYTHONPATH", SITE), ("PATH", BIN)):
        if name in environ:
            parts = environ[name].split(os.pathsep)
            kept = [part for part in parts if part != ours]
            if len(kept) < len(parts):
                environ[name] = os.pathsep.join(kept)
                if not kept:
                    del environ[name]
    environ.pop(PYTHON_VARIABLE, None)


def _prepend(environ: MutableMapping[str, str], name: str, folder: str) -> None:
    # An empty part would mean the working folder.
    environ[name] = os.pathsep.join([folder, *filter(None, [environ.get(name)])])
