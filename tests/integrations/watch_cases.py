"""Cases of `watch` and of tensors' histograms; a program for `.venv-integrations`, which has torch.

python -m tests.integrations.watch_cases      prints {case: "", or what was wrong, or "no GPU here"}
"""

import copy
import gc
import io
import json
import math
import os
import tempfile
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

import stepwell
from stepwell import _tensors
from stepwell._histogram import Histogram
from tests.sdk.held import histograms, read_journal

CASES: dict[str, Callable[[], None]] = {}
Held = list[tuple[int, dict[str, Any]]]
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def case(function: Callable[[], None]) -> Callable[[], None]:
    CASES[function.__name__.replace("_", " ")] = function
    return function


@contextmanager
def offline_run(**arguments: Any) -> Iterator[Any]:
    settings = {"console": False, "metadata": False, "quiet": True}
    run = stepwell.init("watch", mode="offline", settings=settings, **arguments)
    yield run
    run.finish()


def names(held: Held) -> list[tuple[int, list[str]]]:
    return [(step, sorted(values)) for step, values in held]


def two_layers() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


def train(model: Any, run: Any, passes: int, rate: float = 0.1) -> None:
    optimizer = torch.optim.SGD(model.parameters(), rate)
    for number in range(passes):
        optimizer.zero_grad()
        torch.manual_seed(number)
        model(torch.randn(16, 4)).square().mean().backward()
        optimizer.step()
        run.log({"number": number})


def same_as_torch(counted: dict[str, Any], values: Any) -> None:
    """Every count is that of torch.histogram, which counts by exact edges."""
    low, high = float(values.min()), float(values.max())
    assert (counted["low"], counted["high"]) == (low, high)
    expected = torch.histogram(values.reshape(-1), 64).hist.to(torch.int64).tolist()
    assert counted["counts"] == expected, (counted["counts"], expected)


# ---------------------------------------------------------------------- tensors


def both_ways(tensor: Any, bin_count: int = 64) -> dict[str, Any]:
    """Return the histogram as the CPU makes it, checked against that of other devices."""
    flat = tensor.reshape(-1)
    on_cpu = _tensors.count_on_cpu(torch, flat, bin_count)
    for device in DEVICES:
        packed = _tensors.count_on_device(torch, flat.to(device), bin_count, has_zeros=False)
        assert packed.shape == (bin_count + 5,)
        assert packed.dtype == torch.float64
        assert packed.device.type == device
        assert _tensors.unpacked(packed.tolist(), bin_count) == on_cpu, device
    return on_cpu


@case
def counts_are_those_of_torch_histogram() -> None:
    torch.manual_seed(1)
    for values in (torch.randn(1000), torch.rand(20_001), torch.randn(3, 5, 7)):
        same_as_torch(both_ways(values), values)


@case
def every_value_of_a_large_tensor_is_counted() -> None:
    torch.manual_seed(2)
    values = torch.randn(3 * _tensors.CHUNK_VALUES + 12_345) * 0.02
    counted = both_ways(values)
    expected = torch.histogram(values, 64).hist.to(torch.int64)
    assert sum(counted["counts"]) == values.numel()
    # A value next to an edge may be counted beside it, as float32 rounds.
    off = (torch.tensor(counted["counts"]) - expected).abs()
    assert int(off.sum()) <= 30, off.tolist()


@case
def values_far_from_zero_keep_their_bins() -> None:
    values = torch.arange(64.0) + 10_000
    assert both_ways(values)["counts"] == [1] * 64


@case
def zeros_between_mirrored_values_are_above_their_edge() -> None:
    torch.manual_seed(3)
    for high in torch.rand(200).tolist():
        values = torch.tensor([-high, 0.0, high])
        assert both_ways(values)["counts"].index(1, 1) == 32


