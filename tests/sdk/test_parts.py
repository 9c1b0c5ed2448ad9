"""The small pure parts: ranks, names, metadata, and the daemon's socket."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stepwell import _spawn
from stepwell._identity import display_name, new_run_id, run_id_from
from stepwell._metadata import collect_git, collect_metadata, without_password
from stepwell._ranks import Place, find_place


@pytest.mark.parametrize(
    ("environ", "rank", "size"),
    [
        ({}, -1, 1),
        ({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, 1, 4),
        ({"RANK": "1", "WORLD_SIZE": "4"}, -1, 1),  # Somebody's own variables.
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, -1, 1),
        ({"RANK": "x", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, -1, 1),
        ({"RANK": "9", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, -1, 1),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "8", "SLURM_STEP_ID": "0"}, 2, 8),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, -1, 1),  # A batch script, not srun.
        ({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}, 3, 4),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, 1, 2),
    ],
)
def test_the_rank_is_found_in_what_launchers_set(
    environ: dict[str, str], rank: int, size: int
) -> None:
    place = find_place(environ)
    assert (place.rank, place.world_size) == (rank, size)
    assert place.label == (f"rank{rank}" if rank >= 0 else "")
    assert place.is_primary == (rank <= 0)


def test_all_processes_of_a_job_derive_one_run_id() -> None:
    def place(rank: int, **more: str) -> Place:
        return find_place({"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "4", **more})

    assert place(0, TORCHELASTIC_RUN_ID="a").run_id == place(3, TORCHELASTIC_RUN_ID="a").run_id
    assert place(0, TORCHELASTIC_RUN_ID="a").run_id != place(0, TORCHELASTIC_RUN_ID="b").run_id
    slurm = {"SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0"}
    assert place(0, **slurm).run_id == place(1, **slurm).run_id is not None
    local = {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "4"}
    assert place(0, **local).run_id == place(1, **local).run_id is not None
    assert place(0).run_id is None
    assert place(0, TORCHELASTIC_RUN_ID="none").run_id is None


def test_names_follow_from_ids() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    names = {display_name(each) for each in ids}
    assert len(names) > 950
    # Every process of a job, of any release, derives the same.
    assert display_name("abc") == "tranquil-shoal-778"
    assert (run_id_from("x"), run_id_from("y")) == ("ca99zk0b", "ohphj2qa")


def test_git_is_described_without_passwords(folder: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    git("init", "-b", "trunk")
    (folder / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "first")
    git("remote", "add", "origin", "https://user:secret@host.example/repo.git")
    found = collect_git(folder)
    assert (found["branch"], found["dirty"]) == ("trunk", False)
    assert found["remote"] == "https://host.example/repo.git"
    assert without_password("git@host:repo.git") == "git@host:repo.git"
    assert len(found["commit"]) == 40
    (folder / "a").write_text("2")
    assert collect_git(folder)["dirty"] is True


def test_outside_git_there_is_nothing_to_say(folder: Path) -> None:
    assert collect_git(folder) == {}
    assert collect_git(folder / "missing") == {}


def test_metadata_names_host_python_command_and_packages() -> None:
    found = collect_metadata(git=False)
    assert found["host"]["name"]
    assert found["host"]["cpu_count"] >= 1
    assert found["python"]["version"].startswith(f"{sys.version_info[0]}.")
    assert found["command"]["line"]
    assert any(name.lower() == "msgpack" for name in found["packages"])
    assert "git" not in found


def test_without_a_current_folder_the_other_metadata_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "train.py", raising=False)
    (folder / "gone").rmdir()
    found = collect_metadata()
    assert {"host", "python", "command", "packages"} <= set(found)
    assert found["command"]["line"]
    assert found["command"]["program"] == "train.py"
    assert "git" not in found
    assert "folder" not in found["command"]


def test_a_socket_answers_only_while_somebody_listens(folder: Path) -> None:
    path = str(folder / "a.sock")
    assert not _spawn.daemon_answers(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert not _spawn.daemon_answers(path)
        server.listen()
        assert _spawn.daemon_answers(path)
    assert not _spawn.daemon_answers(path)
    assert not _spawn.daemon_answers("/" + "x" * 300)


def test_a_personal_daemon_gets_its_places_and_outlives_us(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real thing is started by the tests of the whole system; here only how it is called.
    stub = folder / "python"
    out = folder / "out"
    stub.write_text(f'#!/bin/sh\necho "$@" > "{out}"\nps -o sid= -p $$ >> "{out}"\n')
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stub))
    started = _spawn.start_daemon(str(folder / "run" / "s.sock"), folder / "data")
    assert started.wait(30) == 0
    words = (folder / "out").read_text().split()
    assert words[:4] == ["-P", "-m", "stepwell_daemon", "--personal"]
    assert words[words.index("--socket") + 1] == str(folder / "run" / "s.sock")
    assert words[words.index("--data") + 1] == str(folder / "data")
    assert words[words.index("--idle-exit") + 1] == "900"
    assert int(words[-1]) != os.getsid(0)
    assert (folder / "data" / "daemon.log").exists()
