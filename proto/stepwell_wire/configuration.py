"""Settings of a process: defaults, then a TOML file, then environment variables, then flags.

Each process has one frozen dataclass whose fields are made by `setting`, see
`stepwell_wire.setting`. A setting has one name everywhere: `block_points` in the file,
PREFIX_BLOCK_POINTS in the environment, --block-points as a flag. An unknown name is an error that
names the nearest known one.
"""

import argparse
import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stepwell_wire.setting import Setting, known_hint, number_kind

_DECLARED: Final = "setting"


class SettingError(ValueError):
    """A setting is unknown, unreadable or invalid; says which and where."""


def setting(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a field of a dataclass that is a setting."""
    declared = Setting(default, help, low, high, choices)
    return dataclasses.field(default=default, metadata={_DECLARED: declared})


class SettingsReader:
    """Reads the settings of one process."""

    def __init__(self, kind: type, *, prefix: str) -> None:
        """
        Args:
            kind: the dataclass.
            prefix: of its environment variables; PREFIX_CONFIG names the file.
        """
        # A field that `setting` did not make is no setting.
        self.fields: dict[str, Setting] = {
            each.name: each.metadata[_DECLARED]
            for each in dataclasses.fields(kind)
            if _DECLARED in each.metadata
        }
        self.prefix = prefix
        self._config_variable = f"{prefix}CONFIG"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare ``--config`` and a flag for each setting."""
        parser.add_argument("--config", metavar="FILE", help="TOML file with settings")
        for name, each in self.fields.items():
            default = "" if each.default in (Path(), "") else f" (default {each.default})"
            parser.add_argument(
                "--" + name.replace("_", "-"),
                dest=name,
                metavar=each.kind.__name__.upper(),
                help=(each.help + default).replace("%", "%%"),
            )

    def read(self, arguments: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
        """Return the settings that are set, by name.

        Raises:
            SettingError: A setting is unknown, unreadable or invalid.
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
            raise SettingError(f"{path}: invalid TOML: {error}") from error
        values = {}
        for name, value in found.items():
            if isinstance(value, dict) and name not in self.fields:
                raise SettingError(
                    f"{path}: [{name}]: unknown table; put its settings at the top of the file, "
                    "without a table"
                )
            where = f"{path}: {name}"
            self._check_known(name, where)
            kind = self.fields[name].kind
            if kind in (int, float) and isinstance(value, str):
                what = number_kind(value, is_whole=kind is int)
                raise SettingError(f"{where}: expected {what}, without quotes, not {value!r}")
            if kind is Path and isinstance(value, str) and value:
                check_absolute(value, where)
            values[name] = self._convert(name, value, where)
        return values

    def _check_known(self, name: str, where: str, *, prefix: str = "") -> None:
        if name in self.fields:
            return
        hint = known_hint(
            name, self.fields, shown=lambda each: prefix + each.upper() if prefix else each
        )
        raise SettingError(f"{where}: no such setting; {hint}")

    def _convert(self, name: str, value: Any, where: str) -> Any:
        try:
            return self.fields[name].read(value)
        except ValueError as error:
            raise SettingError(f"{where}: {error}") from error


def check_absolute(text: str, where: str) -> None:
    """Raise SettingError if ``text`` is a path relative to the folder that a process starts in."""
    if not Path(text).expanduser().is_absolute():
        raise SettingError(f"{where}: expected an absolute path, not {text!r}")
