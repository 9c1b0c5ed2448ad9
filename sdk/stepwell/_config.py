"""`run.config`: the parameters of a run, by item and by attribute.

A value is set once; changing it needs ``allow_val_change=True``, so that a typo in a late cell
does not rewrite a run's config. Lists, dicts and records are copied when they are set, as plain
ones: later changes of the program's own objects change no config.
"""

from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import AbstractContextManager
from typing import Any, Final

from stepwell._config_sources import parse_config
from stepwell._fields import Unreadable, fields_of, items_of
from stepwell._json_values import conversion_of
from stepwell._names import kind_of, text_of, warn_finished
from stepwell._stored_forms import (
    find_twin,
    grown,
    paths_gone,
    paths_of,
    same,
    texts_in,
    twin_text,
)
from stepwell.errors import ConfigError
from stepwell_wire.limits import VALUE_DEPTH_MAX

Publish = Callable[[dict[str, Any], list[str]], None]
"""Takes the values that were set, as JSON-like values, and the deleted paths."""

_MISSING: Final = object()
_LEAVES: Final = frozenset((float, int, str, bool, type(None), bytes))
_OF_PYTHON: Final = frozenset(("array", "builtins", "collections"))
_SECRET_CHARACTERS_MIN: Final = 8
_SECRET_CHARACTERS_MAX: Final = 10_000
_TEXTS_LOOKED_AT: Final = 1000
_CHARACTERS_LOOKED_AT: Final = 300_000
"""Limit for one value: it may be a data set. A million take 0.3 s, and `log` waits meanwhile."""
_HINTS: Final = {
    "clear": "delete names one by one with del",
    "copy": "run.config.as_dict() is a copy",
    "pop": "read it, and delete it with del",
    "popitem": "delete names one by one with del",
    "to_dict": "run.config.as_dict() is a dict",
}


