"""The media that a run logged and the files that it saved, to be downloaded."""

import mimetypes
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from stepwell._artifacts.entries import ArtifactFile, read_manifest
from stepwell._artifacts.versions import COMMITTED, facts_of, version_path
from stepwell._later_names import LaterNames, in_browser
from stepwell.api._awaiting import await_ended_media, await_media
from stepwell.errors import HubError, NotFoundError, UsageError
from stepwell_wire.artifact_names import LATEST, RUN_FILES_TYPE, run_files_name

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_PAGE: Final = 1000
_FOLDERS: Final = {
    "image-file": "images",
    "mask": "images/mask",
    "audio-file": "audio",
    "video-file": "videos",
    "html-file": "html",
    "object3D-file": "object3D",
    "molecule-file": "molecule",
    "plotly-file": "plotly",
    "table-file": "table",
}
_ENDINGS: Final = {  # Those that mimetypes lacks, at all or without the lists of some machines.
    "application/ogg": ".ogg",
    "application/vnd.apache.parquet": ".parquet",
    "audio/flac": ".flac",
    "audio/wav": ".wav",
    "image/avif": ".avif",
    "image/webp": ".webp",
    "model/gltf-binary": ".glb",
}
_BYTES: Final = "application/octet-stream"
_BY_FORMAT: Final = ("object3D-file", "molecule-file")
"""Media whose type says less than the format that the script gave: also model/* and JSON."""
_FORMAT: Final = re.compile(r"[a-z0-9]{1,16}(\.[a-z0-9]{1,16})?")
_UPLOADING: Final = "uploading"
_TEXTS: Final = ("text/", "application/json")


_LATER: Final = {
    **in_browser("file.url"),
    "delete": "delete its run",
    "id": "use file.name",
    "md5": "use file.digest, a BLAKE3",
    "path_uri": "use file.url",
    "run": "use the run whose files() you read",
    "updated_at": "use file.step and the run's history",
}


class File(LaterNames):
    """One medium of a run.

    Attributes:
        name: media/KIND/METRIC_STEP_DIGEST.ENDING, its path below the root of a download.
        metric, step, caption: of its row.
        size: in bytes. state: `ready` if it can be downloaded; `reason` is why it failed.
    """

    _whose, _later = "a file's", _LATER

    def __init__(
        self,
        hub: "Hub",
        value: dict[str, Any],
        item: dict[str, Any],
        place: tuple[str, str] = ("", ""),
    ) -> None:
        """
        Args:
            place: project and id of the run.
        """
        self._hub, self._place, self._id = hub, place, item["id"]
        self._take(value, item)

    def _take(self, value: dict[str, Any], item: dict[str, Any]) -> None:
        self.metric, self.step = str(value["metric"]), int(value["step"])
        self.size, self.mimetype = int(item["size"]), str(item["media_type"])
        self.digest, self.state = str(item["digest"]), str(item["state"])
        self.reason, self.caption = str(item["reason"]), str(item["caption"])
        self.url = self._hub.url + item["url"] if item["url"] else ""
        folder = _FOLDERS.get(item["type"], "other")
        ending = _ending(self.mimetype, item)
        self.name = f"media/{folder}/{self.metric}_{self.step}_{self.digest[:20]}{ending}"

    @property
    def size_bytes(self) -> int:
        return self.size

    @property
    def direct_url(self) -> str:
        return self.url

    def _is_stored(self) -> bool:
        """Read the facts again if the bytes were not stored; return whether they are, or failed."""
        if self.state == _UPLOADING:
            of_it = {"metric": self.metric, "first_step": self.step, "last_step": self.step}
            for value, item in _items(self._hub, *self._place, of_it):
                if item["id"] == self._id:
                    self._take(value, item)
                    break
        return self.state != _UPLOADING

    def download(
        self, root: str | os.PathLike[str] = ".", replace: bool = False, exist_ok: bool = False
    ) -> IO[Any]:
        """Download the file below ``root`` and return it, opened.

        If the daemon has not stored it yet, wait up to 10 seconds. It has its ``name`` after that.

        Args:
            replace: overwrite an existing file. exist_ok: return an existing file as it is.

        Raises:
            UsageError: The file exists, or its name is a path out of ``root``.
            HubError: The hub does not have the bytes.
        """
        await_media(self._is_stored)
        path = Path(root) / self.name
        if not path.resolve().is_relative_to(Path(root).resolve()):
            raise UsageError(
                f"{self.name}: its path is outside of {root}; fetch {self.url} instead"
            )
        if path.exists() and not replace:
            if not exist_ok:
                raise UsageError(f"{path} exists; pass replace=True, or exist_ok=True to keep it")
            return self._opened(path)
        if not self.url:
            raise HubError(f"{self.name}: {self._why_missing()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with closing(self._hub.fetched(self.url)) as answer, scratch.open("wb") as file:
                shutil.copyfileobj(answer, file)
            if scratch.stat().st_size != self.size:
                raise self._hub.broke_off()
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        return self._opened(path)

    def _why_missing(self) -> str:
        if self.state == _UPLOADING:
            return (
                "the daemon has not stored its bytes yet; read run.files() again later. If they "
                "do not arrive, `stepwell status` on the node of the run says what waits"
            )
        return f"is {self.state}{f', {self.reason}' if self.reason else ''}"

    def _opened(self, path: Path) -> IO[Any]:
        if self.mimetype.startswith(_TEXTS):
            return path.open(encoding="utf-8")
        return path.open("rb")

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.size:,} bytes)>"