@case
def nan_and_infinities_are_counted_apart() -> None:
    values = torch.tensor([math.nan, 1.0, math.inf, 2.0, -math.inf, math.nan])
    assert both_ways(values, 2) == {
        "counts": [1, 1],
        "low": 1.0,
        "high": 2.0,
        "nan_count": 2,
        "positive_inf_count": 1,
        "negative_inf_count": 1,
    }
    nothing = {"counts": [0], "low": 0.0, "high": 0.0, "nan_count": 3}
    assert both_ways(torch.full((3,), math.nan)) == nothing


@case
def equal_values_are_one_bin() -> None:
    assert both_ways(torch.full((5, 5), 0.25)) == {"counts": [25], "low": 0.25, "high": 0.25}


@case
def every_floating_type_is_counted() -> None:
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        values = torch.arange(0, 128).to(dtype)
        assert both_ways(values)["counts"] == [2] * 64, dtype
    widest = torch.tensor([-3e38, 0.0, 3e38])
    assert _tensors.count_on_cpu(torch, widest, 3)["counts"] == [1, 1, 1]


@case
def sparse_zeros_are_counted() -> None:
    sparse = torch.sparse_coo_tensor([[0, 2, 2]], [1.0, 2.0, 2.0], (10,))
    made = _tensors.TensorHistograms(4)
    made.add("x", sparse)
    assert dict(made.take()) == {"x": {"counts": [8, 1, 0, 1], "low": 0.0, "high": 4.0}}
    packed = _tensors.count_on_device(torch, torch.tensor([1.0, 4.0]), 4, has_zeros=True)
    assert _tensors.unpacked(packed.tolist(), 4, 8)["counts"] == [8, 1, 0, 1]


@case
def other_shapes_and_places_are_taken_as_they_are() -> None:
    made = _tensors.TensorHistograms(2)
    base = torch.arange(12.0).reshape(3, 4)
    made.add("strided", base[:, ::2])
    made.add("empty", torch.empty(0))
    made.add("meta", torch.empty(5, device="meta"))
    made.add("whole", torch.tensor([1, 1, 2]))
    made.add("bool", torch.tensor([True, False]))
    assert {name: each["counts"] for name, each in made.take()} == {
        "strided": [3, 3],
        "whole": [2, 1],
        "bool": [1, 1],
    }
    assert dict(made.take()) == {}


@case
def results_of_a_device_come_in_one_copy() -> None:
    made = _tensors.TensorHistograms(2)
    device = torch.device("cpu")
    for name, values in (("a", [0.0, 1.0]), ("b", [2.0, 2.0, 5.0])):
        packed = _tensors.count_on_device(torch, torch.tensor(values), 2, has_zeros=False)
        made._waiting.setdefault(device, []).append((name, packed, 0))
    assert "a" in made
    found = dict(made.take())
    assert found["b"] == {"counts": [2, 1], "low": 2.0, "high": 5.0}
    assert "a" not in made


@case
def deterministic_algorithms_count_the_same() -> None:
    values = torch.randn(500)
    torch.use_deterministic_algorithms(True)
    try:
        same_as_torch(both_ways(values), values)
    finally:
        torch.use_deterministic_algorithms(False)


@case
def a_histogram_of_a_tensor_counts_where_the_tensor_is() -> None:
    values = torch.randn(100, requires_grad=True)
    made = Histogram(values, num_bins=10)
    assert made.histogram == torch.histogram(values.detach(), 10).hist.tolist()
    assert Histogram(values, num_bins=512).histogram == (
        torch.histogram(values.detach(), 512).hist.tolist()
    )
    assert Histogram(torch.tensor([math.nan])).nan_count == 1
    assert Histogram(torch.empty(0), num_bins=3).histogram == [0, 0, 0]
    with offline_run() as run:
        run.log({"x": values, "y": torch.arange(3.0)})
        ((_, held),) = histograms(run)
        assert sum(held["x"]["counts"]) == 100
        assert read_journal(run._journal_dir).texts("y") == [(0, [0.0, 1.0, 2.0])]


# ---------------------------------------------------------------------- watch


