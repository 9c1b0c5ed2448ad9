"""Histograms: what they count, what they refuse, and how `log` keeps them."""

import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import stepwell
from stepwell._histogram import Histogram
from stepwell.errors import RunFinishedError
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start
from tests.sdk.held import histograms, read_journal

finite = st.floats(-1e9, 1e9)


@given(st.lists(finite, min_size=1), st.integers(1, 512))
def test_values_are_counted_as_numpy_counts_them(values: list[float], bins: int) -> None:
    width = max(values) - min(values) or 1.0
    assume(width >= 4 * bins * math.ulp(max(map(abs, values))))  # See the next test.
    counts, edges = np.histogram(values, bins=bins)
    made = Histogram(np.array(values), num_bins=bins)
    assert (made.histogram, made.bins) == (counts.tolist(), edges.tolist())


_NEAR = (
    [1.0, 1.0 + 2**-52],
    [1.0, 1.0 + 2**-23],
    [1e17],
    [0.0, 5e-324],
    [-1e300, -1e300 * (1 + 2**-52)],
    [sys.float_info.max],
)
_FAR = ([-1.7e308, 1.0, 1.7e308], [sys.float_info.max, -sys.float_info.max])


@pytest.mark.parametrize("values", [*_NEAR, *_FAR])
@pytest.mark.parametrize("bins", [1, 2, 64, 512])
def test_values_that_numpy_has_no_bins_for_are_counted(values: list[float], bins: int) -> None:
    arrays = [np.array(values)]
    if max(map(abs, values)) < 1e38:
        arrays.append(np.array(values, dtype=np.float32))
    for held, array in (
        (values, arrays[0]),
        (iter(values), arrays[0]),
        *((one, one) for one in arrays),
    ):
        made = Histogram(held, num_bins=bins)
        assert sum(made.histogram) == len(values)
        assert all(math.isfinite(edge) for edge in made.bins)
        assert len(made.bins) == bins + 1
        # Edges that are equal are subnormal, where half a bin is no number.
        is_tiny = max(map(abs, values)) < 1e-300
        assert is_tiny or all(a < b for a, b in itertools.pairwise(made.bins))
        assert made.bins[0] <= float(array.min()) <= float(array.max()) <= made.bins[-1]


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.sampled_from([1, 8, 64]))
def test_a_plain_sequence_is_counted_without_numpy(values: list[int], bins: int) -> None:
    made = Histogram(iter(values), num_bins=bins)
    counts, _ = np.histogram(values, bins=np.array(made.bins))
    assert made.histogram == counts.tolist()
    np.testing.assert_allclose(made.bins, np.histogram(values, bins=bins)[1])


def test_a_sequence_works_where_numpy_is_not_installed() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import stepwell\n"
        "print(stepwell.Histogram([1, 2, 2, 4], num_bins=3).histogram)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2, 1]\n"


def test_importing_stepwell_imports_neither_numpy_nor_torch() -> None:
    code = (
        "import sys, stepwell; stepwell.Histogram; stepwell.watch\n"
        "print(sorted({'numpy', 'torch', 'msgpack'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", [np.array, list, tuple])
def test_values_without_a_bin_are_counted_apart(kind: Any) -> None:
    made = Histogram(kind([1.0, math.nan, math.inf, 2.0, math.inf, -math.inf]), num_bins=2)
    assert made.histogram == [1, 1]
    assert made.bins == [1.0, 1.5, 2.0]
    odd = (made.nan_count, made.positive_inf_count, made.negative_inf_count)
    assert odd == (1, 2, 1)


def test_no_value_and_equal_values_have_a_range_as_with_numpy() -> None:
    assert (Histogram([], num_bins=2).histogram, Histogram([]).bins[0::64]) == ([0, 0], [0.0, 1.0])
    assert Histogram([3.0], num_bins=2).bins == [2.5, 3.0, 3.5]
    assert Histogram(np.array([], dtype=np.float32), num_bins=1).histogram == [0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "uint64", "bool"])
def test_arrays_of_any_number_type_are_counted(dtype: str) -> None:
    made = Histogram(np.array([[0, 1], [1, 1]], dtype=dtype), num_bins=2)
    assert made.histogram == [1, 3]


def test_the_largest_float16_do_not_overflow() -> None:
    made = Histogram(np.array([-65504, 65504], dtype=np.float16), num_bins=2)
    assert (made.histogram, made.bins[0], made.bins[2]) == ([1, 1], -65504.0, 65504.0)


