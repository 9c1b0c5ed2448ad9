"""Arrays, tensors, pictures and figures as rows of uint8 pixels. Imports no new package.

docs/logging.md describes each kind of value. Nothing is encoded here.
"""

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from stepwell_wire.limits import PIXELS_MAX

SIDE_MAX: Final = 65_500
_SPAN_MAX: Final = 1e37
CHANNELS_OF_MODE: Final = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
_MODES: Final = tuple(CHANNELS_OF_MODE)
_WIDE_MODES: Final = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of PIL with other values than 0 to 255."""

Note = Callable[[str], None]
"""Takes a warning about the values."""


class Pixels(NamedTuple):
    """A copy of a picture: uint8, row by row, ``channels`` values a pixel."""

    data: Any
    height: int
    width: int
    channels: int


def is_array(value: Any) -> bool:
    return is_torch(value) or hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def numpy_array(value: Any, what: str) -> Any:
    """Return an array, a tensor or nested lists as a numpy array on the CPU.

    Args:
        what: the value, for errors.

    Raises:
        ValueError: Lists in it differ in length or depth.
    """
    import numpy

    if is_torch(value):
        return _array_of_tensor(value)
    try:
        return numpy.asarray(value)
    except ValueError as error:
        if not isinstance(value, list | tuple):
            raise
        raise ValueError(
            f"{what}: the lists in it differ in length or depth ({error}); expected an array, or "
            "nested lists that make one"
        ) from error


def _array_of_tensor(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()  # numpy has no such type.
    return tensor.numpy()


def is_pil(value: Any) -> bool:
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def figure_of(value: Any) -> Any:
    """Return the matplotlib figure of ``value``: itself or of its axes, module or display; or None.

    A display of scikit-learn, such as ConfusionMatrixDisplay, has its figure as ``figure_``.
    """
    if "matplotlib" not in sys.modules:
        return None
    if getattr(value, "__name__", "") == "matplotlib.pyplot":
        return value.gcf()
    base = sys.modules.get("matplotlib.figure")
    if base is None:
        return None
    for found in (value, *(getattr(value, name, None) for name in ("figure", "figure_"))):
        if isinstance(found, base.Figure):
            return found
    return None


def pixels_of_array(value: Any, *, mode: str | None, normalize: bool, note: Note) -> Pixels:
    """Return a copy of an array (height × width × channels) or tensor (channels first).

    Raises:
        TypeError: Its values are no numbers.
        ValueError: Its shape is not that of a picture, or does not fit ``mode``.
    """
    array = _shaped(numpy_array(value, "Image"), is_tensor=is_torch(value))
    height, width, channels = array.shape
    if mode is not None and CHANNELS_OF_MODE[mode] != channels:
        raise ValueError(
            f"Image: mode {mode} has {CHANNELS_OF_MODE[mode]} channels and the array {channels}"
        )
    return Pixels(as_uint8(array, normalize=normalize, note=note), height, width, channels)


def pixels_of_pil(picture: Any, *, mode: str | None, normalize: bool, note: Note) -> Pixels:
    """Return a copy of a PIL picture, converted where its mode has no plain bytes.

    Large integers and floats become pixels as those of an array do.
    """
    if picture.mode in _WIDE_MODES:
        import numpy

        array = numpy.asarray(picture)
        grey = pixels_of_array(array, mode=None, normalize=normalize, note=note)
        if mode in (None, "L"):
            return grey
        picture = sys.modules["PIL.Image"].fromarray(grey.data.reshape(array.shape))
    wanted = mode or (picture.mode if picture.mode in _MODES else _nearest_mode(picture))
    if picture.mode != wanted:
        picture = picture.convert(wanted)
    width, height = picture.size
    _check_sides(height, width)
    return Pixels(picture.tobytes(), height, width, CHANNELS_OF_MODE[wanted])


def pixels_of_figure(figure: Any) -> Pixels:
    """Draw a matplotlib figure.

    In the training process: another process would have to unpickle it, which can run any code.
    It is drawn only, not encoded.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    before = figure.canvas
    canvas: Any = FigureCanvasAgg(figure)
    try:
        canvas.draw()
        width, height = canvas.get_width_height()
        return Pixels(bytes(canvas.buffer_rgba()), height, width, 4)
    finally:
        figure.set_canvas(before)  # A window that shows it keeps working.


def pixels_of_classes(value: Any, where: str) -> Pixels:
    """Return a copy of a mask: an array or tensor of height × width, a class at each pixel.

    Args:
        where: the mask, for errors.

    Raises:
        TypeError: The classes are no integers.
        ValueError: The shape is not that of a mask, or a class is not from 0 to 255.
    """
    import numpy

    array = numpy_array(value, where)
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array[0] if array.shape[0] == 1 else array[:, :, 0]
    if array.ndim != 2:
        raise ValueError(f"{where} has the shape {array.shape}; expected height × width")
    _check_sides(*array.shape)
    kind = array.dtype.kind
    if kind not in "biuf" or (kind == "f" and not numpy.array_equal(array, numpy.rint(array))):
        raise TypeError(f"{where} has values of {array.dtype}; expected integers from 0 to 255")
    low, high = array.min(), array.max()
    if low < 0 or high > 255:
        said = " to ".join(f"{each:.15g}" if kind == "f" else str(each) for each in (low, high))
        raise ValueError(f"{where} has classes from {said}; expected 0 to 255")
    height, width = array.shape
    return Pixels(numpy.array(array, dtype=numpy.uint8, order="C"), height, width, 1)