def _ending(media_type: str, item: dict[str, Any]) -> str:
    """Return the ending of a medium's file, with its dot."""
    stored = (item.get("about") or {}).get("format")
    is_general = media_type == _BYTES or (media_type and item["type"] in _BY_FORMAT)
    if is_general and isinstance(stored, str) and _FORMAT.fullmatch(stored):
        return f".{stored}"
    return _ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ""


class SavedFile(ArtifactFile):
    """One file that `run.save` kept, of the latest version of the run's files.

    Attributes:
        name: its path, as `run.save` kept it.
        metric, step, caption, state, reason: as of a `File`, for code that reads both.
    """

    metric = caption = reason = ""
    step: int | None = None
    state = "ready"

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.size or 0:,} bytes)>"


def saved_files_of(hub: "Hub", project: str, run_id: str) -> list[SavedFile]:
    """Return the files that `run.save` kept, by path."""
    try:
        version = hub.get(version_path(project, run_files_name(run_id), LATEST))
    except NotFoundError:
        return []
    # Ids that differ only in characters that names of artifacts lack have the same name there.
    if (version["state"], version["type"], version["run_id"]) != (
        COMMITTED,
        RUN_FILES_TYPE,
        run_id,
    ):
        return []
    facts = facts_of(version)
    manifest = read_manifest(hub, facts)
    return [SavedFile(hub, facts, path, entry) for path, entry in sorted(manifest.entries.items())]


def files_of(hub: "Hub", project: str, run_id: str, *, ended_at: float | None = None) -> list[File]:
    """Return the run's media by step, without media whose bytes are not kept.

    Media of a run that has just ended are waited for. The same medium of one metric and step is
    listed once: several ranks may log it, and the summary may have it too.

    Args:
        ended_at: when the run ended, in seconds since 1970; None: not known, or it runs.
    """
    found: list[File] = []

    def is_stored() -> bool:
        found[:] = [
            File(hub, value, item, (project, run_id))
            for value, item in _items(hub, project, run_id, {})
            if item["state"] != "none"
        ]
        return all(each.state != _UPLOADING for each in found)

    await_ended_media(hub, project, run_id, is_stored, ended_at=ended_at)
    by_name: dict[str, File] = {}
    # Without a digest, names of different media may be the same.
    return [
        each for each in found if not each.digest or by_name.setdefault(each.name, each) is each
    ]


def _items(
    hub: "Hub", project: str, run_id: str, asked: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    cursor = None
    while True:
        query = {**asked, "limit": _PAGE, "cursor": cursor}
        page = hub.ask("GET", "projects", project, "runs", run_id, "media", query=query)
        for value in page["values"]:
            for item in value["items"]:
                yield value, item
                for mask in item.get("masks", ()):  # A hub of an older release has none.
                    yield value, {**mask, "type": "mask", "caption": mask["name"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return
