"""The samplers of the node itself: base units, bounds, one reading a device."""

import os
import socket
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from stepwell_daemon.samplers.cgroup import read_cgroup
from stepwell_daemon.samplers.disks import DiskSampler
from stepwell_daemon.samplers.gpu_processes import GpuProcesses
from stepwell_daemon.samplers.host import HostSampler
from stepwell_daemon.samplers.network import NetworkSampler
from stepwell_daemon.samplers.protocol import Reading, SamplerContext, Trainer
from stepwell_daemon.samplers.rates import Rates
from stepwell_daemon.samplers.readings import check_answer
from stepwell_daemon.samplers.training import TrainingSampler
from stepwell_daemon.session import Session
from stepwell_daemon.writer_state import WriterState
from stepwell_daemon.writers import Registry, trainers
from tests.daemon.made import writer_info


def ticking(folder: Path, *pids: int) -> SamplerContext:
    """Return a context whose clock goes one second a call."""
    seconds = iter(range(100))
    return SamplerContext(
        folder, lambda: float(next(seconds)), lambda: [Trainer(pid, f"w{pid}") for pid in pids]
    )


def by_label(readings: list[Reading] | tuple[Reading, ...]) -> dict[str, dict[str, float]]:
    checked = check_answer(readings)
    assert checked.problems == ()
    return {each.device.label: dict(each.values) for each in checked.readings}


def test_the_host_is_sampled_in_base_units(tmp_path: Path) -> None:
    sampler = HostSampler(ticking(tmp_path))
    sampler.sample()
    time.sleep(0.1)  # The system counts the processors' time in steps of 10 ms.
    values = by_label(sampler.sample())[""]
    assert 0.0 <= values["cpu/utilization_ratio"] <= 1.0
    assert 0 < values["memory/used_bytes"] < values["memory/total_bytes"]


Times = namedtuple("Times", ["user", "nice", "system", "idle", "iowait", "steal", "guest"])


def test_shares_of_processor_time_are_of_the_time_between_two_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter((0.0, 0.01, 2.0, 4.0, 6.0))
    counted = iter(
        [
            Times(50.0, 0.0, 10.0, 100.0, 9.0, 0.0, 7.0),
            Times(50.0, 0.0, 10.0, 100.0, 9.0, 0.0, 7.0),  # 10 ms later
            Times(51.0, 0.5, 10.25, 101.5, 9.5, 0.25, 8.0),
            Times(51.0, 0.5, 10.25, 101.5, 9.5, 0.25, 8.0),  # The system has counted no time.
            Times(52.0, 0.5, 10.25, 102.5, 9.4, 0.25, 8.0),
        ]
    )
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(counted))
    sampler = HostSampler(SamplerContext(tmp_path, lambda: next(moments), list))

    def shares() -> dict[str, float]:
        values = by_label(sampler.sample())[""]
        return {n: v for n, v in values.items() if n.startswith("cpu/") and n.endswith("_ratio")}

    assert shares() == {}, "the first sample has no time before it"
    assert shares() == {}, "10 ms are too short"
    assert shares() == {
        "cpu/utilization_ratio": 0.5,
        "cpu/user_ratio": 0.25,
        "cpu/system_ratio": 0.0625,
        "cpu/iowait_ratio": 0.125,
        "cpu/steal_ratio": 0.0625,
    }
    assert shares() == {}
    assert shares()["cpu/utilization_ratio"] == 0.5, "a count that decreases is no time"


def test_a_rate_over_too_short_a_time_is_left_out_and_the_next_one_includes_it() -> None:
    rates = Rates()
    rates.take({"a": {"x_total": 0.0}}, 1.0)
    assert rates.take({"a": {"x_total": 0.0}}, 1.01) == {"a": {"x_total": 0.0}}
    assert rates.take({"a": {"x_total": 8.0}}, 3.0)["a"]["x_per_second"] == 4.0


def test_rates_are_of_the_time_between_and_never_of_a_counter_that_began_anew() -> None:
    rates = Rates()
    assert rates.take({"a": {"x_total": 10.0}}, 1.0) == {"a": {"x_total": 10.0}}
    assert rates.take({"a": {"x_total": 30.0}}, 5.0)["a"]["x_per_second"] == 5.0
    assert "x_per_second" not in rates.take({"a": {"x_total": 1.0}}, 6.0)["a"]
    assert "x_per_second" not in rates.take({"a": {"x_total": 2.0}}, 6.0)["a"], "no time went by"
    assert rates.take({"b": {"x_total": 2.0}}, 7.0).keys() == {"b"}
    assert "x_per_second" not in rates.take({"a": {"x_total": 9.0}}, 8.0)["a"], "it was away"


Disk = namedtuple("Disk", ["read_count", "write_count", "read_bytes", "write_bytes", "busy_time"])


