"""The GPUs of a run's nodes, and the run's own among them.

The best source is the driver, which reports the process and the GPU of each memory allocation; the
daemon stores this under labels with the writer's id. The second source is the environment in which
a writer began. Without both, all GPUs of the node may be the run's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from stepwell_store.process_labels import ProcessLabel, parse_process_label
from stepwell_store.queries.limits import DEFAULT, Limits, Question
from stepwell_store.queries.visible_gpus import visible_gpus
from stepwell_store.queries.writers import Writer, writers_of
from stepwell_store.store import Store
from stepwell_wire.records import DEVICE, ENVIRONMENT

Source = Literal["processes", "environment", "node"]
_BEST_FIRST: Final[tuple[Source, ...]] = ("processes", "environment", "node")

OWN_LABELS: Final = (
    "(substring(label, 1, 8) != 'process-' OR "
    "splitByChar('@', substring(label, 9))[1] IN {writers:Array(String)})"
)
"""Selects labels of devices, and of the processes in ``writers``: a busy node had thousands."""

_LABELS: Final = f"""
SELECT host, label, max(metric = 'process/gpus') AS is_counted FROM node_series
WHERE host IN {{hosts:Array(String)}} AND label != '' AND {OWN_LABELS}
GROUP BY host, label
"""
_DEVICES: Final = """
SELECT run_id, time, body FROM events
WHERE project = '' AND run_id IN {nodes:Array(String)} AND kind = {kind:String}
ORDER BY time
"""
_ENVIRONMENTS: Final = """
SELECT writer_id, body FROM events
WHERE project = {project:String} AND run_id = {run_id:String} AND kind = {kind:String}
ORDER BY time
"""


@dataclass(frozen=True, slots=True)
class RunDevice:
    """A GPU or MIG instance of a node of the run.

    Attributes:
        kind: ``gpu`` or ``mig``.
        id: its UUID; with ``name`` and ``facts`` empty if the daemon sent only its label.
        is_of_run: the run uses it, or may use it.
    """

    host: str
    label: str
    kind: str
    id: str
    name: str
    facts: Mapping[str, str]
    is_of_run: bool


@dataclass(frozen=True, slots=True)
class RunDevices:
    """The GPUs of a run's nodes, and the names of its nodes' series for this run.

    Attributes:
        source: the source for the run's own: its processes, its environment, or none; the least
            certain of its nodes counts.
    """

    devices: tuple[RunDevice, ...]
    source: Source
    writers: tuple[Writer, ...]

    @property
    def writer_ids(self) -> list[str]:
        return [writer.writer_id for writer in self.writers]

    def shown(self, host: str, label: str, *, all_devices: bool = False) -> str | None:
        """Return the run's name for the series of ``label``, None if it is not shown."""
        process = parse_process_label(label)
        if process is not None:
            return self._process_name(process)
        for device in self.devices:
            if (device.host, device.label) == (host, label):
                return label if all_devices or device.is_of_run else None
        return label

    def _process_name(self, process: ProcessLabel) -> str | None:
        writer = next((each for each in self.writers if each.writer_id == process.writer_id), None)
        if writer is None:
            return None
        name = writer.label or ("process" if writer.rank < 0 else f"rank {writer.rank}")
        who = (writer.label, writer.rank)
        if sum((each.label, each.rank) == who for each in self.writers) > 1:  # The run was resumed.
            name = f"{name} (pid {writer.pid})"
        return f"{name} {process.device}".strip()


def run_devices(store: Store, project: str, run_id: str, *, limits: Limits = DEFAULT) -> RunDevices:
    """Return the GPUs of a run's nodes; none for an unknown run."""
    question = Question(store, limits)
    return devices_of(question, project, run_id, writers_of(question, project, run_id))


