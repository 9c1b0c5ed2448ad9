"""Downloads of artifacts from a real hub: whole, verified, resumed, never out of the folder."""

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell._artifacts import download as downloads
from stepwell._artifacts import fetching
from stepwell._artifacts.artifact import Artifact
from stepwell._artifacts.target import StoppedError, Target
from stepwell._artifacts.versions import VersionFacts, find_version, parse_artifact_path
from stepwell._hub_client import Hub
from stepwell.errors import (
    ArtifactPathError,
    DownloadError,
    MissingPackageError,
    NotFoundError,
    UsageError,
    VerificationError,
)
from stepwell_wire.manifest import Entry
from tests.api.conftest import World
from tests.api.made_artifacts import FILES, client, digest, make_version
from tests.waiting import wait_until

PROJECT = "downloads"


@pytest.fixture(scope="module")
def facts(world: World) -> VersionFacts:
    make_version(world, PROJECT)
    return find_version(client(world), parse_artifact_path("data", default_project=PROJECT))


def version_of(world: World, name: str = "data") -> Artifact:
    return world.api.artifact(f"{PROJECT}/{name}")


@pytest.fixture
def artifact(world: World, facts: VersionFacts) -> Artifact:
    return version_of(world)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Path and range of each request for a blob."""
    found: list[tuple[str, str]] = []
    answer = Hub.answer

    def noted(hub: Hub, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        if path.startswith("/blobs/"):
            found.append((path.removeprefix("/blobs/"), (headers or {}).get("Range", "")))
        return answer(hub, method, path, body, headers)

    monkeypatch.setattr(Hub, "answer", noted)
    return found


def contents(root: str | Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in Path(root).rglob("*")
        if path.is_file()
    }


# ---------------------------------------------------------------------- what arrives


def test_all_files_arrive_where_wandb_puts_them(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = artifact.download()
    assert root == str(tmp_path / "artifacts" / "data:v0")
    assert contents(root) == FILES
    assert sorted(asked) == sorted({(digest(each), "") for each in FILES.values() if each})
    assert artifact.file_count == len(FILES)
    monkeypatch.setenv("STEPWELL_ARTIFACT_DIR", str(tmp_path / "elsewhere"))
    assert artifact.download(path_prefix="a") == str(tmp_path / "elsewhere" / "data:v0")
    mask = os.umask(0)
    os.umask(mask)
    assert Path(root, "a.txt").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_is_there_already_is_not_fetched_again(
    artifact: Artifact, tmp_path: Path, asked: list[Any]
) -> None:
    artifact.download(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"HELLO")  # The same size.
    (tmp_path / "sub/deep/same.txt").unlink()
    (tmp_path / "extra").write_bytes(b"mine")
    os.link(tmp_path / "a.txt", tmp_path / "link")
    asked.clear()
    artifact.download(tmp_path)
    assert asked == [(digest(b"hello"), "")]
    # Replaced, and not written into: the other name has what it had.
    assert contents(tmp_path) == {**FILES, "extra": b"mine", "link": b"HELLO"}
    asked.clear()
    (tmp_path / "a.txt").unlink()
    artifact.download(tmp_path)
    assert asked == []  # The same bytes are there under another path.
    assert contents(tmp_path)["a.txt"] == b"hello"


def test_a_part_of_it_can_be_asked_for(artifact: Artifact, tmp_path: Path) -> None:
    artifact.download(tmp_path / "one", path_prefix="sub/")
    assert set(contents(tmp_path / "one")) == {"sub/ü b.bin", "sub/deep/same.txt"}
    entry = artifact.get_entry("sub/ü b.bin")
    assert entry.download(tmp_path / "two") == str(tmp_path / "two/sub/ü b.bin")
    assert contents(tmp_path / "two") == {"sub/ü b.bin": FILES["sub/ü b.bin"]}
    assert (entry.size, entry.digest) == (len(FILES[entry.path]), digest(FILES[entry.path]))
    with pytest.raises(NotFoundError, match=r"no file 'a\.tx'; did you mean 'a\.txt'"):
        artifact.get_entry("a.tx")
    with pytest.raises(UsageError, match=r"has 4 files, but file\(\) needs exactly one"):
        artifact.file()
    files = artifact.files(["a.txt", "empty"])
    assert [(each.name, each.size) for each in files] == [("a.txt", 5), ("empty", 0)]
    with files[0].download(tmp_path) as opened:
        assert opened.read() == "hello"
    with pytest.raises(UsageError, match="exists; pass replace=True"):
        files[0].download(tmp_path)


def test_a_checkout_has_nothing_else_and_a_verification_says_what(
    artifact: Artifact, tmp_path: Path
) -> None:
    artifact.download(tmp_path)
    artifact.verify(tmp_path)
    (tmp_path / "a.txt").write_bytes(b"other")
    (tmp_path / "empty").unlink()
    (tmp_path / "sub/more").symlink_to("/etc")
    with pytest.raises(VerificationError, match=r"missing: empty; changed: a\.txt; extra: sub"):
        artifact.verify(tmp_path)
    artifact.checkout(tmp_path)
    artifact.verify(tmp_path)
    assert Path("/etc").is_dir()


# ---------------------------------------------------------------------- going on


def part_of(root: Path, content: bytes, had: bytes) -> None:
    (root / ".stepwell-parts").mkdir(parents=True)
    (root / ".stepwell-parts" / digest(content)).write_bytes(had)


BIG = FILES["sub/ü b.bin"]


def test_a_download_goes_on_where_it_broke_off(
    artifact: Artifact, tmp_path: Path, asked: list[Any]
) -> None:
    part_of(tmp_path, BIG, BIG[:1_000_001])
    artifact.download(tmp_path, path_prefix="sub/ü")
    assert asked == [(digest(BIG), "bytes=1000001-")]
    assert contents(tmp_path) == {"sub/ü b.bin": BIG}


@pytest.mark.parametrize("had", [b"x" * 1000, b"x" * len(BIG), b"x" * (len(BIG) + 1)])
def test_what_a_loss_of_power_left_is_fetched_anew(
    artifact: Artifact, tmp_path: Path, had: bytes
) -> None:
    part_of(tmp_path, BIG, had)
    artifact.download(tmp_path, path_prefix="sub/ü")
    assert contents(tmp_path) == {"sub/ü b.bin": BIG}


def test_a_connection_that_breaks_is_opened_again(
    artifact: Artifact, tmp_path: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    readinto = http.client.HTTPResponse.readinto
    kept: list[int] = []
    cuts = [1, 3]

    def failing(answer: http.client.HTTPResponse, buffer: memoryview) -> int:
        if cuts and len(kept) == cuts[0]:
            del cuts[0]
            raise ConnectionResetError("cut")
        kept.append(readinto(answer, buffer))
        return kept[-1]

    monkeypatch.setattr(http.client.HTTPResponse, "readinto", failing)
    artifact.download(tmp_path, path_prefix="sub/ü")
    assert [each for _, each in asked] == [
        "",
        f"bytes={kept[0]}-",
        f"bytes={sum(kept[:3])}-",
    ]
    assert contents(tmp_path) == {"sub/ü b.bin": BIG}


def test_a_hub_that_stays_away_leaves_the_part(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact.manifest  # noqa: B018  (read while the hub is there)
    part_of(tmp_path, BIG, BIG[:100])
    monkeypatch.setattr(fetching, "PATIENCE_SECONDS", 0.2)
    artifact._hub = Hub("http://127.0.0.1:9", "k" * 43)
    with pytest.raises(DownloadError, match=r"no data for .*download again to continue"):
        artifact.download(tmp_path, path_prefix="sub/ü")
    assert (tmp_path / ".stepwell-parts" / digest(BIG)).read_bytes() == BIG[:100]


KILLED = """
import http.client, sys
from stepwell.api import Api
readinto = http.client.HTTPResponse.readinto
has_read = False
def slow(answer, buffer):
    global has_read
    if has_read:
        print("kept", flush=True)
        sys.stdin.readline()
    has_read = True
    return readinto(answer, buffer)
