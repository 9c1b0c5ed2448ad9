"""Conversion of a staged payload to the stored bytes, by kind. Runs in a worker process.

A maker reads the open staged file, writes to a path, and returns facts of the result. To add a
kind, add a function here and a name in ``MAKERS``.
"""

import codecs
import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from stepwell_wire.limits import FPS_MAX, FPS_MIN, FRAMES_MAX, PIXELS_MAX, VIDEO_SIDE_MAX
from stepwell_wire.staged import FILE, FRAMES, PIXELS, TABLE, TEXT, StagedHeader

_READ_BYTES: Final = 1 << 20
_MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_ENCODINGS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    # Level 1 takes half the time of level 6; smooth noise becomes 10 % larger.
    "png": ("PNG", {"compress_level": 1}),
    "jpeg": ("JPEG", {"quality": 90}),
    "webp": ("WEBP", {"quality": 90}),
    "bmp": ("BMP", {}),
}
_EXACT_COLORS_MAX: Final = 128
"""A video of at most so many colours is stored without loss: drawings, games, classes."""
_WEBP_WITHOUT_MEMORY: Final = "encoding error 1"
_OF_BROWSERS: Final = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}


_KNOWN: Final = (*_OF_BROWSERS, "TIFF")
"""No other decoder is tried: some decoders of Pillow start programs, for example Ghostscript."""


class UnusableError(Exception):
    """The payload is invalid; the text says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """The output of a maker; a width of 0 if it has none."""

    media_type: str
    width: int = 0
    height: int = 0


Maker = Callable[[StagedHeader, IO[bytes], Path], Made]


def make_pixels(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    """Encode rows of uint8 pixels."""
    from PIL import Image

    shape, name = header.about.get("shape"), header.about.get("format")
    if (
        not isinstance(shape, list)
        or len(shape) != 3
        or not all(isinstance(each, int) and each > 0 for each in shape)
        or shape[2] not in _MODES
        or shape[0] * shape[1] > PIXELS_MAX
        or shape[0] * shape[1] * shape[2] != header.payload_bytes
    ):
        raise UnusableError(
            f"pixels of shape {shape} in {header.payload_bytes} bytes; expected height × width × 1 "
            f"to 4 channels, and at most {PIXELS_MAX:,} pixels"
        )
    if not isinstance(name, str) or name not in _ENCODINGS:
        raise UnusableError(f"format {name!r}; expected one of {', '.join(_ENCODINGS)}")
    encoder, options = _ENCODINGS[name]
    height, width, channels = shape
    picture = Image.frombuffer(
        _MODES[channels], (width, height), source.read(header.payload_bytes), "raw"
    )
    if encoder in ("JPEG", "BMP") and picture.mode in ("LA", "RGBA"):
        # They have no alpha channel.
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    try:
        try:
            picture.save(target, encoder, **options)
        except ValueError as error:
            if encoder != "WEBP" or str(error) != _WEBP_WITHOUT_MEMORY:
                raise
            encoder, options = _ENCODINGS["png"]  # This takes a tenth of the memory.
            picture.save(target, encoder, **options)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # The disk.
        raise UnusableError(f"{width} × {height} pixels as {name}: {error}") from error
    return Made(_OF_BROWSERS[encoder], width, height)


def make_frames(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    """Encode the frames of a video as an animated WebP, which plays again and again."""
    from PIL import Image

    shape, fps = header.about.get("shape"), header.about.get("fps")
    if (
        not isinstance(shape, list)
        or len(shape) != 4
        or not all(isinstance(each, int) and each > 0 for each in shape)
        or shape[3] not in _MODES
        or max(shape[1], shape[2]) > VIDEO_SIDE_MAX
        or shape[0] > FRAMES_MAX
        or shape[0] * shape[1] * shape[2] > PIXELS_MAX
        or shape[0] * shape[1] * shape[2] * shape[3] != header.payload_bytes
    ):
        raise UnusableError(
            f"frames of shape {shape} in {header.payload_bytes} bytes; expected frames × height × "
            f"width × 1 to 4 channels, at most {FRAMES_MAX:,} frames, {PIXELS_MAX:,} pixels in "
            f"all, and {VIDEO_SIDE_MAX:,} on each side"
        )
    if not isinstance(fps, int | float) or not FPS_MIN <= fps <= FPS_MAX:
        raise UnusableError(f"{fps!r} frames a second; expected {FPS_MIN:g} to {FPS_MAX:g}")
    count, height, width, channels = shape
    size = height * width * channels
    first, *others = [
        Image.frombytes(_MODES[channels], (width, height), source.read(size)) for _ in range(count)
    ]
    # Places in whole milliseconds, so that the rounding of durations does not add up.
    ends = [round(1000.0 * (place + 1) / fps) for place in range(count)]
    durations = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    animation = {"save_all": True, "append_images": others, "duration": durations, "loop": 0}
    encoder = "WEBP"
    try:
        try:
            first.save(target, encoder, **animation, **_webp_options([first, *others]))
        except (ValueError, RuntimeError):  # It has no memory for large frames.
            encoder = "PNG"
            first.save(target, encoder, **animation, compress_level=1)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # The disk.
        raise UnusableError(f"{count} frames of {width} × {height} pixels: {error}") from error
    return Made(_OF_BROWSERS[encoder], width, height)


def _webp_options(frames: Sequence[Any]) -> dict[str, Any]:
    """Return how the frames are encoded: few colours exactly, as edges and flat areas smear."""
    colors: set[Any] = set()
    for frame in frames:
        found = frame.getcolors(_EXACT_COLORS_MAX)
        colors.update(color for _, color in found or ())
        if found is None or len(colors) > _EXACT_COLORS_MAX:
            # Method 2 takes a third of the time of the default; files become 5 % larger.
            return {"quality": 80, "method": 2}
    return {"lossless": True, "quality": 0, "method": 0}


def make_file(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    """Store a file unchanged; a picture is checked, and encoded again if browsers cannot show it.

    A claimed type is ignored for pictures, and is not shown for other files. A mask becomes a grey
    PNG of its classes.
    """
    media_type = header.about.get("media_type")
    if not isinstance(media_type, str) or not media_type or len(media_type) > 100:
        raise UnusableError(f"invalid media type {media_type!r}")
    if media_type.startswith("image/"):
        with _decoding():
            if header.about.get("mask") is True:
                return _make_mask(header, source, target)
            return _make_picture(header, source, target)
    _copy(source, header.payload_bytes, target)
    return Made(media_type)


def make_text(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    """Store a text, which must be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    left = header.payload_bytes
    try:
        while left:
            data = source.read(min(_READ_BYTES, left))
            left -= len(data)
            decoder.decode(data, final=not left)
    except UnicodeDecodeError as error:
        raise UnusableError(f"not UTF-8: {error.reason}") from error
    source.seek(0)
    _copy(source, header.payload_bytes, target)
    media_type = header.about.get("media_type")
    return Made(media_type if media_type in ("text/html", "application/json") else "text/plain")


