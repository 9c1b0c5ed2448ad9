"""Hyperband stops running trials that are worse at their last band than the threshold there."""

import math
import random

import pytest

from stepwell_hub.sweeps.hyperband import Hyperband, Progress, trials_to_stop


def plain_oracle(
    bands: list[int], eta: float, is_strict: bool, histories: dict[int, tuple[bool, list[float]]]
) -> list[int]:
    """The rule as it is written down, over whole histories; less is better."""
    stopped = []
    for number, (is_running, history) in histories.items():
        reached = [band for band in bands if band <= len(history)]
        if not is_running or not reached:
            continue
        band = reached[-1]
        there = sorted(each[band - 1] for _, each in histories.values() if len(each) >= band)
        value = history[band - 1] if is_strict else min(history)
        if value > there[int(len(there) / eta)]:
            stopped.append(number)
    return stopped


@pytest.mark.parametrize("is_strict", [True, False])
@pytest.mark.parametrize("eta", [2.0, 3.0, 3.5])
def test_the_same_is_stopped_as_by_the_rule_over_whole_histories(
    is_strict: bool, eta: float
) -> None:
    source = random.Random(11)
    hyperband = Hyperband(eta=eta, is_strict=is_strict, min_iter=2)
    bands = list(hyperband.bands())
    some_stopped = 0
    for _ in range(300):
        histories = {
            number: (
                source.random() < 0.6,
                [float(source.randrange(12)) for _ in range(source.randrange(30))],
            )
            for number in range(source.randrange(1, 14))
        }
        trials = [
            Progress(
                number,
                is_running,
                {band: history[band - 1] for band in bands if band <= len(history)},
                min(history, default=None),
            )
            for number, (is_running, history) in histories.items()
        ]
        expected = plain_oracle(bands, eta, is_strict, histories)
        assert trials_to_stop(hyperband, trials) == expected
        some_stopped += len(expected)
    assert some_stopped > 10


@pytest.mark.parametrize(
    ("hyperband", "bands"),
    [
        (Hyperband(eta=3, min_iter=3), (3, 9, 27, 81)),
        (Hyperband(eta=3, max_iter=27, s=2), (3, 9)),
        (Hyperband(eta=3, max_iter=27, s=9), (1, 3, 9)),
        (Hyperband(eta=2.5, max_iter=20, s=3), (1, 3, 8)),
        (Hyperband(eta=3, max_iter=2, s=3), ()),
    ],
)
def test_bands(hyperband: Hyperband, bands: tuple[int, ...]) -> None:
    assert hyperband.bands()[: len(bands) or None][:4] == bands


def test_a_trial_alone_is_never_stopped() -> None:
    alone = Progress(1, True, {1: 5.0, 3: 9.0}, 5.0)
    assert trials_to_stop(Hyperband(min_iter=1), [alone]) == []


def test_a_value_that_is_no_number_is_the_worst() -> None:
    others = [Progress(n, False, {1: float(n)}, float(n)) for n in (1, 2, 3)]
    diverged = Progress(4, True, {1: math.nan}, None)
    assert trials_to_stop(Hyperband(min_iter=1), [*others, diverged]) == [4]
