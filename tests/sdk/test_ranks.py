"""Which processes are one job, and what names it, by what launchers put in the environment."""

from typing import Any

import pytest

import stepwell
from stepwell._ranks import Place, find_place, find_restart
from stepwell.testing import RecordingDaemon
from tests.sdk.conftest import Start
from tests.sdk.forks import in_fork

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "0", "MASTER_ADDR": "n0"}
SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}


def place(rank: int = 0, **environ: str) -> Place:
    return find_place({"RANK": str(rank), "WORLD_SIZE": "4", **environ})


def test_torchruns_of_one_slurm_job_are_runs_of_their_own_and_the_same_on_all_ranks() -> None:
    first, other = ({**TORCHRUN, **SLURM, "MASTER_PORT": port} for port in ("29500", "31022"))
    assert place(0, **first).run_id == place(3, **first).run_id is not None
    assert place(0, **first).run_id != place(0, **other).run_id
    later = {**first, "SLURM_STEP_ID": "1"}
    assert place(0, **first).run_id != place(0, **later).run_id


def test_a_torchrun_on_one_node_is_known_by_its_process_whatever_the_job_of_slurm() -> None:
    alone = {**TORCHRUN, "LOCAL_WORLD_SIZE": "4"}
    assert place(0, **alone).run_id == place(1, **alone, **SLURM).run_id is not None
    deepspeed = {"LOCAL_RANK": "1", "LOCAL_SIZE": "4", "MASTER_ADDR": "n0"}
    assert place(1, **deepspeed).run_id == place(0, **alone).run_id


def test_a_torchrun_that_is_named_is_that_job_everywhere() -> None:
    named = {**TORCHRUN, "TORCHELASTIC_RUN_ID": "j"}
    assert place(0, **named).run_id == place(2, **named, **SLURM).run_id is not None


def test_ranks_of_mpirun_are_one_job_though_slurm_started_only_some() -> None:
    ranks = [
        find_place(
            {
                "OMPI_COMM_WORLD_RANK": str(rank),
                "OMPI_COMM_WORLD_SIZE": "2",
                "PMIX_NAMESPACE": "prterun-9@1",
                "SLURM_JOB_ID": "7",
                **({"SLURM_STEP_ID": "0"} if rank else {}),
            }
        )
        for rank in range(2)
    ]
    assert [each.rank for each in ranks] == [0, 1]
    assert ranks[0].run_id == ranks[1].run_id is not None


COUNTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")


@pytest.mark.parametrize(
    ("environ", "restart"),
    [
        ({}, None),
        ({COUNTS[0]: "0", COUNTS[1]: "0"}, None),
        ({COUNTS[0]: "x", COUNTS[1]: "-1"}, None),
        ({COUNTS[0]: "2", COUNTS[1]: "1"}, (2, COUNTS[0])),
        ({COUNTS[1]: "3"}, (3, COUNTS[1])),
    ],
)
def test_a_restart_is_what_its_launcher_counts(
    environ: dict[str, str], restart: tuple[int, str] | None
) -> None:
    found = find_restart(environ)
    assert (found and found[:2]) == restart


