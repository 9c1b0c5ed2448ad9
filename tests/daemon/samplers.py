"""Samplers that the tests script: they raise, hang, and answer nonsense when told to."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stepwell_daemon.samplers.protocol import (
    NODE,
    Device,
    Reading,
    Sampler,
    SamplerContext,
    SamplerSpec,
)

GPUS = tuple(Device("gpu", f"gpu{number}", f"GPU-{number:08x}") for number in range(8))


class FakeSampler:
    """Does the next thing of ``script`` at each call, the last one again and again.

    A thing is what ``sample`` returns, or a function that is called for it.
    """

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.calls = 0

    def sample(self) -> Iterable[Reading]:
        self.calls += 1
        thing = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        answer: Iterable[Reading] = thing() if callable(thing) else thing
        return answer


class Hang:
    """Something that does not return before it is let go."""

    def __init__(self, answer: Any = ()) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()
        self._answer = answer

    def __call__(self) -> Any:
        self.entered.set()
        assert self.go.wait(60)
        return self._answer


def raising(error: BaseException) -> Callable[[], Iterable[Reading]]:
    def fail() -> Iterable[Reading]:
        raise error

    return fail


def reading(device: Device = NODE, **values: float) -> Reading:
    return Reading(device, values)


def spec_of(sampler: Sampler, name: str = "fake", *, timeout_seconds: float = 60.0) -> SamplerSpec:
    return SamplerSpec(name, lambda context: sampler, timeout_seconds)


def context(folder: Path = Path("/"), clock: Callable[[], float] = lambda: 0.0) -> SamplerContext:
    return SamplerContext(folder, clock, list)
