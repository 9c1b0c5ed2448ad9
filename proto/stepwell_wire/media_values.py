"""The value that a row has of a medium: ``{"_type": "image-file", "blob": id, …}``. Pure."""

from collections.abc import Mapping
from typing import Any


def medium_name(value: object) -> str:
    """Return the kind of a medium, such as ``image``; "" for other values.

    The page's `valueTree.ts` has the same names.
    """
    if not isinstance(value, Mapping) or not isinstance(kind := value.get("_type"), str):
        return ""
    mark = "" if is_kept(value) else ", not kept"
    return f"{kind.removesuffix('-file').replace('-', ' ')}{mark}"


def is_kept(medium: Mapping[str, Any]) -> bool:
    """Return whether a medium, or one in a list of media, has bytes; True for other objects."""
    if isinstance(items := medium.get("items"), list):
        return not items or any(isinstance(each, Mapping) and is_kept(each) for each in items)
    return medium.get("kept") is not False and ("blob" not in medium or medium["blob"] is not None)
