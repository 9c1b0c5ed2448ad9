"""What CUDA_VISIBLE_DEVICES and its like name, by CUDA's own rules."""

import pytest

from stepwell_store.queries.run_devices import RunDevice
from stepwell_store.queries.visible_gpus import visible_gpus


def gpu(number: int, model: str = "H100") -> RunDevice:
    return RunDevice("here", f"gpu{number}", "gpu", f"GPU-{number}abc-de", model, {}, False)


def mig(number: int, instance: int) -> RunDevice:
    facts = {
        "gpu": f"gpu{number}",
        "gpu_instance": str(7 + instance),
        "compute_instance": "0",
    }
    label = f"gpu{number}-mig{instance}"
    return RunDevice("here", label, "mig", f"MIG-{number}{instance}", "H100", facts, False)


ALIKE = [gpu(0), gpu(1), gpu(2), gpu(3), mig(3, 0), mig(3, 1)]
MIXED = [gpu(0, "A100"), gpu(1, "H100"), gpu(2, "H100")]
CUDA = "CUDA_VISIBLE_DEVICES"
CONTAINER = "NVIDIA_VISIBLE_DEVICES"
BUS = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


@pytest.mark.parametrize(
    ("environment", "labels"),
    [
        ({CUDA: "1,3"}, ["gpu1", "gpu3"]),
        ({CUDA: " 2 "}, ["gpu2"]),
        ({CUDA: ""}, []),
        ({CUDA: "-1"}, []),
        ({CUDA: "NoDevFiles"}, []),
        ({CUDA: "0,-1,2"}, ["gpu0"]),
        ({CUDA: "0,9,2"}, ["gpu0"]),
        ({CUDA: "GPU-2abc"}, ["gpu2"]),
        ({CUDA: "GPU-2abc-de,GPU-0"}, ["gpu2", "gpu0"]),
        ({CUDA: "GPU-"}, []),
        ({CUDA: "MIG-31"}, ["gpu3-mig1"]),
        ({CUDA: "MIG-GPU-3abc-de/8/0"}, ["gpu3-mig1"]),
        ({CONTAINER: "2,3"}, ["gpu2", "gpu3"]),
        ({CONTAINER: "GPU-1abc-de"}, ["gpu1"]),
        ({CONTAINER: "3:1"}, ["gpu3-mig1"]),
        ({CONTAINER: "none"}, []),
        ({CONTAINER: "2,3", CUDA: "1"}, ["gpu3"]),
        ({CONTAINER: "all", CUDA: "1"}, ["gpu1"]),
    ],
    ids=repr,
)
def test_a_list_names_gpus(environment: dict[str, str], labels: list[str]) -> None:
    assert visible_gpus(environment, ALIKE) == set(labels)


@pytest.mark.parametrize("environment", [{}, {CONTAINER: "all"}, {CONTAINER: "void"}], ids=repr)
def test_without_a_list_all_may_be_used(environment: dict[str, str]) -> None:
    assert visible_gpus(environment, ALIKE) is None


def test_numbers_among_different_models_mean_something_only_in_the_order_of_the_bus() -> None:
    assert visible_gpus({CUDA: "0"}, MIXED) is None
    assert visible_gpus({CUDA: "0", **BUS}, MIXED) == {"gpu0"}
    assert visible_gpus({CUDA: "GPU-1"}, MIXED) == {"gpu1"}
    assert visible_gpus({CUDA: "1", CONTAINER: "1,2"}, MIXED) == {"gpu2"}, "these two are alike"
