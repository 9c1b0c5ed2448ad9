"""Each degraded state is produced, as far as it can be, and `doctor` says what to do about it."""

import asyncio
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import stepwell
from stepwell.cli.checks import Finding, Level, losses, node, process, stored
from stepwell.cli.checks.sink import sink
from stepwell.cli.daemon_client import DaemonClient
from stepwell_daemon import sink_errors
from stepwell_daemon.bounds import BOUNDS, DROPS
from stepwell_daemon.delivery import SinkHealth
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.sink_errors import KINDS, kind_of
from stepwell_daemon.spool.repairing import repair_spool
from stepwell_daemon.spool.segment import PAGE_BYTES, Progress, list_segments, segment_path
from stepwell_daemon.status import status
from stepwell_store import SchemaTooNewError, StoreError, open_embedded
from stepwell_store.errors import StoreBusyError, StoreUnavailableError, insert_error
from tests.cli.conftest import Call
from tests.cli.poisoned import poisoned
from tests.daemon.disks import FaultyDisk
from tests.daemon.facts import facts_of
from tests.daemon.gateways import TOKEN, gateway_running, relaying, write_secret
from tests.daemon.made import append, new_writer, row, schema_event, spool_running
from tests.fake_daemon import FakeDaemon
from tests.node import Node, made_node
from tests.waiting import until, wait_until


def worst(findings: Iterable[Finding]) -> Finding:
    order = (Level.OK, Level.WARN, Level.FAIL)
    return max(findings, key=lambda each: order.index(each.level))


# ---------------------------------------------------------------------------- the socket


