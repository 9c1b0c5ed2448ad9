"""The model of the search: a Gaussian process, and parameters as points of a cube."""

import json
import math
from typing import Any

import numpy as np
import pytest

from stepwell_hub.sweeps.bayes import POINTS_MAX, STARTUP_TRIALS, BayesSearch, Seen
from stepwell_hub.sweeps.config import SweepConfig, parse_config
from stepwell_hub.sweeps.cube import Cube
from stepwell_hub.sweeps.gaussian import _GROUPS_MAX, _log_improvement, _loss, fit
from stepwell_hub.sweeps.search import random_trial

PARAMETERS = {
    "rate": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0},
    "deep": {
        "parameters": {"kind": {"values": ["a", "b", True]}, "batch": {"values": [16, 32, 64]}}
    },
    "layers": {"min": 1, "max": 12},
    "constant": {"value": 3},
}


def made(parameters: dict[str, Any]) -> SweepConfig:
    given = {"method": "bayes", "metric": {"name": "loss"}, "parameters": parameters}
    return parse_config(given)


def test_the_gradient_is_that_of_the_loss() -> None:
    source = np.random.default_rng(1)
    points, values = source.random((20, 3)), source.normal(size=20)
    squares = (points[:, None] - points[None]) ** 2
    logs = np.array([-0.5, 0.2, 0.7, -4.0])
    means, sigmas = np.full(4, -0.3), np.full(4, 1.5)
    _, gradient = _loss(squares, values, logs, means, sigmas)
    for place in range(4):
        step = np.zeros(4)
        step[place] = 1e-5
        above, _ = _loss(squares, values, logs + step, means, sigmas)
        below, _ = _loss(squares, values, logs - step, means, sigmas)
        assert gradient[place] == pytest.approx((above - below) / 2e-5, rel=1e-5)


def test_it_goes_through_known_values_and_is_unsure_far_from_them() -> None:
    points = np.linspace(0.0, 0.5, 12)[:, None]
    values = np.sin(9 * points[:, 0])
    model = fit(points, values, np.array([0]))
    mean, sigma = model.predict(np.array([[points[5, 0]], [1.0]]))
    assert mean[0] == pytest.approx(values[5], abs=0.02)
    assert sigma[1] > 5 * sigma[0]
    # A point that runs is no longer worth a trial.
    fuller = model.with_points(np.array([[1.0]]))
    assert fuller.predict(np.array([[1.0]]))[1][0] < sigma[1] / 5


def test_a_coordinate_without_effect_gets_a_long_length() -> None:
    source = np.random.default_rng(1)
    points = source.random((40, 2))
    model = fit(points, np.sin(6 * points[:, 0]), np.arange(2))
    assert model.lengths[1] > 3 * model.lengths[0]


def test_very_many_parameters_share_one_length() -> None:
    source = np.random.default_rng(1)
    points = source.random((20, _GROUPS_MAX + 1))
    model = fit(points, points[:, 0], np.arange(_GROUPS_MAX + 1))
    assert len(set(model.lengths)) == 1


def test_improvement_has_an_order_also_where_it_is_tiny() -> None:
    z = np.linspace(-40.0, 5.0, 1000)
    found = _log_improvement(z)
    assert np.all(np.diff(found) > 0)
    assert found[-1] == pytest.approx(math.log(5.0), rel=1e-4)


def test_a_point_is_the_place_of_its_parameters() -> None:
    config = made(PARAMETERS)
    cube = Cube(config)
    assert cube.dimensions == 4
    for number in range(1, 50):
        params = random_trial(config, 1, number)
        again = cube.params_at(np.array(cube.point_of(params)))
        assert again["rate"] == pytest.approx(params["rate"])
        assert json.dumps({**again, "rate": 0}) == json.dumps({**params, "rate": 0})


def test_numbers_in_their_order_are_an_axis_and_other_categories_are_apart() -> None:
    cube = Cube(made(PARAMETERS))
    # The rate, three kinds, the batch's rank, the layers.
    assert cube.groups.tolist() == [0, 1, 1, 1, 2, 3]
    points = np.array([[0.5, 1 / 6, place, 0.5] for place in (1 / 6, 3 / 6, 5 / 6)])
    assert cube.coordinates(points)[:, 4].tolist() == [0.0, 0.5, 1.0]
    kinds = cube.coordinates(np.array([[0.5, place, 0.5, 0.5] for place in (1 / 6, 3 / 6, 5 / 6)]))
    distances = [((kinds[a] - kinds[b]) ** 2).sum() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert distances == pytest.approx([1.0, 1.0, 1.0])


def test_neighbours_stay_in_the_cube_and_differ() -> None:
    cube = Cube(made(PARAMETERS))
    source = np.random.default_rng(1)
    start = cube.random(source, 3)
    around = cube.around(source, start, 50, 0.5)
    assert around.shape == (150, 4)
    assert around.min() >= 0.0
    assert around.max() <= 1.0
    assert len({tuple(each) for each in around}) > 100


@pytest.mark.parametrize("bad", [1e300, None])
def test_diverged_trials_do_not_hide_the_good_ones(bad: float | None) -> None:
    config = made({"x": {"min": 0.0, "max": 1.0}})
    search = BayesSearch(config, 1)
    seen: list[Seen] = []
    for number in range(1, 26):
        params = search.suggest(seen, number)
        value = bad if params["x"] > 0.6 else (params["x"] - 0.4) ** 2
        seen.append(Seen(number, json.dumps(params), "finished", value, value))
    assert min(each.best for each in seen if each.best is not None) < 1e-3


def test_a_space_whose_combinations_were_all_tried_still_gives_one() -> None:
    config = made({"a": {"values": ["x", "y"]}})
    seen = [
        Seen(number, json.dumps({"a": "xy"[number % 2]}), "finished", float(number % 2), 0.0)
        for number in range(STARTUP_TRIALS + 1)
    ]
    assert BayesSearch(config, 1).suggest(seen, 20)["a"] in ("x", "y")


def test_the_model_of_very_many_trials_keeps_the_best_ones() -> None:
    config = made({"x": {"min": 0.0, "max": 1.0}})
    seen = []
    for number in range(1, 3 * POINTS_MAX):
        params = random_trial(config, 1, number)
        value = (params["x"] - 0.25) ** 2
        seen.append(Seen(number, json.dumps(params), "finished", value, value))
    assert BayesSearch(config, 1).suggest(seen, 1000)["x"] == pytest.approx(0.25, abs=0.02)