http.client.HTTPResponse.readinto = slow
api = Api(hub=sys.argv[1], api_key=sys.argv[2])
api.artifact("downloads/data").download(sys.argv[3], path_prefix="sub/ü")
"""


@pytest.mark.holds("downloads-are-verified")
def test_a_killed_download_is_continued_by_the_next(
    world: World, artifact: Artifact, tmp_path: Path, asked: list[Any]
) -> None:
    command = [sys.executable, "-c", KILLED, world.url, world.key, str(tmp_path)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "kept\n"
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    child.stdin.close()
    child.stdout.close()
    part = tmp_path / ".stepwell-parts" / digest(BIG)
    had = part.stat().st_size
    assert 0 < had < len(BIG)
    artifact.download(tmp_path, path_prefix="sub/ü")
    assert asked == [(digest(BIG), f"bytes={had}-")]
    assert contents(tmp_path) == {"sub/ü b.bin": BIG}


def test_several_at_once_fetch_each_blob_once(
    world: World, facts: VersionFacts, tmp_path: Path, asked: list[Any]
) -> None:
    def one() -> None:
        version_of(world).download(tmp_path)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert contents(tmp_path) == FILES
    assert sorted(asked) == sorted({(digest(each), "") for each in FILES.values() if each})


def test_a_file_system_without_locks_downloads_too(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("stepwell._artifacts.target.fcntl.flock", no_locks)
    artifact.download(tmp_path)
    assert contents(tmp_path) == FILES
    assert not (tmp_path / ".stepwell-parts").exists()


def test_a_process_without_more_threads_downloads_too(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_threads(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("stepwell._artifacts.download.threading.Thread.start", no_threads)
    artifact.download(tmp_path)
    assert contents(tmp_path) == FILES


# ---------------------------------------------------------------------- what is refused


def stays(place: Path) -> Callable[[], bool]:
    before = sorted(str(each) for each in place.rglob("*"))
    return lambda: sorted(str(each) for each in place.rglob("*")) == before


@pytest.mark.holds("downloads-stay-inside")
@pytest.mark.parametrize("planted", ["sub", "a.txt", "sub/deep", ".stepwell-parts"])
def test_a_planted_link_leads_nothing_out(artifact: Artifact, tmp_path: Path, planted: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (root / "sub").mkdir(parents=True)
    (outside / "a.txt").write_bytes(b"precious")
    is_as_before = stays(outside)
    if planted == "sub":
        (root / "sub").rmdir()
    (root / planted).symlink_to(outside / "a.txt" if planted == "a.txt" else outside)
    with pytest.raises(DownloadError, match="is a link, which may lead out of the folder"):
        artifact.download(root)
    assert is_as_before()
    assert (outside / "a.txt").read_bytes() == b"precious"
    assert (root / planted).is_symlink()


def test_a_part_that_is_another_name_of_a_file_is_not_written_into(
    artifact: Artifact, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"x")
    root = tmp_path / "root"
    (root / ".stepwell-parts").mkdir(parents=True)
    os.link(precious, root / ".stepwell-parts" / digest(BIG))
    artifact.download(root)
    assert precious.read_bytes() == b"x"
    assert contents(root) == FILES


def test_what_is_in_the_way_is_named(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "sub").write_bytes(b"a file")
    with pytest.raises(DownloadError, match="sub: is a file, expected a folder"):
        artifact.download(tmp_path)
    (tmp_path / "sub").unlink()
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(DownloadError, match=r"a\.txt: is a folder, expected a file"):
        artifact.download(tmp_path)
    (tmp_path / "a.txt").rmdir()
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(DownloadError, match="is a device, pipe or socket"):
        artifact.download(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match="name another folder"):
        artifact.download(tmp_path / "file")


@pytest.mark.holds("downloads-are-verified")
def test_bytes_that_are_not_the_digests_are_dropped(world: World, tmp_path: Path) -> None:
    make_version(world, PROJECT, "damaged", {"x": b"right", "y": b"fine"})
    artifact = version_of(world, "damaged")
    damage(world, b"right", b"wrong")
    with pytest.raises(DownloadError, match=r"x: the received bytes do not match the digest"):
        artifact.download(tmp_path)
    assert b"wrong" not in contents(tmp_path).values()
    damage(world, b"right", b"longer than it was")
    with pytest.raises(DownloadError, match="has 18 bytes of it, expected 5"):
        artifact.download(tmp_path)


def test_the_first_failure_is_the_one_that_is_raised(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was stopped since another one failed says nothing of its own."""
    begun = threading.Event()
    me = threading.current_thread()

    def failing(*_: Any, is_stopped: Callable[[], bool], **__: Any) -> None:
        if threading.current_thread() is me:
            begun.set()
            wait_until(is_stopped, "the failure of the other thread", timeout_seconds=60)
            raise StoppedError
        assert begun.wait(60)
        raise DownloadError("the failure")

    monkeypatch.setattr(downloads, "fetch", failing)
    with pytest.raises(DownloadError, match="the failure"):
        artifact.download(tmp_path)


