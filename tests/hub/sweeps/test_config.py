"""A sweep's configuration: defaults are filled in, and an error names the field's path."""

import random
import statistics
from collections import Counter
from math import exp, log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_hub.errors import SweepInvalidError
from stepwell_hub.sweeps.config import changed_config, parse_config
from stepwell_hub.sweeps.distributions import Categorical, Continuous, Distribution, Integers

DRAWS = 4000


def config(**changes: Any) -> dict[str, Any]:
    return {"method": "random", "parameters": {"lr": {"min": 0.1, "max": 1.0}}} | changes


def only(spec: dict[str, Any]) -> Distribution:
    return parse_config(config(parameters={"x": spec})).parameters["x",]


def draws(spec: dict[str, Any]) -> list[Any]:
    source = random.Random(7)
    return [only(spec).draw(source) for _ in range(DRAWS)]


def refused(changes: dict[str, Any]) -> SweepInvalidError:
    with pytest.raises(SweepInvalidError) as found:
        parse_config(config(**changes))
    return found.value


# ---------------------------------------------------------------------------- defaults


@pytest.mark.parametrize(
    ("spec", "distribution"),
    [
        ({"value": None}, "constant"),
        ({"values": [1]}, "categorical"),
        ({"values": [1, 2], "probabilities": [0.5, 0.5]}, "categorical_w_probabilities"),
        ({"min": 1, "max": 2}, "int_uniform"),
        ({"min": 1.0, "max": 2.0}, "uniform"),
    ],
)
def test_a_distribution_that_is_left_out_follows_from_the_fields(
    spec: dict[str, Any], distribution: str
) -> None:
    filled = parse_config(config(parameters={"x": spec})).as_given["parameters"]["x"]
    assert filled["distribution"] == distribution


def test_defaults_are_filled_in() -> None:
    found = parse_config(
        config(
            metric={"name": "loss"},
            early_terminate={"type": "hyperband", "min_iter": 3},
            parameters={"n": {"distribution": "q_normal"}, "b": {"distribution": "beta"}},
        )
    )
    assert found.as_given["metric"] == {"name": "loss", "goal": "minimize", "impute": "worst"}
    assert found.as_given["early_terminate"] == {
        "type": "hyperband",
        "min_iter": 3,
        "eta": 3,
        "strict": True,
    }
    filled = found.as_given["parameters"]
    assert filled["n"] == {"distribution": "q_normal", "mu": 0.0, "sigma": 1.0, "q": 1}
    assert filled["b"] == {"distribution": "beta", "a": 1.0, "b": 1.0}
    again = parse_config(dict(found.as_given))
    assert again == found  # What is filled in is valid, and the same.


def test_parameters_are_nested() -> None:
    inner = {"name": {"values": ["adam", "sgd"]}, "deep": {"parameters": {"x": {"value": 1}}}}
    found = parse_config(config(parameters={"opt": {"parameters": inner}}))
    assert list(found.parameters) == [("opt", "name"), ("opt", "deep", "x")]


def test_one_metric_in_a_list_is_the_metric() -> None:
    found = parse_config(config(metrics=[{"name": "acc", "goal": "maximize"}]))
    assert found.metric is not None
    assert (found.metric.name, found.metric.sign) == ("acc", -1)