@pytest.fixture
def disks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two physical disks, a partition, and a volume on them; counters that grow each call."""
    for name in ("nvme0n1", "sda"):
        (tmp_path / name / "device").mkdir(parents=True)
    (tmp_path / "dm-0").mkdir()
    (tmp_path / "nvme0n1" / "wwid").write_text("eui.0025\n")
    calls = iter(range(100))

    def counters(perdisk: bool = False, nowrap: bool = True) -> object:
        n = next(calls)
        disk = Disk(n, 2 * n, 1000 * n, 4000 * n, 5000 * n)
        return dict.fromkeys(("nvme0n1", "nvme0n1p1", "dm-0", "sda"), disk) if perdisk else disk

    monkeypatch.setattr(psutil, "disk_io_counters", counters)
    return tmp_path


def test_each_physical_disk_has_a_reading_and_a_stable_id(disks: Path) -> None:
    sampler = DiskSampler(ticking(disks), block=disks)
    assert "disk/read_bytes_per_second" not in by_label(sampler.sample())["sda"]
    readings = sampler.sample()
    values = by_label(readings)
    assert set(values) == {"", "nvme0n1", "sda"}
    assert values["sda"]["disk/read_bytes_per_second"] == 2000.0
    assert values["sda"]["disk/written_bytes_per_second"] == 8000.0
    assert values["sda"]["disk/busy_ratio"] == 1.0, "a ratio is never above 1"
    assert values[""]["disk/free_bytes"] <= values[""]["disk/total_bytes"]
    assert "disk/busy_ratio" not in values[""]
    assert {each.device.label: each.device.id for each in readings}["nvme0n1"] == "eui.0025"


Interface = namedtuple(
    "Interface", ["bytes_sent", "bytes_recv", "errin", "errout", "dropin", "dropout"]
)


@pytest.mark.parametrize(
    ("physical", "shown"),
    [(("ens1", "ib0"), {"", "ens1", "ib0"}), ((), {"", "ens1", "ib0", "docker0", "veth12"})],
)
def test_each_physical_interface_has_a_reading(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    physical: tuple[str, ...],
    shown: set[str],
) -> None:
    for name in physical:
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "address").write_text("52:54:00:12:34:56\n")
    calls = iter(range(100))

    def counters(pernic: bool = False, nowrap: bool = True) -> object:
        n = next(calls)
        every = Interface(100 * n, 200 * n, n, 0, n, 0)
        names = ("lo", "docker0", "veth12", "ens1", "ib0")
        return dict.fromkeys(names, every) if pernic else every

    monkeypatch.setattr(psutil, "net_io_counters", counters)
    sampler = NetworkSampler(ticking(tmp_path), net=tmp_path)
    sampler.sample()
    readings = sampler.sample()
    values = by_label(readings)
    assert set(values) == shown
    assert values["ens1"]["network/receive_bytes_per_second"] == 400.0
    assert values["ens1"]["network/receive_errors_total"] == 4.0
    ids = {each.device.label: each.device.id for each in readings}
    assert ids["ens1"] == ("52:54:00:12:34:56" if physical else "")


def test_this_machines_own_disks_and_interfaces_can_be_read(tmp_path: Path) -> None:
    for kind in (DiskSampler, NetworkSampler):
        sampler = kind(ticking(tmp_path))
        sampler.sample()
        for values in by_label(sampler.sample()).values():
            assert all(value >= 0.0 for value in values.values())


def test_every_value_of_the_node_is_in_the_docs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text("utf-8")
    names: set[str] = set()
    for kind in (HostSampler, DiskSampler, NetworkSampler):
        sampler = kind(ticking(tmp_path))
        sampler.sample()
        time.sleep(0.1)
        for values in by_label(sampler.sample()).values():
            names |= values.keys()
    assert len(names) > 20
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


CHILDREN = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
"""


def test_training_processes_and_their_children_are_added_up(tmp_path: Path) -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-c", CHILDREN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert trainer.stdout is not None
    try:
        child = int(trainer.stdout.readline())
        sampler = TrainingSampler(ticking(tmp_path, trainer.pid, 2**22 - 1))
        both_samples = [by_label(sampler.sample()) for _ in range(2)]
        first, second = (each[""] for each in both_samples)
        own = both_samples[1][f"process-w{trainer.pid}"]
        assert own["process/processes"] == 2.0
        assert not any(name.endswith("_used_bytes_per_second") for name in own)
        assert own["process/threads"] >= 2.0
        assert own["process/resident_bytes"] == second["training/resident_bytes"]
        assert own["process/read_bytes_per_second"] >= 0.0
        assert "process/gpus" not in own, "nothing is known of GPUs here"
        assert first["training/processes"] == second["training/processes"] == 2.0
        both = sum(psutil.Process(pid).memory_info().rss for pid in (trainer.pid, child))
        assert second["training/resident_bytes"] == pytest.approx(both, rel=0.2)
        assert "training/cpu_cores" not in first
        assert 0.0 <= second["training/cpu_cores"] <= (os.cpu_count() or 1)
    finally:
        trainer.communicate(b"\n")


