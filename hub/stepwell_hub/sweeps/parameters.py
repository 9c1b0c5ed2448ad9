"""The `parameters` of a sweep: names, distributions, nesting.

parameters:
  lr: {min: 1e-4, max: 1e-1, distribution: log_uniform_values}
  optimizer: {parameters: {name: {values: [adam, sgd]}}}
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from stepwell_hub.errors import SweepInvalidError
from stepwell_hub.sweeps.checks import known_only, mapping, name_of_kind, number
from stepwell_hub.sweeps.distributions import (
    GRID_VALUES_MAX,
    Categorical,
    Constant,
    Continuous,
    Distribution,
    Integers,
    Shape,
)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ .\-]*")
_PARAMETERS_MAX: Final = 1000
_DEPTH_MAX: Final = 16

Path = tuple[str, ...]
_Spec = Mapping[str, Any]
_Made = tuple[Distribution, dict[str, Any]]


def parse_parameters(
    value: Any, where: str, above: Path = ()
) -> tuple[dict[Path, Distribution], dict[str, Any]]:
    """Return the distributions by their path in the config, and the specs with defaults filled in.

    Raises:
        SweepInvalidError: A spec is wrong; ``field`` is its path.
    """
    specs = mapping(value, where)
    if not specs:
        raise SweepInvalidError(where, "expected at least one parameter, found none")
    if len(above) >= _DEPTH_MAX:
        raise SweepInvalidError(where, f"parameters are nested more than {_DEPTH_MAX} deep")
    found: dict[Path, Distribution] = {}
    filled: dict[str, Any] = {}
    for name, spec in specs.items():
        at = f"{where}.{name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SweepInvalidError(
                at,
                f"invalid parameter name {name!r}: expected letters a to z and A to Z, "
                "digits, spaces and _ . -, with a letter or _ at the beginning",
            )
        if not isinstance(spec, dict):
            raise SweepInvalidError(
                at,
                f"expected an object such as {{value: {_short(spec)}}}, found {name_of_kind(spec)}",
            )
        if "parameters" in spec:
            known_only(spec, ("parameters",), at)
            inner, inner_filled = parse_parameters(
                spec["parameters"], f"{at}.parameters", (*above, name)
            )
            found |= inner
            filled[name] = {"parameters": inner_filled}
        else:
            found[*above, name], filled[name] = _parse_one(spec, at)
    if len(found) > _PARAMETERS_MAX:
        raise SweepInvalidError(where, f"{len(found)} parameters, the maximum is {_PARAMETERS_MAX}")
    return found, filled


def _parse_one(spec: _Spec, at: str) -> _Made:
    kind = spec.get("distribution")
    if kind is None:
        kind = _default_kind(spec, at)
    if not isinstance(kind, str) or kind not in _KINDS:
        known_only({str(kind): None}, tuple(_KINDS), f"{at}.distribution", is_value=True)
    assert isinstance(kind, str)
    names, make = _KINDS[kind]
    known_only(spec, ("distribution", *names), at)
    made, filled = make(spec, at)
    return made, {"distribution": kind, **filled}


def _default_kind(spec: _Spec, at: str) -> str:
    known_only(spec, _ALL_NAMES, at)
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical_w_probabilities" if "probabilities" in spec else "categorical"
    if "min" not in spec or "max" not in spec:
        raise SweepInvalidError(
            at, "expected `value`, `values`, `min` and `max`, `distribution` or `parameters`"
        )
    low, high = spec["min"], spec["max"]
    number(low, f"{at}.min")
    number(high, f"{at}.max")
    if isinstance(low, int) != isinstance(high, int):
        raise SweepInvalidError(
            at,
            f"min {low} and max {high} are an integer and a float: write both in one form, "
            "or set distribution",
        )
    return "int_uniform" if isinstance(low, int) else "uniform"


def _constant(spec: _Spec, at: str) -> _Made:
    if "value" not in spec:
        raise SweepInvalidError(f"{at}.value", "missing; a constant needs it")
    _is_json(spec["value"], f"{at}.value")
    return Constant(spec["value"]), {"value": spec["value"]}


def _values(spec: _Spec, at: str) -> list[Any]:
    values = spec.get("values")
    if not isinstance(values, list) or not values:
        raise SweepInvalidError(
            f"{at}.values", f"expected a list of at least one value, found {_short(values)}"
        )
    for index, each in enumerate(values):
        _is_json(each, f"{at}.values[{index}]")
    return values


def _categorical(spec: _Spec, at: str) -> _Made:
    values = _values(spec, at)
    return Categorical(tuple(values)), {"values": values}


def _weighted(spec: _Spec, at: str) -> _Made:
    values = _values(spec, at)
    where = f"{at}.probabilities"
    given = spec.get("probabilities")
    if not isinstance(given, list) or len(given) != len(values):
        raise SweepInvalidError(
            where, f"expected a list of {len(values)} numbers, one for each value"
        )
    weights = [number(each, f"{where}[{index}]") for index, each in enumerate(given)]
    if min(weights) < 0 or not math.isclose(sum(weights), 1.0, abs_tol=1e-6):
        raise SweepInvalidError(
            where, f"expected numbers from 0 to 1 whose sum is 1; the sum is {sum(weights):g}"
        )
    return Categorical(tuple(values), tuple(weights)), {"values": values, "probabilities": given}


def _integers(spec: _Spec, at: str) -> _Made:
    low, high = (_needed(spec, name, at) for name in ("min", "max"))
    for name, value in (("min", low), ("max", high)):
        if not isinstance(value, int):
            raise SweepInvalidError(f"{at}.{name}", f"expected an integer, found {value}")
    _in_order(low, high, at)
    return Integers(int(low), int(high)), {"min": low, "max": high}


def _range(shape: Shape, *, rounded: bool = False, as_values: bool = False) -> Any:
    def make(spec: _Spec, at: str) -> _Made:
        low, high = (_needed(spec, name, at) for name in ("min", "max"))
        _in_order(low, high, at)
        filled: dict[str, Any] = {"min": low, "max": high}
        q = _step(spec, at, filled) if rounded else None
        first, second = float(low), float(high)
        if as_values:
            if low <= 0:
                raise SweepInvalidError(f"{at}.min", f"expected a value above 0, found {low}")
            first, second = math.log(low), math.log(high)
            if shape == "inv_log":
                first, second = -second, -first
        elif shape in ("log", "inv_log") and max(abs(low), abs(high)) > 700:
            raise SweepInvalidError(
                f"{at}.max" if abs(high) > 700 else f"{at}.min",
                "e to this power is beyond a float: min and max are exponents here; use "
                "log_uniform_values for values",
            )
        return Continuous(shape, first, second, q), filled

    return make


def _moments(shape: Shape, names: tuple[str, str], *, rounded: bool = False) -> Any:
    defaults = (0.0, 1.0) if names[0] == "mu" else (1.0, 1.0)

    def make(spec: _Spec, at: str) -> _Made:
        filled: dict[str, Any] = {
            name: number(spec.get(name, default), f"{at}.{name}")
            for name, default in zip(names, defaults, strict=True)
        }
        for name in names:
            if name != "mu" and filled[name] <= 0:
                raise SweepInvalidError(
                    f"{at}.{name}", f"expected a number above 0, found {filled[name]}"
                )
        first, second = (float(filled[name]) for name in names)
        q = _step(spec, at, filled) if rounded else None
        return Continuous(shape, first, second, q), filled

    return make


def _step(spec: _Spec, at: str, filled: dict[str, Any]) -> float:
    q = number(spec.get("q", 1), f"{at}.q")
    if q <= 0:
        raise SweepInvalidError(f"{at}.q", f"expected a number above 0, found {q}")
    filled["q"] = q
    return q


def _needed(spec: _Spec, name: str, at: str) -> float | int:
    if name not in spec:
        raise SweepInvalidError(f"{at}.{name}", "missing; this distribution needs it")
    return number(spec[name], f"{at}.{name}")


def _in_order(low: float, high: float, at: str) -> None:
    if low > high:
        raise SweepInvalidError(f"{at}.min", f"min {low} is above max {high}")


def _is_json(value: Any, at: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SweepInvalidError(at, f"expected a value that JSON supports: {error}") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


_BOUNDS: Final = ("min", "max")
_KINDS: Final[dict[str, tuple[tuple[str, ...], Callable[[_Spec, str], _Made]]]] = {
    "constant": (("value",), _constant),
    "categorical": (("values",), _categorical),
    "categorical_w_probabilities": (("values", "probabilities"), _weighted),
    "int_uniform": (_BOUNDS, _integers),
    "uniform": (_BOUNDS, _range("uniform")),
    "q_uniform": ((*_BOUNDS, "q"), _range("uniform", rounded=True)),
    "log_uniform": (_BOUNDS, _range("log")),
    "log_uniform_values": (_BOUNDS, _range("log", as_values=True)),
    "q_log_uniform": ((*_BOUNDS, "q"), _range("log", rounded=True)),
    "q_log_uniform_values": ((*_BOUNDS, "q"), _range("log", rounded=True, as_values=True)),
    "inv_log_uniform": (_BOUNDS, _range("inv_log")),
    "inv_log_uniform_values": (_BOUNDS, _range("inv_log", as_values=True)),
    "normal": (("mu", "sigma"), _moments("normal", ("mu", "sigma"))),
    "q_normal": (("mu", "sigma", "q"), _moments("normal", ("mu", "sigma"), rounded=True)),
    "log_normal": (("mu", "sigma"), _moments("log_normal", ("mu", "sigma"))),
    "q_log_normal": (("mu", "sigma", "q"), _moments("log_normal", ("mu", "sigma"), rounded=True)),
    "beta": (("a", "b"), _moments("beta", ("a", "b"))),
    "q_beta": (("a", "b", "q"), _moments("beta", ("a", "b"), rounded=True)),
}
_ALL_NAMES: Final = (
    "distribution",
    "parameters",
    *sorted({name for names, _ in _KINDS.values() for name in names}),
)


def grid_of(found: Mapping[Path, Distribution], filled: Mapping[str, Any]) -> dict[Path, list[Any]]:
    """Return all values of each parameter of a grid.

    Raises:
        SweepInvalidError: A distribution is continuous or weighted, or has too many values.
    """
    grid = {}
    for path, each in found.items():
        where = "parameters." + ".parameters.".join(path)
        if isinstance(each, Integers):
            count = each.high - each.low + 1
        elif isinstance(each, Continuous) and each.shape == "uniform" and each.q:
            count = int((each.second - each.first) / each.q) + 1
        else:
            count = 0
        if count > GRID_VALUES_MAX:
            raise SweepInvalidError(
                where, f"a grid of {count:,} values, the maximum is {GRID_VALUES_MAX:,}"
            )
        values = each.grid()
        if values is None:
            spec: Any = {"parameters": filled}
            for name in path:
                spec = spec["parameters"][name]
            raise SweepInvalidError(
                f"{where}.distribution",
                f"a grid cannot enumerate {spec['distribution']}: expected constant, categorical, "
                "int_uniform or q_uniform; or use the method random or bayes",
            )
        grid[path] = values
    return grid
