"""Tensors of jax as `log` keeps them."""

import json
import os
import subprocess

import pytest

from tests.integrations.conftest import PYTHON, ROOT

pytestmark = [pytest.mark.processes, pytest.mark.slow]

_SCRIPT = """
import json
import jax
import jax.numpy as jnp
from stepwell import Table, plot
from stepwell._values import split_values

values = {
    "scalar": jnp.bfloat16(1.5),
    "small": jnp.arange(3),
    "square": jnp.ones((2, 2)),
    "large": jnp.arange(100.0),
    "half": jnp.ones(50, dtype=jnp.bfloat16),
    "key": jax.random.key(0),
}
lines = []
kept = split_values(values, lambda kind, text: lines.append(text))
line = plot.line_series(jnp.arange(2), [jnp.array([0.5, 1.5])])
print(json.dumps({
    "points": kept.points,
    "others": kept.others,
    "counts": {name: sum(each["counts"]) for name, each in kept.histograms.items()},
    "cells": Table(columns=["a", "b"], data=jnp.ones((2, 2))).data,
    "line": line.table.data,
    "lines": lines,
}))
"""


def test_tensors_of_jax() -> None:
    if not PYTHON.exists():
        pytest.skip("REAL FRAMEWORKS ARE NOT TESTED: `make integrations` installs them")
    done = subprocess.run(
        [str(PYTHON), "-c", _SCRIPT],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    kept = json.loads(done.stdout)
    assert kept["points"] == {"scalar": 1.5}
    others = kept["others"]
    assert (others["small"], others["square"]) == ([0, 1, 2], [[1.0, 1.0], [1.0, 1.0]])
    assert "key<fry>" in others["key"]
    assert kept["counts"] == {"large": 100, "half": 50}
    assert kept["cells"] == [[1.0, 1.0], [1.0, 1.0]]
    assert kept["line"] == [[0, "line_0", 0.5], [1, "line_0", 1.5]]
    (line,) = kept["lines"]
    assert "PRNGKeyArray is not a number" in line
