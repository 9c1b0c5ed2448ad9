"""The Sampler protocol: what the daemon asks of a sampler, and what a sampler answers.

    SamplerSpec     name, time limit, and how to open the sampler
    Sampler.sample  -> Readings: one for each device, metric name to value
                       Conditions: what is wrong with a device that has no reading

The daemon opens and calls each sampler in a thread of that sampler. So a sampler may block, raise
anything or never answer: neither the daemon nor another sampler notices. One limit holds: code in C
that keeps the interpreter's lock stops the process, as it would in any thread.

A device is the node itself (label ``""``) or a part of it. The label tells devices of one kind
apart for people and need not survive a restart of the machine: ``gpu0``, ``nvme0n1``. The id does:
a GPU's UUID, a disk's serial number. Metric names begin with the kind and end in the unit:
``gpu/power_watts``, ``disk/read_bytes_per_second``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from stepwell_daemon.samplers.gpu_processes import GpuProcesses

DEVICES_MAX: Final = 128
"""Readings in one answer of a sampler; further ones are left out and reported."""

VALUES_MAX: Final = 256
"""Values in one reading; further ones are left out and reported."""

LABEL_BYTES_MAX: Final = 64
NAME_BYTES_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class Device:
    """What a reading is of.

    Attributes:
        kind: ``node``, ``disk``, ``network``, ``gpu``, ``mig``, ``process``.
        label: tells devices of a node apart; empty for the node itself.
        id: names the same device after a restart of the machine; empty where none is known.
        name: what it is called by its maker, such as a GPU's model.
        facts: more that does not change, as names and texts: ``pci_bus_id``, ``driver``.
    """

    kind: str
    label: str = ""
    id: str = ""
    name: str = ""
    facts: tuple[tuple[str, str], ...] = ()


NODE: Final = Device("node")

PROCESS_KIND: Final = "process"
"""Devices that are processes which log; they come and go with runs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one device at one moment, in base units; unknown ones are left out."""

    device: Device
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong with one device while the sampler itself works.

    It holds until an answer of the sampler lacks it. Its beginning and its end are logged.

    Attributes:
        state: one word: ``lost``, ``hung``, ``absent``.
        text: one sentence for people: what it is, and what to do.
        is_problem: False for a normal state, such as a node that has no GPU.
    """

    device: Device
    state: str
    text: str
    is_problem: bool = True


class Sampler(Protocol):
    """Reads devices of one kind."""

    def sample(self) -> Iterable[Reading | Condition]:
        """Return a reading for each device that is there now; none is a valid answer."""
        ...


@dataclass(frozen=True, slots=True)
class Trainer:
    """A process on this node that logs into a run now."""

    pid: int
    writer_id: str


@dataclass(frozen=True, slots=True)
class SamplerContext:
    """What samplers may need of the daemon.

    Attributes:
        data: the data folder; its file system's free space is sampled.
        clock: seconds that never go back.
        trainers: the processes on this node that log into runs now; any thread may call it.
        gpu_processes: which process has which GPU; the sampler of GPUs fills it.
    """

    data: Path
    clock: Callable[[], float]
    trainers: Callable[[], list[Trainer]]
    gpu_processes: GpuProcesses = field(default_factory=GpuProcesses)


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """One kind of sampler.

    Attributes:
        open: makes the sampler. Called in the sampler's thread, and again at the next turn where
            it raised, so a driver may be loaded here.
        timeout_seconds: a call that takes longer counts as a failure and its answer is discarded.
    """

    name: str
    open: Callable[[SamplerContext], Sampler]
    timeout_seconds: float = 10.0
