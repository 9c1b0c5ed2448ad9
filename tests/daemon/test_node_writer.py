"""The node's readings become rows of writers, one for each label, here and over a gateway."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepwell_daemon.samplers import node_writer
from stepwell_daemon.samplers.node_writer import NodeWriters
from stepwell_daemon.samplers.protocol import PROCESS_KIND, Device, Reading
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_store.blocks import BlockBuilder
from stepwell_store.native import decode_blocks
from stepwell_store.process_labels import process_label
from stepwell_wire.records import DEVICE
from stepwell_wire.rows import decode_records
from tests.daemon.gateways import gateway_running, relaying
from tests.daemon.made import spool_running, spooled_in
from tests.daemon.samplers import GPUS, reading

Series = dict[tuple[str, str], list[tuple[int, float]]]
"""(metric, label) to (time, value)."""


def stored(frames: Iterable[SpooledFrame]) -> Series:
    """Return what the tables ``node_series`` and ``node_points`` get of ``frames``."""
    builder = BlockBuilder()
    for frame in frames:
        decoded, _ = decode_records(frame.record.content(), frame.schemas)
        builder.add(frame.info, decoded, frame.schemas)
    tables = {
        block.table: decode_blocks(b"".join(bytes(piece) for piece in block.native()))
        for block in builder.build()
    }
    of_nodes = {"node_series", "node_points", "node_rollups", "events"}
    assert set(tables) <= of_nodes, "a node's rows reached a run's table"
    if "node_points" not in tables:
        return {}
    names, points = tables["node_series"], tables["node_points"]
    labels = {
        series: (metric, label)
        for series, metric, label in zip(
            names["series"].tolist(), names["metric"].tolist(), names["label"].tolist(), strict=True
        )
    }
    assert set(names["host"].tolist()) == {"here"}
    found: Series = {}
    columns = (points[name].tolist() for name in ("series", "time", "value"))
    for series, time, value in zip(*columns, strict=True):
        found.setdefault(labels[series], []).append((time, value))
    return found


async def appended(folder: Path, rounds: list[list[Reading]]) -> Series:
    async with spool_running(folder) as spool:
        node = NodeWriters(spool, "here")
        for number, readings in enumerate(rounds, 1):
            points = node.append(readings, number * 1_000_000)
            assert points == sum(len(each.values) for each in readings)
        await spool.settled()
        return stored(spooled_in(spool))


rounds = st.lists(
    st.lists(
        st.builds(
            Reading,
            st.sampled_from((*GPUS[:3], Device("disk", "nvme0n1"), Device("node"))),
            st.dictionaries(
                st.sampled_from(("gpu/power_watts", "gpu/memory_bytes", "disk/reads_total")),
                st.floats(allow_nan=False, allow_infinity=False),
                max_size=3,
            ),
        ),
        max_size=5,
        unique_by=lambda each: each.device.label,
    ),
    max_size=6,
)


@given(rounds)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.slow
def test_every_value_reaches_the_node_tables_with_its_label(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[Reading]]
) -> None:
    expected: Series = {}
    for number, readings in enumerate(rounds, 1):
        for each in readings:
            for name, value in each.values.items():
                series = expected.setdefault((name, each.device.label), [])
                series.append((number * 1_000_000, value))
    assert asyncio.run(appended(tmp_path_factory.mktemp("spool"), rounds)) == expected


def test_labels_come_through_a_gateway(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            gateway_running(tmp_path / "up") as (gateway, port),
            spool_running(tmp_path / "node") as spool,
        ):
            node = NodeWriters(spool, "here")
            readings = [Reading(gpu, {"gpu/power_watts": float(n)}) for n, gpu in enumerate(GPUS)]
            for second in (1, 2):
                node.append([reading(cpu=0.5), *readings], second * 1_000_000)
            await spool.settled()
            async with relaying(spool, port) as forwarder, asyncio.timeout(30):
                await forwarder.reach(spool.end)
            found = stored(spooled_in(gateway))
            assert found == stored(spooled_in(spool))
            assert found["gpu/power_watts", "gpu7"] == [(1_000_000, 7.0), (2_000_000, 7.0)]
            assert found["cpu", ""] == [(1_000_000, 0.5), (2_000_000, 0.5)]

    asyncio.run(run())


def dropped(spool: Spool) -> tuple[int, int]:
    counters = spool.counters
    return counters.dropped_rows["sample_names"], counters.dropped_points["sample_names"]


@pytest.mark.holds("bound-sample-names")
def test_labels_and_names_beyond_their_bounds_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_writer, "LABELS_MAX", 2)
    monkeypatch.setattr(node_writer, "NAMES_MAX", 3)

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            node = NodeWriters(spool, "here")
            readings = [Reading(gpu, {"a": 1.0, "b": 1.0}) for gpu in GPUS[:3]]
            assert node.append(readings, 1_000_000) == 4
            assert dropped(spool) == (1, 2)
            more = Reading(GPUS[0], {"a": 2.0, "c": 2.0, "d": 2.0, "e": 2.0})
            assert node.append([more], 2_000_000) == 2
            assert dropped(spool) == (1, 4)
            assert node.append([Reading(GPUS[0], {"f": 1.0})], 3_000_000) == 0
            assert dropped(spool) == (2, 5)

    asyncio.run(run())


def test_ever_new_sets_of_names_keep_a_writer_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_writer, "_SCHEMAS_MAX", 2)

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            node = NodeWriters(spool, "here")
            sets = (("a",), ("b",), ("a", "b"), ("b", "a"), ("a",))
            for second, names in enumerate(sets, 1):
                node.append([reading(**dict.fromkeys(names, float(second)))], second * 1_000_000)
            await spool.settled()
            states = spool.registry.states.values()
            assert [len(state.schemas) for state in states] == [2, 2, 1]
            found = stored(spooled_in(spool))
            assert [value for _, value in found["a", ""]] == [1.0, 3.0, 4.0, 5.0]
            assert [value for _, value in found["b", ""]] == [2.0, 3.0, 4.0]

    asyncio.run(run())


def devices_told(spool: Spool) -> list[dict[str, object]]:
    found = []
    for frame in spooled_in(spool):
        decoded, _ = decode_records(frame.record.content(), frame.schemas)
        found += [event.body for event in decoded.events if event.kind == DEVICE]
    return found


def test_what_a_device_is_goes_before_its_first_row_and_again_when_it_changes(
    tmp_path: Path,
) -> None:
    def gpu(uuid: str) -> Reading:
        device = Device("gpu", "gpu0", uuid, "H100", (("pci_bus_id", "0:1"),))
        return Reading(device, {"gpu/power_watts": 1.0})

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            node = NodeWriters(spool, "here")
            for second, uuid in enumerate(("GPU-1", "GPU-1", "GPU-2"), 1):
                node.append([reading(cpu=1.0), gpu(uuid)], second * 1_000_000)
            await spool.settled()
            told = devices_told(spool)
            assert [each["id"] for each in told] == ["GPU-1", "GPU-2"]
            assert told[0] == {
                "kind": "gpu",
                "label": "gpu0",
                "id": "GPU-1",
                "name": "H100",
                "facts": {"pci_bus_id": "0:1"},
            }
            assert len(stored(spooled_in(spool))["gpu/power_watts", "gpu0"]) == 3

    asyncio.run(run())


def test_processes_that_have_ended_make_room_for_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_writer, "LABELS_MAX", 2)

    def process(number: int) -> Reading:
        device = Device(PROCESS_KIND, process_label(f"w{number}"))
        return Reading(device, {"process/threads": 1.0})

    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            now = 1000.0
            node = NodeWriters(spool, "here", clock=lambda: now)
            assert node.append([reading(cpu=1.0), process(1)], 1_000_000) == 2
            assert node.append([process(2)], 2_000_000) == 0, "the first may still run"
            now += 601.0
            assert node.append([process(2)], 3_000_000) == 1
            assert node.append([reading(cpu=1.0)], 4_000_000) == 1, "the node's own stays"
            assert dropped(spool) == (1, 1)

    asyncio.run(run())
