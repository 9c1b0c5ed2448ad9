"""Grid, random and the search by model: exact, and the same for the same seed."""

import itertools
import json
import math
from typing import Any

import pytest

from stepwell_hub.sweeps.bayes import STARTUP_TRIALS, BayesSearch, Seen, learned_value
from stepwell_hub.sweeps.config import SweepConfig, parse_config
from stepwell_hub.sweeps.search import flat, grid_count, grid_trial, nested, random_trial


def made(method: str, parameters: dict[str, Any], **more: Any) -> SweepConfig:
    return parse_config({"method": method, "parameters": parameters, **more})


def test_a_grid_has_each_combination_once_in_a_fixed_order() -> None:
    config = made(
        "grid",
        {
            "a": {"values": [1, 2, 2]},
            "o": {"parameters": {"b": {"min": 0, "max": 2}, "c": {"value": "x"}}},
            "d": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5},
        },
    )
    expected = [
        {"a": a, "o": {"b": b, "c": "x"}, "d": d}
        for a, b, d in itertools.product([1, 2], [0, 1, 2], [0.0, 0.5, 1.0])
    ]
    assert grid_count(config) == len(expected)
    found = [grid_trial(config, number) for number in range(1, len(expected) + 1)]
    assert found == expected
    assert grid_trial(config, len(expected) + 1) is None


def test_a_random_trial_follows_from_seed_and_number_alone() -> None:
    config = made("random", {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 1, "max": 1000}})
    forwards = [random_trial(config, 5, number) for number in range(1, 50)]
    backwards = [random_trial(config, 5, number) for number in range(49, 0, -1)]
    assert forwards == backwards[::-1]
    assert len({each["x"] for each in forwards}) == 49
    assert random_trial(config, 6, 1) != forwards[0]
    # Written down once: an upgrade must not change the trials of a sweep that goes on.
    assert forwards[0] == {"x": 0.4145572668053805, "y": 988}


def test_another_parameter_changes_no_value_of_the_first() -> None:
    alone = made("random", {"x": {"min": 0.0, "max": 1.0}})
    both = made("random", {"w": {"value": 1}, "x": {"min": 0.0, "max": 1.0}})
    assert random_trial(alone, 1, 3)["x"] == random_trial(both, 1, 3)["x"]


def test_flat_is_the_inverse_of_nested() -> None:
    config = made("random", {"a": {"parameters": {"b": {"value": 1}, "c": {"value": 2}}}})
    values = {("a", "b"): 1, ("a", "c"): 2}
    assert nested(values) == {"a": {"b": 1, "c": 2}}
    assert flat(nested(values), config.parameters) == values


# ---------------------------------------------------------------------------- by model

SPACE = {
    "x": {"min": -5.0, "max": 10.0},
    "o": {"parameters": {"y": {"min": 0.0, "max": 15.0}, "kind": {"values": ["a", "b"]}}},
    "n": {"distribution": "normal"},
    "k": {"min": 1, "max": 9},
    "c": {"value": 3},
}


def bayes(**metric: Any) -> SweepConfig:
    return made("bayes", SPACE, metric={"name": "loss", **metric})


def value_of(params: dict[str, Any]) -> float:
    bad = 20.0 if params["o"]["kind"] == "b" else 0.0
    return float((params["x"] - 2) ** 2 + (params["o"]["y"] - 5) ** 2 + bad)


def seen_of(config: SweepConfig, seed: int, count: int, sign: int = 1) -> list[Seen]:
    search, seen = BayesSearch(config, seed), []
    for number in range(1, count + 1):
        params = search.suggest(seen, number)
        value = sign * value_of(params)
        seen.append(Seen(number, json.dumps(params), "finished", value, value))
    return seen


@pytest.mark.parametrize(("goal", "sign"), [("minimize", 1), ("maximize", -1)])
@pytest.mark.slow
def test_the_model_finds_better_values_than_chance(goal: str, sign: int) -> None:
    config = bayes(goal=goal)
    ours = [min(sign * (each.best or 0.0) for each in seen_of(config, s, 40, sign)) for s in (1, 2)]
    chance = [min(value_of(random_trial(config, s, n)) for n in range(1, 41)) for s in (1, 2)]
    assert sum(ours) < sum(chance)


def test_a_model_that_learned_all_at_once_suggests_the_same() -> None:
    config = bayes()
    seen = seen_of(config, 3, STARTUP_TRIALS + 4)
    assert BayesSearch(config, 3).suggest(seen, 15) == BayesSearch(config, 3).suggest(seen, 15)


def test_many_that_run_at_once_get_different_trials() -> None:
    config, search = bayes(), None
    seen = seen_of(config, 3, STARTUP_TRIALS)
    search = BayesSearch(config, 3)
    for number in range(STARTUP_TRIALS + 1, STARTUP_TRIALS + 17):
        params = json.dumps(search.suggest(seen, number))
        assert params not in {each.params for each in seen}
        seen.append(Seen(number, params, "running", None, None))


def test_crashed_trials_and_those_without_a_value_are_the_worst() -> None:
    metric = bayes().metric
    for state, best in (("failed", 0.1), ("crashed", None), ("finished", None), ("stopped", None)):
        assert learned_value(Seen(1, "{}", state, best, best), metric) == math.inf
    assert learned_value(Seen(1, "{}", "running", 0.5, 0.5), metric) is None
    assert learned_value(Seen(1, "{}", "stopped", 0.5, 0.7), metric) == 0.5
    latest = bayes(goal="maximize", impute="latest", impute_while_running="best").metric
    assert learned_value(Seen(1, "{}", "failed", 0.5, 0.3), latest) == -0.3
    assert learned_value(Seen(1, "{}", "running", 0.5, 0.3), latest) == -0.5


def test_a_trial_that_is_given_again_is_learned_anew() -> None:
    config = bayes()
    seen = seen_of(config, 3, STARTUP_TRIALS + 2)
    search = BayesSearch(config, 3)
    search.suggest(seen, 13)
    # The last one runs again, and ends with another value.
    again = [*seen[:-1], Seen(12, seen[-1].params, "running", None, None)]
    assert search.suggest(again, 13) == BayesSearch(config, 3).suggest(again, 13)


def test_constants_alone_need_no_model() -> None:
    config = made("bayes", {"c": {"value": 3}}, metric={"name": "loss"})
    seen = [Seen(n, '{"c": 3}', "finished", 1.0, 1.0) for n in range(1, 20)]
    assert BayesSearch(config, 1).suggest(seen, 20) == {"c": 3}
