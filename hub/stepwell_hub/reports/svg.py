"""Charts as SVG, for a file that needs no script. Pure.

Colours are classes, so that one drawing serves both themes.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 640.0
_HEIGHT: Final = 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 12.0, 10.0, 30.0
TICKS: Final = 5
_DECADES_ROUND: Final = 1.2
"""A logarithmic axis of fewer decades has the ticks of a linear one."""
_POWER_MAX: Final = 308
_RIDGE_HEIGHT: Final = 7.0
_RIDGE_OVERLAP: Final = 4
"""A ridge may rise over so many others."""
_SIZE_MAX: Final = 1e300
"""Larger values are left out: their differences overflow."""
_BAR_HEIGHT: Final = 22.0
_LABEL_LETTERS: Final = 32
_GLYPH: Final = 6.2
"""Width of a character, a little more than the average."""
_VALUE_WIDTH: Final = 72.0
"""Room for the value beside a bar."""
_SUFFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_STEP_LEAST: Final = 1e-307
_LARGEST: Final = sys.float_info.max
_LINEAR_BELOW: Final = 1.0
"""Symlog: in units of the smallest size that is not 0."""

Array = NDArray[np.float64]
XText = Callable[[float, float], str]
"""The label of a value of x; the second argument is the distance of labels."""
XTicks = Callable[[float, float], list[float]]
"""The values with labels, from the first value to the last."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; ``mark`` is the attributes of its colour, which are written as they are."""

    name: str
    mark: str
    x: Array
    y: Array
    low: Array
    high: Array


def tick_text(value: float, step: float) -> str:
    """Return the label of a tick, as on the page; ``step`` is the distance of ticks, or 0."""
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e15 or size < 1e-4:
        return _exponent(value, step)
    unit = next(
        (each for each in _SUFFIXES if size >= each[0] * 10 or (size >= each[0] and each[0] > 1e3)),
        _SUFFIXES[-1] if size >= 1e4 else None,
    )
    if unit is None:
        return _trimmed(value, step)
    divisor, suffix = unit
    return f"{float(_trimmed(value / divisor, step / divisor)):.12g}{suffix}"


def _trimmed(value: float, step: float) -> str:
    if not step > 0:
        return f"{float(f'{value:.4g}'):.12g}"
    return f"{value:.{_decimals_of(step)}f}"