BUSY = """
import sys, time
while time.process_time() < float(sys.argv[1]): pass
print(flush=True)
input()
"""


def test_processor_time_from_before_the_first_sample_of_a_process_is_in_no_rate(
    tmp_path: Path,
) -> None:
    """A second writer connects that has run for longer than the time between two samples."""
    moments = iter((0.0, 0.01, 2.0, 4.0))
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, "-c", BUSY, seconds], stdin=pipe, stdout=pipe)
        for seconds in ("0", "1")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        known, late = (Trainer(process.pid, f"w{process.pid}") for process in processes)
        seen = [known]
        sampler = TrainingSampler(SamplerContext(tmp_path, lambda: next(moments), lambda: seen))
        assert "training/cpu_cores" not in by_label(sampler.sample())[""]
        values = by_label(sampler.sample())
        assert "training/cpu_cores" not in values[""], "10 ms are too short"
        assert "process/cpu_cores" not in values[f"process-w{known.pid}"]
        seen.append(late)
        values = by_label(sampler.sample())
        assert "training/cpu_cores" not in values[""]
        assert "process/cpu_cores" not in values[f"process-w{late.pid}"]
        assert values[f"process-w{known.pid}"]["process/cpu_cores"] < 0.5
        values = by_label(sampler.sample())
        assert values[""]["training/cpu_cores"] < 0.5
        assert values[f"process-w{late.pid}"]["process/cpu_cores"] < 0.25
    finally:
        for process in processes:
            process.communicate(b"\n")


def test_without_training_there_is_no_reading(tmp_path: Path) -> None:
    assert TrainingSampler(ticking(tmp_path)).sample() == []


def test_only_connected_writers_of_this_node_are_its_training_processes() -> None:
    registry = Registry({})
    here = socket.gethostname()
    cases = {
        "mine": (here, "", "run", True),
        "elsewhere": ("far", "", "run", True),
        "relayed": (here, "another-daemon", "run", True),
        "node": (here, "", "node", True),
        "left": (here, "", "run", False),
    }
    for pid, (name, (host, via, scope, connected)) in enumerate(cases.items(), 100):
        state = WriterState(writer_info(name, host=host, scope=scope, pid=pid), via=via)
        if connected:
            state.session = Session(state)
        registry.add(state)
    assert trainers(registry) == [Trainer(100, "mine")]
    assert trainers(registry, host="far") == [Trainer(101, "elsewhere")]


def test_a_disk_without_a_busy_time_has_no_busy_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SimpleNamespace(read_count=1, write_count=1, read_bytes=1, write_bytes=1)
    monkeypatch.setattr(
        psutil, "disk_io_counters", lambda perdisk=False, nowrap=True: {} if perdisk else disk
    )
    sampler = DiskSampler(ticking(tmp_path), block=tmp_path)
    sampler.sample()
    assert "disk/busy_ratio" not in by_label(sampler.sample())[""]


def machine_namespace(folder: Path) -> dict[str, Any]:
    """What lets a sampler see this machine's processes by the numbers of a GPU's driver."""
    namespace = folder / "pid"
    namespace.touch()
    return {"pid_namespace": namespace, "machine_namespace": namespace.stat().st_ino}


def test_numbers_of_another_namespace_name_no_process_of_this_one(tmp_path: Path) -> None:
    own = os.getpid()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    context = ticking(tmp_path, own)
    context.gpu_processes.publish({own: {"gpu0": 5}})
    found = by_label(TrainingSampler(context, pid_namespace=elsewhere).sample())
    assert set(found) == {"", f"process-w{own}"}  # The driver's number is not ours.
    status = tmp_path / str(own) / "status"
    status.parent.mkdir()
    status.write_text(f"Name:\tpython\nNSpid:\t{own}\t17\n")
    sampler = TrainingSampler(context, proc=tmp_path, **machine_namespace(tmp_path))
    assert by_label(sampler.sample()) == {}  # Who says that it is this number is another.
    status.write_text(f"Name:\tpython\nNSpid:\t{own}\n")
    assert f"process-w{own}@gpu0" in by_label(sampler.sample())


