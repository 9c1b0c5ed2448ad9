"""`Image`: a picture that a run logs. It copies the pixels and encodes nothing."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from stepwell._argument_names import checks_names
from stepwell._boxes import kept_boxes
from stepwell._json_conversion import Conversion
from stepwell._masks import Mask
from stepwell._media import Media
from stepwell._names import Warn
from stepwell._pixels import (
    Pixels,
    check_mode,
    figure_of,
    is_array,
    is_pil,
    numpy_array,
    pixels_of_array,
    pixels_of_figure,
    pixels_of_pil,
)
from stepwell._staging import Stage, blobs_in
from stepwell_wire.staged import FILE, PIXELS

_FORMATS: Final = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "bmp": "bmp"}
_MEDIA_TYPES: Final = {
    **{ending: f"image/{name}" for ending, name in _FORMATS.items()},
    "gif": "image/gif",
    "avif": "image/avif",
    "tif": "image/tiff",
    "tiff": "image/tiff",
}


class Image(Media):
    """A picture.

    Args:
        data_or_path: a numpy array (height × width, or × channels), a torch tensor (channels
            first), a PIL picture, a matplotlib figure or axes, a path, a list of lists of
            numbers, or an ``Image``, whose caption, boxes, masks and other values stay if they are
            not given anew. The pixels are copied at once; a path is read when the image is logged.
        mode: ``L``, ``LA``, ``RGB`` or ``RGBA``; default: that of the data.
        caption: the line below the picture.
        grouping: kept with the row.
        classes: names of classes for boxes and masks: dicts with ``id`` and ``name``, or a list of
            names; kept with the row.
        boxes: boxes by name, as in Weights & Biases' client; kept with the row, drawn by the page.
        masks: masks by name, as in Weights & Biases' client: ``mask_data``, an array of height ×
            width with a class from 0 to 255 at each pixel, or ``path``, a grey picture of these;
            and ``class_labels``, names by class or a list of names. The classes are copied at once;
            a path is read when the image is logged. The page draws them.
        file_type: how it is kept: ``png`` (default), ``jpg``, ``webp`` or ``bmp``.
        normalize: floats in [0, 1] are scaled to 0 to 255, and floats below 0 stretched to that;
            False takes all values as they are.

    Raises:
        TypeError: ``data_or_path`` is none of these.
        ValueError: An invalid shape, mode, mask or file type; the message says what was expected.
    """

    type = "image-file"
    list_type: ClassVar[str] = "images/separated"
    is_kept = True

    @checks_names
    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: Any = None,
        grouping: int | None = None,
        classes: Any = None,
        boxes: Mapping[str, Any] | None = None,
        masks: Mapping[str, Any] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        super().__init__()
        self._notes: list[str] = []
        for name, value in (("boxes", boxes), ("masks", masks)):
            if value is not None and not isinstance(value, Mapping):
                raise TypeError(f"Image: {name} is a {type(value).__name__}; expected a dict")
        self.caption = caption
        self._grouping, self._classes, self._boxes = grouping, classes, boxes
        self._masks = {str(name): Mask(name, mask) for name, mask in (masks or {}).items()}
        if isinstance(data_or_path, Image):
            self._take_over(data_or_path, has_masks=masks is not None)
        self._path: str | None = None
        self._pixels: Pixels | None = None
        mode = check_mode(mode)
        if isinstance(data_or_path, Image) and data_or_path._path is not None:
            data_or_path = data_or_path._path
        if isinstance(data_or_path, str | os.PathLike):
            self._path = os.fspath(data_or_path)
            self._format = _format_of_path(self._path, file_type)
            return
        self._format = _format(file_type)
        if isinstance(data_or_path, Image) and file_type is None:
            self._format = data_or_path._format
        self._pixels = self._pixels_of(data_or_path, mode, normalize=normalize)

    def _pixels_of(self, data: Any, mode: str | None, *, normalize: bool) -> Pixels:
        if isinstance(data, Image):
            assert data._pixels is not None
            self._notes += data._notes
            return data._pixels
        if is_pil(data):
            note = self._notes.append
            return pixels_of_pil(data, mode=mode, normalize=normalize, note=note)
        if (figure := figure_of(data)) is not None:
            return pixels_of_figure(figure)
        if isinstance(data, Sequence) and not isinstance(data, bytes | bytearray):
            data = numpy_array(data, "Image")
        if is_array(data):
            return pixels_of_array(data, mode=mode, normalize=normalize, note=self._notes.append)
        raise TypeError(
            "Image: expected an array, a tensor, a PIL picture, a matplotlib figure or a "
            f"path, not a {type(data).__name__}"
        )

    def _take_over(self, other: "Image", *, has_masks: bool) -> None:
        """Take what is beside the pixels of ``other`` and was not given anew."""
        if self.caption is None:
            self.caption = other.caption
        if self._grouping is None:
            self._grouping = other._grouping
        if self._classes is None:
            self._classes = other._classes
        if self._boxes is None:
            self._boxes = other._boxes
        if not has_masks:
            self._masks = other._masks

    @property
    def width(self) -> int | None:
        return None if self._pixels is None else self._pixels.width

    @property
    def height(self) -> int | None:
        return None if self._pixels is None else self._pixels.height

    @property
    def format(self) -> str:
        return self._format

    def described(self, stage: Stage | None, warn: Warn) -> dict[str, Any]:
        """Stage the picture and return its value for the row."""
        about: dict[str, Any] = {"_type": self.type}
        if stage is None:
            about |= {"blob": None, "failed": "media are kept by log() and the summary only"}
        elif self._path is not None:
            media_type = _MEDIA_TYPES[self._format]
            about |= stage.keep_file(FILE, {"media_type": media_type}, self._path)
        else:
            assert self._pixels is not None
            data, height, width, channels = self._pixels
            shape = [height, width, channels]
            kept = {"shape": shape, "format": _FORMATS[self._format]}
            about |= stage.keep(PIXELS, kept, [memoryview(data)])
            about |= {"width": width, "height": height}
        about["format"] = self._format
        for note in self._notes:
            warn(f"image {note.split()[-1]}", f"Image: {note}; see docs/logging.md")
        about |= self._beside(warn)
        if self._masks and stage is not None and about["blob"] is not None:
            masks = {
                name: mask.described(stage, self._size, warn) for name, mask in self._masks.items()
            }
            about["masks"] = masks
            stage.note_within(about, blobs_in(masks))
        return about

    def _beside(self, warn: Warn) -> dict[str, Any]:
        found = self.caption_field()
        given = {
            "grouping": self._grouping,
            "classes": _class_list(self._classes),
        }
        for name, value in given.items():
            if value is not None:
                found[name] = Conversion(warn).convert(value)
        if (boxes := kept_boxes(self._boxes, self._size, warn)) is not None:
            found["boxes"] = boxes
        return found

    @property
    def _size(self) -> tuple[int, int] | None:
        return None if self._pixels is None else (self._pixels.width, self._pixels.height)

    def __repr__(self) -> str:
        return f"<Image {self._path or f'{self.width}×{self.height}'}>"


def image_of(value: Any) -> Image | None:
    """Return a picture of PIL, or a figure, axes or pyplot, as an image; None for other values."""
    try:
        return Image(value) if is_pil(value) or figure_of(value) is not None else None
    except Exception:  # Any class may raise; it is described then.
        return None


def _class_list(given: Any) -> Any:
    """Return what a `Classes` was made of; names alone become classes with numbers from 0."""
    if isinstance(given, Media):
        given = given.given.get("class_set")
    if isinstance(given, Mapping):
        return [{"id": number, "name": name} for number, name in given.items()]
    if isinstance(given, list | tuple) and all(isinstance(each, str) for each in given):
        return [{"id": number, "name": name} for number, name in enumerate(given)]
    return given


def _format(file_type: str | None) -> str:
    if file_type is None:
        return "png"
    found = str(file_type).lower().lstrip(".")
    if found not in _FORMATS:
        raise ValueError(
            f"Image: file_type is {file_type!r}; expected one of {', '.join(_FORMATS)}"
        )
    return found


def _format_of_path(path: str, file_type: str | None) -> str:
    ending = os.path.splitext(path)[1].lower().lstrip(".")
    found = str(file_type).lower().lstrip(".") if file_type is not None else ending
    if found not in _MEDIA_TYPES:
        raise ValueError(
            f"Image: {path}: .{found} is not a known format of pictures; known are "
            f"{', '.join(_MEDIA_TYPES)}"
        )
    return found
