"""Compares and merges values in the form of the store, which is the result of `as_json`."""

from collections.abc import Mapping
from typing import Any


def paths_of(key: str, value: Any) -> list[str]:
    """Return the dotted paths at which the store keeps ``value``."""
    if not isinstance(value, dict) or not value:
        return [key]
    return [path for name, below in value.items() for path in paths_of(f"{key}.{name}", below)]


def texts_in(key: str, value: Any, count_max: int) -> list[tuple[str, str]]:
    """Return the texts in ``value`` with the path of each, ``count_max`` at most.

    A text in a list has the path of the list.
    """
    found: list[tuple[str, str]] = []
    waiting = [(key, value)]
    while waiting and len(found) < count_max:
        path, held = waiting.pop()
        if isinstance(held, str):
            found.append((path, held))
        elif isinstance(held, dict):
            waiting += [(f"{path}.{name}", below) for name, below in held.items()]
        elif isinstance(held, list):
            waiting += [(path, below) for below in held[:count_max]]
    return found


def find_twin(key: str, held: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return a path of ``held[key]`` that another name of ``held`` has too, and that name.

    ``{"x.y": 1, "x": {"y": 2}}`` gives two values one path.
    """
    for path in paths_of(key, held[key]):
        end = len(path)
        while end > 0:
            name = path[:end]
            if name != key and name in held and _has_value(held[name], path[end:]):
                return path, name
            end = path.rfind(".", 0, end)
    return None


def names_above(key: str, value: Any) -> set[str]:
    """Return the names that can have a path of ``value`` too, see `find_twin`."""
    found: set[str] = set()
    for path in paths_of(key, value):
        end = len(path)
        while end > 0:
            found.add(path[:end])
            end = path.rfind(".", 0, end)
    return found


def twin_text(what: str, key: str, path: str, other: str) -> str:
    """Return the line about a result of `find_twin`."""
    return (
        f"{what} {key!r} and {other!r} both have a value at {path}, of which the store keeps only "
        "one; rename one of them"
    )


def _has_value(value: Any, rest: str) -> bool:
    """Return whether a path of ``value`` (see `paths_of`) ends in ``rest``: "", or ".NAME…"."""
    if not isinstance(value, dict) or not value:
        return not rest
    end = 0
    while rest and end >= 0:  # A name may have dots, too.
        end = rest.find(".", end + 1)
        name, below = (rest[1:], "") if end < 0 else (rest[1:end], rest[end:])
        if name in value and _has_value(value[name], below):
            return True
    return False


def paths_gone(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the paths that ``after`` no longer has of those names that are in both."""
    gone: list[str] = []
    for key in before.keys() & after.keys():
        kept = set(paths_of(key, after[key]))
        gone += [path for path in paths_of(key, before[key]) if path not in kept]
    return sorted(gone)


def same(left: Any, right: Any) -> bool:
    """Compare; unlike ==, 1, 1.0 and True differ, and NaN is NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right or (left != left and right != right))


def grown(before: Any, now: Any) -> Any:
    """Return ``now`` with the items of ``before`` that it has lost.

    A program may empty a nested dict to pass its items on; the run still had them.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        both = {name: grown(before[name], now[name]) for name in before.keys() & now.keys()}
        return {name: both.get(name, value) for name, value in (before | now).items()}
    if isinstance(before, list) and isinstance(now, list) and len(now) < len(before):
        return before
    return now


def copy_of(value: Any) -> Any:
    """Return ``value`` with copies of the lists and dicts in it."""
    if isinstance(value, dict):
        return {name: copy_of(item) for name, item in value.items()}
    return [copy_of(item) for item in value] if isinstance(value, list) else value
