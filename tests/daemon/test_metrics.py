"""What the daemon says of itself, over HTTP and in numbers."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stepwell_daemon.counters import Counters, Histogram, Rate
from stepwell_daemon.http_server import Answer, HttpServer
from stepwell_daemon.metrics import build_registry, render
from stepwell_daemon.samplers.health import SamplerHealth
from stepwell_daemon.samplers.host import HostSampler
from stepwell_daemon.samplers.protocol import PROCESS_KIND, Condition, Device, Reading
from stepwell_daemon.samplers.thread import Outcome
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.status import status
from tests.daemon.facts import facts_of
from tests.daemon.made import append, new_writer, schema_event, spool_running
from tests.daemon.samplers import GPUS, context


def sampled() -> SamplerHealth:
    """Return the health of a sampler that read the host and two GPUs."""
    health = SamplerHealth("host", 10.0)
    gpus = [
        Reading(
            replace(gpu, name="M", facts=(("index", gpu.label[3:]),)),
            {"gpu/power_watts": 300.0, "gpu/energy_joules_total": 5.0, "x/y_per_second": 1.0},
        )
        for gpu in GPUS[:2]
    ]
    process = Reading(Device(PROCESS_KIND, "process-w1"), {"process/threads": 1.0})
    readings = (*HostSampler(context()).sample(), *gpus, process)
    lost = Condition(GPUS[2], "lost", "gpu2 is lost", is_problem=False)
    health.answered(Outcome(readings, (), 1, 0.25, (lost,)))
    return health


def test_metrics_have_base_units_and_help(tmp_path: Path) -> None:
    async def run() -> str:
        async with spool_running(tmp_path) as spool:
            facts = facts_of(spool, tmp_path)
            facts.samplers = (sampled(), SamplerHealth("gpus", 10.0))
            facts.counters.refused["gap"] += 2
            return render(build_registry(facts)).decode()

    families = list(text_string_to_metric_families(asyncio.run(run())))
    names = {family.name for family in families}
    assert {"stepwell_points_received", "stepwell_spool_sync_seconds"} <= names
    assert {"stepwell_node_memory_used_bytes", "stepwell_node_load_1m"} <= names
    by_name = {family.name: family for family in families}
    power = by_name["stepwell_device_gpu_power_watts"].samples
    assert {sample.labels["device"]: sample.value for sample in power} == {
        "gpu0": 300.0,
        "gpu1": 300.0,
    }
    assert power[1].labels == {"device": "gpu1", "index": "1", "uuid": "GPU-00000001", "model": "M"}
    (state,) = by_name["stepwell_device_state"].samples
    assert (state.labels, state.value) == ({"device": "gpu2", "state": "lost"}, 1.0)
    assert not any("process" in family.name for family in families), "their number has no bound"
    assert by_name["stepwell_device_gpu_energy_joules"].type == "counter"
    assert "stepwell_device_x_y_per_second" not in by_name
    for name, values in (("samples", (1.0, 0.0)), ("failures", (0.0, 0.0))):
        family = by_name[f"stepwell_sampler_{name}"]
        assert tuple(sample.value for sample in family.samples) == values
    durations = by_name["stepwell_sampler_duration_seconds"].samples
    assert {sample.labels["sampler"]: sample.value for sample in durations} == {
        "host": 0.25,
        "gpus": 0.0,
    }
    for family in families:
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for word in ("_ms", "_percent", "_mb", "_kb", "run_id"):
            assert word not in family.name
        for sample in family.samples:
            assert not {"run_id", "step", "writer_id", "project"} & set(sample.labels)
            assert (family.type == "counter") <= sample.name.endswith("_total")


def test_the_status_has_the_keys_that_are_promised(tmp_path: Path) -> None:
    async def run() -> dict[str, object]:
        async with spool_running(tmp_path) as spool:
            append(spool, new_writer(spool), schema_event())
            await spool.settled()
            found: dict[str, object] = json.loads(json.dumps(status(facts_of(spool, tmp_path))))
            return found

    found = asyncio.run(run())
    page = (Path(__file__).parents[2] / "docs" / "formats" / "status.md").read_text()
    for key, value in found.items():
        for name in (key, *(value if isinstance(value, dict) else ())):
            assert re.search(rf"[` ]{name}[`,{{\[]", page), f"docs/formats/status.md lacks {name}"
    writers = found["writers"]
    assert isinstance(writers, list)
    assert set(writers[0]) == {
        *("project", "run_id", "writer_id", "label", "host", "pid", "connected", "position"),
        *("points_per_second", "seconds_since_last_frame", "relayed"),
    }


def test_the_status_says_how_each_sampler_does(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path) as spool:
            facts = facts_of(spool, tmp_path)
            hung = SamplerHealth("gpus", 10.0)
            facts.samplers = (sampled(), hung)
            assert facts.problems() == []
            hung.hangs(0.0)
            (problem,) = facts.problems()
            assert "gpus has not answered" in problem
            assert facts.ready, "a sampler that hangs stops no frame"
            host, gpus = status(facts)["samplers"]
            assert (host["state"], host["samples"], host["last_seconds"]) == ("ok", 1, 0.25)
            assert host["devices"][1] == {
                "kind": "gpu",
                "label": "gpu0",
                "id": "GPU-00000000",
                "name": "M",
            }
            assert (gpus["state"], gpus["failures"], gpus["devices"]) == ("hung", 1, [])
            assert gpus["last_error"] == "no answer within 10 seconds"

    asyncio.run(run())


def test_problems_say_what_to_do(tmp_path: Path) -> None:
    async def run() -> None:
        async with spool_running(tmp_path, bytes_max=1) as spool:
            facts = facts_of(spool, tmp_path)
            assert facts.problems() == []
            assert facts.ready
            facts.health.failed(OSError("no such thing"))
            append(spool, new_writer(spool), schema_event())
            await spool.settled()
            problems = facts.problems()
            assert any("raise spool_bytes_max" in each for each in problems)
            assert any("no such thing" in each for each in problems)
            assert not facts.ready

    asyncio.run(run())


def test_http_answers_what_is_there_and_refuses_the_rest() -> None:
    async def ask(port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    async def run() -> None:
        server = HttpServer({"/healthz": lambda: Answer(b"alive\n")})
        await server.start("127.0.0.1", 0, may_move=True)
        port = int(server.url.rsplit(":", 1)[1])
        alive = await ask(port, b"GET /healthz?x=1 HTTP/1.1\r\n\r\n")
        assert alive.startswith(b"HTTP/1.1 200 OK\r\n")
        assert alive.endswith(b"\r\n\r\nalive\n")
        head = await ask(port, b"HEAD /healthz HTTP/1.1\r\n\r\n")
        assert b"Content-Length: 6\r\n" in head
        assert head.endswith(b"\r\n\r\n")
        assert b" 404 " in await ask(port, b"GET /nothing HTTP/1.1\r\n\r\n")
        assert b" 405 " in await ask(port, b"POST /healthz HTTP/1.1\r\n\r\n")
        assert b" 400 " in await ask(port, b"nonsense\r\n\r\n")
        assert await ask(port, b"x" * 40_000) == b""
        await server.close()

    asyncio.run(run())


def test_a_taken_port_gives_way_to_a_free_one(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        first, second = HttpServer({}), HttpServer({})
        await first.start("127.0.0.1", 0, may_move=True)
        port = int(first.url.rsplit(":", 1)[1])
        await second.start("127.0.0.1", port, may_move=True)
        assert second.url != first.url
        await first.close()
        await second.close()

    asyncio.run(run())
    assert "is in use" in caplog.text


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert (histogram.count, histogram.total, histogram.largest) == (4, 12.0, 9.0)


def test_a_rate_is_zero_before_anything_came() -> None:
    assert Rate().per_second() == 0.0
    assert Counters().points_received_rate.per_second() == 0.0


def test_settings_of_the_spool_have_defaults_that_fit_together() -> None:
    settings = SpoolSettings()
    assert settings.segment_bytes < settings.keep_bytes < settings.bytes_max
