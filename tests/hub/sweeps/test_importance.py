"""Importance of parameters: what depends, what does not, and what cannot be said."""

import math
import random
import tracemalloc
from typing import Any

import pytest

from stepwell_hub.sweeps.importance import TRIALS_MIN, importances


def trials(count: int, seed: int = 1) -> list[tuple[dict[str, Any], float]]:
    """The loss is a valley over log(lr), with a step for one optimizer; the rest is noise."""
    source = random.Random(seed)
    made: list[tuple[dict[str, Any], float]] = []
    for _ in range(count):
        exponent = source.uniform(-5, 0)
        name = source.choice(["adam", "sgd", "lion"])
        params = {
            "lr": 10**exponent,
            "optimizer": {"name": name, "momentum": source.random()},
            "layers": source.randint(1, 20),
            "epochs": 3,
        }
        loss = (exponent + 2.5) ** 2 + 2 * (name == "sgd") + source.gauss(0, 0.3)
        made.append((params, loss))
    return made


def test_what_matters_stands_above_chance_and_what_does_not_below() -> None:
    chance, found = importances(trials(200))
    assert [each.name for each in found[:2]] == ["lr", "optimizer.name"]
    shares = {each.name: each.share for each in found}
    assert set(shares) == {"lr", "optimizer.name", "optimizer.momentum", "layers"}
    assert chance is not None
    for name, share in shares.items():
        assert share is not None
        assert (share > chance) == (name in ("lr", "optimizer.name"))
    # A valley has no direction, and yet the largest share.
    assert abs(found[0].direction or 0.0) < 0.3
    assert found[1].direction is None


def test_the_scale_of_values_and_the_order_of_trials_do_not_matter() -> None:
    made = trials(60)
    scaled = [(params, math.exp(50 * loss)) for params, loss in reversed(made)]
    shares = [{each.name: each.share for each in importances(some)[1]} for some in (made, scaled)]
    assert shares[0] == pytest.approx(shares[1])
    assert importances(made) == importances(made)


def test_noise_alone_stays_below_chance_almost_always() -> None:
    above = 0
    for seed in range(40):
        source = random.Random(seed)
        made = [
            (
                {"a": source.random(), "b": source.random(), "c": source.choice("xyz")},
                source.random(),
            )
            for _ in range(30)
        ]
        chance, found = importances(made)
        assert chance is not None
        above += any((each.share or 0.0) > chance for each in found)
    assert above <= 6  # 2 are expected.


def test_too_few_trials_say_nothing() -> None:
    assert importances(trials(TRIALS_MIN - 1)) == (None, [])
    assert importances(trials(TRIALS_MIN))[1] != []


def test_what_cannot_be_said_has_a_reason() -> None:
    made = [
        ({"x": number / 20, "code": f"c{number}", "rare": 1 if number == 5 else 2}, float(number))
        for number in range(20)
    ]
    found = {each.name: each for each in importances(made)[1]}
    assert found["x"].direction == pytest.approx(1.0)
    assert found["code"].share is None
    assert found["code"].reason == "too few trials for each of its values"
    assert found["rare"].share is not None
    same = [(params, 1.0) for params, _ in made]
    chance, told = importances(same)
    assert chance is None
    assert {each.reason for each in told} == {"all trials have the same value"}


def test_thousands_of_trials_take_little_memory_whatever_their_texts() -> None:
    count = 5000
    made = [
        ({"many": f"m{number % 2000}", "long": "x" * (1 + 100_000 * (number == 7))}, number % 97.0)
        for number in range(count)
    ]
    tracemalloc.start()
    try:
        _, found = importances(made)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {each.name: each.reason for each in found} == {
        "long": "",
        "many": "2,000 of its values are not numbers; the maximum is 50",
    }
    assert peak < 64 << 20


def test_odd_values_are_groups_of_their_own() -> None:
    odd: list[Any] = [True, None, 1, "1", [1, 2], {}, 10**400, -(10**400)]
    made = [({"odd": odd[number % 8]}, float(number % 8)) for number in range(80)]
    _, (found,) = importances(made)
    assert found.share == pytest.approx(1.0)
    assert found.direction is None
