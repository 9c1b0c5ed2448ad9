"""GPUs through the real nvidia-ml-py: values in base units, and a state for all that goes wrong."""

import ctypes
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwell_daemon.samplers.gpus.errors import DriverRestartedError
from stepwell_daemon.samplers.gpus.nvml import Gpu, Nvml
from stepwell_daemon.samplers.gpus.probes import GpuSample, sample_gpu
from stepwell_daemon.samplers.gpus.sampler import GpuSampler
from stepwell_daemon.samplers.protocol import SamplerContext
from stepwell_daemon.samplers.readings import Checked, check_answer
from tests.daemon.nvml import GIB, PlayedNvml, needs_compiler, played_nvml, uuid
from tests.waiting import wait_until

pytestmark = needs_compiler

HOUR = 3600.0


class Gpus:
    """A sampler over played GPUs, with a clock of its own."""

    def __init__(self, played: PlayedNvml) -> None:
        self.play = played.play
        self.now = 0.0
        self.context = SamplerContext(Path("/"), lambda: self.now, list)
        self.sampler = self.opened()

    def opened(self, *, device_seconds: float = 30.0) -> GpuSampler:
        self.sampler = GpuSampler(self.context, device_seconds=device_seconds)
        return self.sampler

    def sample(self, *, after: float = 1.0) -> Checked:
        self.now += after
        checked = check_answer(self.sampler.sample())
        assert checked.problems == ()
        return checked

    def values(self, label: str = "gpu0") -> dict[str, float]:
        return by_label(self.sample())[label]


def by_label(checked: Checked) -> dict[str, dict[str, float]]:
    return {each.device.label: dict(each.values) for each in checked.readings}


def states(checked: Checked) -> dict[str, str]:
    return {each.device.label: each.state for each in checked.conditions}


@pytest.fixture
def gpus(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Gpus]:
    played = played_nvml(tmp_path, tmp_path_factory.getbasetemp())
    monkeypatch.setenv("NVML_SCRIPT", str(played.script))
    # From here on the name that nvidia-ml-py loads is this library's.
    ctypes.CDLL(str(played.library))
    made = Gpus(played)
    yield made
    played.play(1)  # Lets go what hangs.
    made.sampler.close()


@pytest.mark.slow
def test_values_are_in_base_units(gpus: Gpus) -> None:
    gpus.play(8)
    checked = gpus.sample()
    assert [each.device.label for each in checked.readings] == [f"gpu{n}" for n in range(8)]
    device = checked.readings[3].device
    assert (device.kind, device.id, device.name) == ("gpu", uuid(3), "Played H100 80GB HBM3")
    assert dict(device.facts) == {
        "index": "3",
        "pci_bus_id": "00000000:04:00.0",
        "driver": "580.95.05",
    }
    values = checked.readings[3].values
    expected = {
        "gpu/utilization_ratio": 0.1,
        "gpu/memory_utilization_ratio": 0.25,
        "gpu/memory_used_bytes": 20.0 * GIB,
        "gpu/memory_total_bytes": 80.0 * GIB,
        "gpu/power_watts": 350.5,
        "gpu/power_limit_watts": 700.0,
        "gpu/energy_joules_total": 5000.0,
        "gpu/temperature_celsius": 61.0,
        "gpu/memory_temperature_celsius": 70.0,
        "gpu/sm_clock_hertz": 1.98e9,
        "gpu/memory_clock_hertz": 2.619e9,
        "gpu/throttle_sw_power_cap": 1.0,
        "gpu/throttle_hw_thermal": 0.0,
        "gpu/ecc_corrected_errors_total": 3.0,
        "gpu/ecc_uncorrected_errors_total": 0.0,
        "gpu/pcie_transmit_bytes_per_second": 1024.0 * 1000,
        "gpu/pcie_receive_bytes_per_second": 2048.0 * 1000,
        "gpu/nvlink_transmit_bytes_total": 1024.0 * 1024,
        "gpu/processes": 0.0,
        "gpu/xid_events_total": 0.0,
    }
    assert {name: values.get(name) for name in expected} == pytest.approx(expected)
    assert "gpu/fan_ratio" not in values, "a value that a GPU does not have is left out, not zero"


@pytest.mark.slow
def test_values_change_and_byte_counters_have_rates(gpus: Gpus) -> None:
    gpus.play(1)
    found = [by_label(gpus.sample(after=2.0))["gpu0"] for _ in range(3)]
    assert [each["gpu/utilization_ratio"] for each in found] == pytest.approx([0.1, 0.5, 0.9])
    assert "gpu/nvlink_receive_bytes_per_second" not in found[0]
    rates = [each["gpu/nvlink_receive_bytes_per_second"] for each in found[1:]]
    assert rates == [2048 * 1024 / 2.0] * 2


