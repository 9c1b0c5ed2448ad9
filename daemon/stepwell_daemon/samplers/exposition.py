"""Samplers for Prometheus: the state of each, and the newest value of each device.

stepwell_node_NAME                      the node itself
stepwell_device_NAME{device="sda"}      a device; separate, so that a sum counts no value twice
stepwell_device_gpu_NAME{device="gpu0", index="0", uuid="GPU-…", model="…"}
stepwell_device_mig_NAME{device="gpu0-mig1", gpu="gpu0", uuid="MIG-…", model="…"}
stepwell_device_state{device="gpu3", state="lost"}    1 while it holds

Processes are left out: their number has no bound, and the store has those of each run.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from stepwell_daemon.samplers.health import SamplerHealth
from stepwell_daemon.samplers.protocol import PROCESS_KIND


def sampler_metrics(samplers: Sequence[SamplerHealth]) -> Iterator[Metric]:
    """Return the families of all samplers."""
    counters = (
        ("samples", "Calls of a sampler that returned valid values in time."),
        ("failures", "Calls of a sampler that failed or exceeded their time limit."),
        ("points", "Values returned by a sampler."),
    )
    for name, text in counters:
        family = CounterMetricFamily(f"stepwell_sampler_{name}", text, labels=["sampler"])
        for sampler in samplers:
            family.add_metric([sampler.name], float(getattr(sampler, name)))
        yield family
    duration = GaugeMetricFamily(
        "stepwell_sampler_duration_seconds", "Time of the last call.", labels=["sampler"]
    )
    healthy = GaugeMetricFamily(
        "stepwell_sampler_healthy",
        "0 while a sampler fails or does not answer.",
        labels=["sampler"],
    )
    for sampler in samplers:
        duration.add_metric([sampler.name], sampler.last_seconds)
        healthy.add_metric([sampler.name], float(sampler.state in ("ok", "waiting")))
    yield duration
    yield healthy
    yield from _values(samplers)
    yield _states(samplers)


_Key = tuple[str, ...]
_IDENTITY: Final[Mapping[str, tuple[str, ...]]] = {
    "gpu": ("device", "index", "uuid", "model"),
    "mig": ("device", "gpu", "uuid", "model"),
}
_PLAIN: Final = ("device",)


def _values(samplers: Sequence[SamplerHealth]) -> Iterator[Metric]:
    families: dict[tuple[str, _Key], dict[_Key, float]] = {}
    for sampler in samplers:
        for reading in sampler.readings:
            device = reading.device
            if device.kind == PROCESS_KIND:
                continue
            labels = _IDENTITY.get(device.kind, _PLAIN) if device.label else ()
            known = {"device": device.label, "uuid": device.id, "model": device.name}
            known |= device.facts
            texts = tuple(known.get(label, "") for label in labels)
            for name, value in reading.values.items():
                if not name.endswith("_per_second"):  # Prometheus has rate() for that.
                    part = "device" if device.label else "node"
                    metric = f"stepwell_{part}_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)
                    families.setdefault((metric, labels), {})[texts] = value
    for (metric, labels), values in families.items():
        kind = CounterMetricFamily if metric.endswith("_total") else GaugeMetricFamily
        name = metric.removesuffix("_total")
        text = f"{name.split('_', 2)[2]} of a device." if labels else f"{name} of the node."
        family = kind(name, text, labels=list(labels))
        for texts, value in values.items():
            family.add_metric(list(texts), value)
        yield family


def _states(samplers: Sequence[SamplerHealth]) -> Metric:
    family = GaugeMetricFamily(
        "stepwell_device_state",
        "1 while a device is in a state other than working.",
        labels=["device", "state"],
    )
    for sampler in samplers:
        for condition in sampler.conditions:
            family.add_metric([condition.device.label, condition.state], 1.0)
    return family
