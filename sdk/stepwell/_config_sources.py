"""Sources of a config: dicts, records, objects, files. Each becomes names and values."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stepwell._fields import Unreadable, attributes_of, fields_of
from stepwell._frames import is_frame
from stepwell._names import kind_of
from stepwell._row_labels import is_series, values_by_label
from stepwell.errors import SettingsError

_NO_CONFIGS = (int, float, complex, bytes, bytearray, set, frozenset)
_OF_WANDB = ("wandb_version", "_wandb")


def parse_config(
    values: Any,
    *,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> dict[Any, Any]:
    """Return names and values of a dict, a record, an object, pairs, or a YAML or JSON file's path.

    Raises:
        SettingsError: None of these, or a file that cannot be read.
    """
    found = _found_in(values)
    if include is not None and exclude is not None:
        raise SettingsError("config: pass keys to include or keys to exclude, not both")
    if include is not None:
        wanted = _names(include)
        return {key: value for key, value in found.items() if key in wanted}
    unwanted = _names(exclude or ())
    return {key: value for key, value in found.items() if key not in unwanted}


def _names(given: Iterable[str] | str) -> set[str]:
    return {given} if isinstance(given, str) else set(given)


def _found_in(values: Any) -> dict[Any, Any]:
    if values is None:
        return {}
    if isinstance(values, str | os.PathLike):
        return read_names_and_values(values)
    if is_series(values):
        by_label = values_by_label(values)
        return dict(by_label) if isinstance(by_label, Mapping) else _pairs(by_label)
    # A mapping may have every attribute: some make what is not there.
    if not isinstance(values, Mapping) and (is_frame(values) or hasattr(values, "__array__")):
        raise _unexpected(values)
    found = fields_of(values)
    if found is not None:
        return found
    if isinstance(values, list | tuple):
        return _pairs(values)
    is_code = callable(values) and not isinstance(values, type) and hasattr(values, "__name__")
    if isinstance(values, _NO_CONFIGS) or is_code:
        raise _unexpected(values)
    try:
        if isinstance(values, Mapping):
            return dict(values)  # It raises, with the reason.
        if hasattr(type(values), "flag_values_dict"):  # absl
            return dict(values.flag_values_dict())
        found = attributes_of(values)
        has_place = hasattr(values, "__dict__") or hasattr(values, "__slots__")
    except Exception as error:  # Any class may raise: the run starts and shows the error.
        return {"config": Unreadable(error)}
    if not found and not has_place:
        raise _unexpected(values)
    return found


def _pairs(values: Iterable[Any]) -> dict[Any, Any]:
    try:
        return dict(values)
    except (TypeError, ValueError):
        raise _unexpected(values) from None


def _unexpected(values: Any) -> SettingsError:
    return SettingsError(
        "config: expected a dict, a Namespace, a dataclass, an object with attributes, or a YAML "
        f"or JSON file's path, not {kind_of(values)}"
    )


def read_names_and_values(given: str | os.PathLike[str], *, what: str = "config") -> dict[str, Any]:
    """Return the content of a YAML or JSON file, also in the form of Weights & Biases' files.

    Raises:
        SettingsError: It cannot be read, or has no names at its top; begins with ``what``.
    """
    loaded, _ = load_file(given, what=what)
    own = {key: value for key, value in loaded.items() if key not in _OF_WANDB}
    has_desc = {key for key, value in own.items() if _names_are(value, "value", "desc")}
    if all(key in has_desc or _names_are(value, "value") for key, value in own.items()):
        has_desc = set(own)
    return {key: value["value"] if key in has_desc else value for key, value in own.items()}


def load_file(given: str | os.PathLike[str], *, what: str) -> tuple[dict[str, Any], str]:
    """Return the names and values at the top of a YAML or JSON file, and its text.

    Raises:
        SettingsError: It cannot be read, or has no names at its top; begins with ``what``.
    """
    path = Path(given)
    if not os.fspath(given):
        raise SettingsError(f"{what}: expected a file's path, not an empty text")
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows editors begin files with a mark.
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name, no UTF-8.
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{what}: {path}: {reason}") from error
    try:
        loaded = json.loads(text) if path.suffix == ".json" else _parse_yaml(text, what)
    except Exception as error:  # PyYAML's errors have a root of their own.
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{what}: {path}: {error}") from error
    if loaded is None:
        return {}, text
    if not isinstance(loaded, dict):
        raise SettingsError(
            f"{what}: {path}: expected a mapping of names to values at the top level"
        )
    return loaded, text


def _names_are(value: Any, *names: str) -> bool:
    """Whether ``value`` is a dict with exactly these names, as in Weights & Biases' files."""
    return isinstance(value, dict) and set(value) == set(names)


def _parse_yaml(text: str, what: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise SettingsError(
            f"{what}: reading a YAML file needs PyYAML (`pip install pyyaml`); or use a JSON file"
        ) from error
    return yaml.load(text, _loader(yaml))


def line_of(text: str, path: str) -> int:
    """Return the line of a YAML text on which the value at ``path`` begins; 0 where unknown.

    Args:
        path: names with dots between them, such as ``parameters.lr.min``; for a missing name the
            line of its parent is returned.
    """
    try:
        import yaml

        node = yaml.compose(text)
    except Exception:  # No PyYAML, or no valid YAML: the line is not needed.
        return 0
    line, left = 0, path
    while left and isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            if left == name or left.startswith((f"{name}.", f"{name}[")):
                line, node = key.start_mark.line + 1, value
                left = left[len(name) :].lstrip(".")
                break
        else:
            break
    return line


def _loader(yaml: Any) -> Any:
    """Return a safe loader that reads 1e-4 as a number, as YAML 1.2 does."""
    import re

    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined,unused-ignore]
        pass

    number = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return Loader
