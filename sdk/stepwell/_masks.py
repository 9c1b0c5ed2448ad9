"""A mask of an `Image`: the class of each pixel, kept as a grey picture."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stepwell._json_conversion import Conversion
from stepwell._names import Warn, kind_of
from stepwell._pixels import Pixels, pixels_of_classes
from stepwell._staging import Stage
from stepwell_wire.staged import FILE, PIXELS

_KEYS: Final = ("mask_data", "path", "class_labels")


class Mask:
    """One mask, by its name.

    Raises:
        TypeError: It is no dict, or its classes are no integers.
        ValueError: It has neither classes nor a path, another key, or an invalid shape or class.
    """

    def __init__(self, name: Any, given: Any) -> None:
        self._where = f"Image: the mask {str(name)!r}"
        if not isinstance(given, Mapping):
            raise TypeError(f"{self._where} is a {type(given).__name__}; expected a dict")
        unknown = [key for key in given if key not in _KEYS]
        if unknown or ("mask_data" in given) == ("path" in given):
            has = f"the key {unknown[0]!r}" if unknown else f"the keys {list(given)}"
            raise ValueError(
                f"{self._where} has {has}; expected mask_data or path, and class_labels"
            )
        self._labels = given.get("class_labels")
        self._path: str | None = None
        self._pixels: Pixels | None = None
        if "path" in given:
            self._path = os.fspath(given["path"])
        else:
            self._pixels = pixels_of_classes(given["mask_data"], self._where)

    def described(self, stage: Stage, warn: Warn) -> dict[str, Any]:
        """Stage the classes and return the facts for the row."""
        about: dict[str, Any] = {"_type": "mask"}
        if self._pixels is None:
            assert self._path is not None
            about |= stage.keep_file(FILE, {"media_type": "image/png", "mask": True}, self._path)
        else:
            data, height, width, channels = self._pixels
            kept = {"shape": [height, width, channels], "format": "png"}
            about |= stage.keep(PIXELS, kept, [memoryview(data)])
        if why := about.get("failed"):
            warn(f"{self._where} lost", f"{self._where} was not stored; training continues: {why}")
        if (labels := labels_by_class(self._labels, self._where, warn)) is not None:
            about["class_labels"] = Conversion(warn).convert(labels)
        return about


def labels_by_class(given: Any, where: str, warn: Warn) -> Mapping[Any, Any] | None:
    """Return names by class, of a dict or of a list in the order of the classes; None if not given.

    Args:
        where: the mask or the boxes, for the warning.
    """
    if given is None or isinstance(given, Mapping):
        return given
    if hasattr(given, "tolist"):  # An array.
        given = given.tolist()
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return dict(enumerate(given))
    warn(
        f"{where} labels",
        f"{where}: class_labels is a {kind_of(given)} and was not kept; expected a dict or a list",
    )
    return None
