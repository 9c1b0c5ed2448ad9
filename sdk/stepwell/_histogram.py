"""Histograms: the number of values in each bin, counted on the device of the values.

    run.log({"activations": Histogram(values)})
    run.log({"activations": Histogram(np_histogram=numpy.histogram(values, bins="auto"))})

NaN and infinities have no bin; they are counted apart. numpy and torch are used where the values
are theirs; a plain sequence needs neither.
"""

import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from stepwell._argument_names import checks_names
from stepwell._array_items import has_numbers
from stepwell._media import Media
from stepwell_wire.limits import HISTOGRAM_BINS_MAX

if TYPE_CHECKING:
    from stepwell._names import Warn
    from stepwell._staging import Stage

BINS_DEFAULT: Final = 64
_PLAIN_VALUES_MAX: Final = 50_000
_SCALE: Final = 0.25
"""Differences of finite values times this are finite too."""
_LARGEST: Final = sys.float_info.max * _SCALE
_EVEN_TOLERANCE: Final = 1e-9  # Of the whole range: how far equal bins may be from equal.


class Histogram(Media):
    """Counts of values between edges.

    Args:
        sequence: values to count: a sequence of numbers, a numpy array or a torch tensor.
        np_histogram: counts and edges in place of values, as `numpy.histogram` returns them.
        num_bins: bins of equal width between the smallest and the largest finite value,
            1 to 512.

    Attributes:
        histogram: the count of each bin.
        bins: the edges, ascending, one more than the counts. The last bin contains its upper
            edge too.
        nan_count, positive_inf_count, negative_inf_count: number of values without a bin.

    Raises:
        ValueError: Too many bins, counts and edges that do not fit, or both or neither of
            ``sequence`` and ``np_histogram``.
        TypeError: ``sequence`` holds something that is no number.
    """

    type = "histogram"
    is_kept = True
    parameters = ("sequence", "np_histogram", "num_bins")
    MAX_LENGTH: ClassVar[int] = HISTOGRAM_BINS_MAX

    @checks_names
    def __init__(
        self,
        sequence: Any = None,
        np_histogram: Any = None,
        num_bins: int = BINS_DEFAULT,
    ) -> None:
        super().__init__()
        self.nan_count = self.positive_inf_count = self.negative_inf_count = 0
        self.histogram: list[float]
        self.bins: list[float]
        if (sequence is None) == (np_histogram is None):
            raise ValueError(
                "Histogram() takes exactly one of a sequence of values and "
                "np_histogram=(counts, edges)"
            )
        if np_histogram is not None:
            self.histogram, self.bins = _given(np_histogram)
            return
        if isinstance(num_bins, bool) or not isinstance(num_bins, int):
            raise TypeError(f"num_bins must be an integer, not {type(num_bins).__name__}")
        if not 1 <= num_bins <= HISTOGRAM_BINS_MAX:
            raise ValueError(f"num_bins must be 1 to {HISTOGRAM_BINS_MAX}, not {num_bins}")
        if is_tensor(sequence):
            self._count_tensor(sequence, num_bins)
        elif (numpy := _numpy_for(sequence)) is not None:
            self._count_array(numpy, sequence, num_bins)
        else:
            self._count_sequence(sequence, num_bins)

    def to_event(self) -> dict[str, Any]:
        """Return the form of the `histograms` event; see docs/formats/records.md."""
        counts = [_whole(count) for count in self.histogram]
        low, high = self.bins[0], self.bins[-1]
        body: dict[str, Any] = {"counts": counts}
        if _are_even(self.bins):
            body |= {"low": low, "high": high}
        else:
            body["edges"] = self.bins
        for name in ("nan_count", "positive_inf_count", "negative_inf_count"):
            if count := getattr(self, name):
                body[name] = count
        return body

    def described(self, stage: "Stage | None", warn: "Warn") -> dict[str, Any]:
        """Return it as Weights & Biases has it in a history: in a list, or in a config."""
        values = [_whole(count) for count in self.histogram]
        return {"_type": self.type, "values": values, "bins": list(self.bins)}

    def __repr__(self) -> str:
        total = _whole(math.fsum(self.histogram))
        return (
            f"<Histogram of {total} values in {len(self.histogram)} bins "
            f"from {self.bins[0]:g} to {self.bins[-1]:g}>"
        )

    # ------------------------------------------------------------------ counting

    def _count_tensor(self, tensor: Any, bin_count: int) -> None:
        from stepwell._tensors import TensorHistograms

        gathered = TensorHistograms(bin_count)
        gathered.add("", tensor)
        for _, counted in gathered.take():
            self._take(counted)
            return
        self.histogram, self.bins = [0] * bin_count, _edges(0.0, 1.0, bin_count)

    def _take(self, counted: dict[str, Any]) -> None:
        self.histogram = counted["counts"]
        self.bins = _edges(counted["low"], counted["high"], len(self.histogram))
        self.nan_count = counted.get("nan_count", 0)
        self.positive_inf_count = counted.get("positive_inf_count", 0)
        self.negative_inf_count = counted.get("negative_inf_count", 0)

    def _count_array(self, numpy: Any, values: Any, bin_count: int) -> None:
        try:
            array = numpy.asarray(values)
            if array.dtype.kind not in "biuf":
                array = array.astype(numpy.float64)
            elif array.dtype.kind == "b":
                array = array.astype(numpy.uint8)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Histogram() counts numbers: {error}") from error
        array = array.ravel()
        finite = array if array.dtype.kind in "iu" else array[numpy.isfinite(array)]
        if len(finite) < len(array):
            self.nan_count = int(numpy.isnan(array).sum())
            self.positive_inf_count = int((array == math.inf).sum())
            self.negative_inf_count = len(array) - len(finite) - self.nan_count
            self.negative_inf_count -= self.positive_inf_count
        if finite.dtype.kind == "f" and finite.dtype.itemsize < 4:
            finite = finite.astype(numpy.float32)  # The width of float16 may overflow.
        if _has_bins(numpy, finite, bin_count):
            counts, edges = numpy.histogram(finite, bins=bin_count)
        else:
            scaled = finite.astype(numpy.float64) * _SCALE
            limits = _range_of(float(scaled.min()), float(scaled.max()), bin_count)
            counts, edges = numpy.histogram(scaled, bins=bin_count, range=limits)
            edges = edges / _SCALE
        self.histogram, self.bins = counts.tolist(), edges.astype(numpy.float64).tolist()

    def _count_sequence(self, values: Iterable[Any], bin_count: int) -> None:
        try:
            numbers = [float(value) for value in values]
        except (TypeError, ValueError) as error:
            raise TypeError(f"Histogram() counts numbers: {error}") from error
        finite = [value * _SCALE for value in numbers if math.isfinite(value)]
        self.nan_count = sum(map(math.isnan, numbers))
        self.positive_inf_count = numbers.count(math.inf)
        self.negative_inf_count = numbers.count(-math.inf)
        low, high = (min(finite), max(finite)) if finite else (0.0, _SCALE)
        low, high = _range_of(low, high, bin_count)
        edges = _edges(low, high, bin_count)
        self.bins = [edge / _SCALE for edge in edges]
        counts = [0] * bin_count
        for value in finite:
            at = int((value - low) / (high - low) * bin_count)
            at = min(max(at, 0), bin_count - 1)
            # As in numpy: values that rounding put on the wrong side of an edge go back.
            if value < edges[at]:
                at -= 1
            elif value >= edges[at + 1] and at < bin_count - 1:
                at += 1
            counts[at] += 1
        self.histogram = list(counts)


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is a torch tensor; torch is never imported for that."""
    torch = sys.modules.get("torch")
    kind = getattr(torch, "Tensor", None)
    return kind is not None and isinstance(value, kind)


def histogram_of(value: Any, size_max: int) -> Histogram | None:
    """Return the histogram of a numeric array or tensor of more than ``size_max`` values."""
    if is_tensor(value):
        size = int(value.numel())
    else:
        numpy = sys.modules.get("numpy")
        kind = getattr(numpy, "ndarray", None)
        if kind is None or not isinstance(value, kind) or not has_numbers(value):
            return None
        size = int(value.size)
    if size <= size_max:
        return None
    try:
        return Histogram(value)
    except Exception:  # Such as a complex or quantized tensor: kept in another form.
        return None


def _numpy_for(values: Any) -> Any:
    """Return numpy where it can count ``values``; None where it is not installed."""
    if isinstance(values, str | bytes | bytearray):
        raise TypeError(f"Histogram() counts numbers, not {type(values).__name__}")
    if not isinstance(values, Sequence) and not hasattr(values, "__array__"):
        if not isinstance(values, Iterable):
            raise TypeError(f"Histogram() takes a sequence of numbers, not {type(values).__name__}")
        return None  # A generator, a set or a dict's view: numpy would take it as one object.
    if "numpy" not in sys.modules and len(values) <= _PLAIN_VALUES_MAX:
        return None  # Counting takes less time than importing numpy.
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _given(np_histogram: Any) -> tuple[list[float], list[float]]:
    try:
        counts, edges = np_histogram
        counts = [float(count) for count in counts]
        edges = [float(edge) for edge in edges]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"np_histogram must be (counts, edges), as numpy.histogram returns them: {error}"
        ) from error
    if not 1 <= len(counts) <= HISTOGRAM_BINS_MAX:
        raise ValueError(
            f"np_histogram has {len(counts)} counts; 1 to {HISTOGRAM_BINS_MAX} are allowed"
        )
    if len(edges) != len(counts) + 1:
        raise ValueError(
            f"np_histogram has {len(edges)} edges for {len(counts)} counts; "
            f"{len(counts) + 1} are needed"
        )
    if not all(math.isfinite(count) and count >= 0 for count in counts):
        raise ValueError("np_histogram has a count that is negative or not finite")
    if not all(map(math.isfinite, edges)):
        raise ValueError("np_histogram has an edge that is not finite")
    if edges != sorted(edges):
        raise ValueError("np_histogram has edges that do not ascend")
    return counts, edges


def _has_bins(numpy: Any, finite: Any, bin_count: int) -> bool:
    """Whether numpy has bins for the values: not so if they are too near to each other, or too far.

    numpy raises an error then, or returns bins without a width, as its version may be.
    """
    if not len(finite):
        return True
    ends = [float(finite.min()), float(finite.max())]
    width = ends[1] - ends[0] or 1.0
    about = numpy.finfo(finite.dtype if finite.dtype.kind == "f" else numpy.float64)
    unit = float(about.eps) * (max(map(abs, ends)) + float(about.tiny))
    return math.isfinite(width) and width >= 2 * bin_count * unit


def _range_of(low: float, high: float, bin_count: int) -> tuple[float, float]:
    """Return the range of bins for scaled values from ``low`` to ``high``: no bin without width."""
    if low == high:  # As numpy does.
        low, high = low - 0.5 * _SCALE, high + 0.5 * _SCALE
    least = 2 * bin_count * math.ulp(max(abs(low), abs(high)))
    if high - low >= least:
        return low, high
    return max(low - least, -_LARGEST), min(high + least, _LARGEST)


def _edges(low: float, high: float, bin_count: int) -> list[float]:
    step = (high - low) / bin_count
    return [low + step * at for at in range(bin_count)] + [high]


def _are_even(edges: Sequence[float]) -> bool:
    width = edges[-1] - edges[0]
    even = _edges(edges[0], edges[-1], len(edges) - 1)
    room = _EVEN_TOLERANCE * width
    return math.isfinite(width) and all(
        abs(edge - at) <= room for edge, at in zip(edges, even, strict=True)
    )


def _whole(count: float) -> float:
    """Return ``count`` as an int where it is one: shorter, and exact in JSON."""
    return int(count) if float(count).is_integer() else count
