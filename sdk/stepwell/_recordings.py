"""Arrays and tensors as the frames of a video or as a sound. Imports no new package.

docs/logging.md describes the kinds of values. Frames are encoded by the daemon; a sound becomes a
WAV file here, which is a header and the samples.
"""

import struct
from typing import Any, Final, NamedTuple

from stepwell._pixels import Note, is_torch, numpy_array, uint8_of_parts
from stepwell_wire.limits import FPS_MAX, FPS_MIN, FRAMES_MAX, PIXELS_MAX, VIDEO_SIDE_MAX

FPS_DEFAULT: Final = 4.0
"""That of Weights & Biases' client."""

_SOUND_CHANNELS_MAX: Final = 8
_SAMPLE_MAX: Final = 32_767
_WAV_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
_PCM: Final = 1


class Frames(NamedTuple):
    """A copy of a video: uint8, frame by frame, row by row."""

    data: Any
    shape: tuple[int, int, int, int]
    """Frames, height, width, channels."""


def frames_of_array(value: Any, note: Note) -> Frames:
    """Return the frames of an array or a tensor.

    Args:
        value: frames × channels × height × width; or several videos, which are put beside each
            other: videos × frames × channels × height × width.

    Raises:
        TypeError: Its values are no numbers.
        ValueError: Its shape is not that of a video.
    """
    array = numpy_array(value, "Video")
    shape = array.shape
    if len(shape) not in (4, 5) or shape[-3] not in (1, 2, 3, 4) or 0 in shape:
        hint = ""
        if len(shape) in (4, 5) and shape[-1] in (1, 2, 3, 4):
            order = (0, 3, 1, 2) if len(shape) == 4 else (0, 1, 4, 2, 3)
            hint = f"; an array with the channels last needs .transpose{order}"
        elif len(shape) == 3:
            hint = "; frames without channels need array[:, None]"
        raise ValueError(
            f"Video: an array of shape {shape}; expected frames × channels × height × width, or "
            f"several videos in one array, with 1 to 4 channels{hint}"
        )
    array = array[None] if len(shape) == 4 else array
    beside = _columns(array.shape[0])
    count, channels, height, width = array.shape[1:]
    height, width = height * (array.shape[0] // beside), width * beside
    if (
        max(height, width) > VIDEO_SIDE_MAX
        or count * height * width > PIXELS_MAX
        or count > FRAMES_MAX
    ):
        raise ValueError(
            f"Video: {count:,} frames of {height} × {width} pixels; each side has at most "
            f"{VIDEO_SIDE_MAX:,} pixels and all frames {PIXELS_MAX:,}, in at most {FRAMES_MAX:,} "
            "frames: log fewer or smaller frames"
        )
    # rows, columns, T, C, H, W -> T, rows, H, columns, W, C
    grid = array.reshape(-1, beside, *array.shape[1:]).transpose(2, 0, 4, 1, 5, 3)
    # Frame by frame: converted as one, floats would take their memory again.
    pixels = uint8_of_parts(grid, normalize=True, note=note, what="Video")
    return Frames(pixels, (count, height, width, channels))


def _columns(videos: int) -> int:
    """Return how many of several videos are beside each other: nearly a square, none missing."""
    return next(each for each in range(round(videos**0.5 + 0.49), videos + 1) if videos % each == 0)


def checked_fps(fps: Any) -> float:
    """Return the frames a second.

    Raises:
        TypeError: It is no number.
        ValueError: It is too small or too large.
    """
    if fps is None:
        return FPS_DEFAULT
    if isinstance(fps, bool) or not hasattr(fps, "__float__"):
        raise TypeError(f"Video: fps is a {type(fps).__name__}; expected a number")
    found = float(fps)
    if not FPS_MIN <= found <= FPS_MAX:
        raise ValueError(f"Video: fps is {fps}; expected a number from {FPS_MIN:g} to {FPS_MAX:g}")
    return found


def wav_of_array(value: Any, sample_rate: Any, note: Note) -> list[Any]:
    """Return the pieces of a WAV file of 16 bit.

    Args:
        value: samples, or samples × channels; of a tensor, channels × samples. Floats are in
            [-1, 1].
        sample_rate: samples a second.

    Raises:
        TypeError: Its values are no numbers, or ``sample_rate`` is no integer.
        ValueError: The shape or ``sample_rate`` is invalid.
    """
    import numpy

    rate = _checked_rate(sample_rate)
    is_tensor = is_torch(value)
    array = numpy_array(value, "Audio")
    if array.ndim == 2 and is_tensor:
        array = array.T
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not 1 <= array.shape[1] <= _SOUND_CHANNELS_MAX:
        hint = ""
        if array.ndim == 2 and 1 <= array.shape[0] <= _SOUND_CHANNELS_MAX and not is_tensor:
            hint = "; an array with the channels first needs .T"
        raise ValueError(
            f"Audio: an array of shape {array.shape}; expected samples, or samples × channels, "
            f"with 1 to {_SOUND_CHANNELS_MAX} channels{hint}"
        )
    samples: Any = numpy.ascontiguousarray(_as_int16(array, note), dtype="<i2")
    channels, size = samples.shape[1], samples.nbytes
    if size + _WAV_HEADER.size > 0xFFFF_FFFF:
        raise ValueError(f"Audio: {size:,} bytes of samples; a WAV file has at most 4 GiB")
    header = _WAV_HEADER.pack(
        b"RIFF",
        size + _WAV_HEADER.size - 8,
        b"WAVE",
        b"fmt ",
        16,
        _PCM,
        channels,
        rate,
        rate * channels * 2,
        channels * 2,
        16,
        b"data",
        size,
    )
    return [header, memoryview(samples).cast("B") if size else b""]


def _checked_rate(sample_rate: Any) -> int:
    if sample_rate is None:
        raise ValueError("Audio: data need a sample_rate, in samples a second")
    try:
        rate = int(sample_rate)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"Audio: sample_rate is {sample_rate!r}; expected an integer") from None
    if not 1 <= rate <= 10_000_000:
        raise ValueError(f"Audio: sample_rate is {sample_rate}; expected 1 to 10,000,000")
    return rate


def _as_int16(array: Any, note: Note) -> Any:
    """Return samples as integers of 16 bits; other integers are scaled by their size."""
    import numpy

    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "i" and bits == 16:
        return numpy.array(array, copy=True)
    if kind == "u" and bits == 8:
        return (array.astype(numpy.int16) - 128) << 8
    if kind == "i" and bits == 32:
        return (array >> 16).astype(numpy.int16)
    if kind != "f":
        raise TypeError(
            f"Audio: an array of {array.dtype}; expected floats in [-1, 1], int16, int32 or uint8"
        )
    values = array.astype(numpy.float32 if bits <= 32 else numpy.float64)
    finite = numpy.isfinite(values)
    if not finite.all():
        note("non-finite samples became 0")
        values[~finite] = 0.0
    if values.size and float(numpy.abs(values).max()) > 1.0:
        note("samples beyond -1 to 1 were clipped")
    return numpy.rint(values.clip(-1.0, 1.0) * _SAMPLE_MAX).astype(numpy.int16)
