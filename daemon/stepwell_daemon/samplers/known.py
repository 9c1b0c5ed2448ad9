"""The samplers that the setting ``samplers`` can name."""

from collections.abc import Mapping
from typing import Final

from stepwell_daemon.samplers.disks import DiskSampler
from stepwell_daemon.samplers.gpus.sampler import GpuSampler
from stepwell_daemon.samplers.host import HostSampler
from stepwell_daemon.samplers.names import SAMPLER_NAMES
from stepwell_daemon.samplers.network import NetworkSampler
from stepwell_daemon.samplers.protocol import SamplerSpec
from stepwell_daemon.samplers.training import TrainingSampler

SAMPLERS: Final[Mapping[str, SamplerSpec]] = {
    spec.name: spec
    for spec in (
        SamplerSpec("host", HostSampler),
        SamplerSpec("disks", DiskSampler),
        SamplerSpec("network", NetworkSampler),
        SamplerSpec("training", TrainingSampler),
        SamplerSpec("gpus", GpuSampler),
    )
}
assert tuple(SAMPLERS) == SAMPLER_NAMES


def chosen_samplers(names: str) -> tuple[SamplerSpec, ...]:
    """Return the samplers in ``names``, a comma-separated list; an empty text means none.

    Raises:
        ValueError: One is unknown or occurs twice.
    """
    chosen: list[SamplerSpec] = []
    for name in (part.strip() for part in names.split(",") if part.strip()):
        spec = SAMPLERS.get(name)
        if spec is None:
            raise ValueError(
                f"samplers: unknown name {name!r}; the samplers are {', '.join(SAMPLERS)}"
            )
        if spec in chosen:
            raise ValueError(f"samplers: {name!r} appears twice; name each sampler once")
        chosen.append(spec)
    return tuple(chosen)