NO_GPU = "no GPU here"


class NoGpuError(Exception):
    """A case that needs a GPU, where there is none."""


@case
def a_model_on_a_gpu_is_counted_there() -> None:
    if "cuda" not in DEVICES:
        raise NoGpuError
    model = two_layers().to("cuda")
    with offline_run() as run:
        run.watch(model, log="all", log_freq=1)
        for number in range(3):
            model.zero_grad()
            model(torch.randn(16, 4, device="cuda")).square().mean().backward()
            expected = {}
            for name, parameter in model.named_parameters():
                expected[f"gradients/{name}"] = parameter.grad.cpu()
                expected[f"parameters/{name}"] = parameter.detach().cpu()
            run.log({"number": number})
            step, held = histograms(run)[-1]
            assert step == number
            assert sorted(held) == sorted(expected)
            for name, values in expected.items():
                same_as_torch(held[name], values)


@case
def gradients_stand_in_the_row_that_the_next_log_closes() -> None:
    model = two_layers()
    with offline_run() as run:
        run.watch(model, log_freq=2)
        train(model, run, 4)
        expected = [f"gradients/{name}" for name, _ in model.named_parameters()]
        assert names(histograms(run)) == [(1, sorted(expected)), (3, sorted(expected))]


@case
def gradients_and_parameters_are_those_of_the_pass() -> None:
    model = two_layers()
    with offline_run() as run:
        run.watch(model, log="all", log_freq=1)
        model(torch.randn(16, 4)).square().mean().backward()
        ((step, held),) = histograms(run)
        assert (step, len(held)) == (0, 8)
        for name, parameter in model.named_parameters():
            same_as_torch(held[f"gradients/{name}"], parameter.grad)
            same_as_torch(held[f"parameters/{name}"], parameter.detach())


@case
def parameters_alone_are_recorded_without_gradients() -> None:
    model = two_layers()
    with offline_run() as run:
        run.watch(model, log="parameters", log_freq=3)
        train(model, run, 3)
        ((step, held),) = histograms(run)
        assert step == 2
        assert sorted(held) == sorted(f"parameters/{name}" for name, _ in model.named_parameters())


@case
def a_gradient_is_that_of_its_own_pass_while_they_accumulate() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    with offline_run() as run:
        run.watch(layer, log_freq=1)
        for factor in (1.0, 10.0):
            layer(torch.tensor([[factor, 2 * factor]])).sum().backward()
            run.log({})
        ranges = [
            (h["gradients/weight"]["low"], h["gradients/weight"]["high"])
            for _, h in histograms(run)
        ]
        assert ranges == [(1.0, 2.0), (10.0, 20.0)]
        assert layer.weight.grad.tolist() == [[11.0, 22.0]]


@case
def a_frozen_model_is_looked_at_in_its_forward_pass() -> None:
    model = two_layers().requires_grad_(False)
    with offline_run() as run:
        run.watch(model, log="parameters", log_freq=2)
        for _ in range(4):
            model(torch.randn(2, 4))
            run.log({})
        assert [step for step, _ in histograms(run)] == [1, 3]
    assert not model._forward_hooks


@case
def passes_without_gradients_record_nothing() -> None:
    model = two_layers()
    with offline_run() as run:
        run.watch(model, log="all", log_freq=1)
        model.eval()
        with torch.no_grad():
            model(torch.randn(2, 4))
        with torch.inference_mode():
            model(torch.randn(2, 4))
        assert histograms(run) == []


@case
def the_trained_weights_are_the_same_with_watch() -> None:
    plain, watched = two_layers(), two_layers()
    with offline_run() as run:
        train(plain, run, 5)
        run.watch(watched, log="all", log_freq=1)
        train(watched, run, 5)
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)