def check_mode(mode: Any) -> str | None:
    """Return ``mode``.

    Raises:
        ValueError: Pictures of this mode cannot be kept.
    """
    if mode is not None and mode not in CHANNELS_OF_MODE:
        raise ValueError(f"Image: mode is {mode!r}; expected one of {', '.join(_MODES)}")
    return mode  # type: ignore[no-any-return]


def _nearest_mode(picture: Any) -> str:
    if picture.mode == "1":
        return "L"
    has_alpha = picture.mode in ("PA", "La", "RGBa") or "transparency" in picture.info
    return "RGBA" if has_alpha else "RGB"


def _shaped(array: Any, *, is_tensor: bool) -> Any:
    """Return ``array`` as height × width × channels."""
    shape = tuple(array.shape)
    order = "channels × height × width" if is_tensor else "height × width × channels"
    if len(shape) == 2:
        array = array[:, :, None]
    elif len(shape) == 3 and is_tensor and shape[0] in (1, 2, 3, 4):
        array = array.transpose(1, 2, 0)
    elif len(shape) != 3 or is_tensor or shape[2] not in (1, 2, 3, 4):
        hint = ""
        if len(shape) == 3 and shape[0] in (1, 2, 3, 4):
            hint = "; a numpy array with the channels first needs .transpose(1, 2, 0)"
        elif len(shape) == 4:
            hint = "; log a batch as a list: [Image(each) for each in batch]"
        raise ValueError(
            f"Image: an array of shape {shape}; expected height × width or {order}, with 1 to 4 "
            f"channels{hint}"
        )
    _check_sides(array.shape[0], array.shape[1])
    return array


def _check_sides(height: int, width: int) -> None:
    if not (1 <= height <= SIDE_MAX and 1 <= width <= SIDE_MAX):
        raise ValueError(f"Image: {height} × {width} pixels; each side has 1 to {SIDE_MAX} pixels")
    if height * width > PIXELS_MAX:
        raise ValueError(
            f"Image: {height} × {width} pixels are {height * width:,}; a picture has at most "
            f"{PIXELS_MAX:,}: log it smaller or in parts"
        )


def as_uint8(array: Any, *, normalize: bool, note: Note) -> Any:
    """Return a contiguous uint8 copy of a picture, converted as docs/logging.md says.

    Raises:
        TypeError: Its values are no numbers.
    """
    return uint8_of_parts(array[None], normalize=normalize, note=note, what="Image")[0]


def uint8_of_parts(array: Any, *, normalize: bool, note: Note, what: str) -> Any:
    """Do `as_uint8` for the parts along the first axis, one after another, with one scale.

    Args:
        what: the caller, for the error.
    """
    import numpy

    kind = array.dtype.kind
    made = numpy.empty(array.shape, numpy.uint8)
    if array.dtype == numpy.uint8:
        made[...] = array
    elif kind == "b":
        numpy.multiply(array, 255, out=made, dtype=numpy.uint8)
    elif kind in "iu":
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            note(f"values {low} to {high} were clipped to 0 to 255")
        for part, target in zip(array, made, strict=True):
            target[...] = part.clip(0, 255)
    elif kind == "f":
        scale = _scale_of(array, normalize=normalize, note=note)
        for part, target in zip(array, made, strict=True):
            target[...] = _scaled(part, scale)
    else:
        raise TypeError(f"{what}: an array of {array.dtype}; expected bool, integers or floats")
    return made


class _Scale(NamedTuple):
    """How floats become pixels: (value / divisor - low) / span * factor."""

    divisor: float = 1.0
    low: float = 0.0
    span: float = 1.0
    factor: float = 1.0


def _floats_of(part: Any) -> tuple[Any, bool]:
    """Return a copy without non-finite values, and whether it had none."""
    import numpy

    values = part.astype(numpy.float32 if part.dtype.itemsize <= 4 else numpy.float64)
    finite = numpy.isfinite(values)
    if all_finite := bool(finite.all()):
        return values, all_finite
    values[~finite] = 0.0
    return values, all_finite


def _scale_of(array: Any, *, normalize: bool, note: Note) -> _Scale:
    low, high, are_finite = float("inf"), float("-inf"), True
    for part in array:
        values, is_finite = _floats_of(part)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        are_finite = are_finite and is_finite
    if not are_finite:
        note("non-finite values were drawn as 0")
    if normalize and low < 0.0:
        note(f"values {low:.4g} to {high:.4g} were stretched to 0 to 255, as some are negative")
        divisor = 1.0
        if high - low > _SPAN_MAX:  # A difference might overflow the type.
            divisor = max(-low, high)
            low, high = low / divisor, high / divisor
        is_flat = high == low
        return _Scale(divisor, low, 1.0 if is_flat else high - low, 255.0)
    if normalize and high <= 1.0:
        return _Scale(factor=255.0)
    if low < 0.0 or high > 255.0:
        note(f"values {low:.4g} to {high:.4g} were clipped to 0 to 255")
    return _Scale()


def _scaled(part: Any, scale: _Scale) -> Any:
    import numpy

    values, _ = _floats_of(part)
    if scale.divisor != 1.0:
        values /= scale.divisor
    if scale.low != 0.0:
        values -= scale.low
    if scale.span != 1.0:
        values /= scale.span
    if scale.factor != 1.0:
        values *= scale.factor
    numpy.rint(values, out=values)
    return values.clip(0, 255)
