"""Artifacts from a script to a version, through real processes that are killed."""

import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stepwell._hub import find_hub
from stepwell_store.blob_store import FolderBlobStore, default_blob_store
from stepwell_wire.hub_access import hub_dir
from tests.node import Node, free_port, made_node
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.holds("artifacts-come-back")]

_HEAD = """
import os, pathlib, shutil, sys, tempfile, time, stepwell
folder = pathlib.Path(os.environ["STEPWELL_DATA"]).parent
quiet = dict(console=False, metadata=False)
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Node]:
    """One daemon with its hub for all tests that kill nothing."""
    with made_node() as made:
        made.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0"}
        made.start_daemon()
        yield made


@pytest.fixture
def node() -> Iterator[Node]:
    with made_node() as made:
        made.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0"}
        yield made


def script(node: Node, code: str, **variables: str) -> str:
    done = node.python(_HEAD + textwrap.dedent(code), **variables)
    assert done.returncode == 0, done.stderr + node.log()
    return done.stdout


def versions(node: Node, project: str, name: str) -> list[dict[str, Any]]:
    hub = find_hub(node.environment)
    found: list[dict[str, Any]] = hub.get(f"/projects/{project}/artifacts/{name}/versions")[
        "versions"
    ]
    return found


def content(node: Node, version: dict[str, Any]) -> dict[str, bytes]:
    """Return the bytes of each file of a version, as its manifest and the blob store have them."""
    kept = FolderBlobStore(default_blob_store(node.data))
    manifest = json.loads(kept.manifest(version["id"]))
    found = {}
    for path, entry in manifest["entries"].items():
        with kept.open(entry["digest"]) as file:
            found[path] = file.read()
        assert len(found[path]) == entry["size"]
    return found


def artifacts_of(node: Node) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(node.stepwell("status", "--json").stdout)["artifacts"]
    return status


def no_draft_is_left(node: Node) -> bool:
    left = [*node.journals.glob("*/artifact-*"), *(node.data / "artifacts/waiting").glob("*")]
    return not left


# ---------------------------------------------------------------------------- as it should be


def test_a_temporary_folder_and_a_rotated_checkpoint_may_go(shared: Node) -> None:
    out = script(
        shared,
        """
        run = stepwell.init(project="hold", settings=quiet)
        for step in range(3):
            made = stepwell.Artifact("ckpt", type="model")
            with tempfile.TemporaryDirectory() as temporary:
                (pathlib.Path(temporary) / "a.bin").write_bytes(b"step %d" % step)
                made.add_dir(temporary)
            (folder / "new.pt").write_bytes(b"weights %d" % step)
            os.replace(folder / "new.pt", folder / "last.pt")
            made.add_file(folder / "last.pt")
            run.log_artifact(made, aliases=[f"step-{step}"])
        run.finish()
        print(made.wait(120).name)
        """,
    )
    assert out.split() == ["ckpt:v2"]
    found = versions(shared, "hold", "ckpt")
    assert [each["version"] for each in found] == ["v2", "v1", "v0"]
    assert [each["aliases"] for each in found] == [["latest", "step-2"], ["step-1"], ["step-0"]]
    for step, version in enumerate(reversed(found)):
        assert content(shared, version) == {
            "a.bin": b"step %d" % step,
            "last.pt": b"weights %d" % step,
        }
    wait_until(lambda: no_draft_is_left(shared), "drafts are removed")


def test_a_change_in_place_fails_with_what_to_do(shared: Node) -> None:
    out = script(
        shared,
        """
        from stepwell.errors import ArtifactFailedError
        run = stepwell.init(project="hold", settings=quiet)
        (folder / "w.pt").write_bytes(b"one")
        os.utime(folder / "w.pt", (1, 1))  # A file that was just written is copied.
        made = stepwell.Artifact("changed", type="model")
        made.add_file(folder / "w.pt")
        (folder / "w.pt").write_bytes(b"other")
        run.log_artifact(made)
        try:
            made.wait(120)
        except ArtifactFailedError as error:
            print(error)
        run.finish()
        """,
    )
    assert "w.pt: changed in place after it was added (5 bytes, expected 3)" in out
    assert "rename it" in out
    assert "changed: w.pt" in artifacts_of(shared)["last_failure"]


def test_a_run_that_does_not_wait_says_what_failed(shared: Node) -> None:
    done = shared.python(
        _HEAD
        + textwrap.dedent(
            """
            with stepwell.init(project="told", id="told", settings=quiet) as run:
                (folder / "t.txt").write_bytes(b"one")
                run.log_artifact(folder / "t.txt", name="told", type="dataset").wait(120)
                run.log_artifact(folder / "t.txt", name="told", type="modell")
            """
        )
    )
    assert done.returncode == 0, done.stderr
    assert "artifact 'told' was NOT logged, as creating its version failed: " in done.stderr
    assert "modell" in done.stderr
    (failure,) = [each for each in artifacts_of(shared)["failures"] if each["project"] == "told"]
    assert "modell" in failure["reason"]

    # The run itself has it for good, for those who look at the run alone.
    def shown() -> dict[str, Any]:
        return json.loads(shared.stepwell("show", "told/told", "--json").stdout)["metadata"]

    wait_until(lambda: "failed_artifacts" in shown(), "the note in the run's metadata")
    (noted,) = shown()["failed_artifacts"].values()
    assert (noted["name"], noted["reason"]) == ("told", failure["reason"])
    text = shared.stepwell("show", "told/told").stdout
    assert "artifacts that were not made\n  told, 20" in text
    assert failure["reason"] in text


def test_put_says_when_there_is_no_new_version(shared: Node) -> None:
    source = shared.data.parent / "put.txt"
    source.write_bytes(b"put")
    words = ("artifact", "put", str(source), "--name", "put/data", "--alias")
    first, second = shared.stepwell(*words, "a"), shared.stepwell(*words, "b")
    assert (first.stdout, first.stderr) == ("put/data:v0\n", "")
    assert second.stdout == "put/data:v0\n"
    assert second.stderr.startswith("stepwell: no new version: put/data:v0 (")
    assert "b, " in second.stderr
    assert "keeps" not in second.stderr
    third = shared.stepwell(*words, "c", "--metadata", '{"rows": 2}', "--description", "two")
    assert third.stderr.endswith("has the same files; it keeps its own metadata and description\n")


def test_the_same_content_with_other_metadata_says_what_is_not_kept(shared: Node) -> None:
    code = textwrap.dedent(
        """
        import stepwell
        run = stepwell.init(project="same")
        for rows in (1, 1.0, 2, 3):
            made = stepwell.Artifact("other", "t", metadata={"rows": rows, "x": float("nan")})
            with made.new_file("a.txt") as file:
                file.write("a")
            run.log_artifact(made).wait(120)
        kept = stepwell.Api().artifact("same/other:v0")
        made.save()
        fresh = stepwell.Artifact("fresh", "t", metadata={"rows": 1})
        with fresh.new_file("a.txt") as file:
            file.write("a")
        run.log_artifact(fresh)
        fresh.metadata["rows"] = 2  # Before wait and save: no warning.
        fresh.wait(120).save()
        now = stepwell.Api().artifact("same/other:v0")
        print(made.version, kept.metadata["rows"], now.metadata["rows"])
        run.finish()
        """
    )
    done = shared.python(code)
    assert (done.returncode, done.stdout.split()) == (0, ["v0", "1", "3"]), done.stderr
    (line,) = [each for each in done.stderr.splitlines() if "artifact" in each]
    assert line == (
        "stepwell: artifact 'other': other:v0 has the same files and keeps its own metadata; "
        "artifact.save() stores this one's"
    )


def test_the_same_content_makes_no_version_and_is_not_read_again(shared: Node) -> None:
    out = script(
        shared,
        """
        run = stepwell.init(project="same", settings=quiet)
        (folder / "data.bin").write_bytes(bytes(9_000_000))
        os.utime(folder / "data.bin", (1e9, 1e9))
        for turn in range(3):
            print(run.log_artifact(folder / "data.bin", name="d", type="t").wait(120).version)
        run.finish()
        """,
    )
    assert out.split() == ["v0", "v0", "v0"]
    with closing(sqlite3.connect(shared.data / "artifacts" / "digests.sqlite")) as known:
        (count,) = known.execute("SELECT count(*) FROM digests WHERE size = 9000000").fetchone()
    assert count == 1


def test_an_offline_run_brings_its_artifacts_with_sync(shared: Node) -> None:
    script(
        shared,
        """
        run = stepwell.init(project="off", mode="offline", settings=quiet)
        (folder / "o.txt").write_bytes(b"offline")
        run.log_artifact(folder / "o.txt", name="o", type="t")
        (folder / "o.txt").unlink()
        run.finish()
        """,
    )
    done = shared.stepwell("sync")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: no_draft_is_left(shared), "the draft is committed")
    (version,) = versions(shared, "off", "o")
    assert content(shared, version) == {"o.txt": b"offline"}


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_resumed_run_adds_to_its_saved_files(shared: Node, mode: str) -> None:
    for attempt in range(2):
        script(
            shared,
            """
            attempt, mode = os.environ["ATTEMPT"], os.environ["MODE"]
            os.chdir(folder)
            pathlib.Path(f"k{attempt}.txt").write_text(attempt)
            pathlib.Path("both.txt").write_text(attempt)
            named = dict(project="saves", id=f"same-{mode}", mode=mode, resume="allow")
            with stepwell.init(**named, settings=quiet) as run:
                run.save(f"k{attempt}.txt")
                run.save("both.txt")
                run.log({"x": 1})
            """,
            ATTEMPT=str(attempt),
            MODE=mode,
        )
    if mode == "offline":
        done = shared.stepwell("sync")
        assert done.returncode == 0, done.stderr
    wait_until(lambda: no_draft_is_left(shared), "the drafts are committed")
    newest, *_ = versions(shared, "saves", f"run-same-{mode}-files")
    assert content(shared, newest) == {"k0.txt": b"0", "k1.txt": b"1", "both.txt": b"1"}


# ---------------------------------------------------------------------------- kills

_LOG_ONE = """
run = stepwell.init(project="k", id="r", settings=quiet)
made = stepwell.Artifact("d", type="t")
for number in range(40):
    (folder / f"f{number}").write_bytes(b"%d" % number * 1000)
    made.add_file(folder / f"f{number}")
    (folder / f"f{number}").unlink()
