"""Runs that use artifacts: which version they get, and what the hub notes."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import Run, _session
from stepwell._artifacts import asking, awaiting, versions
from stepwell._blob_delivery import BlobDelivery, HandedOver
from stepwell.errors import (
    ArtifactFailedError,
    ArtifactPathError,
    DaemonUnreachableError,
    NotFoundError,
    OfflineError,
    StepwellError,
    WaitTimeoutError,
)
from stepwell.testing import RecordingDaemon
from tests.api.conftest import World
from tests.api.made_artifacts import FILES, client, make_version


@pytest.fixture
def project() -> str:
    return f"p-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def desk(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RecordingDaemon]:
    """A daemon for the runs of a test, and the hub named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPWELL_HUB", world.url)
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    monkeypatch.setenv("STEPWELL_DIR", str(tmp_path / "journals"))
    monkeypatch.setenv("STEPWELL_NO_DAEMON", "1")
    with RecordingDaemon() as daemon:
        monkeypatch.setenv("STEPWELL_SOCKET", daemon.socket)
        yield daemon
        for run in list(_session.active):
            run.finish()


def begin(project: str, **more: Any) -> Run:
    settings = {"console": False, "metadata": False, "git": False}
    return stepwell.init(project, settings=settings, **more)


def edges(world: World, project: str, version: str) -> set[tuple[str, str]]:
    path = f"/projects/{project}/artifacts/data/versions/{version}/lineage"
    found = client(world).get(path)["edges"]
    return {(each["target"], each["kind"]) for each in found}


def test_a_run_uses_a_version(world: World, project: str, desk: RecordingDaemon) -> None:
    make_version(world, project, "data", FILES, "best")
    run = begin(project, id="user")
    artifact = run.use_artifact("data:best", type="dataset")
    assert (artifact.name, artifact.type) == ("data:v0", "dataset")
    assert Path(artifact.download(), "a.txt").read_bytes() == FILES["a.txt"]
    assert edges(world, project, "v0") == {(f"run:{project}/user", "used")}
    other = begin(f"{project}-2", id="other", reinit="create_new")
    assert other.use_artifact(f"team/{project}/data:v0").version == "v0"
    assert other.use_artifact(artifact) is artifact
    assert (f"run:{project}-2/other", "used") in edges(world, project, "v0")
    with pytest.raises(NotFoundError, match="has no version 'v1'"):
        run.use_artifact("data:v1")
    with pytest.raises(ArtifactPathError, match="not 'model'"):
        run.use_artifact("data", type="model")
    with pytest.raises(TypeError, match="expected a name or an Artifact"):
        run.use_artifact(3)  # type: ignore[arg-type]


def test_a_model_is_its_file_or_its_folder(
    world: World, project: str, desk: RecordingDaemon, tmp_path: Path
) -> None:
    make_version(world, project, "one", {"sub/net.pt": b"n"}, type="model")
    make_version(world, project, "two", {"a": b"1", "b": b"2"}, type="my-Models")
    make_version(world, project, "data")
    run = begin(project)
    assert run.use_model("one:latest") == str(tmp_path / "artifacts/one:v0/sub/net.pt")
    assert run.use_model("two:v0") == str(tmp_path / "artifacts/two:v0")
    with pytest.raises(
        ArtifactPathError,
        match=r"use_model\(\) needs a type with 'model' in its name; use use_artifact",
    ):
        run.use_model("data")


