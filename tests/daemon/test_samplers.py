"""A sampler may raise, hang or answer nonsense: the daemon and the other samplers go on."""

import asyncio
import logging
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell_daemon.samplers.health import SamplerHealth
from stepwell_daemon.samplers.known import SAMPLERS, chosen_samplers
from stepwell_daemon.samplers.protocol import (
    DEVICES_MAX,
    LABEL_BYTES_MAX,
    NODE,
    VALUES_MAX,
    Condition,
    Device,
    Reading,
    SamplerContext,
    SamplerSpec,
)
from stepwell_daemon.samplers.readings import Checked, check_answer
from stepwell_daemon.samplers.schedule import Sampling
from stepwell_daemon.samplers.thread import Outcome, error_text
from tests.daemon.samplers import GPUS, FakeSampler, Hang, context, raising, reading, spec_of
from tests.waiting import until

SOON = 0.001
"""Seconds between samples, and a time limit that a hang exceeds at once."""


class Taken:
    """Gets what samplers give, and tells when it got so much of a name."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._more = asyncio.Event()

    def __call__(self, readings: Sequence[Reading], time_us: int) -> int:
        assert time_us > 1_600_000_000_000_000
        self.readings += readings
        self._more.set()
        return sum(len(each.values) for each in readings)

    def count(self, name: str) -> int:
        return sum(name in each.values for each in self.readings)

    async def reaches(self, name: str, count: int) -> None:
        async with asyncio.timeout(30):
            while self.count(name) < count:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def sampling(*specs: SamplerSpec) -> AsyncIterator[tuple[Taken, Sampling]]:
    taken = Taken()
    samplers = Sampling(specs, context(), taken, seconds=SOON)
    running = asyncio.create_task(samplers.run())
    try:
        yield taken, samplers
        assert not running.done(), "a sampler ended the sampling"
    finally:
        running.cancel()
        await asyncio.wait({running})


def in_loop(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())


class DriverError(BaseException):
    """What a driver's library may raise: no Exception."""


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise DriverError


