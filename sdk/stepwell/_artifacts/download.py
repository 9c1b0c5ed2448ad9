"""Downloads of a version: in parallel, resumed after a break, verified.

An existing file with the right size and digest is not fetched again. Other files of the manifest
are replaced atomically; files that are not in the manifest stay. Several processes may download
into one folder at a time: each blob is fetched by one of them.
"""

import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from stepwell._artifacts.fetching import CHUNK_BYTES, digest_of, fetch, new_hasher
from stepwell._artifacts.target import StoppedError, Target
from stepwell.errors import DownloadError
from stepwell_wire.artifact_names import check_name, version_number
from stepwell_wire.errors import ArtifactNameError
from stepwell_wire.manifest import Entry, Manifest

if TYPE_CHECKING:
    from stepwell._artifacts.versions import VersionFacts
    from stepwell._hub_client import Hub

FOLDER_VARIABLE: Final = "STEPWELL_ARTIFACT_DIR"
THREADS: Final = 8
_TRIES: Final = 1000
_NAMED: Final = 3


class _Job(NamedTuple):
    """One blob, and all paths that have it."""

    entry: Entry
    paths: tuple[str, ...]


def default_root(facts: "VersionFacts") -> str:
    """Return the default folder of a version.

    It is a folder in ``./artifacts``, or in the one that STEPWELL_ARTIFACT_DIR names.

    Raises:
        DownloadError: The hub gave an invalid name or version.
    """
    try:
        check_name(facts.name)
    except ArtifactNameError as error:
        raise DownloadError(
            f"the hub's answer contains an invalid artifact name: {error}"
        ) from error
    if version_number(facts.version) is None:
        raise DownloadError(f"the hub's answer contains an invalid version: {facts.version[:80]!r}")
    parent = os.path.expanduser(os.environ.get(FOLDER_VARIABLE, "")) or os.path.join(
        ".", "artifacts"
    )
    return os.path.join(parent, f"{facts.name}:{facts.version}")


def download(
    hub: "Hub",
    manifest: Manifest,
    root: str,
    *,
    path_prefix: str = "",
    allow_missing_references: bool = False,
) -> str:
    """Put the files of a manifest below ``root`` and return its absolute path.

    Args:
        root: a folder, made if needed.
        path_prefix: only files whose path begins with this.
        allow_missing_references: leave out references that cannot be fetched.

    Raises:
        DownloadError: A file cannot be fetched or placed, or a reference is elsewhere.
        HubError: The hub refuses.
    """
    wanted = {
        path: entry for path, entry in manifest.entries.items() if path.startswith(path_prefix)
    }
    references = {path: each for path, each in wanted.items() if each.reference}
    local = _local_references(references, allow_missing=allow_missing_references)
    new_hasher()  # Raises before anything is fetched.
    with Target(root, manifest.entries) as target:
        work = _Work(hub, target, _jobs(wanted))
        work.run()
        for path, source in local.items():
            _copy_reference(target, path, source, references[path])
    return os.path.abspath(root)


def _jobs(wanted: Mapping[str, Entry]) -> list[_Job]:
    """Return the blobs to fetch, the largest first: the last ones then end together."""
    by_digest: dict[str, list[str]] = {}
    for path, entry in wanted.items():
        if entry.digest:
            by_digest.setdefault(entry.digest, []).append(path)
    jobs = [_Job(wanted[paths[0]], tuple(paths)) for paths in by_digest.values()]
    return sorted(jobs, key=lambda job: -(job.entry.size or 0))