def test_counts_and_edges_are_taken_as_they_are() -> None:
    made = Histogram(np_histogram=([1, 0.5], [0, 1, 10]))
    assert (made.histogram, made.bins) == ([1.0, 0.5], [0.0, 1.0, 10.0])
    assert made.to_event() == {"counts": [1, 0.5], "edges": [0.0, 1.0, 10.0]}
    even = Histogram(np_histogram=np.histogram(np.arange(10), bins=5))
    assert even.to_event() == {"counts": [2, 2, 2, 2, 2], "low": 0.0, "high": 9.0}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "exactly one of a sequence of values and np_histogram"),
        ({"sequence": [1], "np_histogram": ([1], [0, 1])}, "exactly one of a sequence"),
        ({"sequence": [1], "num_bins": 513}, "num_bins must be 1 to 512, not 513"),
        ({"sequence": [1], "num_bins": 0}, "num_bins must be 1 to 512, not 0"),
        ({"np_histogram": ([1] * 513, range(514))}, "513 counts; 1 to 512"),
        ({"np_histogram": ([1, 2], [0, 1])}, "2 edges for 2 counts; 3 are needed"),
        ({"np_histogram": ([1], [0, math.inf])}, "edge that is not finite"),
        ({"np_histogram": ([1], [1, 0])}, "do not ascend"),
        ({"np_histogram": ([-1], [0, 1])}, "negative"),
        ({"np_histogram": 5}, r"must be \(counts, edges\)"),
    ],
)
def test_what_is_no_histogram_is_refused_with_what_is_wrong(
    arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Histogram(**arguments)


@pytest.mark.parametrize("values", [["a"], "text", 5, [object()], np.array(["a"])])
def test_values_that_are_no_numbers_are_a_type_error(values: Any) -> None:
    with pytest.raises(TypeError, match="Histogram"):
        Histogram(values)


# ---------------------------------------------------------------------- log


def test_a_histogram_stands_beside_numbers_of_its_step(offline: Start) -> None:
    run = offline()
    for step in range(2):
        run.log({"loss": 0.5 + step, "weights": Histogram([1, 2, 2], num_bins=2)})
    body = {"counts": [1, 2], "low": 1.0, "high": 2.0}
    assert histograms(run) == [(0, {"weights": body}), (1, {"weights": body})]
    assert read_journal(run._journal_dir).series("loss") == [(0, 0.5), (1, 1.5)]


def test_nested_names_are_joined_and_many_histograms_are_one_event(offline: Start) -> None:
    run = offline()
    run.log({"a": {"b": Histogram([1, 2])}, "c": Histogram([3, 4])})
    ((step, values),) = histograms(run)
    assert (step, list(values)) == (0, ["a.b", "c"])


def test_an_array_of_more_than_32_numbers_becomes_a_histogram(offline: Start) -> None:
    run = offline()
    run.log({"x": np.arange(33.0), "y": np.arange(32.0)})
    ((_, values),) = histograms(run)
    assert list(values) == ["x"]
    assert sum(values["x"]["counts"]) == 33
    assert read_journal(run._journal_dir).texts("y") == [(0, np.arange(32.0).tolist())]


def test_a_histogram_in_a_config_or_a_list_is_kept_as_its_numbers(offline: Start) -> None:
    run = offline()
    run.config.update({"prior": Histogram([1, 2], num_bins=1)})
    expected = {"_type": "histogram", "values": [2], "bins": [1.0, 2.0]}
    (body,) = read_journal(run._journal_dir).bodies("config")
    assert body["set"]["prior"] == expected


def test_a_later_number_of_the_same_name_is_a_point(offline: Start) -> None:
    run = offline()
    run.log({"x": Histogram([1, 2])})
    run.log({"x": 3.0})
    assert read_journal(run._journal_dir).series("x") == [(1, 3.0)]
    assert run.summary["x"] == 3.0


def test_the_daemon_gets_what_was_logged(start: Start, daemon: RecordingDaemon) -> None:
    run = start()
    run.log({"x": stepwell.Histogram([0.0, 1.0], num_bins=1)}, step=7)
    run.finish()
    (event,) = daemon.events("histograms")
    assert (event.step, event.body) == (7, {"values": {"x": {"counts": [2], "low": 0, "high": 1}}})


def test_a_finished_run_takes_none(offline: Start) -> None:
    run = offline()
    run.finish()
    with pytest.raises(RunFinishedError):
        run.log({"x": Histogram([1])})


def test_a_disabled_run_takes_them_and_keeps_nothing(start: Start) -> None:
    run = start(mode="disabled")
    run.log({"x": Histogram([1, 2])})
    assert run.step == 1
