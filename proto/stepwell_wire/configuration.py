"""Settings of a process: defaults, then a TOML file, then environment variables, then flags.

Each process has one frozen dataclass whose fields are made by `setting`. A setting has one name
everywhere: `block_points` in the file, PREFIX_BLOCK_POINTS in the environment, --block-points as a
flag. An unknown name is an error that names the nearest known one.
"""

import argparse
import dataclasses
import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any


class SettingError(ValueError):
    """A setting is unknown, unreadable or impossible; says what and where."""


def setting(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """Return a field with its help and, for a number, its limits."""
    return field(default=default, metadata={"help": text, "low": low, "high": high})


class SettingsReader:
    """Reads the settings of one process."""

    def __init__(self, kind: type, *, prefix: str, choices: Mapping[str, tuple[str, ...]]) -> None:
        """
        Args:
            kind: the dataclass.
            prefix: what its environment variables begin with; PREFIX_CONFIG names the file.
            choices: the words that a setting may be, by name.
        """
        # A field that `setting` did not make is no setting.
        self.fields = {
            each.name: each for each in dataclasses.fields(kind) if "help" in each.metadata
        }
        self.prefix = prefix
        self._config_variable = f"{prefix}CONFIG"
        self._choices = choices

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare ``--config`` and a flag for each setting."""
        parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
        for name, each in self.fields.items():
            default = "" if each.default in (Path(), "") else f" (default {each.default})"
            parser.add_argument(
                "--" + name.replace("_", "-"),
                dest=name,
                metavar=self._kind(name).__name__.upper(),
                help=(each.metadata["help"] + default).replace("%", "%%"),
            )

    def read(self, arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
        """Return what is set, by name; what is not is missing.

        Raises:
            SettingError: Something is unknown, unreadable or impossible.
        """
        values: dict[str, Any] = {}
        path = arguments.config or environ.get(self._config_variable)
        if path:
            values |= self._from_file(Path(path).expanduser())
        for name, text in environ.items():
            if name.startswith(self.prefix) and name != self._config_variable:
                key = name.removeprefix(self.prefix).lower()
                self._check_known(key, name, prefix=self.prefix)
                values[key] = self._convert(key, text, name)
        for name in self.fields:
            if (given := getattr(arguments, name, None)) is not None:
                values[name] = self._convert(name, given, "--" + name.replace("_", "-"))
        return values

    def _from_file(self, path: Path) -> dict[str, Any]:
        try:
            with path.open("rb") as file:
                found = tomllib.load(file)
        except OSError as error:
            raise SettingError(f"{path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingError(f"{path}: not TOML: {error}") from error
        values = {}
        for name, value in found.items():
            if isinstance(value, dict) and name not in self.fields:
                raise SettingError(
                    f"{path}: [{name}]: no such table, there is none; put its settings at the top "
                    "of the file"
                )
            where = f"{path}: {name}"
            self._check_known(name, where)
            kind = self._kind(name)
            if kind in (int, float) and isinstance(value, str):
                what = "a whole number" if kind is int else "a number"
                raise SettingError(f"{where}: expected {what}, without quotes, not {value!r}")
            if kind is Path and isinstance(value, str) and value:
                check_absolute(value, where)
            values[name] = self._convert(name, value, where)
        return values

    def _check_known(self, name: str, where: str, *, prefix: str = "") -> None:
        if name in self.fields:
            return
        nearest = difflib.get_close_matches(name, self.fields, n=1, cutoff=0.5)
        shown = [
            prefix + (known.upper() if prefix else known)
            for known in nearest or sorted(self.fields)
        ]
        hint = f"did you mean {shown[0]}?" if len(shown) == 1 else f"known are {', '.join(shown)}"
        raise SettingError(f"{where}: no such setting; {hint}")

    def _kind(self, name: str) -> type:
        default = self.fields[name].default
        return Path if isinstance(default, Path) else type(default)

    def _convert(self, name: str, value: Any, where: str) -> Any:
        kind = self._kind(name)
        if kind is Path:
            if not isinstance(value, str) or not value:
                raise SettingError(f"{where}: expected a path, not {value!r}")
            return Path(value).expanduser().absolute()
        if kind is str:
            choices = self._choices.get(name)
            if not isinstance(value, str) or (choices and value not in choices):
                expected = " or ".join(choices) if choices else "text"
                raise SettingError(f"{where}: expected {expected}, not {value!r}")
            return value
        try:
            if isinstance(value, bool) or (kind is int and isinstance(value, float)):
                raise ValueError
            number = kind(value)
            if not math.isfinite(number):
                raise ValueError
        except (TypeError, ValueError):
            raise SettingError(
                f"{where}: expected {'a whole number' if kind is int else 'a number'}, "
                f"not {value!r}"
            ) from None
        low, high = self.fields[name].metadata["low"], self.fields[name].metadata["high"]
        if not (low is None or number >= low) or not (high is None or number <= high):
            lowest = _shown(low)
            limits = f"{lowest} or more" if high is None else f"{lowest} to {_shown(high)}"
            raise SettingError(f"{where}: expected {limits}, not {value}")
        return number


def check_absolute(text: str, where: str) -> None:
    """Raise SettingError where ``text`` depends on the folder that a process starts in."""
    if not Path(text).expanduser().is_absolute():
        raise SettingError(f"{where}: expected an absolute path, not {text!r}")


def _shown(number: float) -> str:
    return f"{number:,}" if number >= 1_000_000 else f"{number:g}"