class Node:
    """Stands for the daemon's answers of the drafts that it commits."""

    def __init__(self, *answers: list[dict[str, Any]] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def __call__(self, socket: str, keys: Any = (), **named: Any) -> list[dict[str, Any]]:
        self.asked.append(list(keys) or named)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def waiting(state: str, **more: Any) -> list[dict[str, Any]]:
    return [{"key": "k1", "state": state, "reason": "", **more}]


def test_a_version_that_this_machine_still_commits_is_waited_for(
    world: World, project: str, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(world, project, "data", {"x": b"old"})
    run = begin(project)

    class Committing(Node):
        def __call__(self, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
            if len(self.asked) == 2:
                make_version(world, project, "data", {"x": b"new"})
            return super().__call__(*arguments, **named)

    node = Committing(waiting("waiting"), waiting("waiting"), waiting("committed"))
    monkeypatch.setattr(asking, "ask", node)
    assert run.use_artifact("data").version == "v1"
    assert node.asked == [{"project": project, "name": "data"}, ["k1"], ["k1"]]
    node = Committing(waiting("waiting"), [], waiting("committed"))
    monkeypatch.setattr(asking, "ask", node)
    assert run.use_artifact("data:v0").version == "v0"
    assert node.asked == []  # It is there, and does not change.


def test_a_number_that_is_still_to_come_is_waited_for(
    world: World, project: str, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(project)

    class Committing(Node):
        def __call__(self, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
            if self.asked:
                make_version(world, project)
            return super().__call__(*arguments, **named)

    monkeypatch.setattr(asking, "ask", Committing(waiting("waiting"), waiting("committed")))
    assert run.use_artifact("data:v0").version == "v0"


def test_a_version_that_cannot_be_made_is_not_replaced_by_an_older_one(
    world: World, project: str, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(world, project)
    failed = waiting("failed", reason="x changed in place")
    monkeypatch.setattr(asking, "ask", Node(waiting("waiting"), failed))
    with pytest.raises(
        ArtifactFailedError, match="logged on this machine failed: x changed in place"
    ):
        begin(project).use_artifact("data")


def test_a_draft_that_went_with_its_run_is_waited_for_no_longer(
    world: World, project: str, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(world, project)
    monkeypatch.setattr(asking, "ask", Node(waiting("waiting"), waiting("unknown")))
    assert begin(project).use_artifact("data").version == "v0"


def test_without_a_daemon_the_hub_is_asked_all_the_same(
    world: World, project: str, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_version(world, project)
    monkeypatch.setattr(asking, "ask", Node(DaemonUnreachableError("s", "gone")))
    assert begin(project).use_artifact("data").version == "v0"


@pytest.fixture
def kept(
    project: str, world: World, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """A run that has logged a version of its own, which no daemon has taken yet."""
    make_version(world, project, "data", {"x": b"old"})
    with monkeypatch.context() as patched:
        patched.setattr(BlobDelivery, "hand_over", lambda *_: HandedOver([], {}, "no room"))
        run = begin(project)
        Path("x").write_bytes(b"new")
        run.log_artifact("x", name="data", type="dataset")
        yield run


def test_a_version_that_the_daemon_has_not_taken_yet_is_waited_for(
    world: World, project: str, kept: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = ["unknown", "waiting", "committed"]

    def ask(socket: str, keys: Any = (), **named: Any) -> list[dict[str, Any]]:
        if named:
            return []
        if len(states) == 1:
            make_version(world, project, "data", {"x": b"new"})
        return [{"key": keys[0], "state": states.pop(0), "reason": ""}]

    monkeypatch.setattr(asking, "ask", ask)
    assert kept.use_artifact("data").version == "v1"
    assert not kept._recording.handed


def test_an_older_version_does_not_replace_one_that_cannot_be_waited_for(
    kept: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: Any, **__: Any) -> list[dict[str, Any]]:
        raise DaemonUnreachableError("s", "gone")

    monkeypatch.setattr(asking, "ask", ask)
    monkeypatch.setattr(awaiting, "UNREACHED_SECONDS_MAX", 0.0)
    with pytest.raises(WaitTimeoutError, match="its daemon has not answered"):
        kept.use_artifact("data")


def test_offline_and_disabled_runs_ask_nothing(
    project: str, desk: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "find_version", None)
    with (
        begin(project, mode="offline") as run,
        pytest.raises(OfflineError, match="an offline run sends no requests"),
    ):
        run.use_artifact("data")
    with begin(project, mode="disabled") as run:
        artifact = run.use_artifact("data:latest")
        assert artifact.name == "data:v0"
        with pytest.raises(StepwellError):
            artifact.download()