run.log_artifact(made, aliases=["best"])
"""


def check_the_one(node: Node) -> None:
    """Raise an AssertionError unless there is one version, with all bytes."""
    wait_until(lambda: no_draft_is_left(node), "the draft is committed")
    (version,) = versions(node, "k", "d")
    assert (version["version"], sorted(version["aliases"])) == ("v0", ["best", "latest"])
    assert content(node, version) == {f"f{n}": b"%d" % n * 1000 for n in range(40)}


def test_a_killed_trainer_loses_no_artifact(node: Node) -> None:
    code = _HEAD + _LOG_ONE + "import signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    assert node.python(code).returncode == -signal.SIGKILL
    assert list(node.journals.glob("*/artifact-*"))  # No daemon has taken it yet.
    node.start_daemon("--recover-seconds=0.2")
    wait_until(lambda: not list(node.journals.glob("r-*")), "the journal is recovered")
    check_the_one(node)


@pytest.mark.parametrize("point", ["artifact.taken", "artifact.committed", "artifact.noted"])
def test_a_killed_daemon_makes_one_version(node: Node, point: str) -> None:
    node.launch_daemon(STEPWELL_FAILPOINT=f"{point}:kill:1")
    wait_until(node.socket.exists, "the daemon listens")
    code = _HEAD + textwrap.dedent(_LOG_ONE) + "print(made.wait(240).version)\nrun.finish()\n"
    trainer = subprocess.Popen(
        [sys.executable, "-c", code], env=node.environment, stdout=subprocess.PIPE, text=True
    )
    assert node.daemon is not None
    assert node.daemon.wait(120) == -signal.SIGKILL, node.log()
    node.start_daemon()
    out, _ = trainer.communicate(timeout=300)
    assert out.split() == ["v0"]
    check_the_one(node)


def test_a_killed_hub_and_worker_make_one_version(node: Node) -> None:
    node.start_daemon()
    code = _HEAD + textwrap.dedent(_LOG_ONE) + "print(made.wait(240).version)\nrun.finish()\n"
    trainer = subprocess.Popen(
        [sys.executable, "-c", code], env=node.environment, stdout=subprocess.PIPE, text=True
    )
    import psutil

    assert node.daemon is not None
    daemon = psutil.Process(node.daemon.pid)
    deadline = time.monotonic() + 1.5  # Somewhere in the middle, and more than once.
    while time.monotonic() < deadline and trainer.poll() is None:
        for child in daemon.children():
            words = " ".join(child.cmdline())
            if "stepwell_hub" in words or "artifacts.worker" in words:
                child.kill()
        time.sleep(0.3)
    out, _ = trainer.communicate(timeout=300)
    assert out.split() == ["v0"], node.log()
    wait_until((hub_dir(node.data) / "hub.json").exists, "the hub is back")
    check_the_one(node)


def test_without_a_hub_an_artifact_waits_and_the_run_ends(node: Node) -> None:
    node.variables = {"STEPWELLD_HUB": "off"}
    node.start_daemon()
    script(node, textwrap.dedent(_LOG_ONE) + "run.finish()\n")
    assert artifacts_of(node)["waiting"] == 1
    wait_until(lambda: bool(artifacts_of(node)["problem"]), "the daemon says what is missing")
    assert "hub_url" in artifacts_of(node)["problem"]
    node.stop_daemon()
    node.variables = {"STEPWELLD_HUB": "auto", "STEPWELLD_HUB_PORT": "0"}
    node.start_daemon()
    check_the_one(node)


def test_a_daemon_that_cannot_see_the_folder_gets_all_files(shared: Node, tmp_path: Path) -> None:
    """Its view of the journals is another: each file comes over the socket."""
    code = (
        _HEAD
        + """
