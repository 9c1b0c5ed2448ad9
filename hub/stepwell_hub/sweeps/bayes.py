"""Search by model: a Gaussian process over the trials so far says where a better value is likely.

The model is a function of the trials alone, which come from the catalog, so any hub can continue
at any time. It works on places (see `distributions` and `cube`): a log-uniform parameter is
searched in its logarithm, a normal one in its cumulative distribution.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwell_hub.sweeps.config import Impute, Metric, SweepConfig
from stepwell_hub.sweeps.distributions import Constant
from stepwell_hub.sweeps.search import random_trial

if TYPE_CHECKING:
    import numpy as np

    from stepwell_hub.sweeps.cube import Array
    from stepwell_hub.sweeps.gaussian import Gaussian

STARTUP_TRIALS: Final = 6
"""Trials that ended with a value before the model is used; until then the search is random."""
POINTS_MAX: Final = 100
"""Trials that the model is fitted to, the best and the newest: its time grows with their cube."""
RUNNING_MAX: Final = 100
_RANDOM_CANDIDATES: Final = 1000
_BEST: Final = 5
_NEIGHBOURS: Final = 40
_STEPS: Final = (0.1, 0.02, 0.1, 0.03, 0.01, 0.003)
_TRIED_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """A trial, as the search uses it.

    Attributes:
        params: JSON.
        best, last: of its finite values so far.
    """

    number: int
    params: str
    state: str
    best: float | None
    last: float | None


class BayesSearch:
    """The model of one sweep. One call at a time."""

    def __init__(self, config: SweepConfig, seed: int) -> None:
        from stepwell_hub.sweeps.cube import Cube

        assert config.metric is not None
        self.config = config
        self._metric = config.metric
        self._seed = seed
        self._has_model = any(not isinstance(each, Constant) for each in config.parameters.values())
        self._cube = Cube(config)
        self._points: dict[str, list[float]] = {}
        self._fitted: tuple[Any, Gaussian] | None = None

    def suggest(self, seen: Sequence[Seen], number: int) -> dict[str, Any]:
        """Return the parameters of trial ``number``; the same for the same trials."""
        done = sum(each.state == "finished" and each.best is not None for each in seen)
        if done < STARTUP_TRIALS or not self._has_model:
            return random_trial(self.config, self._seed, number)
        import numpy as np

        ended: list[tuple[float, Seen]] = []
        running: list[Seen] = []
        for each in seen:
            value = learned_value(each, self._metric)
            if value is None:
                running.append(each)
            else:
                ended.append((value, each))
        ended = _chosen(ended)
        model = self._model(ended)
        best = float(model.values.min())
        top = self._array([each for _, each in sorted(ended, key=_order)[:_BEST]])
        if running:
            # They get the values that the model expects, so new trials go elsewhere.
            points = self._array(running[-RUNNING_MAX:])
            model = model.with_points(self._cube.coordinates(points))
        source = np.random.default_rng([self._seed, number])
        candidates = self._candidates(model, best, top, source)
        tried = {each.params for each in seen}
        for point in candidates[:_TRIED_MAX]:
            params = self._cube.params_at(point)
            if json.dumps(params) not in tried:
                return params
        # All combinations that are left are worse: the best one is tried once more.
        return self._cube.params_at(candidates[0])

    def _candidates(
        self, model: "Gaussian", best: float, top: "Array", source: "np.random.Generator"
    ) -> "Array":
        """Return points, those with the largest expected improvement first."""
        import numpy as np

        cube = self._cube
        points = cube.random(source, _RANDOM_CANDIDATES)
        scores = model.log_improvement(cube.coordinates(points), best)
        for place, step in enumerate(_STEPS):
            # First around the best trials, then ever closer around the best candidates.
            center = top if place < 2 else points[np.argsort(-scores, kind="stable")[:_BEST]]
            more = cube.around(source, center, _NEIGHBOURS, step)
            points = np.vstack([points, more])
            more_scores = model.log_improvement(cube.coordinates(more), best)
            scores = np.concatenate([scores, more_scores])
        return points[np.argsort(-scores, kind="stable")]

    def _model(self, ended: Sequence[tuple[float, Seen]]) -> "Gaussian":
        """Return the model of the ended trials; the last model if no more have ended."""
        from stepwell_hub.sweeps.gaussian import fit

        known = [(value, each.params) for value, each in ended]
        if self._fitted is None or self._fitted[0] != known:
            coordinates = self._cube.coordinates(self._array([each for _, each in ended]))
            values = _standardised([value for value, _ in ended])
            self._fitted = known, fit(coordinates, values, self._cube.groups)
        return self._fitted[1]

    def _array(self, seen: Sequence[Seen]) -> "Array":
        import numpy as np

        return np.array([self._point(each.params) for each in seen])

    def _point(self, params: str) -> list[float]:
        found = self._points.get(params)
        if found is None:
            found = self._points[params] = self._cube.point_of(json.loads(params))
        return found


def learned_value(seen: Seen, metric: Metric) -> float | None:
    """Return the value of a trial for the model, less is better; None while it runs."""
    if seen.state in ("running", "waiting"):
        if metric.impute_while_running is None:
            return None
        return _imputed(metric.impute_while_running, seen, metric, is_running=True)
    if seen.state in ("finished", "stopped"):
        return math.inf if seen.best is None else metric.sign * seen.best
    return _imputed(metric.impute, seen, metric, is_running=False)


def _imputed(how: Impute, seen: Seen, metric: Metric, *, is_running: bool) -> float | None:
    if how == "worst":
        return math.inf
    value = seen.best if how == "best" else seen.last
    if value is None:
        return None if is_running else math.inf
    return metric.sign * value


def _order(ended: tuple[float, Seen]) -> tuple[float, int]:
    value, seen = ended
    return value, seen.number


def _chosen(ended: list[tuple[float, Seen]]) -> list[tuple[float, Seen]]:
    """Return the trials that the model is fitted to: half the best, half the newest others."""
    if len(ended) <= POINTS_MAX:
        return ended
    ordered = sorted(ended, key=_order)
    best, others = ordered[: POINTS_MAX // 2], ordered[POINTS_MAX // 2 :]
    newest = sorted(others, key=lambda each: each[1].number)[-(POINTS_MAX // 2) :]
    return sorted(best + newest, key=lambda each: each[1].number)


def _standardised(values: Sequence[float]) -> "Array":
    """Return values of mean 0 and deviation 1; infinite ones become the worst finite one.

    Bad values are compressed by a logarithm: a diverged trial's value says little about good ones.
    """
    import numpy as np

    found = np.array(values)
    is_finite = np.isfinite(found)
    found = np.where(is_finite, found, found[is_finite].max())
    found = found / max(float(np.abs(found).max()), 1e-300)
    median = float(np.median(found))
    spread = median - float(found.min())
    if spread > 0:
        above = np.log1p(np.maximum(found - median, 0.0) / spread)
        found = np.where(found > median, median + spread * above, found)
    deviation = float(found.std())
    standard: Array = (found - found.mean()) / (deviation if deviation > 0 else 1.0)
    return standard