def make_table(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    """Write the rows of a table as Parquet."""
    from stepwell_daemon.blobs.tables import write_table  # Imported late: pyarrow loads slowly.

    try:
        write_table(source, header.payload_bytes, target)
    except ValueError as error:
        raise UnusableError(f"unreadable rows of a table: {error}") from error
    except ImportError as error:
        raise UnusableError(f"tables need pyarrow ({error}); run `pip install pyarrow`") from error
    return Made("application/vnd.apache.parquet")


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    """Raise the errors of Pillow about a file as `UnusableError`; those of the disk stay."""
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = PIXELS_MAX  # Above it Pillow warns; here this is an error.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except UnidentifiedImageError as error:
        raise UnusableError("not a picture in a known format") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UnusableError(str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnusableError(f"unreadable picture: {error}") from error


def _make_picture(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    from PIL import Image

    _copy(source, header.payload_bytes, target)
    with Image.open(target, formats=_KNOWN) as picture:
        width, height = picture.size
        found = picture.format or ""
        if found in _OF_BROWSERS:
            return Made(_OF_BROWSERS[found], width, height)
        mode = picture.mode if picture.mode in _MODES.values() else "RGB"
        plain = picture.convert(mode)
    plain.save(target, "PNG", compress_level=1)
    return Made("image/png", width, height)


def _make_mask(header: StagedHeader, source: IO[bytes], target: Path) -> Made:
    """Store the classes of a mask, the numbers of its pixels, as a grey PNG of 8 bits.

    The numbers are those of `numpy.asarray` of the opened picture: of a palette, the indices.
    """
    from PIL import Image

    _copy(source, header.payload_bytes, target)
    with Image.open(target, formats=_KNOWN) as picture:
        if _is_lossy(picture, target):
            raise UnusableError(
                f"a mask as {picture.format} is lossy, which changes the classes; expected a PNG"
            )
        classes = _classes_of(picture)
    classes.save(target, "PNG", compress_level=1)
    return Made("image/png", *classes.size)


def _is_lossy(picture: Any, path: Path) -> bool:
    if picture.format == "WEBP":
        with path.open("rb") as file:
            return file.read(16)[12:] != b"VP8L"
    return picture.format in ("JPEG", "AVIF") or picture.info.get("compression") == "jpeg"


def _classes_of(picture: Any) -> Any:
    """Return a picture of mode ``L`` whose values are the classes."""
    from PIL import Image, ImageChops

    mode = picture.mode
    if mode == "1":
        return picture.convert("L").point([min(value, 1) for value in range(256)])
    if mode == "L":
        return picture.copy()
    if mode == "P":
        return Image.frombytes("L", picture.size, picture.tobytes())
    if mode in ("PA", "LA"):
        return picture.getchannel(0)
    if mode in ("RGB", "RGBA"):
        red, green, blue = (picture.getchannel(channel) for channel in range(3))
        if any(ImageChops.difference(red, each).getbbox() for each in (green, blue)):
            raise UnusableError(
                "a mask in colours; expected the class of each pixel: a grey picture, or one with "
                "a palette"
            )
        return red
    if mode == "I" or mode.startswith("I;16"):
        low, high = picture.getextrema()
        if low < 0 or high > 255:
            raise UnusableError(f"a mask with classes from {low} to {high}; expected 0 to 255")
        return picture.convert("I").convert("L")
    raise UnusableError(f"a mask of mode {mode}; expected a grey picture, or one with a palette")


def _copy(source: IO[bytes], size: int, target: Path) -> None:
    with target.open("wb") as made:
        while size:
            data = source.read(min(_READ_BYTES, size))
            if not data:
                raise UnusableError("the staged file is shorter than its header says")
            made.write(data)
            size -= len(data)


MAKERS: Final[Mapping[str, Maker]] = {
    PIXELS: make_pixels,
    FRAMES: make_frames,
    FILE: make_file,
    TEXT: make_text,
    TABLE: make_table,
}
