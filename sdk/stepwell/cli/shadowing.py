"""Checks of the command's Python for `stepwell run`: a real wandb, or a switch that ignores us."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from stepwell import wandb_compat

_SHEBANG_BYTES = 256
_WITH_VALUE = "cmWX"  # Options of the interpreter whose value may be the next word.


class Installed(NamedTuple):
    """An installed package `wandb`: its version, "" if unknown, and its folder."""

    version: str
    folder: Path


def find_installed(program: Path) -> Installed | None:
    """Return the real wandb that ``program`` would import; a guess if it is no Python."""
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    installed = _site_packages_beside(program) or map(Path, sys.path)
    for folder in (*map(Path, named), *installed):
        package = folder / "wandb" / "__init__.py"
        if package.is_file() and not wandb_compat.is_ours(str(package)):
            return Installed(_version_in(folder), folder)
    return None


def ignoring_switch(program: Path, words: Sequence[str]) -> str | None:
    """Return the command's Python with the switch that lets it ignore ``PYTHONPATH``."""
    if _is_python(program.name) and (switch := _switch(words[1:])):
        return f"{words[0]} {switch}"
    try:
        with program.open("rb") as file:
            first = file.readline(_SHEBANG_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    if not first.startswith("#!"):
        return None
    parts = first[2:].split()
    for place, part in enumerate(parts):
        if _is_python(Path(part).name) and (switch := _switch(parts[place + 1 :])):
            return f"{part} {switch} of {program}"
    return None


def _is_python(name: str) -> bool:
    return name.startswith(("python", "pypy"))


def _switch(words: Iterable[str]) -> str | None:
    """Return the interpreter's option that switches ``PYTHONPATH`` off."""
    skip = False
    for word in words:
        if skip:
            skip = False
            continue
        if not word.startswith("-") or word in ("-", "--"):
            return None
        if word.startswith("--"):
            skip = word == "--check-hash-based-pycs"
            continue
        for place, letter in enumerate(word[1:], start=1):
            if letter in "IE":
                return word
            if letter in _WITH_VALUE:
                if letter in "cm":
                    return None
                skip = place == len(word) - 1
                break
    return None


def _site_packages_beside(program: Path) -> list[Path]:
    """Return the site-packages of the environment in whose bin folder ``program`` is."""
    prefix = Path(os.path.abspath(program)).parent.parent
    return sorted(prefix.glob("lib/python3*/site-packages"))


def _version_in(folder: Path) -> str:
    for metadata in folder.glob("wandb-*.dist-info"):
        return metadata.name.removeprefix("wandb-").removesuffix(".dist-info")
    return ""