def test_no_daemon_a_stale_socket_and_one_without_rights_are_told_apart(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place / "s.sock"
    assert "no daemon on" in node.unanswered(path).message
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert "no process listens" in node.unanswered(path).message
    monkeypatch.setattr(os, "access", lambda *_: False)  # A root user may write everywhere.
    finding = node.unanswered(path)
    assert finding.level is Level.FAIL
    assert "usermod -aG" in finding.remedy


def test_a_socket_open_to_every_user_is_told(place: Path) -> None:
    path = place / "s.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    place.chmod(0o755)
    path.chmod(0o666)
    assert node.permissions(path).level is Level.WARN
    path.chmod(0o660)
    assert node.permissions(path).level is Level.OK


# ---------------------------------------------------------------------------- the spool


def test_a_full_spool_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    async def run() -> dict[str, Any]:
        async with spool_running(tmp_path / "spool", bytes_max=1) as spool:
            append(spool, new_writer(spool), schema_event())
            await spool.settled()
            return status(facts_of(spool, tmp_path))

    finding = worst(node.spool(node.DaemonStatus(asyncio.run(run()), tmp_path)))
    assert (finding.level, finding.message[:5]) == (Level.FAIL, "full:")
    assert "spool_bytes_max" in finding.remedy


def test_a_spool_whose_disk_fails_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    failing = False
    disk = FaultyDisk(
        lambda call, name: OSError(errno.ENOSPC, "No space left on device") if failing else None
    )

    async def run() -> dict[str, Any]:
        nonlocal failing
        async with spool_running(tmp_path / "spool", disk=disk) as spool:
            failing = True
            append(spool, new_writer(spool), schema_event())
            await until(lambda: spool.failure, "the spool to fail")
            told = status(facts_of(spool, tmp_path))
            failing = False
            await spool.settled()
            return told

    finding = worst(node.spool(node.DaemonStatus(asyncio.run(run()), tmp_path)))
    assert finding.level is Level.FAIL
    assert "No space left on device" in finding.message
    assert "free space" in finding.remedy


def test_a_disk_without_room_for_the_spool_is_told(call: Call, daemon: FakeDaemon) -> None:
    daemon.status["spool"]["bytes_max"] = 1 << 60
    assert "a long outage of the sink fills the disk" in call("doctor").out


@pytest.mark.holds("damaged-spool-file")
def test_a_spool_without_a_daemon_is_looked_at(tmp_path: Path) -> None:
    assert list(node.idle_spool(tmp_path)) == []

    async def write(name: str) -> int:
        async with spool_running(tmp_path / "spool") as spool:
            append(spool, new_writer(spool, name), schema_event())
            await spool.settled()
            return spool.end.offset - PAGE_BYTES

    sizes = [asyncio.run(write(name)) for name in ("a", "b")]
    (waiting,) = node.idle_spool(tmp_path)
    assert waiting.level is Level.WARN
    assert (
        waiting.message == f"{sum(sizes)} B wait in {tmp_path / 'spool'}, and no daemon sends them"
    )
    segment_path(tmp_path / "spool", 1).unlink()
    missing, waiting = node.idle_spool(tmp_path)
    assert missing.message == f"{segment_path(tmp_path / 'spool', 1)}: missing"
    assert "stepwell spool verify" in missing.remedy
    assert waiting.message.startswith(f"{sizes[1]} B wait")

    async def store() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            await spool.save_progress(Progress(spool.end))

    asyncio.run(store())
    (nothing,) = node.idle_spool(tmp_path)
    assert (nothing.level, nothing.message[:13]) == (Level.OK, "no data waits")


def test_dead_letters_are_told_also_after_a_restart(tmp_path: Path) -> None:
    poisoned(tmp_path / "spool")
    (finding,) = losses.kept(tmp_path)
    assert (finding.check, finding.message[:8]) == ("dead letters", "1 frame,")
    assert "replay --list" in finding.remedy


def test_quarantined_pieces_are_told_also_after_a_restart(tmp_path: Path) -> None:
    async def write() -> None:
        async with spool_running(tmp_path / "spool") as spool:
            append(spool, new_writer(spool), schema_event())
            for step in range(20):
                append(spool, new_writer(spool), row(step))
            await spool.settled()

    asyncio.run(write())
    path = segment_path(tmp_path / "spool", list_segments(tmp_path / "spool")[0])
    content = bytearray(path.read_bytes())
    content[PAGE_BYTES + 900] ^= 1
    path.write_bytes(content)
    assert list(losses.kept(tmp_path)) == []
    repair_spool(tmp_path / "spool")
    (finding,) = losses.kept(tmp_path)
    assert finding.check == "quarantine"
    assert "check the disk" in finding.remedy


# ---------------------------------------------------------------------------- the sink


def remedy_for(kind: str, sink_kind: str = "embedded") -> str:
    """Return what is advised where a sink failed for ``kind``."""
    told = {"kind": sink_kind, "healthy": False, "last_error": "", "last_error_kind": kind}
    (finding,) = sink({"sink": told})
    return finding.remedy


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (insert_error("points", 252, "Code: 252. too many parts"), sink_errors.TOO_MANY_PARTS),
        (insert_error("points", 241, "Code: 241. memory"), sink_errors.MEMORY),
        (insert_error("points", 242, "Code: 242. read only"), sink_errors.READ_ONLY),
        (insert_error("points", 243, "Code: 243. no space"), sink_errors.DISK),
        (insert_error("points", 516, "Code: 516. who?"), sink_errors.AUTH),
        (insert_error("points", 60, "Code: 60. no table"), sink_errors.SCHEMA),
        (insert_error("points", 210, "Code: 210. network"), sink_errors.UNREACHABLE),
        (insert_error("points", 9999, "Code: 9999. what?"), sink_errors.OTHER),
        (StoreUnavailableError("the engine is down"), sink_errors.UNREACHABLE),
        (StoreBusyError("held"), sink_errors.BUSY),
        (DaemonConfigError("a key that others may read"), sink_errors.CONFIGURATION),
        (OSError(errno.EIO, "Input/output error"), sink_errors.DISK),
        (MemoryError(), sink_errors.MEMORY),
        (RuntimeError("what?"), sink_errors.OTHER),
    ],
)
def test_each_failure_of_a_store_is_told_with_its_own_remedy(
    tmp_path: Path, error: Exception, kind: str
) -> None:
    async def run() -> dict[str, Any]:
        async with spool_running(tmp_path) as spool:
            health = SinkHealth()
            health.failed(error)
            return status(facts_of(spool, tmp_path, health))

    (finding,) = sink(asyncio.run(run()))
    assert finding.level is Level.FAIL
    assert str(error) in finding.message
    assert finding.remedy == remedy_for(kind)
    assert (finding.remedy == remedy_for(sink_errors.OTHER)) == (kind == sink_errors.OTHER)