def blob_file(world: World, content: bytes) -> Path:
    (path,) = (world.data / "blobstore" / digest(content)[:2]).rglob(f"{digest(content)[2:]}*")
    return path


def damage(world: World, content: bytes, other: bytes) -> None:
    path = blob_file(world, content)
    path.chmod(0o600)
    path.write_bytes(other)


def test_a_blob_that_is_gone_is_named(world: World, tmp_path: Path) -> None:
    make_version(world, PROJECT, "gone", {"x": b"going"})
    artifact = version_of(world, "gone")
    blob_file(world, b"going").unlink()
    with pytest.raises(DownloadError, match="x: the hub no longer has its bytes"):
        artifact.download(tmp_path)


def lying(monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> None:
    content = Hub.content

    def changed(hub: Hub, method: str, path: str, *arguments: Any, **named: Any) -> bytes:
        data = content(hub, method, path, *arguments, **named)
        return change(data) if path.endswith("/manifest") else data

    monkeypatch.setattr(Hub, "content", changed)


@pytest.mark.holds("downloads-stay-inside")
@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"a.txt":', b'"../a.txt":', "contains the part '..'"),
        (b'"a.txt":', b'"/etc/a.txt":', "an absolute path"),
        (b'"a.txt":', b'"empty/a.txt":', "is a file, so it cannot contain this path"),
        (b'"size":5}', b'"size":6}', "another path has the same digest"),
        (b'"count":4', b'"count":5', "expected 4 as the entries give"),
        (b'"a.txt":', b'"a\\u0000.txt":', "a control character"),
        (b'"a.txt":', b'"b.txt":', "does not match the digest of the version"),
        (b'"v":1', b'"v":2', "this release reads 1 only"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    artifact: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    old: bytes,
    new: bytes,
    why: str,
) -> None:
    lying(monkeypatch, lambda data: data.replace(old, new, 1))
    with pytest.raises(DownloadError, match=why):
        artifact.download(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_version_that_is_no_folder_name_is_refused(world: World, facts: VersionFacts) -> None:
    for bad in ({"version": "../../x"}, {"name": ".."}):
        with pytest.raises(DownloadError, match="the hub's answer contains an invalid"):
            downloads.default_root(VersionFacts(**{**_dict(facts), **bad}))


def _dict(facts: VersionFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.__dataclass_fields__}


def test_without_a_way_to_verify_nothing_is_fetched(
    artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    with pytest.raises(MissingPackageError, match="pip install blake3"):
        artifact.download(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_folder_of_the_artifact_may_have_the_name_of_ours(world: World, tmp_path: Path) -> None:
    files = {".stepwell-parts": b"a file", "x": b"y"}
    make_version(world, PROJECT, "odd", files)
    version_of(world, "odd").download(tmp_path)
    assert contents(tmp_path) == files
    with Target(str(tmp_path), files) as target:
        assert target.parts_name == ".stepwell-parts_"


def test_references_come_from_this_machine_or_are_named(world: World, tmp_path: Path) -> None:
    source = tmp_path / "there is.bin"
    source.write_bytes(b"12345")
    references = {
        "near": Entry(reference=source.as_uri(), size=5),
        "far": Entry(reference="s3://bucket/key", checksum="etag"),
    }
    make_version(world, PROJECT, "refs", {"x": b"1"}, references=references)
    artifact = version_of(world, "refs")
    with pytest.raises(DownloadError, match=r"far \(s3://bucket/key\).*allow_missing_references"):
        artifact.download(tmp_path / "root")
    artifact.download(tmp_path / "root", allow_missing_references=True)
    assert contents(tmp_path / "root") == {"x": b"1", "near": b"12345"}
    assert artifact.get_entry("far").ref_target() == "s3://bucket/key"
    source.write_bytes(b"123456")
    with pytest.raises(DownloadError, match="has 6 bytes, expected 5"):
        artifact.download(tmp_path / "root", allow_missing_references=True)


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data", ("p", "data", "latest")),
        ("data:v3", ("p", "data", "v3")),
        ("data:best one", ("p", "data", "best one")),
        ("q/data", ("q", "data", "latest")),
        ("me/q/data:v1", ("q", "data", "v1")),
        ("wandb-artifact://me/q/data:v1", ("q", "data", "v1")),
    ],
)
def test_the_forms_of_a_name(text: str, found: tuple[str, str, str]) -> None:
    assert parse_artifact_path(text, default_project="p") == found


@pytest.mark.parametrize(
    "text", ["", ":v1", "data:", "a/b/c/d:v1", "a//b", "..", "a b", "data:x:y", "p/..:v1", 3]
)
def test_what_is_no_name_says_what_is(text: Any) -> None:
    with pytest.raises(ArtifactPathError, match=r"expected .*PROJECT/NAME:v3"):
        parse_artifact_path(text, default_project="p")


def test_a_name_without_a_project_says_so() -> None:
    with pytest.raises(ArtifactPathError, match="no project"):
        parse_artifact_path("data")


def test_what_is_not_there_names_what_is(world: World, facts: VersionFacts) -> None:
    hub = client(world)
    for text, said in (
        ("dato:v0", "no artifact 'dato' in project 'downloads'; did you mean 'data'"),
        ("data:best", "downloads/data has no version 'best'; did you mean 'latest'"),
        ("data:v7", "downloads/data has no version 'v7'"),
    ):
        with pytest.raises(NotFoundError, match=said):
            find_version(hub, parse_artifact_path(text, default_project=PROJECT))
    with pytest.raises(ArtifactPathError, match="is of type 'dataset', not 'model'"):
        find_version(hub, parse_artifact_path(f"{PROJECT}/data"), kind="model")
