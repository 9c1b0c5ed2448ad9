"""`run.config`: what a run was started with, by item and by attribute.

A value is set once; changing it needs ``allow_val_change=True``, so that a typo in a late cell
does not rewrite what a run was.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stepwell._values import as_json
from stepwell.errors import ConfigError, SettingsError

Publish = Callable[[dict[str, Any], list[str]], None]
"""Takes what was set, as JSON-like values, and the paths that were deleted."""


class Config:
    """Settings of an experiment; nested dicts stay plain dicts."""

    def __init__(self, publish: Publish, warn: Callable[[str, str], None]) -> None:
        # An instance attribute named _items: `vars(config)["_items"]` is relied on elsewhere.
        object.__setattr__(self, "_items", {})
        object.__setattr__(self, "_sent", {})
        object.__setattr__(self, "_locked", {})
        object.__setattr__(self, "_may_change", False)
        object.__setattr__(self, "_publish", publish)
        object.__setattr__(self, "_warn", warn)

    _items: dict[str, Any]
    _sent: dict[str, Any]  # What the store knows of each value: a nested dict may change in place.
    _locked: dict[str, Any]
    _may_change: bool
    _publish: Publish
    _warn: Callable[[str, str], None]

    def update(self, values: Any = None, allow_val_change: bool | None = None, **more: Any) -> None:
        """Set many values: a dict, a Namespace, or the path of a YAML or JSON file.

        Raises:
            ConfigError: A value would change and ``allow_val_change`` is not set.
        """
        fresh = {**parse_config(values), **more} if values is not None else more
        self._set(fresh, allow_val_change=bool(allow_val_change))

    def setdefaults(self, values: Any) -> None:
        """Set those values that are not set yet."""
        parsed = parse_config(values)
        self._set({k: v for k, v in parsed.items() if _clean(k) not in self._items})

    def update_locked(self, values: Mapping[str, Any], user: str | None = None) -> None:
        """Set values that nobody may change afterwards, such as a sweep's."""
        fresh = {_clean(key): value for key, value in values.items()}
        self._locked.update(fresh)
        self._items.update(fresh)
        self._send(fresh)

    merge_locked = update_locked

    def get(self, key: str, default: Any = None) -> Any:
        return self._items.get(key, default)

    def keys(self) -> list[str]:
        return [key for key in self._items if not key.startswith("_")]

    def values(self) -> list[Any]:
        return [self._items[key] for key in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        return [(key, self._items[key]) for key in self.keys()]

    def as_dict(self) -> dict[str, Any]:
        return dict(self._items)

    def persist(self) -> None:
        """Nothing to do: every change is in the journal already."""

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set({key: value})

    def __delitem__(self, key: str) -> None:
        del self._items[key]
        below = _paths(key, self._sent.pop(key, None))
        # A deletion takes the values below the name along: those of other keys are said anew.
        others = {name: held for name, held in self._sent.items() if name.startswith(f"{key}.")}
        self._publish(others, list(dict.fromkeys([key, *below])))

    def __getattr__(self, key: str) -> Any:
        try:
            return self._items[key]
        except KeyError:
            raise AttributeError(f"config has no value {key!r}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self._set({key: value})

    def __delattr__(self, key: str) -> None:
        if key not in self._items:
            raise AttributeError(f"config has no value {key!r}")
        del self[key]

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        """A copy is a plain dict: what is set in it is no run's config."""
        return dict, (self.as_dict(),)

    def _recall(self, values: Mapping[str, Any]) -> None:
        """Take over what the store has already."""
        self._items.update(values)
        self._sent.update(values)

    def _allow_changes(self) -> None:
        object.__setattr__(self, "_may_change", True)

    def _set(self, values: Mapping[str, Any], *, allow_val_change: bool = False) -> None:
        fresh: dict[str, Any] = {}
        for raw, value in values.items():
            key = _clean(raw)
            if key in self._locked:
                if not self._is_known(key, value):
                    self._warn(
                        f"locked {key}", f"config {key!r} is locked; the new value is ignored"
                    )
                continue
            held = self._items.get(key, _MISSING)
            if held is not _MISSING and self._is_known(key, value):
                continue
            is_free = allow_val_change or self._may_change or _equal(held, value)
            if held is not _MISSING and not is_free:
                raise ConfigError(
                    f"config {key!r} is {held!r} and would become {value!r}; "
                    "pass config.update({…}, allow_val_change=True) if that is meant"
                )
            fresh[key] = value
        self._items.update(fresh)
        if fresh:
            self._send(fresh)

    def _send(self, values: Mapping[str, Any]) -> None:
        fresh = {key: as_json(value, self._warn) for key, value in values.items()}
        gone = [
            path
            for key, value in fresh.items()
            if key in self._sent
            for path in _paths(key, self._sent[key])
            if path not in set(_paths(key, value))
        ]
        self._sent.update(fresh)
        self._publish(fresh, gone)

    def _is_known(self, key: str, value: Any) -> bool:
        """Whether the store has ``value`` already; a tuple comes back from it as a list."""
        return key in self._sent and _same(self._sent[key], as_json(value, self._warn))


def _paths(key: str, value: Any) -> list[str]:
    """Return the dotted paths at which the store keeps ``value``, which is as JSON has it."""
    if not isinstance(value, dict) or not value:
        return [key]
    return [path for name, below in value.items() for path in _paths(f"{key}.{name}", below)]


_MISSING = object()


def _clean(key: Any) -> str:
    return key if isinstance(key, str) and not key.startswith("-") else str(key).lstrip("-")


def _equal(left: Any, right: Any) -> bool:
    """Whether a change of ``left`` to ``right`` changes nothing that matters, as 1 to 1.0."""
    try:
        return bool(left is right or left == right)
    except Exception:  # Arrays and other values with an == of their own.
        return False


def _same(left: Any, right: Any) -> bool:
    """Compare what `as_json` returned; unlike ==, 1, 1.0 and True differ, and NaN is NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right or (left != left and right != right))


def parse_config(
    values: Any, *, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return a dict from a dict, a Namespace, absl flags, or a YAML or JSON file's path.

    Raises:
        SettingsError: None of these, or a file that cannot be read.
    """
    if values is None:
        return {}
    if isinstance(values, str | os.PathLike):
        found = _read_file(Path(values))
    elif isinstance(values, Mapping):
        found = {str(key): value for key, value in values.items()}
    elif isinstance(values, Config):
        found = values.as_dict()
    elif hasattr(values, "flag_values_dict"):
        found = dict(values.flag_values_dict())
    elif hasattr(values, "__dict__"):
        found = {key: value for key, value in vars(values).items() if not key.startswith("_")}
    else:
        raise SettingsError(
            f"config: expected a dict, Namespace or path, not {type(values).__name__}"
        )
    if include is not None and exclude is not None:
        raise SettingsError("config: give keys to include or keys to exclude, not both")
    if include is not None:
        wanted = set(include)
        return {key: value for key, value in found.items() if key in wanted}
    unwanted = set(exclude or ())
    return {key: value for key, value in found.items() if key not in unwanted}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"config: {path}: {error.strerror or error}") from error
    try:
        loaded = json.loads(text) if path.suffix == ".json" else _parse_yaml(text)
    except Exception as error:  # PyYAML's errors have a root of their own.
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"config: {path}: {error}") from error
    if not isinstance(loaded, dict):
        raise SettingsError(f"config: {path}: expected names and values at the top")
    return {
        str(key): value["value"] if _is_described(value) else value for key, value in loaded.items()
    }


def _is_described(value: Any) -> bool:
    """Whether ``value`` is one of Weights & Biases' files: a value and perhaps what it is."""
    return isinstance(value, dict) and "value" in value and set(value) <= {"value", "desc"}


def _parse_yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise SettingsError(
            "config: a YAML file needs PyYAML (`pip install pyyaml`), or use JSON"
        ) from error
    return yaml.safe_load(text)