class Config:
    """Settings of an experiment; nested dicts and records, such as dataclasses, are plain dicts."""

    def __init__(
        self,
        publish: Publish,
        warn: Callable[[str, str], None],
        lock: Callable[[], AbstractContextManager[Any, Any]],
        is_finished: Callable[[], bool],
    ) -> None:
        # An instance attribute named _items: `vars(config)["_items"]` is relied on elsewhere.
        object.__setattr__(self, "_items", {})
        object.__setattr__(self, "_sent", {})
        object.__setattr__(self, "_locked", {})
        object.__setattr__(self, "_handed_out", {})
        object.__setattr__(self, "_given", {})
        object.__setattr__(self, "_may_change", False)
        object.__setattr__(self, "_publish", publish)
        object.__setattr__(self, "_warn", warn)
        object.__setattr__(self, "_lock", lock)
        object.__setattr__(self, "_is_finished", is_finished)

    _items: dict[str, Any]
    _sent: dict[str, Any]  # Each value as the store has it.
    _locked: dict[str, Any]
    _handed_out: dict[str, Any]  # Lists and dicts that may be changed in place.
    _given: dict[str, Any]  # The first form of those that were changed in place.
    _may_change: bool
    _publish: Publish
    _warn: Callable[[str, str], None]
    _lock: Callable[[], AbstractContextManager[Any, Any]]
    _is_finished: Callable[[], bool]

    def update(self, values: Any = None, allow_val_change: bool | None = None, **more: Any) -> None:
        """Set many values: a dict, a record such as a dataclass, or the path of a file.

        After ``finish()`` nothing is set, and a line says so.

        Raises:
            ConfigError: A value would change and ``allow_val_change`` is not set.
        """
        fresh = {**parse_config(values), **more} if values is not None else more
        self._set(self._named(fresh), allow_val_change=bool(allow_val_change))

    def setdefaults(self, values: Any) -> None:
        """Set the values that are not set yet."""
        parsed = parse_config(values)
        self._set({k: v for k, v in self._named(parsed).items() if k not in self._items})

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Set ``key`` unless it is set, and return its value."""
        (name,) = self._named({key: default})
        self.setdefaults({key: default})
        return self.get(name, default)

    def update_locked(self, values: Mapping[str, Any], user: str | None = None) -> None:
        """Set values that cannot be changed later, such as those of a sweep."""
        fresh = {key: _own(value) for key, value in self._named(values).items()}
        with self._lock():
            if not self._takes():
                return
            self._locked.update(fresh)
            self._send(fresh, {key: self._form(key, value) for key, value in fresh.items()})

    merge_locked = update_locked

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self._items else default

    def keys(self) -> list[str]:
        return [key for key in list(self._items) if not key.startswith("_")]

    def values(self) -> list[Any]:
        return [self[key] for key in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        return [(key, self[key]) for key in self.keys()]

    def as_dict(self) -> dict[str, Any]:
        return {key: _own(value) for key, value in list(self._items.items())}

    def persist(self) -> None:
        """Write changes inside nested values; all other changes are written already."""
        self._look()

    def __getitem__(self, key: str) -> Any:
        value = self._items[key]
        if type(value) in (dict, list, set):
            if self._is_finished():
                return _own(value)  # A change of it would not be stored.
            self._handed_out[key] = value
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(self._named({key: value}))

    def __delitem__(self, key: str) -> None:
        with self._lock():
            if not self._takes():
                return
            del self._items[key]
            self._handed_out.pop(key, None)
            below = paths_of(key, self._sent.pop(key, None))
            # A deletion also deletes values below the name: those of other keys are sent again.
            others = {name: held for name, held in self._sent.items() if name.startswith(f"{key}.")}
            self._publish(others, list(dict.fromkeys([key, *below])))

    def __getattr__(self, key: str) -> Any:
        if key in self._items:
            return self[key]
        hint = f"; {_HINTS[key]}" if key in _HINTS else ""
        raise AttributeError(f"config has no value {key!r}{hint}")

    def __setattr__(self, key: str, value: Any) -> None:
        self._set(self._named({key: value}))

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
        """A copy is a plain dict: setting a value in it changes no config."""
        return dict, (self.as_dict(),)

    def _takes(self) -> bool:
        """Whether changes are stored; says so where they are not."""
        if not self._is_finished():
            return True
        warn_finished(self._warn, "config")
        return False

    def _stored(self) -> dict[str, Any]:
        """Return the public values as the store has them."""
        return {key: held for key, held in list(self._sent.items()) if not key.startswith("_")}

    def _recall(self, values: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> None:
        """Take over the values that the store has, and the form in which scripts set them."""
        self._items.update(_own(dict(values)))
        self._sent.update(values)
        self._given.update(given or {})

    def _allow_changes(self) -> None:
        object.__setattr__(self, "_may_change", True)

    def _set(self, values: Mapping[str, Any], *, allow_val_change: bool = False) -> None:
        with self._lock():
            self._look()
            fresh: dict[str, Any] = {}
            changed: dict[str, Any] = {}
            for key, value in values.items():
                form = self._form(key, value)
                is_known = any(
                    key in forms and same(forms[key], form) for forms in (self._sent, self._given)
                )
                if key in self._locked:
                    if not is_known and not _equal(self._items.get(key, _MISSING), value):
                        text = f"config {key!r} is locked; the new value is ignored"
                        self._warn(f"locked {key}", text)
                    continue
                if is_known and key in self._items:
                    is_first = not same(self._sent.get(key), form)  # As its script set it first.
                    if is_first and not self._is_finished():
                        self._items[key] = _own(value)
                        self._handed_out.pop(key, None)
                    continue
                held = self._items.get(key, _MISSING)
                is_free = allow_val_change or self._may_change or _equal(held, value)
                if held is not _MISSING and not is_free and not self._is_finished():
                    raise ConfigError(
                        f"config {key!r} is {text_of(held, repr)} and would become "
                        f"{text_of(value, repr)}; to change it, call config.update({{…}}, "
                        "allow_val_change=True)"
                    )
                fresh[key], changed[key] = _own(value), form
            if fresh and self._takes():
                self._send(fresh, changed)

    def _named(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """Return ``values`` by their stored names; different names stay different."""
        found: dict[str, Any] = {}
        beside = set(map(text_of, values))
        for raw, value in values.items():
            key, text = _clean(raw), text_of(raw)
            if key != text and (text in self._items or key in beside):  # --lr and lr
                key = text
            if key in found:  # 1 and "1"
                key = f"{key} ({kind_of(raw)})"
            found[key] = value
        return found

    def _form(self, key: str, value: Any) -> Any:
        conversion = conversion_of(self._warn, name=key)
        form = conversion.convert(value)
        if conversion.media:
            self._warn(
                f"config media {key}",
                f"config {key!r}: the content of {conversion.media[0]}() is not stored, because a "
                f"config has no media; log it: run.log({{{key!r}: …}})",
            )
        return form

    def _send(self, values: Mapping[str, Any], forms: dict[str, Any]) -> None:
        with self._lock():
            gone = paths_gone(self._sent, forms)
            self._items.update(values)
            self._sent.update(forms)
            for key in values:
                self._handed_out.pop(key, None)
                self._given.pop(key, None)
            self._publish(forms, gone)
        for key, form in forms.items():
            self._warn_of_twin(key)
            self._warn_of_secret(key, form)

    def _warn_of_twin(self, key: str) -> None:
        if twin := find_twin(key, self._sent):
            path, other = twin
            self._warn(f"twin {path}", twin_text("config", key, path, other))

    def _warn_of_secret(self, key: str, form: Any) -> None:
        """Name the first text of a value that looks like a secret: one line for each value."""
        try:
            from stepwell._secrets import is_secret
        except (ImportError, OSError):  # No free descriptor; the value itself is stored.
            return
        left = _CHARACTERS_LOOKED_AT
        for path, text in texts_in(key, form, _TEXTS_LOOKED_AT):
            if not _SECRET_CHARACTERS_MIN <= len(text) <= min(left, _SECRET_CHARACTERS_MAX):
                continue
            left -= len(text)
            if is_secret(path, text):
                self._warn(
                    f"secret {path}",
                    f"config {path!r} looks like a secret and is stored unchanged; exclude "
                    f"it with init(config_exclude_keys=[{key!r}]), see docs/secrets.md",
                )
                return

    def _look(self) -> None:
        """Write changes in place: ``run.config["optimizer"]["lr"] = 0.1``.

        Items removed from a nested value stay stored: programs pop items from dicts they pass on.
        """
        with self._lock():
            changed: dict[str, Any] = {}
            for key, value in list(self._handed_out.items()):
                form = grown(self._sent.get(key), self._form(key, value))
                if key not in self._locked and not same(self._sent.get(key), form):
                    changed[key] = form
            if changed and self._takes():
                gone = paths_gone(self._sent, changed)
                for key in changed:  # A resumed script sets the same value again: no change.
                    self._given.setdefault(key, self._sent[key])
                self._sent.update(changed)
                self._publish(changed, gone)
                for key in changed:
                    self._warn_of_twin(key)


Mapping.register(Config)


def _clean(key: Any) -> str:
    """Return the name of a config value, without the dashes of a command line before it."""
    text = text_of(key)
    bare = text.lstrip("-")
    return text if not bare or bare[0].isdigit() or bare[0] == "." else bare


def _equal(left: Any, right: Any) -> bool:
    """Whether ``left`` and ``right`` are equal values, such as 1 and 1.0."""
    try:
        return bool(left is right or left == right)
    except Exception:  # Arrays and other values with an == of their own.
        return False


def _own(value: Any, depth: int = 0, made: dict[int, Any] | None = None) -> Any:
    """Return ``value`` with plain copies of the dicts, records and lists in it, one of each."""
    if depth > VALUE_DEPTH_MAX or type(value) in _LEAVES:
        return value
    made = {} if made is None else made
    if id(value) in made:
        return made[id(value)]
    inside = _plain(value)
    if type(inside) is list:
        copied: list[Any] = []
        made[id(value)] = copied
        copied.extend(_own(item, depth + 1, made) for item in inside)
        return copied
    if type(inside) is dict:
        named: dict[Any, Any] = {}
        made[id(value)] = named
        named.update({name: _own(item, depth + 1, made) for name, item in inside.items()})
        return named
    return inside


def _plain(value: Any) -> Any:
    """Return a list for a list, a dict for a mapping or a record; other values as they are."""
    kind = type(value)
    if kind is list or kind is dict or kind is set:
        return value.copy()  # One call in C: whole, also while another thread changes it.
    if kind is Unreadable:
        return value.text
    if issubclass(kind, tuple):
        return value
    if (fields := fields_of(value)) is not None:
        return fields
    try:
        if issubclass(kind, MutableSequence) and kind.__module__ not in _OF_PYTHON:
            return items_of(value, len(value))  # A list of OmegaConf, for example.
    except Exception:  # Any class may raise.
        return value
    return value
