"""Fill a store with a project to look at: many runs with curves, configs, logs and nodes.

    python -m benchmarks.seed --data DIR --runs 1000 --steps 1000

Blocks go straight into the embedded store of DIR, so that runs may lie weeks back. A daemon may
run on DIR meanwhile. The same seed gives the same runs, except for their times.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell_store import BlockBuilder, EmbeddedStore, WriterInfo, connect_embedded
from stepwell_wire import records
from stepwell_wire.rows import DecodedRecords, Event, Rows

POINTS_A_BLOCK = 400_000
METRICS = (
    *("train/loss", "train/accuracy", "train/grad_norm", "train/learning_rate"),
    *("val/loss", "val/accuracy", "perf/tokens_per_second", "perf/step_seconds"),
)
NODE_METRICS = ("cpu/utilization_ratio", "memory/used_bytes")
DISK_METRICS = ("disk/read_bytes_per_second", "disk/written_bytes_per_second")
_ADJECTIVES = ("amber", "basalt", "calm", "deep", "even", "fluent", "granite", "ivory", "lucid")
_NOUNS = ("arch", "basin", "cistern", "delta", "estuary", "fountain", "gallery", "harbor")
_STATES = ("finished",) * 16 + ("failed", "crashed", "killed")
_VALIDATION_EVERY = 10
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Plan:
    """One run to be made."""

    writer: WriterInfo
    name: str
    config: dict[str, Any]
    tags: tuple[str, ...]
    started_us: int
    steps: int
    step_us: int
    state: str
    seed: int

    @property
    def ended_us(self) -> int:
        return self.started_us + self.steps * self.step_us


def plans(project: str, runs: int, steps: int, *, now: float, seed: int) -> Iterator[Plan]:
    """Yield runs over the last thirty days, oldest first; the last three still run."""
    random = Random(seed)
    for number in range(runs):
        is_running = number >= runs - min(3, runs - 1)
        share = (number + 1) / runs
        done = random.uniform(0.4, 0.9) if is_running else 1.0
        state = "running" if is_running else random.choice(_STATES)
        if state not in ("running", "finished"):
            done = random.uniform(0.05, 0.9)
        length = max(2, round(steps * done))
        step_us = random.randrange(150_000, 400_000)
        end = now if is_running else now - (1 - share) * 30 * _DAY_SECONDS - random.uniform(0, 3600)
        run_id = f"{random.getrandbits(40):010x}"
        host = f"node-{random.randrange(4):02}"
        yield Plan(
            WriterInfo(project, run_id, f"w{number}", "", "run", host, 1000 + number),
            f"{random.choice(_ADJECTIVES)}-{random.choice(_NOUNS)}-{number + 1}",
            {
                "lr": 10 ** random.uniform(-4.5, -2),
                "batch_size": random.choice((32, 64, 128, 256)),
                "optimizer": {"name": random.choice(("adamw", "sgd", "lion")), "beta2": 0.999},
                "model": {"layers": random.choice((6, 12, 24)), "width": random.choice((512, 768))},
                "seed": number,
            },
            tuple(random.sample(("baseline", "ablation", "sweep", "long"), random.randrange(3))),
            round((end - length * step_us / 1e6) * 1e6),
            length,
            step_us,
            state,
            random.getrandbits(32),
        )


def curves(plan: Plan, further: int) -> NDArray[np.float64]:
    """Return the values of ``METRICS`` and ``further`` layers: shape (steps, metrics)."""
    random = np.random.default_rng(plan.seed)
    steps = np.arange(plan.steps, dtype=np.float64)
    lr = float(plan.config["lr"])
    skill = math.exp(-abs(math.log10(lr) + 3.2))  # The best rate is near 6e-4.
    floor, pace = 2.4 - 1.1 * skill, 0.004 + 0.012 * skill
    noise = random.normal(0.0, 0.03, plan.steps)
    loss = floor + (4.2 - floor) * np.exp(-pace * steps) + noise
    loss[random.random(plan.steps) < 0.002] *= 1.8  # Spikes that no drawing may lose.
    val_loss = loss + 0.08 + 0.0001 * steps * (1 - skill)
    accuracy = np.clip(1.05 - loss / 4.4, 0.0, 1.0)
    warm = np.minimum(1.0, (steps + 1) / 50)
    rate = lr * warm * 0.5 * (1 + np.cos(np.pi * steps / plan.steps))
    grad = np.exp(random.normal(0.0, 0.35, plan.steps)) * (0.3 + loss / 4)
    seconds = plan.step_us / 1e6 * random.normal(1.0, 0.03, plan.steps)
    columns = [loss, accuracy, grad, rate, val_loss, accuracy - 0.02, 8192 / seconds, seconds]
    columns += [grad * random.uniform(0.3, 1.5) / (layer + 1) for layer in range(further)]
    return np.stack(columns, axis=1)


def records_of(plan: Plan, further: int) -> tuple[DecodedRecords, dict[int, tuple[str, ...]]]:
    """Return a run as its writer would have sent it, and its schemas."""
    layers = tuple(f"layers/{layer:02}/grad_norm" for layer in range(further))
    names = (*METRICS, *layers)
    table = curves(plan, further)
    steps = np.arange(plan.steps, dtype=np.int64)
    times = plan.started_us + steps * plan.step_us
    is_validation = np.array([name.startswith("val/") for name in names])
    training = np.flatnonzero(~is_validation)
    validation = np.flatnonzero(is_validation)
    at = slice(_VALIDATION_EVERY - 1, None, _VALIDATION_EVERY)
    held = [Rows(1, steps, times, np.ascontiguousarray(table[:, training]))]
    if len(steps[at]):
        held.append(Rows(2, steps[at], times[at], np.ascontiguousarray(table[at][:, validation])))
    schemas = {
        1: tuple(names[place] for place in training),
        2: tuple(names[place] for place in validation),
    }
    points = sum(each.values.size for each in held)
    rows = sum(len(each.steps) for each in held)
    return DecodedRecords(held, list(events_of(plan, table[-1], names)), rows, points), schemas


def events_of(plan: Plan, last: NDArray[np.float64], names: tuple[str, ...]) -> Iterator[Event]:
    start, end = plan.started_us, plan.ended_us
    yield Event(0, start, records.START, {"started_at": start, "name": plan.name, "client": "seed"})
    yield Event(0, start, records.CONFIG, {"set": plan.config})
    yield Event(
        0, start, records.RUN, {"tags": list(plan.tags), "group": plan.config["optimizer"]["name"]}
    )
    command = {"command": "train.py --fast", "git": {"commit": f"{plan.seed:08x}"}}
    yield Event(0, start, records.METADATA, {"set": command})
    summary = {name: float(value) for name, value in zip(names, last, strict=True)}
    yield Event(plan.steps, end, records.SUMMARY, {"set": summary})
    for first in range(0, plan.steps, 1000):
        lines = [
            [step, start + step * plan.step_us, f"step {step:6} done, all is well"]
            for step in range(first, min(first + 1000, plan.steps), 10)
        ]
        yield Event(first, start, records.CONSOLE, {"stream": "stdout", "lines": lines})
    if plan.state != "running":
        code = 0 if plan.state == "finished" else 1
        yield Event(plan.steps, end, records.FINISH, {"state": plan.state, "exit_code": code})


def add_node(builder: BlockBuilder, plan: Plan, random: np.random.Generator) -> None:
    """Add what the daemon of the run's node sampled while it ran, every five seconds."""
    seconds = max(2, plan.steps * plan.step_us // 5_000_000)
    times = plan.started_us + np.arange(seconds, dtype=np.int64) * 5_000_000
    host = plan.writer.host
    for label, names in (("", NODE_METRICS), ("nvme0n1", DISK_METRICS)):
        info = WriterInfo("", f"node-{host}", f"node-{host}-{label}", label, "node", host, 1)
        scale = np.array([0.6, 3e10]) if not label else np.array([2e8, 5e7])
        values = np.abs(random.normal(1.0, 0.1, (seconds, len(names)))) * scale
        rows = Rows(1, times // 1_000_000, times, np.ascontiguousarray(values))
        decoded = DecodedRecords([rows], [], seconds, values.size)
        builder.add(info, decoded, {1: names})


def seed(
    store: EmbeddedStore,
    project: str,
    *,
    runs: int,
    steps: int,
    further: int = 0,
    number: int = 1,
) -> int:
    """Store the project and return its points."""
    random = np.random.default_rng(number)
    builder, total, extent = BlockBuilder(), 0, 0

    def insert() -> None:
        for block in builder.build():
            store.insert(block, f"seed-{project}-{number}-{extent}:{block.digest()}")

    for plan in plans(project, runs, steps, now=time.time(), seed=number):
        builder.add(plan.writer, *records_of(plan, further))
        add_node(builder, plan, random)
        if builder.point_count >= POINTS_A_BLOCK:
            insert()
            total, extent, builder = total + builder.point_count, extent + 1, BlockBuilder()
    insert()
    return total + builder.point_count


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder of a daemon")
    parser.add_argument("--project", default="seeded")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=0, help="so many further metrics")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    store = connect_embedded(options.data)
    try:
        if store.engine_pid is not None:  # No daemon runs there, which would have done it.
            store.migrate()
        started = time.monotonic()
        points = seed(
            store,
            options.project,
            runs=options.runs,
            steps=options.steps,
            further=options.layers,
            number=options.seed,
        )
    finally:
        store.close()
    seconds = time.monotonic() - started
    print(f"{options.runs:,} runs, {points:,} points in {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
