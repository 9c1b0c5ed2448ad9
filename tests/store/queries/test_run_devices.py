"""Which GPUs of its nodes are a run's own, and how its nodes' series are called."""

from stepwell_store import Store
from stepwell_store.process_labels import parse_process_label, process_label
from stepwell_store.queries import node_buckets, run_devices, run_nodes
from stepwell_store.writer import WriterInfo
from stepwell_wire.records import DEVICE, ENVIRONMENT, START
from tests.store.made import START_US, event, fresh_project, log, tell, writer

SPAN = {"first_time_us": START_US, "last_time_us": START_US + 99_999}


def begin(store: Store, project: str, host: str, rank: int, **environment: str) -> str:
    """Let a writer of the project's run begin and return its id."""
    who = WriterInfo(project, "run", f"w{rank}-{project}", f"rank{rank}", "run", host, 100 + rank)
    body = {"rank": rank, "started_at": START_US, "world_size": 2}
    events = [event(START, body)]
    if environment:
        events.append(event(ENVIRONMENT, environment))
    tell(store, who, *events)
    return who.writer_id


def sample(store: Store, host: str, label: str, metric: str, value: float = 1.0) -> None:
    node = writer("", f"node-{host}", label=label, scope="node", host=host)
    log(store, node, [0, 1], **{metric: [value, value]})


def gpus(store: Store, host: str, count: int) -> None:
    for number in range(count):
        label = f"gpu{number}"
        sample(store, host, label, "gpu/power_watts")
        node = writer("", f"node-{host}", label=label, scope="node", host=host)
        facts = {"index": str(number)}
        said = {"kind": "gpu", "label": label, "id": f"GPU-{number}", "name": "H100"}
        tell(store, node, event(DEVICE, {**said, "facts": facts}))


def shown(store: Store, project: str, host: str, **options: bool) -> dict[str, list[str]]:
    devices = run_devices(store, project, "run")
    found = node_buckets(store, [host], devices=devices, **SPAN, **options)
    return {metric.metric: [each.label for each in metric.series] for metric in found}


def own(store: Store, project: str) -> tuple[list[str], str]:
    found = run_devices(store, project, "run")
    return [each.label for each in found.devices if each.is_of_run], found.source


def test_the_drivers_own_facts_go_first(store: Store):
    project, host = fresh_project(), fresh_project()
    first = begin(store, project, host, 0, CUDA_VISIBLE_DEVICES="0,1,2,3")
    begin(store, project, host, 1)
    gpus(store, host, 4)
    assert own(store, project) == (["gpu0", "gpu1", "gpu2", "gpu3"], "node")
    sample(store, host, process_label(first), "process/gpus", 1.0)
    sample(store, host, process_label(first, "gpu2"), "process/gpu_memory_bytes")
    sample(store, host, process_label("another", "gpu3"), "process/gpu_memory_bytes")
    assert own(store, project) == (["gpu2"], "processes")
    assert shown(store, project, host) == {
        "gpu/power_watts": ["gpu2"],
        "process/gpu_memory_bytes": ["rank0 gpu2"],
        "process/gpus": ["rank0"],
    }
    everything = shown(store, project, host, all_devices=True)
    assert everything["gpu/power_watts"] == ["gpu0", "gpu1", "gpu2", "gpu3"]
    assert everything["process/gpu_memory_bytes"] == ["rank0 gpu2"], "another run's stays its own"
    (node,) = run_nodes(store, project, "run")
    assert {each.label for each in node.metrics} == {"gpu2", "rank0", "rank0 gpu2"}


def test_else_the_environment_says_it_for_each_writer(store: Store):
    project, host = fresh_project(), fresh_project()
    gpus(store, host, 4)
    begin(store, project, host, 0, CUDA_VISIBLE_DEVICES="1")
    begin(store, project, host, 1, CUDA_VISIBLE_DEVICES="GPU-3")
    assert own(store, project) == (["gpu1", "gpu3"], "environment")
    assert shown(store, project, host)["gpu/power_watts"] == ["gpu1", "gpu3"]


def test_a_process_without_a_gpu_shows_none_where_the_daemon_counted(store: Store):
    project, host = fresh_project(), fresh_project()
    gpus(store, host, 2)
    only = begin(store, project, host, 0)
    assert own(store, project) == (["gpu0", "gpu1"], "node")
    sample(store, host, process_label(only), "process/gpus", 0.0)
    assert own(store, project) == ([], "processes")
    assert "gpu/power_watts" not in shown(store, project, host)


def test_an_instance_brings_its_gpu(store: Store):
    project, host = fresh_project(), fresh_project()
    gpus(store, host, 2)
    for number in range(2):
        sample(store, host, f"gpu1-mig{number}", "mig/memory_used_bytes")
    only = begin(store, project, host, 0)
    sample(store, host, process_label(only, "gpu1-mig1"), "process/gpu_memory_bytes")
    assert own(store, project) == (["gpu1", "gpu1-mig1"], "processes")


def test_a_device_has_what_its_daemon_said_of_it(store: Store):
    project, host = fresh_project(), fresh_project()
    gpus(store, host, 1)
    sample(store, host, "gpu1", "gpu/power_watts")
    begin(store, project, host, 0)
    first, second = run_devices(store, project, "run").devices
    assert (first.id, first.name, first.facts) == ("GPU-0", "H100", {"index": "0"})
    assert (second.id, second.name, second.facts) == ("", "", {})
    assert run_devices(store, project, "nosuch").devices == ()


def test_labels_of_processes_are_taken_apart_again():
    for writer_id, device in (("w1", ""), ("w1", "gpu0-mig1"), ("a@b", "gpu0")):
        found = parse_process_label(process_label(writer_id, device))
        assert found is not None
        assert (found.writer_id, found.device) == (writer_id, device)
    assert parse_process_label("gpu0") is None
