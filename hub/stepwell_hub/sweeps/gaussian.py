"""A Gaussian process over points in the unit cube: fitted to values, asked where less is likely.

Matérn kernel (nu 5/2) with a length for each group of coordinates. Lengths and noise are those of
the highest posterior density, found by Adam with the gradient (Rasmussen and Williams, "Gaussian
Processes for Machine Learning", 2006, equations 2.25, 2.26 and 5.9).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_GROUPS_MAX: Final = 64
"""With more groups all share one length: there are too few values to fit one each."""
_STEPS: Final = 60
_RATE: Final = 0.1
_LENGTH_LOG_MEAN: Final = math.log(0.5)
_LENGTH_LOG_SIGMA: Final = 1.0
_NOISE_LOG_MEAN: Final = math.log(1e-4)
_NOISE_LOG_SIGMA: Final = 2.0
_NOISE_LOG_MIN: Final = math.log(1e-6)
_NOISE_LOG_MAX: Final = math.log(0.5)
_JITTER: Final = 1e-8
_ROOT5: Final = math.sqrt(5.0)
_erf = np.vectorize(math.erf, otypes=[float])


@dataclass(frozen=True)
class Gaussian:
    """A fitted process.

    Attributes:
        points: shape (n, d).
        values: shape (n,), standardised.
        lengths: of each coordinate, shape (d,).
        scale: variance of the process.
        noise: variance of the values' noise, in parts of ``scale``.
        inverse: of the lower Cholesky factor of the covariance, shape (n, n).
        weights: the covariance's inverse times the values.
    """

    points: Array
    values: Array
    lengths: Array
    noise: float
    scale: float
    inverse: Array
    weights: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation at each of ``points``."""
        across = self.scale * _kernel(_distances(points / self.lengths, self.points / self.lengths))
        mean = across @ self.weights
        solved = self.inverse @ across.T
        variance = self.scale - np.einsum("ij,ij->j", solved, solved)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def log_improvement(self, points: Array, best: float) -> Array:
        """Return the logarithm of the expected improvement below ``best`` at each point."""
        mean, sigma = self.predict(points)
        return np.log(sigma) + _log_improvement((best - mean) / sigma)

    def with_points(self, points: Array) -> "Gaussian":
        """Return the process that also knows ``points``, with the values that it expects there."""
        mean, _ = self.predict(points)
        return _made(
            np.vstack([self.points, points]),
            np.concatenate([self.values, mean]),
            self.lengths,
            self.noise,
            self.scale,
        )


def fit(points: Array, values: Array, groups: NDArray[np.int64]) -> Gaussian:
    """Return the process that fits best; at least two points.

    Args:
        groups: of each coordinate the number of its group, from 0.
    """
    count = int(groups[-1]) + 1
    if count > _GROUPS_MAX:
        groups, count = np.zeros_like(groups), 1
    squares = np.stack(
        [_distances(points[:, groups == group]) ** 2 for group in range(count)], axis=2
    )
    # Distances grow with the root of the number of groups; so do lengths.
    center = _LENGTH_LOG_MEAN + 0.5 * math.log(len(set(groups)) if count > 1 else points.shape[1])
    logs = np.concatenate([np.full(count, center), [math.log(1e-3)]])
    means = np.concatenate([np.full(count, center), [_NOISE_LOG_MEAN]])
    sigmas = np.concatenate([np.full(count, _LENGTH_LOG_SIGMA), [_NOISE_LOG_SIGMA]])
    first, second = np.zeros_like(logs), np.zeros_like(logs)
    best, best_logs = math.inf, logs.copy()
    for step in range(1, _STEPS + 1):
        loss, gradient = _loss(squares, values, logs, means, sigmas)
        if loss < best:
            best, best_logs = loss, logs.copy()
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-9)
        logs = logs - _RATE * move
        logs[-1] = min(max(logs[-1], _NOISE_LOG_MIN), _NOISE_LOG_MAX)
    lengths, noise = np.exp(best_logs[:-1])[groups], math.exp(best_logs[-1])
    return _made(points, values, lengths, noise, None)


def _made(
    points: Array, values: Array, lengths: Array, noise: float, scale: float | None
) -> Gaussian:
    """Return the process; without ``scale``, the scale of the highest likelihood is used."""
    unit = _kernel(_distances(points / lengths))
    unit[np.diag_indices_from(unit)] += noise + _JITTER
    inverse = np.linalg.inv(np.linalg.cholesky(unit))
    weights = inverse.T @ (inverse @ values)
    if scale is None:
        scale = max(float(values @ weights) / len(values), 1e-6)
    return Gaussian(
        points, values, lengths, noise, scale, inverse / math.sqrt(scale), weights / scale
    )


def _loss(
    squares: Array, values: Array, logs: Array, means: Array, sigmas: Array
) -> tuple[float, Array]:
    """Return the negative log posterior of lengths and noise, and its gradient."""
    lengths, noise = np.exp(logs[:-1]), math.exp(logs[-1])
    n = len(values)
    scaled = squares / lengths**2
    distances = np.sqrt(scaled.sum(axis=2))
    covariance = _kernel(distances)
    covariance[np.diag_indices(n)] += noise + _JITTER
    factor = np.linalg.cholesky(covariance)
    inverse_factor = np.linalg.inv(factor)
    inverse = inverse_factor.T @ inverse_factor
    weights = inverse @ values
    scale = max(float(values @ weights) / n, 1e-6)
    loss = 0.5 * n * math.log(scale) + float(np.log(np.diag(factor)).sum())
    # Of the concentrated likelihood: trace(inverse dK) / 2 - weights dK weights / (2 scale).
    outer = inverse - np.outer(weights, weights) / scale
    # The kernel falls with a coordinate's distance by 5/3 (1 + sqrt5 r) exp(-sqrt5 r) r_i^2.
    slope = 5.0 / 3.0 * (1 + _ROOT5 * distances) * np.exp(-_ROOT5 * distances)
    gradient = np.empty_like(logs)
    gradient[:-1] = 0.5 * np.einsum("ij,ijk->k", outer * slope, scaled)
    gradient[-1] = 0.5 * float(np.trace(outer)) * noise
    offsets = (logs - means) / sigmas
    return loss + 0.5 * float(offsets @ offsets), gradient + offsets / sigmas


def _distances(one: Array, other: Array | None = None) -> Array:
    other = one if other is None else other
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * one @ other.T
    found: Array = np.sqrt(np.maximum(squares, 0.0))
    return found


def _kernel(distances: Array) -> Array:
    near = _ROOT5 * distances
    return (1 + near + near**2 / 3) * np.exp(-near)


def _log_improvement(z: Array) -> Array:
    """Return log(z Φ(z) + φ(z)), also far below zero, where the sum has no digits left."""
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    plain = z * 0.5 * (1 + _erf(z / math.sqrt(2))) + density
    far = -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(np.maximum(-z, 1.0))
    found: Array = np.where(z < -5, far, np.log(np.maximum(plain, 1e-300)))
    return found