@pytest.mark.slow
def test_counters_of_pcie_bytes_are_not_used_as_they_have_32_bits(gpus: Gpus) -> None:
    gpus.play(1, "gpu 0 field_197 4294967000 300", "gpu 0 field_198 2000 5000")
    gpus.values()
    values = gpus.values()
    assert values["gpu/pcie_transmit_bytes_per_second"] == 1024.0 * 1000
    assert values["gpu/pcie_receive_bytes_per_second"] == 2048.0 * 1000
    assert "gpu/pcie_receive_bytes_total" not in values


@pytest.mark.slow
def test_one_value_that_fails_for_a_moment_costs_no_other(gpus: Gpus) -> None:
    gpus.play(1, "gpu 0 temp !999 !999 44")
    for _ in range(2):
        values = gpus.values()
        assert "gpu/temperature_celsius" not in values
        assert values["gpu/power_watts"] == 350.5
    assert gpus.values()["gpu/temperature_celsius"] == 44.0


@pytest.mark.slow
def test_a_node_without_a_driver_is_a_normal_state_and_is_looked_at_again(gpus: Gpus) -> None:
    gpus.play(0)
    checked = gpus.sample()
    (condition,) = checked.conditions
    assert (condition.state, condition.is_problem, checked.readings) == ("absent", False, ())
    gpus.play(2)
    assert gpus.sample().conditions == (condition,), "it was looked for at every turn"
    assert len(gpus.sample(after=HOUR).readings) == 2


@pytest.mark.slow
def test_a_gpu_that_hangs_stops_no_other_and_is_not_asked_again_before_it_answers(
    gpus: Gpus,
) -> None:
    gpus.play(3)
    gpus.sample()
    gpus.sampler.device_seconds = 0.05
    gpus.play(3, "gpu 1 hang 1")
    for _ in range(3):
        checked = gpus.sample()
        assert set(by_label(checked)) == {"gpu0", "gpu2"}
        assert states(checked) == {"gpu1": "hung"}
        assert "has not answered" in checked.conditions[0].text
    gpus.sampler.device_seconds = 30.0
    gpus.play(3)
    wait_until(lambda: set(by_label(gpus.sample())) == {"gpu0", "gpu1", "gpu2"}, "three GPUs")
    assert states(gpus.sample()) == {}


@pytest.mark.slow
def test_a_lost_gpu_is_told_and_back_after_its_reset(gpus: Gpus) -> None:
    gpus.play(3)
    gpus.sample()
    gpus.play(3, "gpu 1 lost 1")
    for _ in range(3):
        checked = gpus.sample(after=20.0)  # The driver is opened anew in between.
        assert set(by_label(checked)) == {"gpu0", "gpu2"}
        assert states(checked) == {"gpu1": "lost"}
        assert "Played H100" in checked.conditions[0].text
    gpus.play(3)
    gpus.sample(after=HOUR)
    checked = gpus.sample(after=HOUR)
    assert set(by_label(checked)) == {"gpu0", "gpu1", "gpu2"}
    assert states(checked) == {}


@pytest.mark.slow
def test_a_gpu_that_was_lost_before_the_start_is_told_too(gpus: Gpus) -> None:
    gpus.play(2, "gpu 1 lost 1")
    checked = gpus.sample()
    assert set(by_label(checked)) == {"gpu0"}
    assert states(checked) == {"gpu1": "lost"}


def test_a_driver_that_restarts_is_opened_anew(gpus: Gpus) -> None:
    gpus.play(2)
    gpus.sample()
    gpus.play(2, "generation 2")
    checked = gpus.sample()
    (condition,) = checked.conditions
    assert (condition.state, condition.is_problem) == ("driver_gone", True)
    assert gpus.sample(after=0.001).conditions == (condition,), "tried again at once"
    assert len(gpus.sample(after=HOUR).readings) == 2


@pytest.mark.slow
def test_a_driver_that_goes_away_for_a_while(gpus: Gpus) -> None:
    gpus.play(2)
    gpus.sample()
    gpus.play(0)
    for _ in range(3):
        assert states(gpus.sample(after=HOUR)) == {"gpu-driver": "driver_gone"}
    gpus.play(2)
    checked = gpus.sample(after=HOUR)
    assert (len(checked.readings), checked.conditions) == (2, ())


def test_an_upgraded_driver_asks_for_a_restart_of_the_daemon(gpus: Gpus) -> None:
    import pynvml

    def mismatch() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)

    gpus.play(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pynvml, "nvmlInit", mismatch)
        (condition,) = gpus.sample().conditions
    assert condition.state == "driver_replaced"
    assert "Restart the daemon" in condition.text