# ---------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"method": "gird"}, "method", "did you mean grid"),
        ({"method": "custom"}, "method", "controller"),
        ({"paramters": {}}, "paramters", "did you mean parameters"),
        ({"parameters": {}}, "parameters", "at least one"),
        ({"parameters": {"1x": {"value": 1}}}, "parameters.1x", "invalid parameter name"),
        ({"parameters": {"x": 0.1}}, "parameters.x", "{value: 0.1}"),
        ({"parameters": {"x": {"mim": 1, "max": 2}}}, "parameters.x.mim", "did you mean min"),
        ({"parameters": {"x": {"min": 1, "max": 2.0}}}, "parameters.x", "write both"),
        ({"parameters": {"x": {"min": 2, "max": 1}}}, "parameters.x.min", "above max"),
        ({"parameters": {"x": {"min": "1e-4", "max": 1.0}}}, "parameters.x.min", "YAML"),
        ({"parameters": {"x": {"min": True, "max": 2}}}, "parameters.x.min", "true or false"),
        ({"parameters": {"x": {"min": float("nan"), "max": 2.0}}}, "parameters.x.min", "finite"),
        ({"parameters": {"x": {"values": []}}}, "parameters.x.values", "at least one"),
        (
            {"parameters": {"x": {"values": [1, 2], "probabilities": [0.5, 0.4]}}},
            "parameters.x.probabilities",
            "sum is 0.9",
        ),
        (
            {"parameters": {"x": {"distribution": "log_uniform_value", "min": 1, "max": 2}}},
            "parameters.x.distribution",
            "did you mean log_uniform_values",
        ),
        (
            {"parameters": {"x": {"distribution": "log_uniform_values", "min": 0.0, "max": 1.0}}},
            "parameters.x.min",
            "above 0",
        ),
        (
            {"parameters": {"x": {"distribution": "log_uniform", "min": 1, "max": 1000}}},
            "parameters.x.max",
            "log_uniform_values",
        ),
        (
            {"parameters": {"x": {"distribution": "int_uniform", "min": 1.5, "max": 3}}},
            "parameters.x.min",
            "integer",
        ),
        (
            {"parameters": {"x": {"distribution": "uniform", "min": 1.5}}},
            "parameters.x.max",
            "missing",
        ),
        (
            {"parameters": {"x": {"distribution": "normal", "sigma": 0}}},
            "parameters.x.sigma",
            "above 0",
        ),
        (
            {"parameters": {"x": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}}},
            "parameters.x.q",
            "above 0",
        ),
        (
            {"parameters": {"o": {"parameters": {"x": {"min": 3, "max": 1}}}}},
            "parameters.o.parameters.x.min",
            "above max",
        ),
        ({"method": "bayes"}, "metric", "needs a metric"),
        ({"metric": {"name": "x", "goal": "max"}}, "metric.goal", "maximize"),
        ({"metric": {"goal": "maximize"}}, "metric.name", "expected text"),
        ({"run_cap": 0}, "run_cap", "at least 1"),
        ({"run_cap": True}, "run_cap", "integer"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1}}, "metric", "needs a metric"),
        (
            {"metric": {"name": "x"}, "early_terminate": {"type": "hyperband"}},
            "early_terminate.min_iter",
            "missing",
        ),
        (
            {"metric": {"name": "x"}, "early_terminate": {"type": "hyperband", "max_iter": 9}},
            "early_terminate.s",
            "missing",
        ),
        (
            {
                "metric": {"name": "x"},
                "early_terminate": {"type": "hyperband", "max_iter": 2, "s": 1},
            },
            "early_terminate.max_iter",
            "no band",
        ),
        (
            {
                "metric": {"name": "x"},
                "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 1},
            },
            "early_terminate.eta",
            "above 1",
        ),
        ({"controller": {"type": "local"}}, "controller.type", "cloud"),
        ({"job": "x"}, "job", "Launch"),
        ({"command": "python train.py"}, "command", "list"),
        ({"name": 3}, "name", "text"),
        (
            {"method": "grid", "parameters": {"x": {"min": 0.0, "max": 1.0}}},
            "parameters.x.distribution",
            "cannot enumerate uniform",
        ),
        (
            {"method": "grid", "parameters": {"x": {"min": 0, "max": 10**9}}},
            "parameters.x",
            "the maximum is 100,000",
        ),
    ],
)
def test_an_error_names_the_field(changes: dict[str, Any], field: str, says: str) -> None:
    error = refused(changes)
    assert error.field == field
    assert says in str(error)
    assert str(error).startswith(field)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(SweepInvalidError, match="expected an object, found a list"):
        parse_config([1])


def test_later_only_the_cap_and_the_bands_change() -> None:
    found = parse_config(config(metric={"name": "x"}, run_cap=3)).as_given
    assert changed_config(found, {"run_cap": 5}).run_cap == 5
    assert changed_config(found, {"run_cap": None}).run_cap is None
    with pytest.raises(SweepInvalidError, match="unknown field"):
        changed_config(found, {"method": "grid"})


# ---------------------------------------------------------------------------- distributions


