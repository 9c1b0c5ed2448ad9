"""The Sampler protocol: the daemon's calls to a sampler, and the sampler's answers.

    SamplerSpec     name, time limit, and how to open the sampler
    Sampler.sample  -> Readings: one for each device, metric name to value
                       Conditions: problems of devices without a reading

The daemon opens and calls each sampler in a thread of that sampler. So a sampler may block, raise
any exception or never answer, without an effect on the daemon or another sampler. The exception is
C code that keeps the interpreter's lock: it stops the process, as it would in any thread.

A device is the node itself (label ``""``) or a part of it. The label distinguishes devices of one
kind for people and may change at a restart of the machine: ``gpu0``, ``nvme0n1``. The id does not
change: a GPU's UUID, a disk's serial number. Metric names begin with the kind and end in the unit:
``gpu/power_watts``, ``disk/read_bytes_per_second``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from stepwell_daemon.samplers.gpu_processes import GpuProcesses

DEVICES_MAX: Final = 128
"""Maximum of readings in one answer of a sampler; further ones are left out and reported."""

VALUES_MAX: Final = 256
"""Maximum of values in one reading; further ones are left out and reported."""

LABEL_BYTES_MAX: Final = 64
NAME_BYTES_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class Device:
    """The device of a reading.

    Attributes:
        kind: ``node``, ``disk``, ``network``, ``gpu``, ``mig``, ``process``.
        label: distinguishes the devices of a node; empty for the node itself.
        id: names the same device after a restart of the machine; empty if unknown.
        name: the maker's name for it, such as a GPU's model.
        facts: further constant facts, as names and texts: ``pci_bus_id``, ``driver``.
    """

    kind: str
    label: str = ""
    id: str = ""
    name: str = ""
    facts: tuple[tuple[str, str], ...] = ()


NODE: Final = Device("node")

PROCESS_KIND: Final = "process"
"""Kinds of devices that are processes of writers; they come and go with runs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one device at one moment, in base units; unknown ones are left out."""

    device: Device
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Condition:
    """A problem of one device while the sampler itself works.

    It continues until an answer of the sampler lacks it. Its start and its end are logged.

    Attributes:
        state: one word: ``lost``, ``hung``, ``absent``.
        text: one sentence for people, with the remedy.
        is_problem: False for a normal state, such as a node that has no GPU.
    """

    device: Device
    state: str
    text: str
    is_problem: bool = True


class Sampler(Protocol):
    """Reads devices of one kind."""

    def sample(self) -> Iterable[Reading | Condition]:
        """Return a reading for each present device; an empty list is a valid answer."""
        ...


@dataclass(frozen=True, slots=True)
class Trainer:
    """A process on this node that logs into a run now."""

    pid: int
    writer_id: str


@dataclass(frozen=True, slots=True)
class SamplerContext:
    """The daemon's values for samplers.

    Attributes:
        data: the data folder; its file system's free space is sampled.
        clock: monotonic seconds.
        trainers: returns the processes on this node that log into runs now; any thread may call it.
        gpu_processes: the GPUs of each process; the sampler of GPUs fills it.
    """

    data: Path
    clock: Callable[[], float]
    trainers: Callable[[], list[Trainer]]
    gpu_processes: GpuProcesses = field(default_factory=GpuProcesses)


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """One kind of sampler.

    Attributes:
        open: makes the sampler. Called in the sampler's thread, and again at the next turn if it
            raised. So a driver may be loaded here.
        timeout_seconds: a call that takes longer counts as a failure and its answer is discarded.
    """

    name: str
    open: Callable[[SamplerContext], Sampler]
    timeout_seconds: float = 10.0
