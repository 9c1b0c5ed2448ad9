"""`run.summary`: one value per metric; the last one, unless you set or define another.

The summary is not updated while training logs: the last values are read back from the journal when
they are needed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from stepwell._definitions import SUMMARY_OPERATIONS
from stepwell._fields import fields_of
from stepwell._json_values import conversion_of
from stepwell._names import metric_name, silent, warn_finished
from stepwell._stored_forms import (
    copy_of,
    find_twin,
    names_above,
    paths_gone,
    paths_of,
    same,
    twin_text,
)
from stepwell._summary_below import below
from stepwell._summary_media import media_by_path, put_back
from stepwell._whole_numbers import SECONDS, whole, whole_operations
from stepwell._writer import Writer

_MISSING = object()
_OPERATIONS = set(SUMMARY_OPERATIONS)


class MissingSummaryError(KeyError, AttributeError):
    """No such value, by item or by attribute."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Summary:
    """Reads and writes the summary of a run."""

    def __init__(
        self,
        writer: Writer,
        publish: Callable[[dict[str, Any], list[str]], None],
        warn: Callable[[str, str], None],
        started_at: Callable[[], float],
        is_finished: Callable[[], bool],
    ) -> None:
        object.__setattr__(self, "_writer", writer)
        object.__setattr__(self, "_publish", publish)
        object.__setattr__(self, "_warn", warn)
        object.__setattr__(self, "_started_at", started_at)
        object.__setattr__(self, "_is_finished", is_finished)
        object.__setattr__(self, "_handed_out", {})

    _writer: Writer
    _publish: Callable[[dict[str, Any], list[str]], None]
    _warn: Callable[[str, str], None]
    _started_at: Callable[[], float]
    _is_finished: Callable[[], bool]
    _handed_out: dict[str, tuple[Any, Any]]  # Nested values that may change, and how they were.

    def as_dict(self) -> dict[str, Any]:
        """Return all values; defined metrics have their defined form."""
        return {name: self._shown(name, value) for name, value in self._as_stored().items()}

    def _as_stored(self) -> dict[str, Any]:
        """Return all values, with numbers as the store has them."""
        writer = self._writer
        with writer.lock:  # For a short time: `log` waits for it.
            held = writer.copy_latest()
            trackers = list(writer.definitions.trackers)
            defined = {
                name: self._defined(name, held[name][1]) for name in trackers if name in held
            }
        found = {name: value for name, (_, value) in held.items()} | defined
        for name, value in defined.items():
            if value is _MISSING:
                del found[name]
        if self._writer.has_logged:
            for name, value in self._automatic().items():
                found.setdefault(name, value)
        return found

    def update(self, values: Any = None, **more: Any) -> None:
        """Set many values. Each stays until the next ``log`` of its metric.

        Media are kept as those of ``log``, at the step of the last row. After ``finish()`` nothing
        is set, and a line says so.

        Raises:
            TypeError: ``values`` is neither a dict nor pairs of names and values.
        """
        given = _pairs_of(values) | more
        with self._writer.lock:
            if not self._takes():
                return
            self._writer.check_open("summary")  # A forked child gets the place for its media here.
        fresh: dict[str, Any] = {}
        media: dict[str, Any] = {}
        for key, value in given.items():
            name = metric_name("", key, self._warn)
            fresh[name], its_media = self._converted(name, value)
            media |= its_media
        with self._writer.lock:
            if not self._takes():
                return
            if media:
                self._writer.write_media(media)
            gone = paths_gone(self._stored(fresh), fresh)
            self._writer.set_latest(fresh)
            self._writer.definitions.override(fresh)
            self._publish_all(fresh, gone)
            self._warn_of_twins(fresh)

    def get(self, key: str, default: Any = None) -> Any:
        value = self._value_of(key)
        return default if value is _MISSING else value

    def keys(self) -> list[str]:
        return list(self.as_dict())

    def values(self) -> list[Any]:
        return list(self.as_dict().values())

    def items(self) -> list[tuple[str, Any]]:
        return list(self.as_dict().items())

    def __getitem__(self, key: str) -> Any:
        value = self._value_of(key)
        if value is _MISSING:
            raise MissingSummaryError(f"summary has no value {key!r}")
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        """Delete a value, and those below it; no error without one, as in other trackers."""
        if key not in self:
            return
        name = metric_name("", key, silent)
        with self._writer.lock:
            if not self._takes():
                return
            names = [name]
            if not self._writer.latest_values(names):
                names = self._writer.names_below(name) or names
            stored = self._stored(names)
            # Each path by its name: a later value of the name replaces the name's deletion only.
            paths = [path for each in names for path in (each, *paths_of(each, stored.get(each)))]
            for each in names:
                self._writer.forget_latest(each)
            self._writer.definitions.override(names)
            self._publish_all({}, list(dict.fromkeys(paths)))

    def __getattr__(self, key: str) -> Any:
        return self[key]

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def __delattr__(self, key: str) -> None:
        del self[key]

    def __contains__(self, key: object) -> bool:
        return self._value_of(key) is not _MISSING

    def __iter__(self) -> Iterator[str]:
        return iter(self.as_dict())

    def __len__(self) -> int:
        return len(self.as_dict())

    def __repr__(self) -> str:
        return repr(self.as_dict())

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        """A copy is a plain dict: setting a value in it changes no summary."""
        return dict, (self.as_dict(),)

    def _converted(self, name: str, value: Any) -> tuple[Any, dict[str, Any]]:
        """Return ``value`` as it is stored, and by path the media in it, which were staged."""
        stage = self._writer.stager
        conversion = conversion_of(self._warn, stage, name=name, lists_by_path=True)
        form = conversion.convert(value)
        if not conversion.media:
            return form, {}
        return form, media_by_path(name, form, conversion.blobs)

    def _value_of(self, key: object) -> Any:
        """Return one value without looking at the others, ``_MISSING`` for none.

        A name without a value of its own has the dict of the values below it.
        """
        name = metric_name("", key, silent)
        writer = self._writer
        with writer.lock:
            value = writer.latest_values((name,)).get(name, _MISSING)
            if value is not _MISSING:
                value = self._defined(name, value)
        if value is _MISSING:
            value = self._automatic().get(name, _MISSING) if writer.has_logged else _MISSING
            names = writer.names_below(name) if value is _MISSING else []
            values = {each: self._value_of(each) for each in names}
            values = {each: held for each, held in values.items() if held is not _MISSING}
            return below(self, name, values) if values else self._shown(name, value)
        if isinstance(value, dict | list):
            if self._is_finished():
                return copy_of(value)  # A change of it would not be stored.
            held, _ = self._handed_out.get(name, (None, None))
            if held is not value:  # Else it may have changed since it was first returned.
                self._handed_out[name] = (value, copy_of(value))
        return self._shown(name, value)

    def _defined(self, name: str, last: Any) -> Any:
        """Return the value by the definition of the metric, ``_MISSING`` for none."""
        tracker = self._writer.definitions.trackers.get(name)
        if tracker is None or tracker.overridden:
            return last
        if tracker.hidden:
            return self._writer.by_hand(name, _MISSING)
        defined = tracker.summary()
        return last if defined is None else defined

    def _shown(self, name: str, value: Any) -> Any:
        """Return a value as scripts get it: whole numbers are ints, also those of operations."""
        if isinstance(value, dict):
            tracker = self._writer.definitions.trackers.get(name)
            is_defined = tracker is not None and not tracker.overridden
            return whole_operations(value) if is_defined and value.keys() <= _OPERATIONS else value
        return value if name in SECONDS else whole(value)

    def _stored(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values as they were published, without later changes inside nested ones."""
        found = self._writer.latest_values(names)
        for name, value in found.items():
            held, before = self._handed_out.get(name, (None, None))
            if held is not None and held is value:
                found[name] = before
        return found

    def _publish_all(self, fresh: dict[str, Any], gone: list[str]) -> None:
        """Publish ``fresh``, and the deletion of the paths ``gone``.

        A deletion also deletes values below the path: those of other names are sent again.
        """
        names = {name for path in gone for name in self._writer.names_below(path)}
        others = {name: self._defined(name, value) for name, value in self._stored(names).items()}
        others = {name: value for name, value in others.items() if value is not _MISSING}
        self._publish(others | fresh, gone)

    def _warn_of_twins(self, fresh: Mapping[str, Any]) -> None:
        """Name values that have one path, such as ``"a.b"`` and ``"a": {"b": …}``."""
        for key, value in fresh.items():
            if "." not in key and not isinstance(value, dict):
                continue
            held = self._writer.latest_values(names_above(key, value))
            if twin := find_twin(key, {**held, key: value}):
                path, other = twin
                self._warn(f"summary twin {path}", twin_text("summary", key, path, other))

    def _takes(self) -> bool:
        """Whether changes are stored; says so where they are not."""
        if not self._is_finished():
            return True
        warn_finished(self._warn, "summary")
        return False

    def _automatic(self) -> dict[str, Any]:
        now = self._writer.last_us / 1e6 or time.time()
        runtime = max(0.0, round(now - self._started_at(), 6))
        return {"_step": self._writer.last_step, "_timestamp": now, "_runtime": runtime}

    def _look(self) -> None:
        """Write changes inside nested values: ``run.summary["best"]["loss"] = 0.1``."""
        for name, (value, before) in list(self._handed_out.items()):
            if self._writer.latest(name) is not value:
                del self._handed_out[name]
                continue
            now, media = self._converted(name, value)
            if not same(before, now):
                if media:
                    self._writer.write_media(media)
                    put_back(value, now)
                    if not same(value, now):  # Else its media would be staged at each look.
                        value = copy_of(now)
                        self._writer.set_latest({name: value})
                self._handed_out[name] = (value, copy_of(now))
                self._publish_all({name: now}, paths_gone({name: before}, {name: now}))
                self._warn_of_twins({name: now})


def _pairs_of(values: Any) -> dict[Any, Any]:
    if values is None:
        return {}
    found = fields_of(values)
    if found is not None:
        return found
    if isinstance(values, Mapping | str) or not isinstance(values, Iterable):
        raise TypeError(f"summary.update: expected a dict, not {type(values).__name__}")
    return dict(values)