class _Work:
    """Threads that take one blob after the other; the caller is one of them."""

    def __init__(self, hub: "Hub", target: Target, jobs: Sequence[_Job]) -> None:
        self._hub, self._target = hub, target
        self._count = min(THREADS, len(jobs))
        self._jobs: Iterator[_Job] = iter(jobs)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Wait until all blobs are fetched.

        Raises:
            DownloadError, HubError: The first failure; files fetched before it stay.
        """
        try:
            self._begin_threads()
            self._take_all()
            self._join()
        except BaseException as error:  # Also Ctrl-C, which must not leave threads at work.
            self._stop.set()
            self._join()
            if isinstance(error, StoppedError) and self._failure is not None:
                raise self._failure from None
            raise
        if self._failure is not None:
            raise self._failure

    def _begin_threads(self) -> None:
        for _ in range(self._count - 1):
            thread = threading.Thread(
                target=self._run_thread, name="stepwell-download", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # No more threads: the existing ones do all the work.
                return
            self._threads.append(thread)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _run_thread(self) -> None:
        try:
            self._take_all()
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            self._stop.set()

    def _take_all(self) -> None:
        while (job := self._next()) is not None:
            self._do(job)

    def _next(self) -> _Job | None:
        with self._lock:
            return None if self._stop.is_set() else next(self._jobs, None)

    def _do(self, job: _Job) -> None:
        digest, size = job.entry.digest, job.entry.size or 0
        lacking = [path for path in job.paths if not _has(self._target, path, digest, size)]
        present = next((path for path in job.paths if path not in lacking), None)
        if lacking and present is None:
            present = lacking.pop(0)
            self._fetch(present, digest, size)
        for path in lacking:
            assert present is not None
            self._copy(present, path, digest, size)

    def _fetch(self, path: str, digest: str, size: int) -> None:
        target = self._target
        for _ in range(_TRIES):
            with target.part(digest, self._stop.is_set) as part:
                if part is None:
                    if _has(target, path, digest, size):
                        return
                    continue
                name, number = part
                if _has(target, path, digest, size):  # Another process has just placed it.
                    target.drop_part(name)
                    return
                where = target.where(path)
                try:
                    fetch(
                        self._hub,
                        digest,
                        size,
                        number,
                        what=where,
                        is_stopped=self._stop.is_set,
                    )
                except DownloadError:
                    if os.fstat(number).st_size >= size:
                        target.drop_part(name)
                    raise
                target.place(name, path)
                return
        raise DownloadError(f"{target.where(path)}: other processes take this file away")

    def _copy(self, source: str, path: str, digest: str, size: int) -> None:
        """Make a second file of the same bytes."""
        target = self._target
        with target.opened(source) as number:
            if number is None:
                raise DownloadError(
                    f"{target.where(source)}: another process deleted this file; download again"
                )
            _place_copy(target, number, path, size, f"{digest}.copy")


def _has(target: Target, path: str, digest: str, size: int) -> bool:
    with target.opened(path) as number:
        return number is not None and digest_of(number, size) == digest


def _place_copy(target: Target, source: int, path: str, size: int, name: str) -> None:
    for _ in range(_TRIES):
        with target.part(name) as part:
            if part is None:
                continue
            made, number = part
            os.ftruncate(number, 0)
            try:
                _copy_bytes(source, number, size, target.where(path))
            except OSError as error:
                target.drop_part(made)
                raise DownloadError(
                    f"{target.where(path)}: {error.strerror}; free some space"
                ) from error
            target.place(made, path)
            return
    raise DownloadError(f"{target.where(path)}: other processes take this file away")


def _copy_bytes(source: int, number: int, size: int, where: str) -> None:
    at = 0
    while at < size:
        data = os.pread(source, min(CHUNK_BYTES, size - at), at)
        if not data:
            raise DownloadError(
                f"{where}: its source became shorter during the copy; download again"
            )
        written = 0
        while written < len(data):
            written += os.pwrite(number, data[written:], at + written)
        at += len(data)


# ---------------------------------------------------------------------- references


def _local_references(references: Mapping[str, Entry], *, allow_missing: bool) -> dict[str, str]:
    """Return the files on this machine that references name, by path in the artifact.

    Raises:
        DownloadError: Other references are elsewhere, and may not be left out.
    """
    found: dict[str, str] = {}
    lacking: list[str] = []
    for path, entry in references.items():
        parts = urlsplit(entry.reference)
        source = unquote(parts.path) if parts.scheme == "file" else ""
        if source and os.path.isfile(source):
            found[path] = source
        else:
            lacking.append(f"{path} ({entry.reference[:200]})")
    if lacking and not allow_missing:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise DownloadError(
            f"not stored in the hub: {', '.join(lacking[:_NAMED])}{more}; fetch these "
            "references with the program of their storage, and pass "
            "allow_missing_references=True (`stepwell artifact get`: --without-references) "
            "for the other files"
        )
    return found


def _copy_reference(target: Target, path: str, source: str, entry: Entry) -> None:
    where = target.where(path)
    try:
        number = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise DownloadError(f"{where}: {entry.reference}: {error.strerror}") from error
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or entry.size not in (None, found.st_size):
            raise DownloadError(
                f"{where}: {entry.reference} has {found.st_size} bytes, expected "
                f"{entry.size} as when the artifact was logged"
            )
        _place_copy(target, number, path, found.st_size, f"reference.{os.getpid()}")
    finally:
        os.close(number)
