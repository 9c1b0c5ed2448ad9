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
        ValueError: It has neither classes nor a path, or an invalid shape or class.
    """

    def __init__(self, name: Any, given: Any) -> None:
        self._where = f"Image: the mask {str(name)!r}"
        if not isinstance(given, Mapping):
            raise TypeError(f"{self._where} is a {type(given).__name__}; expected a dict")
        known = {name: given[name] for name in _KEYS if given.get(name) is not None}
        self._unknown = [str(name) for name in given if name not in _KEYS]
        self._labels = known.get("class_labels")
        self._path: str | None = None
        self._pixels: Pixels | None = None
        if "path" in known:  # Weights & Biases takes it too if both are given.
            self._path = os.fspath(known["path"])
            self._unknown += ["mask_data"] if "mask_data" in known else []
        elif "mask_data" not in known:
            raise ValueError(
                f"{self._where} has the keys {list(given)}; expected mask_data or path, and "
                "class_labels"
            )
        else:
            self._pixels = pixels_of_classes(known["mask_data"], self._where)

    def described(self, stage: Stage, size: tuple[int, int] | None, warn: Warn) -> dict[str, Any]:
        """Stage the classes and return the facts for the row.

        Args:
            size: width and height of the picture in pixels, None if they are not known.
        """
        about: dict[str, Any] = {"_type": "mask"}
        if self._unknown:
            names = ", ".join(self._unknown)
            warn(
                f"{self._where} keys",
                f"{self._where}: ignored {names}; expected mask_data or path, and class_labels",
            )
        if self._pixels is None:
            assert self._path is not None
            about |= stage.keep_file(FILE, {"media_type": "image/png", "mask": True}, self._path)
        else:
            data, height, width, channels = self._pixels
            self._warn_stretched(width, height, size, warn)
            kept = {"shape": [height, width, channels], "format": "png"}
            about |= stage.keep(PIXELS, kept, [memoryview(data)])
        if why := about.get("failed"):
            warn(f"{self._where} lost", f"{self._where} was not stored; training continues: {why}")
        if (labels := labels_by_class(self._labels, self._where, warn)) is not None:
            about["class_labels"] = Conversion(warn).convert(labels)
        return about

    def _warn_stretched(
        self, width: int, height: int, size: tuple[int, int] | None, warn: Warn
    ) -> None:
        """Warn if one scale does not fit the mask to its picture; a pixel may be rounded."""
        if size is None or abs(width * size[1] - height * size[0]) <= max(size):
            return
        warn(
            f"{self._where} stretched",
            f"{self._where} has {height} × {width} pixels and its picture {size[1]} × {size[0]} "
            "(height × width): the page stretches it",
        )


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