from stepwell import _blob_channel
offer = _blob_channel.BlobChannel.offer

def unseen(self, ids, *, keep=False):
    seen, self._folder = self._folder, pathlib.Path("/no/such/journal")
    try:
        return offer(self, ids, keep=keep)
    finally:
        self._folder = seen

_blob_channel.BlobChannel.offer = unseen
run = stepwell.init(project="unseen", settings=quiet)
(folder / "big").write_bytes(bytes(range(256)) * 12_000)
(folder / "small").write_bytes(b"s")
made = stepwell.Artifact("d", type="t")
made.add_file(folder / "big")
made.add_file(folder / "small")
run.log_artifact(made)
run.finish()
print(made.wait(120).version)
"""
    )
    assert script(shared, code[len(_HEAD) :]).split() == ["v0"]
    (version,) = versions(shared, "unseen", "d")
    assert content(shared, version) == {"big": bytes(range(256)) * 12_000, "small": b"s"}


def test_a_node_at_a_gateway_commits_through_it(node: Node) -> None:
    """The bytes go by digest to the gateway's blob store, and the hub beside it has the version."""
    port, hub_port = free_port(), free_port()
    node.arguments = (f"--gateway-listen=127.0.0.1:{port}", f"--hub-port={hub_port}")
    node.start_daemon()
    with made_node() as away:
        away.arguments = (
            "--sink=gateway",
            f"--gateway-address=127.0.0.1:{port}",
            f"--hub-url=http://127.0.0.1:{hub_port}",
            f"--hub-control-key-file={hub_dir(node.data) / 'key'}",
        )
        away.start_daemon()
        out = script(away, textwrap.dedent(_LOG_ONE) + "print(made.wait(240).version)\n")
        assert out.split() == ["v0"]
        wait_until(lambda: no_draft_is_left(away), "the draft is removed")
        assert not default_blob_store(away.data).exists()
    check_the_one(node)