def test_servers_that_are_away_from_the_start_are_told_as_servers(
    call: Call, daemon: FakeDaemon
) -> None:
    daemon.status["sink"] |= {
        "kind": "clickhouse ch1:9000",
        "healthy": False,
        "last_error": "no process listens",
        "last_error_kind": "unreachable",
    }
    told = call("doctor").out
    assert "clickhouse ch1:9000: no process listens" in told
    assert "clickhouse_hosts" in told
    assert "engine.log" not in told
    assert "the first daemon creates it" not in told, "no store is ever made in the data folder"


@pytest.mark.slow
def test_a_store_of_a_later_release_is_told(tmp_path: Path) -> None:
    opened = open_embedded(tmp_path, memory_bytes_max=1 << 30)
    try:
        opened.migrate()
        version = "INSERT INTO schema_versions (version) VALUES (999)"
        opened.query(version)
        with pytest.raises(StoreError) as failed:
            opened.migrate()
    finally:
        opened.close()
    assert isinstance(failed.value, SchemaTooNewError)
    assert kind_of(failed.value) == sink_errors.SCHEMA_NEWER
    assert "upgrade stepwell" in remedy_for(sink_errors.SCHEMA_NEWER)


def relay_finding(tmp_path: Path, port: int | None, **settings: Any) -> Finding:
    """Relay to a real gateway, or to nobody, until it fails; return what is said of it."""

    async def relay(to: int) -> dict[str, Any]:
        async with spool_running(tmp_path / "node") as spool:
            append(spool, new_writer(spool), schema_event() + row(1))
            await spool.settled()
            async with relaying(spool, to, **settings) as forwarder:
                await until(lambda: not forwarder.health.healthy, "the gateway to be missed")
                return status(
                    facts_of(spool, tmp_path, forwarder.health, sink_kind=f"gateway x:{to}")
                )

    async def run() -> dict[str, Any]:
        if port is not None:
            return await relay(port)
        tokens = write_secret(tmp_path / "tokens", f"{TOKEN}\n")
        async with gateway_running(tmp_path / "up", tokens_file=tokens) as (_, own):
            return await relay(own)

    return worst(sink(asyncio.run(run())))


def test_a_gateway_that_refuses_the_token_is_told(tmp_path: Path) -> None:
    finding = relay_finding(tmp_path, None)
    assert finding.level is Level.FAIL
    assert "gateway_tokens_file" in finding.remedy