ERRORS = (
    OSError("the device is gone"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
    MemoryError(),
    DriverError("driver/library version mismatch"),
    UnprintableError(),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_sampler_that_raises_is_called_again_and_disturbs_no_other(error: BaseException) -> None:
    async def test() -> None:
        broken = FakeSampler(raising(error), raising(error), (reading(broken=1.0),))
        good = FakeSampler((reading(good=1.0),))
        async with sampling(spec_of(broken, "broken"), spec_of(good, "good")) as (taken, samplers):
            await taken.reaches("good", 3)
            await taken.reaches("broken", 2)
            health, other = samplers.healths
            assert (health.state, health.failures) == ("ok", 2)
            assert health.last_error.startswith(type(error).__name__)
            assert (other.state, other.failures, other.last_error) == ("ok", 0, "")
            assert other.samples == other.points == taken.count("good")

    in_loop(test)


def test_a_sampler_that_cannot_be_opened_is_opened_again() -> None:
    attempts = []

    def open_sampler(context: SamplerContext) -> FakeSampler:
        attempts.append(threading.current_thread().name)
        if len(attempts) < 3:
            raise DriverError("no driver yet")
        return FakeSampler((reading(value=1.0),))

    async def test() -> None:
        async with sampling(SamplerSpec("late", open_sampler)) as (taken, samplers):
            await taken.reaches("value", 2)
            assert samplers.healths[0].failures == 2

    in_loop(test)
    assert attempts == ["sample-late"] * 3


def test_a_hung_sampler_is_reported_not_called_again_and_back_when_it_answers() -> None:
    async def test() -> None:
        hang = Hang((reading(late=1.0),))
        hung = FakeSampler(hang, (reading(back=1.0),))
        good = FakeSampler((reading(good=1.0),))
        specs = (spec_of(hung, "hung", timeout_seconds=SOON), spec_of(good, "good"))
        async with sampling(*specs) as (taken, samplers):
            health = samplers.healths[0]
            await until(lambda: health.state == "hung", "the sampler to hang")
            await taken.reaches("good", taken.count("good") + 5)
            assert (health.state, health.failures, hung.calls) == ("hung", 1, 1)
            assert "hung has not answered" in health.problems(1e12)[0]
            assert health.readings == ()
            hang.go.set()
            await taken.reaches("back", 1)
            assert health.problems(1e12) == []
            assert "answered after" in health.last_error
            assert taken.count("late") == 0, "values of no known moment were stored"

    in_loop(test)


def test_the_daemon_stops_while_a_sampler_hangs() -> None:
    hang = Hang()

    async def test() -> None:
        async with sampling(spec_of(FakeSampler(hang), timeout_seconds=SOON)) as (_, samplers):
            await until(lambda: samplers.healths[0].state == "hung", "the sampler to hang")

    in_loop(test)  # It returns, and so does the loop's end.
    (thread,) = (each for each in threading.enumerate() if each.name == "sample-fake")
    assert thread.daemon, "the interpreter would wait for it"
    hang.go.set()
    thread.join(30)
    assert not thread.is_alive()


def test_failure_and_recovery_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        failing = raising(OSError("gone"))
        sampler = FakeSampler(failing, failing, failing, (reading(value=1.0),))
        async with sampling(spec_of(sampler)) as (taken, _):
            await taken.reaches("value", 3)

    with caplog.at_level(logging.INFO, logger="stepwell_daemon"):
        in_loop(test)
    assert [record.getMessage() for record in caplog.records] == [
        "sampler failed, trying again sampler=fake error=OSError: gone",
        "sampler works again sampler=fake failures=3",
    ]


def test_sampling_pauses_at_zero_seconds_and_goes_on() -> None:
    async def test() -> None:
        sampler = FakeSampler((reading(value=1.0),))
        async with sampling(spec_of(sampler)) as (taken, samplers):
            await taken.reaches("value", 2)
            samplers.change(0.0)
            for _ in range(20):
                await asyncio.sleep(SOON)
            paused = sampler.calls
            for _ in range(20):
                await asyncio.sleep(SOON)
            assert sampler.calls == paused
            samplers.change(SOON)
            await taken.reaches("value", paused + 2)

    in_loop(test)


def test_several_devices_come_with_their_labels_and_ids() -> None:
    async def test() -> None:
        readings = [Reading(gpu, {"gpu/power_watts": 300.0}) for gpu in GPUS]
        async with sampling(spec_of(FakeSampler(readings), "gpus")) as (taken, samplers):
            await taken.reaches("gpu/power_watts", len(GPUS))
            devices = samplers.healths[0].as_status()["devices"]
            assert devices[3] == {
                "kind": "gpu",
                "label": "gpu3",
                "id": "GPU-00000003",
                "name": "",
            }
            assert len(devices) == len(GPUS)

    in_loop(test)


# ---------------------------------------------------------------------------- nonsense


def parts(checked: Checked) -> tuple[tuple[Reading, ...], tuple[str, ...]]:
    return checked.readings, checked.problems


NONSENSE: tuple[Any, ...] = (
    *(None, 7, "text", b"bytes", {"cpu": 1.0}, [None], [object], [{"cpu": 1.0}]),
    *([Reading(NODE, None)], [Reading("gpu0", {"x": 1.0})]),  # type: ignore[arg-type]
    *(
        [Reading(NODE, {"x": value})]
        for value in (float("nan"), float("inf"), True, "1", None, 1j, 10**400)
    ),
    *([Reading(NODE, {name: 1.0})] for name in ("", "a\nb", "x" * 513, "\ud800", 7)),  # type: ignore[dict-item]
    *([Reading(Device("gpu", label), {"x": 1.0})] for label in ("a\0", "\ud800", "x" * 200, None)),  # type: ignore[arg-type]
)


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer)[:60])
def test_nonsense_is_reported_and_what_is_valid_beside_it_kept(answer: Any) -> None:
    readings, problems = parts(check_answer(answer))
    assert readings == ()
    assert problems
    assert all(len(problem.encode()) < 1000 for problem in problems)  # It can be sent and shown.
    if isinstance(answer, list):
        kept, again = parts(
            check_answer([reading(good=1.0), *answer, Reading(GPUS[0], {"y": 2.0})])
        )
        assert {name for each in kept for name in each.values} == {"good", "y"}
        assert again