@case
def unwatch_leaves_no_trace() -> None:
    model, other = two_layers(), two_layers()
    before = [{**each.__dict__} for each in (model, *model.modules())]
    with offline_run() as run:
        run.watch([model, other], log="all", log_freq=1)
        assert all(each._backward_hooks for each in model.parameters())
        run.unwatch(model)
        assert all(each._backward_hooks is None for each in model.parameters())
        assert all(each._backward_hooks for each in other.parameters())
        train(model, run, 1)
        assert histograms(run) == []
        run.watch(model, log_freq=1)
        run.unwatch()
        assert all(each._backward_hooks is None for each in other.parameters())
    assert [{**each.__dict__} for each in (model, *model.modules())] == before


@case
def hooks_of_others_stay() -> None:
    model = two_layers()
    seen: list[int] = []
    parameter = next(model.parameters())
    parameter.register_hook(lambda gradient: seen.append(1))
    with offline_run() as run:
        run.watch(model, log_freq=1)
        train(model, run, 1)
        run.unwatch()
        train(model, run, 1)
    assert seen == [1, 1]


@case
def the_end_of_a_run_takes_its_hooks_along() -> None:
    model = two_layers()
    with offline_run() as run:
        run.watch(model, log_freq=1)
    assert all(each._backward_hooks is None for each in model.parameters())
    model(torch.randn(2, 4)).sum().backward()


@case
def a_model_that_is_gone_is_not_kept() -> None:
    model = two_layers()
    gone = weakref.ref(model)
    with offline_run() as run:
        run.watch(model, log="all", log_freq=1)
        train(model, run, 1)
        del model
        gc.collect()
        assert gone() is None
        run.unwatch()


def refused(kind: type[Exception], words: str, call: Callable[[], None]) -> None:
    said = None
    try:
        call()
    except kind as error:
        said = str(error)
    assert said is not None, f"no {kind.__name__}"
    assert words in said, said


@case
def wrong_calls_are_refused_with_what_is_wrong() -> None:
    model = two_layers()
    with offline_run() as run:
        refused(TypeError, "expected a torch.nn.Module", lambda: run.watch(object()))
        refused(TypeError, "not Tensor", lambda: run.watch([model, torch.zeros(1)]))
        refused(ValueError, "not 'everything'", lambda: run.watch(model, log="everything"))
        refused(ValueError, "log_freq must be", lambda: run.watch(model, log_freq=0))
        assert all(each._backward_hooks is None for each in model.parameters())
        run.watch(model)
        refused(ValueError, "is already watched", lambda: run.watch(model))
        refused(ValueError, "once each", lambda: run.watch([two_layers()] * 2))
        run.unwatch(two_layers())
    refused(stepwell.RunFinishedError, "watch()", lambda: run.watch(two_layers()))


@case
def further_models_have_their_number_in_the_names() -> None:
    first, second, third = (torch.nn.Linear(4, 1, bias=False) for _ in range(3))
    with offline_run() as run:
        run.watch((first, second), log_freq=1)
        run.watch(third, log_freq=1, idx=7)
        (first(torch.ones(1, 4)) + second(torch.ones(1, 4)) + third(torch.ones(1, 4))).backward()
        found = sorted(name for _, held in histograms(run) for name in held)
        assert found == ["gradients/graph_1weight", "gradients/graph_7weight", "gradients/weight"]


@case
def compiled_models_are_watched_before_and_after() -> None:
    for watches_first in (True, False):
        model = two_layers()
        compiled = torch.compile(model, backend="aot_eager")
        with offline_run() as run:
            run.watch(model if watches_first else compiled, log="all", log_freq=2)
            train(compiled, run, 4)
            with torch.no_grad():
                compiled(torch.randn(16, 4))
            held = histograms(run)
            assert [step for step, _ in held] == [1, 3], names(held)
            assert all(len(values) == 8 for _, values in held)
    assert not torch._dynamo.utils.counters["graph_break"]


@case
def a_compiled_frozen_model_still_works() -> None:
    model = two_layers().requires_grad_(False)
    with offline_run() as run:
        run.watch(model, log="parameters", log_freq=1)
        compiled = torch.compile(model, backend="aot_eager")
        for _ in range(3):
            compiled(torch.randn(16, 4))