def test_a_process_has_a_reading_for_each_gpu_that_it_or_a_child_holds(tmp_path: Path) -> None:
    trainer = subprocess.Popen(
        [sys.executable, "-c", CHILDREN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert trainer.stdout is not None
    try:
        child = int(trainer.stdout.readline())
        context = ticking(tmp_path, trainer.pid)
        context.gpu_processes.publish(
            {trainer.pid: {"gpu0": 5}, child: {"gpu0": 2, "gpu3-mig1": 7}, 1: {"gpu7": 9}}
        )
        values = by_label(TrainingSampler(context, **machine_namespace(tmp_path)).sample())
        label = f"process-w{trainer.pid}"
        assert values[f"{label}@gpu0"] == {"process/gpu_memory_bytes": 7.0}
        assert values[f"{label}@gpu3-mig1"] == {"process/gpu_memory_bytes": 7.0}
        assert set(values) == {"", label, f"{label}@gpu0", f"{label}@gpu3-mig1"}
        assert values[label]["process/gpus"] == 2.0
    finally:
        trainer.communicate(b"\n")


@pytest.mark.parametrize("is_first", [True, False])
def test_no_gpu_is_said_only_where_the_drivers_process_ids_are_ours(
    tmp_path: Path, is_first: bool
) -> None:
    namespaces = machine_namespace(tmp_path)
    if not is_first:
        namespaces["machine_namespace"] += 1
    context = ticking(tmp_path, os.getpid())
    context.gpu_processes.publish({})
    values = by_label(TrainingSampler(context, **namespaces).sample())
    expected = 0.0 if is_first else None
    assert values[f"process-w{os.getpid()}"].get("process/gpus") == expected


def test_old_facts_about_gpus_are_none() -> None:
    now = 0.0
    board = GpuProcesses(lambda: now)
    assert board.newest() is None
    board.publish({1: {"gpu0": 5}})
    assert board.newest() == {1: {"gpu0": 5}}
    now = 61.0
    assert board.newest() is None


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_limits_and_usage_of_a_control_group_of_version_2(tmp_path: Path) -> None:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    group(proc / "7", cgroup="0::/pod/trainer")
    group(root, cgroup__controllers="cpu memory")
    group(root / "pod", memory__max="4096", cpu__max="max 100000")
    group(
        root / "pod" / "trainer",
        memory__current="1024",
        memory__max="max",
        cpu__max="250000 100000",
        cpu__stat="usage_usec 2500000\nnr_throttled 3\nthrottled_usec 500000",
        memory__events="low 0\noom_kill 2",
    )
    assert read_cgroup(7, root=root, proc=proc) == {
        "cgroup/memory_used_bytes": 1024.0,
        "cgroup/memory_limit_bytes": 4096.0,
        "cgroup/cpu_limit_cores": 2.5,
        "cgroup/cpu_seconds_total": 2.5,
        "cgroup/cpu_throttled_seconds_total": 0.5,
        "cgroup/oom_kills_total": 2.0,
    }
    assert read_cgroup(8, root=root, proc=proc) == {}


def test_limits_and_usage_of_control_groups_of_version_1(tmp_path: Path) -> None:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    group(proc / "7", cgroup="4:memory:/job/1\n3:cpu,cpuacct:/job/1\n0::/")
    group(root / "memory" / "job", memory__limit_in_bytes=str(1 << 34))
    group(
        root / "memory" / "job" / "1",
        memory__usage_in_bytes="1024",
        memory__limit_in_bytes=str((1 << 63) - 4096),
        memory__oom_control="oom_kill_disable 0\noom_kill 1",
    )
    group(
        root / "cpu,cpuacct" / "job" / "1",
        cpu__cfs_quota_us="150000",
        cpu__cfs_period_us="100000",
        cpu__stat="nr_throttled 3\nthrottled_time 2000000000",
        cpuacct__usage="7000000000",
    )
    group(root / "cpu,cpuacct" / "job", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert read_cgroup(7, root=root, proc=proc) == {
        "cgroup/memory_used_bytes": 1024.0,
        "cgroup/memory_limit_bytes": float(1 << 34),
        "cgroup/oom_kills_total": 1.0,
        "cgroup/cpu_limit_cores": 1.5,
        "cgroup/cpu_throttled_seconds_total": 2.0,
        "cgroup/cpu_seconds_total": 7.0,
    }


def test_a_group_named_as_the_machine_sees_it_is_the_root_here(tmp_path: Path) -> None:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    group(proc / "7", cgroup="0::/kubepods/pod1")
    group(root, cgroup__controllers="memory", memory__current="9")
    assert read_cgroup(7, root=root, proc=proc) == {"cgroup/memory_used_bytes": 9.0}


@pytest.mark.parametrize("line", ["0::/../../kubepods/pod1", "4:memory:/../pod1"])
def test_a_group_beyond_this_container_is_not_taken_for_its_own(tmp_path: Path, line: str) -> None:
    root, proc = tmp_path / "cgroup", tmp_path / "proc"
    group(proc / "7", cgroup=line)
    group(root, cgroup__controllers="memory", memory__current="9")
    group(root / "memory", memory__usage_in_bytes="9")
    assert read_cgroup(7, root=root, proc=proc) == {}