@pytest.mark.parametrize(
    ("spec", "low", "high", "middle"),
    [
        ({"min": 2.0, "max": 4.0}, 2, 4, 3),
        ({"distribution": "log_uniform", "min": 0, "max": 2}, 1, exp(2), exp(1)),
        ({"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2}, 1e-4, 1e-2, 1e-3),
        ({"distribution": "inv_log_uniform", "min": 0, "max": 2}, exp(-2), 1, exp(-1)),
        ({"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 1e-2}, 1e-4, 1e-2, 1e-3),
        ({"distribution": "normal", "mu": 5, "sigma": 2}, -15, 25, 5),
        ({"distribution": "log_normal", "mu": 1, "sigma": 0.5}, 0, 100, exp(1)),
        ({"distribution": "beta", "a": 2, "b": 2}, 0, 1, 0.5),
    ],
)
def test_values_lie_where_the_distribution_says(
    spec: dict[str, Any], low: float, high: float, middle: float
) -> None:
    values = draws(spec)
    assert all(low <= value <= high for value in values)
    below = sum(value < middle for value in values) / DRAWS
    assert below == pytest.approx(0.5, abs=0.04)  # Five deviations of a fair coin.


def test_a_normal_has_its_deviation() -> None:
    values = draws({"distribution": "normal", "mu": 5, "sigma": 2})
    assert statistics.stdev(values) == pytest.approx(2, rel=0.06)


def test_integers_have_both_ends_alike() -> None:
    counts = Counter(draws({"min": 3, "max": 6}))
    assert sorted(counts) == [3, 4, 5, 6]
    assert all(count == pytest.approx(DRAWS / 4, rel=0.15) for count in counts.values())


def test_weights_are_kept() -> None:
    counts = Counter(draws({"values": ["a", "b"], "probabilities": [0.9, 0.1]}))
    assert counts["a"] / DRAWS == pytest.approx(0.9, abs=0.025)


@pytest.mark.parametrize(
    "spec",
    [
        {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1},
        {"distribution": "q_normal", "q": 0.25},
        {"distribution": "q_log_normal", "q": 0.5},
        {"distribution": "q_beta", "q": 0.1},
        {"distribution": "q_log_uniform", "min": 0, "max": 2, "q": 0.5},
        {"distribution": "q_log_uniform_values", "min": 1, "max": 9, "q": 2},
    ],
)
@pytest.mark.slow
def test_rounded_values_are_multiples_without_noise(spec: dict[str, Any]) -> None:
    for value in draws(spec):
        assert len(repr(value)) <= 6
        assert value / spec["q"] == pytest.approx(round(value / spec["q"]))
        assert isinstance(value, type(spec["q"]))


@given(st.floats(0.001, 0.999))
@pytest.mark.parametrize(
    "spec",
    [
        {"min": -2.0, "max": 4.0},
        {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
        {"distribution": "inv_log_uniform_values", "min": 1e-4, "max": 1e-2},
        {"distribution": "normal", "mu": 5, "sigma": 2},
        {"distribution": "log_normal", "mu": 1, "sigma": 0.5},
        {"distribution": "beta", "a": 2, "b": 2},
    ],
)
@pytest.mark.slow
def test_the_place_of_a_value_is_where_it_came_from(spec: dict[str, Any], place: float) -> None:
    found = only(spec)
    assert isinstance(found, Continuous)
    assert found.place_of(found.value_at(place)) == pytest.approx(place, abs=1e-6)


def test_places_of_values_beyond_the_bounds_are_the_bounds() -> None:
    found = Continuous("log", log(1), log(9), 2)
    assert found.value_at(0.0) == 0  # Half of q, rounded to even.
    assert found.place_of(0) == 0.0
    assert found.place_of(100) == 1.0


def test_a_grid_takes_equal_values_once_and_tells_one_from_true() -> None:
    assert Categorical((1, True, 1.0, 1, "1")).grid() == [1, True, 1.0, "1"]
    assert Categorical((1, True)).place_of(True) == 1
    assert Integers(2, 4).grid() == [2, 3, 4]
    assert Continuous("uniform", 0.1, 0.5, 0.2).grid() == [0.1, 0.3, 0.5]
    assert Continuous("uniform", 0.0, 5.0, 2).grid() == [0, 2, 4]