def _decimals_of(step: float) -> int:
    """Return the decimals that a multiple of the step needs: 0.25 has two."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    scaled = step * 10.0 ** min(decimals, _POWER_MAX)
    return min(12, decimals + (abs(scaled - round(scaled)) > 1e-6))


def _exponent(value: float, step: float) -> str:
    power = math.floor(math.log10(abs(value)) + 1e-12)
    if power < -307:  # The smallest numbers have powers of ten that are 0 as a number.
        return f"{value:.0e}".replace("e-0", "e-")
    decimals = min(6, _decimals_of(step / 10.0**power)) if step > 0 else 0
    return f"{value / 10.0**power:.{decimals}f}e{power}"


def _tick_text(value: float) -> str:
    """Return a number in few characters, with an exponent from 100,000 on."""
    return f"{value:.5g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    y_scale: str,
    x_text: XText,
    x_ticks: XTicks | None = None,
    dots: bool = False,
) -> str:
    """Return the chart of some lines, or "" where none has a point that can be drawn.

    Args:
        dots: draw the points alone.
    """
    turn = _turner(lines, y_scale)
    shown = [(line, turn(line.y), turn(line.low), turn(line.high)) for line in lines]
    finite = [y[np.isfinite(y)] for _, y, _, _ in shown]
    xs = [line.x[np.isfinite(y)] for line, y, _, _ in shown]
    if not any(len(each) for each in finite):
        return ""
    bands = [
        np.concatenate((low[np.isfinite(low)], high[np.isfinite(high)]))
        for _, _, low, high in shown
    ]
    all_y = np.concatenate((*finite, *bands))
    all_x = np.concatenate(xs)
    x_of, x_first, x_last = _scale(all_x, _LEFT, _WIDTH - _RIGHT, pad=0.0)
    y_of, y_first, y_last = _scale(all_y, _HEIGHT - _BOTTOM, _TOP, pad=0.04)
    parts = []
    for value, text in _y_ticks(y_first, y_last, y_scale, lines):
        at = y_of(value)
        parts.append(f'<path class="grid" d="M{_LEFT:g} {at:.1f}H{_WIDTH - _RIGHT:g}"/>')
        parts.append(f'<text class="y" x="{_LEFT - 6:g}" y="{at + 3.5:.1f}">{escape(text)}</text>')
    parts += _x_ticks(x_first, x_last, x_of, x_text, x_ticks or nice_ticks)
    for line, y, low, high in shown:
        parts.append(_band(line, low, high, x_of, y_of))
        alone = np.isfinite(y) if dots else _are_alone(y)
        if not alone.all():
            parts.append(f'<path class="line" {line.mark} d="{_path(line.x, y, x_of, y_of)}"/>')
        if alone.any():
            drawn = _dots(line.x[alone], y[alone], x_of, y_of)
            parts.append(f'<path class="dots" {line.mark} d="{drawn}"/>')
    return _svg("", _HEIGHT, label, parts)


def bars(
    rows: Sequence[tuple[str, float]], *, label: str, value_text: Callable[[float], str]
) -> str:
    """Return a bar from left to right for each label and value, one below the other."""
    longest = max(len(name) for name, _ in rows)
    left = min(longest, _LABEL_LETTERS) * _GLYPH + 12
    values = np.array([0.0, *(value for _, value in rows)])
    x_of, _, _ = _scale(values, left, _WIDTH - _VALUE_WIDTH, pad=0.0)
    zero = x_of(0.0)
    parts = []
    for at, (name, value) in enumerate(rows):
        end, top = x_of(value), at * _BAR_HEIGHT
        middle = top + _BAR_HEIGHT / 2 + 3.5
        parts.append(
            f'<text class="y" x="{left - 6:g}" y="{middle:.1f}">'
            f"{escape(_shortened(name, _LABEL_LETTERS))}<title>{escape(name)}</title></text>"
            f'<rect class="bar" x="{min(zero, end):.1f}" y="{top + 3:g}" '
            f'width="{max(1.0, abs(end - zero)):.1f}" height="{_BAR_HEIGHT - 6:g}"/>'
            f'<text x="{max(zero, end) + 4:.1f}" y="{middle:.1f}">'
            f"{escape(value_text(value))}</text>"
        )
    return _svg("bars", len(rows) * _BAR_HEIGHT, label, parts)


def bins_chart(
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    label: str,
    x_text: XText,
    x_ticks: XTicks | None = None,
) -> str:
    """Return a bar for each bin; ``edges`` has one more than ``counts``."""
    most = float(max(1, *counts))
    x_of, first, last = _scale(np.array(edges), _LEFT, _WIDTH - _RIGHT, pad=0.0)
    y_of, _, y_last = _scale(np.array([0.0, most * 1.05]), _HEIGHT - _BOTTOM, _TOP, pad=0.0)
    parts = []
    for value in nice_ticks(0.0, y_last):
        if value.is_integer():
            at = y_of(value)
            parts.append(f'<path class="grid" d="M{_LEFT:g} {at:.1f}H{_WIDTH - _RIGHT:g}"/>')
            parts.append(
                f'<text class="y" x="{_LEFT - 6:g}" y="{at + 3.5:.1f}">{_tick_text(value)}</text>'
            )
    parts += _x_ticks(first, last, x_of, x_text, x_ticks or nice_ticks)
    for at, count in enumerate(counts):
        start, end, top = x_of(edges[at]), x_of(edges[at + 1]), y_of(float(count))
        parts.append(
            f'<rect class="bar" x="{start + 0.5:.1f}" y="{top:.1f}" '
            f'width="{max(0.5, end - start - 1):.1f}" height="{_HEIGHT - _BOTTOM - top:.1f}"/>'
        )
    return _svg("", _HEIGHT, label, parts)


def heat_map(
    steps: NDArray[np.int64], counts: Array, *, low: float, high: float, label: str
) -> str:
    """Return histograms over steps: the stronger, the larger the part of its values."""
    rows, bins = counts.shape
    parts_of, most = _shares(counts)
    wide = (_WIDTH - _LEFT - _RIGHT) / rows
    tall = (_HEIGHT - _TOP - _BOTTOM) / bins
    cells = []
    for row, bin_ in zip(*np.nonzero(parts_of > most / 200), strict=True):
        strength = float(parts_of[row, bin_]) / most
        x, y = _LEFT + row * wide, _HEIGHT - _BOTTOM - (bin_ + 1) * tall
        cells.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
            f'opacity="{strength:.2f}"/>'
        )
    words = [
        f'<text class="y" x="{_LEFT - 6:g}" y="{_HEIGHT - _BOTTOM:g}">{_tick_text(low)}</text>',
        f'<text class="y" x="{_LEFT - 6:g}" y="{_TOP + 8:g}">{_tick_text(high)}</text>',
        f'<text class="x" x="{_LEFT:g}" y="{_HEIGHT - 10:g}">{int(steps[0]):,}</text>',
        f'<text class="x" x="{_WIDTH - 30:g}" y="{_HEIGHT - 10:g}">{int(steps[-1]):,}</text>',
    ]
    return _svg("heat", _HEIGHT, label, cells + words)


def ridge_rows(count: int) -> list[int]:
    """Return the rows that are drawn as ridges: evenly chosen, the last one among them."""
    most = int((_HEIGHT - _TOP - _BOTTOM) / _RIDGE_HEIGHT)
    if count <= most:
        return list(range(count))
    return [round(at * (count - 1) / (most - 1)) for at in range(most)]


def ridges(steps: NDArray[np.int64], counts: Array, *, low: float, high: float, label: str) -> str:
    """Return histograms over steps, each as a ridge: the earliest at the top.

    Args:
        steps, counts: of the histograms that are drawn, see `ridge_rows`.
    """
    rows, bins = counts.shape
    shares, most = _shares(counts)
    space = (_HEIGHT - _BOTTOM - _TOP) / (rows + _RIDGE_OVERLAP - 1)
    right = _WIDTH - _RIGHT
    x_of, first, last = _scale(np.array([low, high]), _LEFT, right, pad=0.0)
    parts = []
    for value in nice_ticks(first, last):
        x = x_of(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP:g}V{_HEIGHT - _BOTTOM:g}"/>')
        parts.append(
            f'<text class="x" x="{min(x, _WIDTH - 24):.1f}" y="{_HEIGHT - 10:g}">'
            f"{_tick_text(value)}</text>"
        )
    every = max(1, math.ceil(rows / TICKS))
    for row in range(rows):
        base = _TOP + space * (row + _RIDGE_OVERLAP)
        if (rows - 1 - row) % every == 0:
            parts.append(
                f'<text class="y" x="{_LEFT - 6:g}" y="{base + 3.5:.1f}">{int(steps[row]):,}</text>'
            )
        rise = space * _RIDGE_OVERLAP / most
        tops = " ".join(
            f"{_LEFT + (bin_ + 0.5) / bins * (right - _LEFT):.1f} {base - rise * share:.1f}"
            for bin_, share in enumerate(shares[row].tolist())
        )
        path = f"M{_LEFT:g} {base:.1f}L{tops} {right:g} {base:.1f}"
        opacity = 0.15 + 0.35 * (row + 1) / rows
        # Twice: a ridge hides those behind it, and is itself half transparent.
        parts.append(f'<path class="ridge-back" d="{path}"/>')
        parts.append(f'<path class="ridge" fill-opacity="{opacity:.2f}" d="{path}"/>')
    return _svg("ridges", _HEIGHT, label, parts)


def nice_ticks(first: float, last: float, count: int = TICKS) -> list[float]:
    """Return round values from ``first`` to ``last``, some ``count`` of them."""
    if not last > first or not math.isfinite(last - first):
        return [first] if last == first else [first, last]
    rough = (last - first) / count
    if rough < sys.float_info.min:
        return [first, last]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    start = math.ceil(first / step - 1e-9)
    return [number * step for number in range(start, math.floor(last / step + 1e-9) + 1)]


def nice_step(least: float) -> float:
    """Return the smallest round step that is not below ``least``, as the page chooses it."""
    if not 0 < least < math.inf:
        return 1.0
    if least <= _STEP_LEAST:
        return _STEP_LEAST
    if least > 1e308:
        return 1e308
    power = 10.0 ** math.floor(math.log10(least))
    sizes = (factor * power for factor in (1, 2, 2.5, 5))
    return next((size for size in sizes if size >= least * (1 - 1e-9)), 10 * power)


def smoothed(x: Array, mean: Array, count: NDArray[np.int64], half_life: float) -> Array:
    """Return the moving average over the points, which weigh half after ``half_life`` of x.

    A bucket enters with all its points, as if they were evenly spaced.
    """
    out = np.full(len(mean), np.nan)
    total = weight = 0.0
    before = math.nan
    for at, value in enumerate(mean):
        if not math.isfinite(value):
            continue
        points = max(1, int(count[at]))
        distance = x[at] - before if math.isfinite(before) else points
        kept = 0.5 ** (max(distance, 0.0) / half_life)
        total, weight = kept * total + (1 - kept) * value, kept * weight + (1 - kept)
        before = x[at]
        out[at] = total / weight if weight > 0 else value
    return out


# ---------------------------------------------------------------------- parts


def _svg(kind: str, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart {kind}" viewBox="0 0 {_WIDTH:g} {height:g}" role="img" '
        f'aria-label="{escape(label)}"><title>{escape(label)}</title>{"".join(parts)}</svg>'
    )


def _shortened(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _step_of(ticks: Sequence[float]) -> float:
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    return step if math.isfinite(step) else 0.0


def _x_ticks(
    first: float, last: float, x_of: Callable[[float], float], x_text: XText, x_ticks: XTicks
) -> list[str]:
    values = x_ticks(first, last)
    step = _step_of(values)
    parts = []
    for value in values:
        text = x_text(value, step)
        at = min(x_of(value), _WIDTH - max(24.0, len(text) * _GLYPH / 2))  # It is centred there.
        parts.append(f'<text class="x" x="{at:.1f}" y="{_HEIGHT - 10:g}">{escape(text)}</text>')
    return parts


def _are_alone(y: Array) -> NDArray[np.bool_]:
    """Return which finite points have no finite neighbour, so that no line goes through them."""
    finite = np.isfinite(y)
    none = np.zeros(1, bool)
    before, after = np.concatenate((none, finite[:-1])), np.concatenate((finite[1:], none))
    alone: NDArray[np.bool_] = finite & ~before & ~after
    return alone


def _shares(counts: Array) -> tuple[Array, float]:
    """Return the part of each histogram's values that is in each bin, and the largest part."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return shares, float(shares.max()) or 1.0


