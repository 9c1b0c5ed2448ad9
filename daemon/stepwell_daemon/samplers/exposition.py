"""Samplers for Prometheus: how each does, and the newest value of each device.

stepwell_node_NAME                      the node itself
stepwell_device_NAME{device="gpu0"}     a device; apart, so that a sum counts nothing twice
"""

import re
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from stepwell_daemon.samplers.health import SamplerHealth


def sampler_metrics(samplers: Sequence[SamplerHealth]) -> Iterator[Metric]:
    """Return the families of all samplers."""
    counters = (
        ("samples", "Calls of a sampler that gave valid values in time."),
        ("failures", "Calls of a sampler that failed, or took longer than their limit."),
        ("points", "Values taken from a sampler."),
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
        "stepwell_sampler_healthy", "0 while a sampler fails or hangs.", labels=["sampler"]
    )
    for sampler in samplers:
        duration.add_metric([sampler.name], sampler.last_seconds)
        healthy.add_metric([sampler.name], float(sampler.state in ("ok", "waiting")))
    yield duration
    yield healthy
    yield from _values(samplers)


def _values(samplers: Sequence[SamplerHealth]) -> Iterator[Metric]:
    families: dict[str, dict[str, float]] = {}
    for sampler in samplers:
        for reading in sampler.readings:
            label = reading.device.label
            for name, value in reading.values.items():
                if not name.endswith("_per_second"):  # Prometheus has rate() for that.
                    part = "device" if label else "node"
                    metric = f"stepwell_{part}_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)
                    families.setdefault(metric, {})[label] = value
    for metric, values in families.items():
        is_device = metric.startswith("stepwell_device_")
        kind = CounterMetricFamily if metric.endswith("_total") else GaugeMetricFamily
        name = metric.removesuffix("_total")
        text = f"{name.split('_', 2)[2]} of a device." if is_device else f"{name} of the node."
        family = kind(name, text, labels=["device"] if is_device else [])
        for label, value in values.items():
            family.add_metric([label] if is_device else [], value)
        yield family
