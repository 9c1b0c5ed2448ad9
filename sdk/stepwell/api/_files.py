"""The media that a run logged, as files that can be downloaded."""

import mimetypes
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from stepwell.errors import HubError, UsageError

if TYPE_CHECKING:
    from stepwell._hub_client import Hub

_PAGE: Final = 1000
_FOLDERS: Final = {
    "image-file": "images",
    "audio-file": "audio",
    "video-file": "videos",
    "html-file": "html",
    "object3D-file": "object3D",
    "molecule-file": "molecule",
    "plotly-file": "plotly",
    "table-file": "table",
}
_TEXTS: Final = ("text/", "application/json")


class File:
    """One medium of a run.

    Attributes:
        name: media/KIND/METRIC_STEP_DIGEST.ENDING, its path below the root of a download.
        metric, step, caption: of its row.
        size: in bytes. state: `ready` if it can be downloaded; `reason` is why it failed.
    """

    def __init__(self, hub: "Hub", value: dict[str, Any], item: dict[str, Any]) -> None:
        self._hub = hub
        self.metric, self.step = str(value["metric"]), int(value["step"])
        self.size, self.mimetype = int(item["size"]), str(item["media_type"])
        self.digest, self.state = str(item["digest"]), str(item["state"])
        self.reason, self.caption = str(item["reason"]), str(item["caption"])
        self.url = hub.url + item["url"] if item["url"] else ""
        folder = _FOLDERS.get(item["type"], "other")
        ending = mimetypes.guess_extension(self.mimetype) or ""
        self.name = f"media/{folder}/{self.metric}_{self.step}_{self.digest[:20]}{ending}"

    def download(
        self, root: str | os.PathLike[str] = ".", replace: bool = False, exist_ok: bool = False
    ) -> IO[Any]:
        """Download the file below ``root`` and return it, opened.

        Args:
            replace: overwrite an existing file. exist_ok: return an existing file as it is.

        Raises:
            UsageError: The file exists, or its name is a path out of ``root``.
            HubError: The hub does not have the bytes.
        """
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
            raise HubError(
                f"{self.name}: is {self.state}{f', {self.reason}' if self.reason else ''}"
            )
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

    def _opened(self, path: Path) -> IO[Any]:
        if self.mimetype.startswith(_TEXTS):
            return path.open(encoding="utf-8")
        return path.open("rb")

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.size:,} bytes)>"


def files_of(hub: "Hub", project: str, run_id: str) -> Iterator[File]:
    """Yield the run's media by step, without media whose bytes are not kept."""
    cursor = None
    while True:
        query = {"limit": _PAGE, "cursor": cursor}
        found = hub.ask("GET", "projects", project, "runs", run_id, "media", query=query)
        for value in found["values"]:
            for item in value["items"]:
                if item["state"] != "none":
                    yield File(hub, value, item)
        cursor = found["next_cursor"]
        if cursor is None:
            return
