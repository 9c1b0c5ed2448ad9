"""The built page's files: browsers cache hashed ones, and ask for index.html each time."""

import mimetypes
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from stepwell_hub.answers import failure_answer
from stepwell_hub.errors import Failure
from stepwell_hub.pages import not_built_page, replaced_page

FOLDER: Final = Path(__file__).parent / "static"
_INDEX: Final = "index.html"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
}


class Static:
    """Serves the files under ``folder``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder.resolve()
        self._was_built = self.is_built

    @property
    def is_built(self) -> bool:
        return (self._folder / _INDEX).is_file()

    async def asset(self, request: Request) -> Response:
        """Answer a path under /assets/; its name holds a hash of its content."""
        try:
            path = (self._folder / "assets" / request.path_params["path"]).resolve()
            is_there = path.is_relative_to(self._folder / "assets") and path.is_file()
        except (OSError, ValueError):  # A name that no file can have.
            is_there = False
        if not is_there:
            return failure_answer(Failure(404, "not_found", "no such file"))
        return _file(path, request.headers, cache=_FOR_EVER)

    async def page(self, request: Request) -> Response:
        """Answer every path of the page with index.html: the page does its own routing."""
        name = request.scope["path"].lstrip("/")
        beside = self._folder / name
        if name and "/" not in name and name != _INDEX and _is_file(beside):
            return _file(beside, request.headers, cache="no-cache")  # favicon and the like
        if not self.is_built:
            return replaced_page() if self._was_built else not_built_page()
        self._was_built = True
        return _file(self._folder / _INDEX, request.headers, cache="no-cache")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # A name that no file can have.
        return False


def _file(path: Path, headers: Headers, *, cache: str) -> Response:
    media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    more = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    accepted = {
        word.split(";")[0].strip() for word in headers.get("accept-encoding", "").split(",")
    }
    served = path
    for encoding, suffix in _ENCODINGS:
        packed = path.with_name(path.name + suffix)
        if encoding in accepted and packed.is_file():
            served = packed
            more["Content-Encoding"] = encoding
            break
    answer = FileResponse(
        served,
        media_type=media or "application/octet-stream",
        headers=more,
        stat_result=served.stat(),
    )
    if headers.get("if-none-match") == answer.headers.get("etag"):
        return Response(status_code=304, headers={**more, "ETag": answer.headers["etag"]})
    return answer