@pytest.mark.slow
def test_xid_events_are_counted_by_code_logged_and_a_critical_one_is_a_problem(
    gpus: Gpus, caplog: pytest.LogCaptureFixture
) -> None:
    gpus.play(2)
    gpus.sample()
    watching = gpus.sampler._open
    assert watching is not None
    wait_until(lambda: watching.xids.is_watching, "the watch for errors")
    events = ["xid 1 1 31", "xid 2 1 79", "xid 3 1 79"]
    with caplog.at_level(logging.WARNING):
        gpus.play(2, *events)
        wait_until(lambda: gpus.values("gpu1")["gpu/xid_events_total"] == 3.0, "three errors")
    checked = gpus.sample()
    values = by_label(checked)
    assert values["gpu1"]["gpu/xid_79_events_total"] == 2.0
    assert values["gpu1"]["gpu/xid_31_events_total"] == 1.0
    assert values["gpu0"]["gpu/xid_events_total"] == 0.0
    assert states(checked) == {"gpu1": "fault"}
    assert "XID 79 (GPU has fallen off the bus)" in checked.conditions[0].text
    assert sum("xid=79" in message for message in caplog.messages) == 1, "each code is told once"


@pytest.mark.slow
def test_instances_of_a_gpu_in_mig_mode_are_devices(gpus: Gpus) -> None:
    gpus.play(
        2,
        f"gpu 0 mig 7 0 MIG-a {10 * GIB} {GIB}",
        f"gpu 0 mig 9 1 MIG-b {20 * GIB} {2 * GIB}",
        f"gpu 0 process 77 {GIB} 9",
        f"gpu 1 process 77 {3 * GIB}",
        "gpu 0 util !3",
    )
    checked = gpus.sample()
    values = by_label(checked)
    assert set(values) == {"gpu0", "gpu0-mig0", "gpu0-mig1", "gpu1"}
    assert "gpu/utilization_ratio" not in values["gpu0"]
    assert values["gpu0-mig1"] == {
        "mig/memory_used_bytes": 2.0 * GIB,
        "mig/memory_total_bytes": 20.0 * GIB,
    }
    device = next(each.device for each in checked.readings if each.device.label == "gpu0-mig1")
    assert (device.kind, device.id) == ("mig", "MIG-b")
    assert dict(device.facts)["gpu_instance"] == "9"
    assert gpus.context.gpu_processes.newest() == {77: {"gpu0-mig1": GIB, "gpu1": 3 * GIB}}


@pytest.fixture
def surprises(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """What the library raises, once, for a GPU by its label."""
    raised: dict[str, Exception] = {}

    def sample(gpu: Gpu) -> GpuSample:
        if (error := raised.pop(gpu.label, None)) is not None:
            raise error
        return sample_gpu(gpu)

    monkeypatch.setattr("stepwell_daemon.samplers.gpus.worker.sample_gpu", sample)
    return raised


@pytest.mark.slow
def test_a_surprise_of_one_gpu_costs_no_other_and_no_answer_is_taken_for_a_later_one(
    gpus: Gpus, surprises: dict[str, Exception]
) -> None:
    gpus.play(2, "gpu 1 temp 50")
    gpus.sample()
    surprises["gpu0"] = UnicodeDecodeError("utf-8", b"x", 0, 1, "a name that is no text")
    checked = gpus.sample()
    assert states(checked) == {"gpu0": "failing"}
    assert set(by_label(checked)) == {"gpu1"}
    gpus.play(2, "gpu 1 temp 70")
    assert gpus.values("gpu1")["gpu/temperature_celsius"] == 70.0


@pytest.mark.slow
def test_a_driver_is_not_opened_anew_while_a_call_of_before_hangs(
    gpus: Gpus, surprises: dict[str, Exception]
) -> None:
    gpus.play(2)
    gpus.sample()
    gpus.sampler.device_seconds = 0.05
    gpus.play(2, "gpu 1 hang 1")

    def hanging() -> int:
        return sum(thread.name == "sample-gpu1" for thread in threading.enumerate())

    surprises["gpu0"] = DriverRestartedError("gone")
    assert states(gpus.sample()) == {"gpu-driver": "driver_gone"}
    surprises.clear()
    for _ in range(3):
        assert states(gpus.sample(after=HOUR)) == {"gpu1": "hung"}
        assert hanging() == 1
    gpus.play(2)
    wait_until(lambda: hanging() == 0, "the hanging calls to end")
    gpus.sampler.device_seconds = 30.0
    assert set(by_label(gpus.sample())) == {"gpu0", "gpu1"}


@pytest.mark.slow
def test_a_driver_that_goes_while_another_gpu_hangs_is_left_as_it_is(
    gpus: Gpus, surprises: dict[str, Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing it would wait for the call that hangs, and with it the sampler of all GPUs."""
    gpus.play(2)
    gpus.sample()
    closed: list[None] = []
    monkeypatch.setattr(Nvml, "close", lambda nvml: closed.append(None))
    gpus.sampler.device_seconds = 0.05
    gpus.play(2, "gpu 1 hang 1")
    surprises["gpu0"] = DriverRestartedError("gone")
    assert states(gpus.sample()) == {"gpu-driver": "driver_gone"}
    assert closed == []
    gpus.play(2)
