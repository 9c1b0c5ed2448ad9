"""Histograms of torch tensors, computed on the tensors' own device.

On the CPU the counts are ready at once. On other devices nothing waits for the device until
``take``: the results of all tensors are then copied together, one small copy for each device. A
program with a tensor has imported torch already.

A value's bin is computed in the tensor's own precision, in float32 for smaller types: a value close
to an edge may be counted in the neighbouring bin.
"""

import math
import threading
from collections.abc import Iterator
from typing import Any, Final

CHUNK_VALUES: Final = 1 << 18
"""Values that the CPU bins at once: intermediate results then stay in the cache."""

DEVICE_CHUNK_VALUES: Final = 1 << 24
"""The same on a device: it bounds intermediate memory, and float32 counts exactly up to it."""

_PAIRS_BINS_MAX: Final = 128
_PAIRS_VALUES_MIN: Final = 16_384
"""From this size on two values are counted at once, as one number: half as many steps, and equal
values do not wait for each other."""

Counted = dict[str, Any]
"""One histogram of the `histograms` event: ``counts``, ``low``, ``high``, non-finite counts."""

_NONE_FINITE: Final[Counted] = {"counts": [0], "low": 0.0, "high": 0.0}


class TensorHistograms:
    """Gathers histograms of tensors. May be used from several threads: autograd has some."""

    def __init__(self, bin_count: int) -> None:
        self._bin_count = bin_count
        self._lock = threading.RLock()  # A signal handler may log in the middle of this.
        self._ready: dict[str, Counted] = {}
        self._waiting: dict[Any, list[tuple[str, Any, int]]] = {}  # By device.

    def __contains__(self, name: str) -> bool:
        with self._lock:
            held = [each[0] for some in self._waiting.values() for each in some]
            return name in self._ready or name in held

    def add(self, name: str, tensor: Any) -> None:
        """Count the values of ``tensor`` as they are now; an empty one is left out."""
        import torch

        with torch.no_grad():
            values, zero_count = _plain(torch, tensor.detach())
            if not values.numel() and not zero_count:
                return
            if values.device.type == "meta":
                return  # It has no values.
            if values.device.type == "cuda" and values.numel():
                packed = count_on_device(torch, values, self._bin_count, has_zeros=zero_count > 0)
                with self._lock:
                    self._waiting.setdefault(values.device, []).append((name, packed, zero_count))
                return
            counted = count_on_cpu(torch, values.cpu(), self._bin_count, zero_count)
        with self._lock:
            self._ready[name] = counted

    def take(self) -> Iterator[tuple[str, Counted]]:
        """Return the gathered histograms, and forget them; waits for the devices."""
        with self._lock:
            ready, self._ready = self._ready, {}
            waiting, self._waiting = self._waiting, {}
        yield from ready.items()
        if not waiting:
            return
        import torch

        for gathered in waiting.values():
            rows = torch.stack([packed for _, packed, _ in gathered]).cpu().tolist()
            for (name, _, zero_count), row in zip(gathered, rows, strict=True):
                yield name, unpacked(row, self._bin_count, zero_count)


def _plain(torch: Any, tensor: Any) -> tuple[Any, int]:
    """Return the values in one dimension, as floats, and the number of implicit zeros."""
    if hasattr(tensor, "to_local"):  # Of a DTensor: this rank's part.
        tensor = tensor.to_local()
    zero_count = 0
    if tensor.layout != torch.strided:
        whole = tensor.numel()
        tensor = tensor.coalesce() if tensor.layout == torch.sparse_coo else tensor
        tensor = tensor.values()
        zero_count = whole - tensor.numel()
    if tensor.is_complex():
        raise TypeError(
            "histograms of complex tensors are not supported; log its abs() or its parts"
        )
    if not tensor.is_floating_point():
        tensor = tensor.to(torch.float64)
    elif tensor.element_size() < 2:
        tensor = tensor.to(torch.float32)  # Of float8 there is hardly any arithmetic.
    return tensor.reshape(-1), zero_count


# ---------------------------------------------------------------------- CPU


def count_on_cpu(torch: Any, values: Any, bin_count: int, zero_count: int = 0) -> Counted:
    """Return the histogram of a flat floating tensor; ``zero_count`` more values are 0.

    Equal values make one bin; where no value is finite its count is 0.

    Raises:
        OverflowError: The range of the values exceeds a float64.
    """
    odd: Counted = {}
    low, high = _range(torch, values)
    if not (math.isfinite(low) and math.isfinite(high)):
        odd = _odd_counts(torch, values)
        values = values[torch.isfinite(values)]
        low, high = _range(torch, values)
    if zero_count:
        low, high = min(low, 0.0), max(high, 0.0)
    if not low <= high:
        return {**_NONE_FINITE, **odd}
    if low == high:
        return {"counts": [values.numel() + zero_count], "low": low, "high": high, **odd}
    if values.dtype != torch.float64 and high - low > torch.finfo(torch.float32).max:
        values = values.to(torch.float64)
    if not math.isfinite(high - low):
        raise OverflowError(f"values from {low} to {high} are too far apart for a histogram")
    counts = _binned(torch, values, low, (high - low) / bin_count, bin_count)
    counts[_bin_of_zero(low, high, bin_count)] += zero_count
    return {"counts": counts, "low": low, "high": high, **odd}