def test_a_requeue_of_slurm_does_not_restart_a_job_that_has_another_name_each_time() -> None:
    requeued = {**SLURM, "SLURM_RESTART_COUNT": "1"}
    alone = {**TORCHRUN, **requeued, "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "4"}
    for environ in (alone, {**requeued, "PMIX_NAMESPACE": "prterun-n0-7@1"}):
        assert find_restart(environ, names_run=False) is None
        assert find_restart(environ) is not None, "with an id that is given"
    named = {**alone, "TORCHELASTIC_RUN_ID": "j"}
    for environ in (requeued, named, {**requeued, "PMIX_NAMESPACE": "slurm.pmix.7.0"}):
        assert find_restart(environ, names_run=False) is not None


def test_restarts_that_follow_each_other_have_different_marks() -> None:
    def mark(slurm: int, torchrun: int) -> int:
        found = find_restart({COUNTS[0]: str(torchrun), COUNTS[1]: str(slurm)})
        return found.mark if found else 0

    for slurm in range(300):
        for torchrun in range(20):
            assert 0 <= mark(slurm, torchrun) <= 127
            assert mark(slurm, torchrun) != mark(slurm, torchrun + 1)
            assert mark(slurm, torchrun) != mark(slurm + 1, 0)


def test_ranks_without_a_local_rank_are_a_job_where_torch_can_meet() -> None:
    assert place(1) == Place(), "left in a shell"
    assert place(1, MASTER_ADDR="n0", MASTER_PORT="1") == Place(1, 4, None)
    assert place(1, MASTER_ADDR="n0", **SLURM).run_id == place(0, MASTER_ADDR="n0", **SLURM).run_id


def test_a_rank_whose_job_has_no_name_has_a_run_of_its_own_and_is_told_the_remedy(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "n0"}.items():
        monkeypatch.setenv(name, value)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        run = start(mode="offline")
        assert (run.rank, run.label) == (-1, "")
        assert ("STEPWELL_RUN_ID" in capsys.readouterr().err) == (rank == "0"), "once a job"
        run.finish()
    monkeypatch.setenv("STEPWELL_RUN_ID", "job-8")
    run = stepwell.init("p", mode="offline", settings={"console": False, "metadata": False})
    assert (run.id, run.rank, run.label) == ("job-8", 1, "rank1")
    assert "STEPWELL_RUN_ID" not in capsys.readouterr().err


def test_ranks_with_ids_of_their_own_are_runs_of_their_own(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**TORCHRUN, "TORCHELASTIC_RUN_ID": "j", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        more = {"group": "job", "name": f"rank-{rank}", "id": f"job-{rank}"}
        run = start(mode="offline", settings={"primary": True}, **more)
        assert (run.id, run.name, run.group) == (f"job-{rank}", f"rank-{rank}", "job")
        run.finish()


def as_rank(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    for name, value in {**TORCHRUN, "TORCHELASTIC_RUN_ID": "j", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANK", str(rank))


def test_a_rank_above_0_says_what_its_run_is_after_rank_0(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_rank(monkeypatch, 1)
    given: dict[str, Any] = {"name": "n", "group": "g", "notes": "o", "job_type": "eval"}
    run = start(id="own", tags=["t"], config={"lr": 0.1}, **given)
    run.finish()
    body = daemon.events("start")[0].body
    assert body["facts"] == {**given, "tags": ["t"]}
    assert "name" not in body
    assert not daemon.events("run"), "such a row is as new as that of rank 0"
    assert daemon.events("config")[0].body["set"] == {"lr": 0.1}


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("large", ["name", "notes", "tags"])
def test_facts_that_are_too_large_take_neither_the_others_nor_the_start_with_them(
    start: Start,
    daemon: RecordingDaemon,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank: int,
    large: str,
) -> None:
    as_rank(monkeypatch, rank)
    given: dict[str, Any] = {"name": "n", "notes": "o", "tags": ["t"], "group": "g"}
    text = "ä" * 3_000_000
    run = start(id="own", **given | {large: [text] if large == "tags" else text})
    run.finish()
    (of_start,) = daemon.events("start")
    assert of_start.body["rank"] == rank
    facts = {**of_start.body, **(of_start.body.get("facts") or {})}
    for each in daemon.events("run"):
        facts |= each.body
    kept = facts.get(large)
    assert kept is None or (kept[:9], len(kept) < 300_000) == ("ä" * 9, True)
    assert (kept is None) == (large == "tags")
    assert {name: facts[name] for name in given if name != large} == {
        name: value for name, value in given.items() if name != large
    }
    said = capsys.readouterr().err
    assert f"init({large}=…) has 6,000,016 bytes and was " in said
    assert "not recorded:" not in said


def test_a_run_of_a_rank_above_0_without_a_name_gets_one(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_rank(monkeypatch, 1)
    run = start(id="own")
    run.finish()
    body = daemon.events("start")[0].body
    assert (body["name"], body["name_is_made"]) == (run.name, True)
    assert "facts" not in body


def test_a_child_of_a_rank_is_no_resume_or_restart_of_its_own(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_rank(monkeypatch, 0)
    start(id="own").finish()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    run = start(id="own")
    assert run.resumed

    def log_in_child() -> None:
        run.log({"x": 1})
        run.finish()

    assert in_fork(log_in_child) == 0
    run.finish()
    bodies = [each.body for each in daemon.events("start")]
    assert [(body.get("resumed"), body.get("restart")) for body in bodies] == [
        *[(False, None), (True, 2)],
        (None, None),
    ]


def test_a_process_that_is_not_primary_by_its_settings_says_nothing_of_the_run(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_rank(monkeypatch, 1)
    start(id="own", name="n", group="g", settings={"primary": False}).finish()
    assert not {"name", "facts"} & set(daemon.events("start")[0].body)


def test_a_copy_of_a_rank_s_run_in_another_process_says_nothing_of_the_run(
    start: Start, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_rank(monkeypatch, 1)
    run = start(id="own", name="n")

    def log_in_child() -> None:
        run.log({"x": 1})
        run.finish()

    assert in_fork(log_in_child) == 0
    run.finish()
    of_child = [each.body for each in daemon.events("start") if "fork" in each.body["label"]]
    assert len(of_child) == 1
    assert not {"name", "facts"} & set(of_child[0])
