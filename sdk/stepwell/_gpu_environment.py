"""Variables of the environment that say which GPUs this process may use."""

import os
from typing import Final

_NAMES: Final = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "NVIDIA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
)
_CHARACTERS_MAX: Final = 2048


def gpu_environment() -> dict[str, str]:
    """Return the variables that are set now, also empty ones; {} on most machines without GPUs."""
    found = ((name, os.environ.get(name)) for name in _NAMES)
    return {name: text[:_CHARACTERS_MAX] for name, text in found if text is not None}