def _range(torch: Any, values: Any) -> tuple[float, float]:
    if not values.numel():
        return math.inf, -math.inf
    low, high = torch.aminmax(values)
    return float(low), float(high)


def _odd_counts(torch: Any, values: Any) -> Counted:
    counts = {
        "nan_count": int(torch.isnan(values).sum()),
        "positive_inf_count": int((values == math.inf).sum()),
        "negative_inf_count": int((values == -math.inf).sum()),
    }
    return {name: count for name, count in counts.items() if count}


def _binned(torch: Any, values: Any, low: float, width: float, bin_count: int) -> list[int]:
    """Return the counts of finite values in bins of ``width``; the highest is in the last bin.

    Divided, not multiplied by an inverse: so a value on an edge is seldom rounded below it, for
    example the many zeros in the middle of symmetric gradients.
    """
    is_wide = values.dtype in (torch.float64, torch.float32)
    work = torch.empty(
        min(CHUNK_VALUES, values.numel()), dtype=values.dtype if is_wide else torch.float32
    )
    kinds = bin_count + 1  # The highest value is beyond the last bin.
    in_pairs = bin_count <= _PAIRS_BINS_MAX and values.numel() >= _PAIRS_VALUES_MIN
    total = torch.zeros(kinds, dtype=torch.int64)
    pairs = torch.zeros(kinds * kinds if in_pairs else 0, dtype=torch.int64)
    for start in range(0, values.numel(), CHUNK_VALUES):
        chunk = values[start : start + CHUNK_VALUES]
        place = work[: chunk.numel()]
        if is_wide:
            torch.sub(chunk, low, out=place)
        else:
            place.copy_(chunk).sub_(low)
        numbers = place.div_(width).to(torch.int32)
        if in_pairs:
            half = numbers.numel() // 2
            paired = torch.add(numbers[:half], numbers[half : 2 * half], alpha=kinds)
            pairs += torch.bincount(paired, minlength=kinds * kinds)
            numbers = numbers[2 * half :]
        total += torch.bincount(numbers, minlength=kinds)
    if in_pairs:
        square = pairs.view(kinds, kinds)
        total += square.sum(0) + square.sum(1)
    counts: list[int] = total.tolist()
    counts[-2] += counts[-1]
    return counts[:-1]


# ---------------------------------------------------------------------- other devices


def count_on_device(torch: Any, values: Any, bin_count: int, *, has_zeros: bool) -> Any:
    """Return ``low, high, counts…, nan, +inf, -inf`` as a float64 tensor on the device, at once.

    ``low`` is above ``high`` where no value is finite.
    """
    chunks = [
        values[start : start + DEVICE_CHUNK_VALUES]
        for start in range(0, values.numel(), DEVICE_CHUNK_VALUES)
    ]
    lows, highs = [], []
    for chunk in chunks:
        finite = torch.isfinite(chunk)
        lows.append(torch.where(finite, chunk, math.inf).amin())
        highs.append(torch.where(finite, chunk, -math.inf).amax())
    low = torch.stack(lows).amin().to(torch.float64)
    high = torch.stack(highs).amax().to(torch.float64)
    if has_zeros:
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    width = high - low
    width = torch.where(width > 0, width / bin_count, torch.ones_like(width))
    counts = torch.stack([_device_counts(torch, one, low, width, bin_count) for one in chunks])
    return torch.cat((low.view(1), high.view(1), counts.sum(0)))


def _device_counts(torch: Any, chunk: Any, low: Any, width: Any, bin_count: int) -> Any:
    exact = chunk if chunk.dtype == torch.float64 else chunk.to(torch.float32)
    place = (exact - low.to(exact.dtype)) / width.to(exact.dtype)
    place = place.floor().clamp(0, bin_count - 1)
    place = torch.where(torch.isnan(chunk), float(bin_count), place)
    place = torch.where(chunk == math.inf, float(bin_count + 1), place)
    place = torch.where(chunk == -math.inf, float(bin_count + 2), place)
    kinds = bin_count + 3
    if torch.are_deterministic_algorithms_enabled():  # histc has no deterministic form.
        return torch.bincount(place.to(torch.int64), minlength=kinds).to(torch.float64)
    places = place.to(torch.float32)
    return torch.histc(places, bins=kinds, min=-0.5, max=kinds - 0.5).to(torch.float64)


def unpacked(row: list[float], bin_count: int, zero_count: int = 0) -> Counted:
    """Return what ``count_on_device`` packed, as ``count_on_cpu`` returns it."""
    low, high, *rest = row
    counts = [int(count) for count in rest[:bin_count]]
    names = ("nan_count", "positive_inf_count", "negative_inf_count")
    odd = {name: int(count) for name, count in zip(names, rest[bin_count:], strict=True) if count}
    if not low <= high:
        return {**_NONE_FINITE, **odd}
    if low == high:
        return {"counts": [sum(counts) + zero_count], "low": low, "high": high, **odd}
    counts[_bin_of_zero(low, high, bin_count)] += zero_count
    return {"counts": counts, "low": low, "high": high, **odd}


def _bin_of_zero(low: float, high: float, bin_count: int) -> int:
    return min(max(int(-low / (high - low) * bin_count), 0), bin_count - 1)