def devices_of(
    question: Question, project: str, run_id: str, writers: Sequence[Writer]
) -> RunDevices:
    """Return the GPUs of the nodes of ``writers``, the run's writers."""
    hosts = sorted({writer.host for writer in writers if writer.host})
    if not hosts:
        return RunDevices((), "node", tuple(writers))
    labels = question.rows(
        _LABELS, {"hosts": hosts, "writers": [writer.writer_id for writer in writers]}
    )
    if not any(_kind_of(row["label"]) or parse_process_label(row["label"]) for row in labels):
        return RunDevices((), "node", tuple(writers))
    told = question.rows(_DEVICES, {"nodes": [f"node-{host}" for host in hosts], "kind": DEVICE})
    named = {"project": project, "run_id": run_id, "kind": ENVIRONMENT}
    environments = {
        row["writer_id"]: json.loads(row["body"]) for row in question.rows(_ENVIRONMENTS, named)
    }
    last = max((writer.last_seen or 0.0 for writer in writers), default=0.0)
    found: list[RunDevice] = []
    sources: list[Source] = []
    for host in hosts:
        of_host = {row["label"]: row["is_counted"] for row in labels if row["host"] == host}
        events = [row for row in told if row["run_id"] == f"node-{host}"]
        devices = _devices_of_host(host, of_host, _known(events, last * 1e6))
        if not devices:
            continue
        mine = [writer for writer in writers if writer.host == host]
        used, source = _used(mine, of_host, devices, environments)
        sources.append(source)
        found += (_marked(device, used) for device in devices)
    source = max(sources, key=_BEST_FIRST.index, default="node")
    return RunDevices(tuple(found), source, tuple(writers))


def _known(events: Iterable[dict[str, Any]], last_us: float) -> dict[str, dict[str, Any]]:
    """Return the newest facts of each label up to a moment, else the oldest after it."""
    found: dict[str, dict[str, Any]] = {}
    for row in events:
        body = json.loads(row["body"])
        label = str(body.get("label"))
        if row["time"] <= last_us or label not in found:
            found[label] = body
    return found


def _kind_of(label: str) -> str:
    """Return the kind of a GPU's label, empty for other labels: ``gpu0``, ``gpu0-mig1``."""
    if not label.startswith("gpu") or not label[3:4].isdigit():
        return ""
    return "mig" if "-mig" in label else "gpu"


def _devices_of_host(
    host: str, labels: Iterable[str], known: Mapping[str, dict[str, Any]]
) -> list[RunDevice]:
    found = []
    for label in labels:
        if not (kind := _kind_of(label)):
            continue
        said = known.get(label, {})
        facts = {str(name): str(fact) for name, fact in (said.get("facts") or {}).items()}
        texts = (str(said.get("id") or ""), str(said.get("name") or ""))
        found.append(RunDevice(host, label, kind, *texts, facts, False))
    return sorted(found, key=lambda each: _order(each.label))


def _order(label: str) -> tuple[int, ...]:
    gpu, _, instance = label.removeprefix("gpu").partition("-mig")
    return (int(gpu) if gpu.isdigit() else 0, int(instance) if instance.isdigit() else -1)


def _used(
    writers: Iterable[Writer],
    labels: Mapping[str, int],
    devices: Sequence[RunDevice],
    environments: Mapping[str, Mapping[str, str]],
) -> tuple[frozenset[str], Source]:
    """Return the labels that the writers of one node use, and the source.

    Args:
        labels: those of the node, with whether the daemon counted the GPUs of that process.
    """
    held: dict[str, set[str]] = {}
    for label, is_counted in labels.items():
        process = parse_process_label(label)
        if process is not None and (process.device or is_counted):
            devices_held = held.setdefault(process.writer_id, set())
            if process.device:
                devices_held.add(process.device)
    used: set[str] = set()
    is_limited = True
    by_environment = False
    for writer in writers:
        if writer.writer_id in held:
            used |= held[writer.writer_id]
            continue
        visible = visible_gpus(environments.get(writer.writer_id, {}), devices)
        if visible is not None:
            used |= visible
            by_environment = True
        elif not held:
            is_limited = False
    if not is_limited:
        return frozenset(each.label for each in devices), "node"
    return frozenset(used), "environment" if by_environment else "processes"


def _marked(device: RunDevice, used: frozenset[str]) -> RunDevice:
    """Return ``device`` with whether it is used; a GPU is used with one of its instances."""
    own = device.label in used
    if device.kind == "gpu":
        own = own or any(label.startswith(f"{device.label}-mig") for label in used)
    else:
        own = own or device.facts.get("gpu") in used
    return replace(device, is_of_run=own)
