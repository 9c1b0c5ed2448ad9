"""Search by model: Optuna's tree-structured Parzen estimator over the trials so far.

The model is kept between asks and only what changed is told to it. Everything that it knows comes
from the catalog, so any hub can go on at any time. It works on places (see `distributions`): a
log-uniform parameter is searched in its logarithm, a normal one in its cumulative distribution.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwell_hub.sweeps.config import Impute, Metric, SweepConfig
from stepwell_hub.sweeps.distributions import (
    Categorical,
    Constant,
    Continuous,
    Distribution,
    Integers,
)
from stepwell_hub.sweeps.parameters import Path
from stepwell_hub.sweeps.search import flat, nested, random_source, random_trial

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

STARTUP_TRIALS: Final = 10
"""Trials that ended with a value before the model is used; until then the search is random."""
_TRIED_AGAIN_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """A trial as the search knows it.

    Attributes:
        params: JSON.
        best, last: of its finite values so far.
    """

    number: int
    params: str
    state: str
    best: float | None
    last: float | None


def load() -> None:
    """Import what the model needs, which takes half a second."""
    import optuna.samplers  # noqa: F401


class BayesSearch:
    """The model of one sweep. One call at a time."""

    def __init__(self, config: SweepConfig, seed: int) -> None:
        assert config.metric is not None
        self.config = config
        self._metric = config.metric
        self._seed = seed
        self._known: dict[int, tuple[str, float | None]] = {}
        self._number_in_study: dict[int, int] = {}
        self._space = {
            str(index): each
            for index, each in enumerate(config.parameters.values())
            if not isinstance(each, Constant)
        }
        self._study = self._new_study()

    def suggest(self, seen: Sequence[Seen], number: int) -> dict[str, Any]:
        """Return the parameters of trial ``number``; the same for the same trials."""
        done = sum(each.state == "finished" and each.best is not None for each in seen)
        if done < STARTUP_TRIALS or not self._space:
            return random_trial(self.config, self._seed, number)
        self._learn(seen)
        tried = {each.params for each in seen}
        # Where few combinations are left the model may repeat itself: then take what it has last.
        for again in range(_TRIED_AGAIN_MAX):
            params = self._suggest(number, again)
            if json.dumps(params) not in tried:
                break
        return params

    def _suggest(self, number: int, again: int) -> dict[str, Any]:
        import optuna

        source = random_source(self._seed, number, (str(again),))
        self._study.sampler = _sampler(source.getrandbits(31))
        trial = self._study.ask(self._distributions())
        # The trial becomes one when the catalog has it; until then it is none.
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        values: dict[Path, Any] = {}
        for index, (path, each) in enumerate(self.config.parameters.items()):
            if isinstance(each, Constant):
                values[path] = each.value
            else:
                values[path] = _value_at(each, trial.params[str(index)])
        return nested(values)

    def _learn(self, seen: Sequence[Seen]) -> None:
        if any(self._differs(each) for each in seen):
            # An attempt was handed out again after it ended for the model: learn all anew.
            self._known, self._number_in_study = {}, {}
            self._study = self._new_study()
        fresh = []
        for each in seen:
            value = self._value_of(each)
            known = self._known.get(each.number)
            if known is not None and known == (each.params, value):
                continue
            if known is None:
                fresh.append((each, value))
            elif value is not None:
                self._study.tell(self._number_in_study[each.number], value)
            self._known[each.number] = (each.params, value)
        if fresh:
            begin = len(self._study.get_trials(deepcopy=False))
            self._study.add_trials([self._made(each, value) for each, value in fresh])
            for offset, (each, _) in enumerate(fresh):
                self._number_in_study[each.number] = begin + offset

    def _differs(self, seen: Seen) -> bool:
        """Return whether the model was told something that no longer holds."""
        known = self._known.get(seen.number)
        return known is not None and known[1] is not None and known[1] != self._value_of(seen)

    def _value_of(self, seen: Seen) -> float | None:
        """Return what the model is told, less is better; None: it runs."""
        metric = self._metric
        if seen.state in ("running", "waiting"):
            if metric.impute_while_running is None:
                return None
            return _imputed(metric.impute_while_running, seen, metric, is_running=True)
        if seen.state in ("finished", "stopped"):
            return math.inf if seen.best is None else metric.sign * seen.best
        return _imputed(metric.impute, seen, metric, is_running=False)

    def _made(self, seen: Seen, value: float | None) -> "optuna.trial.FrozenTrial":
        import optuna

        values = flat(json.loads(seen.params), self.config.parameters)
        places = {}
        for index, (path, each) in enumerate(self.config.parameters.items()):
            if not isinstance(each, Constant):
                places[str(index)] = _place_of(each, values[path])
        state = optuna.trial.TrialState
        return optuna.trial.create_trial(
            state=state.RUNNING if value is None else state.COMPLETE,
            params=places,
            distributions=self._distributions(),
            value=value,
        )

    def _distributions(self) -> "dict[str, BaseDistribution]":
        return {name: _space_of(each) for name, each in self._space.items()}

    def _new_study(self) -> "optuna.Study":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna.create_study(sampler=_sampler(0))


def _sampler(seed: int) -> "optuna.samplers.BaseSampler":
    import warnings

    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=0,
            multivariate=True,
            # Running trials repel new ones: many agents do not all get the same neighbourhood.
            constant_liar=True,
        )


def _imputed(how: Impute, seen: Seen, metric: Metric, *, is_running: bool) -> float | None:
    if how == "worst":
        # The estimator compares values only: behind all others is the worst of them.
        return math.inf
    value = seen.best if how == "best" else seen.last
    if value is None:
        return None if is_running else math.inf
    return metric.sign * value


def _space_of(each: Distribution) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    match each:
        case Categorical():
            return CategoricalDistribution(tuple(range(len(each.values))))
        case Integers():
            return IntDistribution(each.low, each.high)
    return FloatDistribution(0.0, 1.0)


def _place_of(each: Distribution, value: Any) -> float | int:
    match each:
        case Categorical() | Continuous():
            return each.place_of(value)
    return int(value)


def _value_at(each: Distribution, place: Any) -> Any:
    match each:
        case Categorical():
            return each.values[int(place)]
        case Continuous():
            return each.value_at(float(place))
    return int(place)