def _scale(
    values: Array, start: float, end: float, *, pad: float
) -> tuple[Callable[[float], float], float, float]:
    first, last = float(values.min()), float(values.max())
    # Half of each: the difference of the largest numbers overflows.
    size = (last / 2 - first / 2) * 2 if math.isfinite(last - first) else math.nan
    if not size > 0 or not math.isfinite(size):
        room = max(abs(first), 1e-9) / 2 if size == 0 else 0.0
        first, last = (first - room, last + room) if room else (first, last)
    else:
        first, last = first - pad * size, last + pad * size
    first, last = max(first, -_LARGEST), min(last, _LARGEST)
    half = last / 2 - first / 2 or 1.0
    return lambda value: start + (end - start) * ((value / 2 - first / 2) / half), first, last


def _turner(lines: Sequence[Line], kind: str) -> Callable[[Array], Array]:
    if kind == "log":
        return _logarithm
    if kind == "symlog":
        unit = _unit(lines)
        return lambda values: np.where(
            np.abs(values) <= _SIZE_MAX,
            np.sign(values)
            * (np.log10(unit + np.minimum(np.abs(values), _SIZE_MAX)) - math.log10(unit)),
            np.nan,
        )
    return lambda values: np.where(np.abs(values) <= _SIZE_MAX, values, np.nan)