def test_a_gateway_that_is_away_is_told(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # Bound and not listening: a connection is refused.
        finding = relay_finding(tmp_path, nobody.getsockname()[1])
    assert finding.level is Level.FAIL
    assert "gateway_address" in finding.remedy


def test_a_gateway_with_another_spool_and_an_unsteady_engine_are_told(
    call: Call, daemon: FakeDaemon
) -> None:
    daemon.status["gateway"] = {"upstream_changes": 2}
    daemon.status["sink"]["engine_restarts"] = 3
    told = call("doctor").out
    assert "the gateway had another spool than before, 2 times" in told
    assert "ended 3 times and was started again" in told


def test_every_kind_bound_and_reason_has_a_remedy() -> None:
    for sink_kind in ("embedded", "clickhouse ch1:9000"):
        of_others = remedy_for("of a later release", sink_kind)
        assert remedy_for(sink_errors.OTHER, sink_kind) == of_others
        for kind in set(KINDS) - {sink_errors.OTHER}:
            assert remedy_for(kind, sink_kind) != of_others, (sink_kind, kind)
    lost = {"rows": 1, "points": 1}
    bounds = [dict.fromkeys([bound], 1) for bound in ("of a later release", *BOUNDS)]
    drops = [dict.fromkeys([reason], lost) for reason in ("of a later release", *DROPS)]
    for key, told in (("bounds_reached", bounds), ("dropped", drops)):
        of_others, *remedies = [
            finding.remedy for each in told for finding in losses.refused({key: each})
        ]
        assert len(remedies) == len(told) - 1
        assert of_others not in remedies


def test_what_was_refused_and_dropped_is_told_with_remedies(call: Call, daemon: FakeDaemon) -> None:
    daemon.status["totals"] |= {
        "bounds_reached": {"writers_max": 4},
        "dropped": {
            "journal_full": {"rows": 5, "points": 10},
            "console_lines": {"rows": 7, "points": 0},
        },
    }
    told = call("doctor").out
    assert "writers_max was reached 4 times" in told
    assert "journal_full: lost 10 points in 5 rows" in told
    assert "console_lines: lost 7 lines of the console" in told
    assert "STEPWELL_JOURNAL_BYTES_MAX" in told


# ---------------------------------------------------------------------------- the process


def test_versions_that_differ_are_told() -> None:
    assert list(process.version("0.1.0", "0.1.0")) == []
    (minor,) = process.version("0.1.0", "0.2.0")
    (major,) = process.version("1.0.0", "0.1.0")
    assert (minor.level, major.level) == (Level.WARN, Level.FAIL)


@pytest.mark.parametrize(("now", "said"), [(1100, ""), (5000, "ahead"), (100, "back")])
def test_a_clock_that_jumped_is_told(now: float, said: str) -> None:
    found = list(process.clock(1000.0, 100.0, now))
    assert [said in each.message for each in found] == ([True] if said else [])


def test_points_from_the_future_are_told(call: Call, store: Any) -> None:
    now = time.time()
    found = list(stored.store(store.data_dir, clock=lambda: now - 100 * 365 * 86_400))
    assert any(each.check == "clock" and "future" in each.message for each in found)


@pytest.mark.parametrize(
    ("held", "most", "level"),
    [(100, 65_536, None), (20, 256, Level.WARN), (900, 1024, Level.FAIL)],
)
def test_few_descriptors_are_told(held: int, most: int, level: Level | None) -> None:
    found = [each.level for each in process.files("the daemon", held, most)]
    assert found == ([level] if level else [])


def test_journals_of_ended_writers_are_told(call: Call, place: Path) -> None:
    run = stepwell.init(project="left", mode="offline", settings={"console": False})
    run.log({"loss": 1.0})
    run.finish()
    found = worst(stored.journals(place / "journals"))
    assert found.level is Level.WARN
    assert "stepwell sync" in found.remedy


# ---------------------------------------------------------------------------- a real daemon


@pytest.fixture
def small() -> Iterator[Node]:
    """A node whose daemon may open few files."""
    with made_node() as made:
        made.wrapper = ("prlimit", "--nofile=512:512")
        made.start_daemon("--sample-seconds", "0.2")
        yield made


@pytest.mark.processes
def test_a_real_daemon_short_of_files_whose_engine_was_killed(small: Node) -> None:
    assert small.daemon is not None

    def told() -> dict[str, Any]:
        with DaemonClient(small.socket) as asked:
            return asked.status()

    wait_until(lambda: told()["sink"]["inserts"] > 0, "an insert")
    (engine,) = psutil.Process(small.daemon.pid).children()
    os.kill(engine.pid, signal.SIGKILL)
    wait_until(lambda: told()["sink"]["engine_restarts"] > 0, "another engine")
    findings = json.loads(small.stepwell("doctor", "--json").stdout)["findings"]
    messages = {each["message"]: each for each in findings}
    ended = next(text for text in messages if "ended 1 time and" in text)
    assert "engine.log" in messages[ended]["remedy"]
    few = next(text for text in messages if "of 512 files open" in text)
    assert "LimitNOFILE" in messages[few]["remedy"]
