"""What the setting ``samplers`` can name, in the order in which they are named by default."""

from typing import Final

SAMPLER_NAMES: Final = ("host", "disks", "network", "training", "gpus")