@case
def copies_and_files_of_a_watched_model_have_no_hooks() -> None:
    model = two_layers()
    with offline_run() as run, warnings.catch_warnings():
        warnings.simplefilter("error")
        run.watch(model, log="all", log_freq=1)
        twin = copy.deepcopy(model)
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
        for each in (twin, loaded):
            assert not any(parameter._backward_hooks for parameter in each.parameters())
            each(torch.randn(2, 4)).sum().backward()
        assert histograms(run) == []


@case
def recomputed_activations_do_not_disturb() -> None:
    from torch.utils.checkpoint import checkpoint

    for reentrant in (True, False):
        model = two_layers()
        with offline_run() as run:
            run.watch(model, log="all", log_freq=1)
            start = torch.randn(4, 4, requires_grad=True)
            checkpoint(model, start, use_reentrant=reentrant).sum().backward()
            found = {name for _, held in histograms(run) for name in held}
            assert len(found) == 8, found


@case
def a_pass_that_breaks_is_followed_by_whole_ones() -> None:
    class Breaking(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, value: Any) -> Any:
            return value * 1

        @staticmethod
        def backward(context: Any, *gradients: Any) -> Any:
            raise RuntimeError("broken")

    model = two_layers()
    with offline_run() as run:
        run.watch(model, log="all", log_freq=1)
        output = model[2](Breaking.apply(model[0](torch.randn(3, 4))))
        refused(RuntimeError, "broken", lambda: output.sum().backward())
        train(model, run, 2)
        assert [len(held) for _, held in histograms(run)][-1] == 8


@case
def a_gradient_that_cannot_be_counted_does_not_end_training() -> None:
    layer = torch.nn.Linear(2, 2, dtype=torch.complex64)
    with offline_run() as run:
        run.watch(layer, log="all", log_freq=1)
        layer(torch.ones(1, 2, dtype=torch.complex64)).abs().sum().backward()
        assert layer.weight.grad is not None
        assert histograms(run) == []


@case
def sparse_gradients_count_their_zeros() -> None:
    table = torch.nn.Embedding(10, 2, sparse=True)
    with offline_run() as run:
        run.watch(table, log_freq=1)
        table(torch.tensor([3, 3])).sum().backward()
        ((_, held),) = histograms(run)
        counts = held["gradients/weight"]["counts"]
        assert (counts[0], counts[-1], sum(counts)) == (18, 2, 20)


@case
def nothing_is_recorded_with_log_none_or_in_a_disabled_run() -> None:
    model = two_layers()
    with offline_run() as run:
        run.watch(model, log=None)
        train(model, run, 1)
        assert histograms(run) == []
    disabled = stepwell.init("watch", mode="disabled")
    disabled.watch(model, log_freq=1)
    assert all(each._backward_hooks is None for each in model.parameters())
    disabled.finish()


@case
def ranks_of_ddp_see_their_own_gradients() -> None:
    with tempfile.NamedTemporaryFile() as meeting:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{meeting.name}.x", rank=0, world_size=1
        )
        try:
            model = torch.nn.parallel.DistributedDataParallel(two_layers())
            with offline_run() as run:
                run.watch(model, log="all", log_freq=1)
                train(model, run, 2)
                held = histograms(run)
                assert [len(values) for _, values in held] == [8, 8]
                assert "gradients/module.0.weight" in held[0][1]
        finally:
            torch.distributed.destroy_process_group()


def main() -> None:
    torch.set_num_threads(1)
    found: dict[str, str] = {}
    for name, function in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            os.environ["STEPWELL_DIR"] = folder
            try:
                function()
                found[name] = ""
            except NoGpuError:
                found[name] = NO_GPU
            except BaseException:
                found[name] = traceback.format_exc()
                for run in list(stepwell._session.active):
                    run.finish()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