def test_a_flood_is_cut_at_its_bounds() -> None:
    flood = (Reading(Device("gpu", f"gpu{n}"), {"x": 1.0}) for n in range(10**9))
    readings, problems = parts(check_answer(flood))
    assert (len(readings), len(problems)) == (DEVICES_MAX, 1)
    readings, problems = parts(check_answer([Reading(NODE, {f"x{n}": 1.0 for n in range(1000)})]))
    assert (len(readings[0].values), len(problems)) == (VALUES_MAX, 1)


names = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
values = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=LABEL_BYTES_MAX // 4).filter(lambda text: text.isprintable()),
            st.dictionaries(names, values, min_size=1, max_size=5),
        ),
        max_size=10,
        unique_by=lambda pair: pair[0],
    )
)
@pytest.mark.slow
def test_valid_readings_pass_unchanged(parts: list[tuple[str, dict[str, float]]]) -> None:
    given = [Reading(Device("gpu", label, "id"), values) for label, values in parts]
    checked = check_answer(given)
    readings, problems = checked.readings, checked.problems
    assert problems == ()
    assert list(readings) == given
    for each in readings:
        struct.pack(f"<{len(each.values)}d", *each.values.values())


def test_a_label_or_a_metric_that_is_there_twice_is_told() -> None:
    readings, problems = parts(check_answer([reading(a=1.0), reading(b=2.0), reading(a=3.0)]))
    assert readings == (reading(a=1.0, b=2.0),)
    assert len(problems) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_text_of_an_error_is_one_short_line(error: BaseException) -> None:
    assert error_text(error).startswith(type(error).__name__)
    assert error_text(OSError("a\n" + "b" * 5000)).startswith("OSError: a bbb")
    assert len(error_text(OSError("b" * 5000))) == 300


# ---------------------------------------------------------------------------- which ones


def test_samplers_are_chosen_by_name_in_the_order_given() -> None:
    assert [spec.name for spec in chosen_samplers("network, host")] == ["network", "host"]
    assert chosen_samplers("") == ()
    assert [spec.name for spec in chosen_samplers(",".join(SAMPLERS))] == list(SAMPLERS)


@pytest.mark.parametrize(
    ("text", "says"), [("host,tpus", "unknown name 'tpus'"), ("host,host", "twice")]
)
def test_unknown_samplers_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        chosen_samplers(text)


def test_a_condition_is_logged_at_its_beginning_and_its_end_and_is_a_problem_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = Condition(GPUS[3], "lost", "gpu3 is lost: see the kernel's log")
    absent = Condition(Device("gpu", "gpu-driver"), "absent", "no GPU here", is_problem=False)
    health = SamplerHealth("gpus", 1.0)
    with caplog.at_level(logging.INFO):
        for conditions in ((lost, absent), (lost, absent), (absent,), (absent,)):
            health.answered(Outcome((), (), 1, 0.1, conditions))
            expected = [lost.text] if lost in conditions else []
            assert health.problems(0.0) == expected
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
    assert "gpu3 is lost" in caplog.messages[0]
    assert "no GPU here" in caplog.messages[1]
    assert caplog.messages[2] == "device left state device=gpu3 state=lost"
    (shown,) = health.as_status()["conditions"]
    assert (shown["label"], shown["state"], shown["is_problem"]) == ("gpu-driver", "absent", False)


def test_conditions_are_kept_apart_from_readings_and_made_short() -> None:
    noisy = Condition(Device("gpu", "gpu0\ud800"), "lost", "x" * 5000)
    checked = check_answer([reading(a=1.0), noisy])
    assert checked.readings == (reading(a=1.0),)
    (kept,) = checked.conditions
    assert len(kept.text) == 400
    kept.device.label.encode()
