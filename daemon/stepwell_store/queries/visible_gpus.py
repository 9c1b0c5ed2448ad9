"""The GPUs of a node that a process may use, from its environment variables. Pure.

``CUDA_VISIBLE_DEVICES`` lists numbers, or UUIDs that may be abbreviated. CUDA numbers its visible
GPUs: in a container those of ``NVIDIA_VISIBLE_DEVICES``, fastest first unless ``CUDA_DEVICE_ORDER``
is ``PCI_BUS_ID``. GPUs of one model are always in the order of the bus. For different models only
CUDA knows which is faster, so the answer is "unknown". An entry without a GPU ends the list, as in
CUDA.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol


class GpuNames(Protocol):
    """A GPU or MIG instance, with the names that a list may use."""

    @property
    def label(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, str]: ...


def visible_gpus(
    environment: Mapping[str, str], devices: Sequence[GpuNames]
) -> frozenset[str] | None:
    """Return labels of ``devices``; None if the environment sets no limit or an unknown one.

    Args:
        devices: the GPUs of the node in the order of their indices, and its MIG instances.
    """
    gpus = [each for each in devices if each.kind == "gpu"]
    in_container = _named(environment.get("NVIDIA_VISIBLE_DEVICES"), gpus, devices)
    text = environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None if in_container is None else frozenset(each.label for each in in_container)
    counted = gpus if in_container is None else in_container
    is_ordered = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    found: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        if word.isdigit():
            if not is_ordered and len({each.name for each in counted}) > 1:
                return None
            if int(word) >= len(counted):
                break
            found.append(counted[int(word)].label)
            continue
        device = _by_id(word, devices)
        if device is None:
            break
        found.append(device.label)
    return frozenset(found)


def _named(
    text: str | None, gpus: Sequence[GpuNames], devices: Sequence[GpuNames]
) -> list[GpuNames] | None:
    """Return the GPUs of a container; None if these are all GPUs or unknown."""
    if text is None or text == "all":
        return None
    if text in ("", "none", "void"):
        # "void" and "" leave the GPUs to another mechanism, such as the mounts of a device plugin.
        return [] if text == "none" else None
    found: list[GpuNames] = []
    for word in (part.strip() for part in text.split(",")):
        number, _, instance = word.partition(":")
        if number.isdigit() and int(number) < len(gpus):
            gpu = gpus[int(number)]
            found.append(_instance(gpu, instance, devices) if instance.isdigit() else gpu)
        elif (device := _by_id(word, devices)) is not None:
            found.append(device)
    return found


def _instance(gpu: GpuNames, number: str, devices: Sequence[GpuNames]) -> GpuNames:
    label = f"{gpu.label}-mig{int(number)}"
    return next((each for each in devices if each.label == label), gpu)


def _by_id(word: str, devices: Sequence[GpuNames]) -> GpuNames | None:
    if word.startswith("MIG-GPU-"):  # Before driver 470: MIG-GPU-uuid/instance/instance.
        uuid, _, rest = word.removeprefix("MIG-").partition("/")
        parent = next((each for each in devices if each.id == uuid), None)
        return next(
            (
                each
                for each in devices
                if parent is not None
                and each.facts.get("gpu") == parent.label
                and f"{each.facts.get('gpu_instance')}/{each.facts.get('compute_instance')}" == rest
            ),
            None,
        )
    if not word.startswith(("GPU-", "MIG-")):
        return None
    found = [each for each in devices if each.id.startswith(word)]
    return found[0] if len(found) == 1 else None