def _logarithm(values: Array) -> Array:
    good = np.isfinite(values) & (values > 0)
    return np.log10(values, out=np.full(len(values), np.nan), where=good)


def _unit(lines: Sequence[Line]) -> float:
    sizes = np.concatenate([np.abs(line.y[np.isfinite(line.y)]) for line in lines])
    sizes = sizes[sizes > 0]
    return min(float(sizes.min()), _SIZE_MAX) * _LINEAR_BELOW if len(sizes) else 1.0


def _y_ticks(
    first: float, last: float, kind: str, lines: Sequence[Line]
) -> list[tuple[float, str]]:
    if kind == "linear":
        values = nice_ticks(first, last)
        return [(value, tick_text(value, _step_of(values))) for value in values]
    if kind == "symlog":
        return _symlog_ticks(first, last, _unit(lines))
    return _log_ticks(first, last)


def _log_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Return round values between two powers of ten, as the page chooses them."""
    decades = last - first
    if decades < _DECADES_ROUND:
        values = nice_ticks(10 ** min(first, _POWER_MAX), 10 ** min(last, _POWER_MAX))
        return [(math.log10(value), _tick_text(value)) for value in values if value > 0]
    every = max(1, math.ceil(decades / TICKS))
    factors = [1, 2, 5]
    if every > 1 or decades > TICKS / 2:
        factors = [1]
    elif decades > TICKS / 3:
        factors = [1, 3]
    found = []
    for decade in range(math.floor(first), min(math.ceil(last), _POWER_MAX) + 1):
        if decade % every:
            continue
        for factor in factors:
            at = decade + math.log10(factor)
            if first - 1e-9 <= at <= min(last, _POWER_MAX) + 1e-9:
                found.append((at, f"{factor}e{decade}"))
    return [(at, text if abs(at) > 4 else _tick_text(float(text))) for at, text in found]


def _symlog_ticks(first: float, last: float, unit: float) -> list[tuple[float, str]]:
    """Return 0 and powers of ten with both signs; round values if there is at most one."""

    def place(value: float) -> float:
        return math.copysign(math.log10(unit + abs(value)) - math.log10(unit), value)

    def value_at(at: float) -> float:
        # Not (10**at - 1) * unit: the power alone may overflow.
        return math.copysign(10 ** min(abs(at) + math.log10(unit), _POWER_MAX) - unit, at)

    largest = max(abs(value_at(first)), abs(value_at(last)))
    values = [0.0]
    if unit < largest < math.inf:
        powers = range(math.ceil(math.log10(unit)), math.floor(math.log10(largest) + 1e-9) + 1)
        # The largest first: they keep their labels where not all have room.
        values += [sign * 10.0**power for power in reversed(powers) for sign in (1, -1)]
    kept: list[float] = []
    for value in values:
        at = place(value)
        is_free = all(abs(at - place(other)) >= (last - first) / (TICKS + 1) for other in kept)
        if first <= at <= last and is_free:
            kept.append(value)
    if len(kept) < 2:
        kept = nice_ticks(value_at(first), value_at(last))
    return [(place(value), _tick_text(value)) for value in sorted(kept)]


def _path(
    x: Array, y: Array, x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> str:
    parts, is_down = [], False
    for at in range(len(x)):
        if not math.isfinite(y[at]):
            is_down = False
            continue
        parts.append(f"{'L' if is_down else 'M'}{x_of(x[at]):.1f} {y_of(y[at]):.1f}")
        is_down = True
    return "".join(parts)


def _dots(
    x: Array, y: Array, x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> str:
    """Return each point as a line without length: with round ends, it is a dot."""
    good = np.flatnonzero(np.isfinite(y))
    return "".join(f"M{x_of(x[at]):.1f} {y_of(y[at]):.1f}h0" for at in good)


def _band(
    line: Line,
    low: Array,
    high: Array,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> str:
    good = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    if len(good) < 2 or not np.any(high[good] > low[good]):
        return ""
    there = [f"{x_of(line.x[at]):.1f} {y_of(high[at]):.1f}" for at in good]
    back = [f"{x_of(line.x[at]):.1f} {y_of(low[at]):.1f}" for at in good[::-1]]
    return f'<path class="band" {line.mark} d="M{"L".join([*there, *back])}Z"/>'
