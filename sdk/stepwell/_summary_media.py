"""Media in the values of a summary: found by their paths, as `log` names those in nested dicts."""

from collections.abc import Set
from typing import Any

from stepwell._json_conversion import is_medium
from stepwell._names import metric_name, silent
from stepwell._staging import blobs_in
from stepwell._stored_forms import copy_of, same


def media_by_path(name: str, form: Any, blobs: Set[str]) -> dict[str, Any]:
    """Return the media in a converted value, by metric name.

    Args:
        blobs: ids of the bytes that were staged for it. Media that the program has read back name
            others, and already have values of their own.
    """
    if is_medium(form):
        named = blobs_in(form)
        return {name: form} if not named or not blobs.isdisjoint(named) else {}
    if not isinstance(form, dict):
        return {}
    found: dict[str, Any] = {}
    for key, below in form.items():
        found |= media_by_path(metric_name(f"{name}.", key, silent), below, blobs)
    return found


def put_back(value: Any, form: Any) -> None:
    """Replace media in ``value`` by their converted form, so that they are not staged again."""
    if isinstance(value, dict) and isinstance(form, dict):
        places: list[Any] = [name for name in list(value) if name in form]
    elif isinstance(value, list) and isinstance(form, list):
        places = list(range(min(len(value), len(form))))
    else:
        return
    for place in places:
        held, converted = value[place], form[place]
        if type(held) is type(converted) and isinstance(held, dict | list):
            put_back(held, converted)
        elif not same(held, converted):
            value[place] = copy_of(converted)
