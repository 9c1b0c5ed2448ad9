"""The names for the setting ``samplers``, in the order of its default."""

from typing import Final

SAMPLER_NAMES: Final = ("host", "disks", "network", "training", "gpus")
