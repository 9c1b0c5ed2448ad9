"""The bytes of media, by digest.

The type of a blob is read from its first bytes, never from a name or a claim. Every answer is
sandboxed: a hostile page or picture cannot read the hub or its cookie, or use the network.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import BinaryIO, Final, Literal
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from stepwell_hub.endpoints import PREFIX, Call, Form, endpoint
from stepwell_hub.errors import ApiError
from stepwell_wire.staged import is_digest

_CHUNK_BYTES: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_FOR_EVER: Final = "private, max-age=31536000, immutable"
_POLICY: Final = (
    "sandbox; default-src 'none'; img-src data: blob:; media-src data: blob:; font-src data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
PAGE_POLICY: Final = (
    # Scripts of the page itself run, in an origin of their own and without a network.
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:; font-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_TEXTS: Final = {
    "html": "text/html; charset=utf-8",
    "text": "text/plain; charset=utf-8",
    "json": "application/json",
}
_ENDINGS: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/bmp": "bmp",
    "image/avif": "avif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "application/ogg": "ogg",
    "model/gltf-binary": "glb",
}


class BlobForm(Form):
    """``show``: the type of a text; other blobs have the type of their content.

    ``download``: answer with a file name, to be saved.
    """

    show: Literal["", "html", "text", "json"] = ""
    download: bool = False


def blob_url(digest: str, media_type: str) -> str:
    """Return the URL of a blob, shown as its media type."""
    kinds = {"text/html": "html", "application/json": "json", "text/plain": "text"}
    shown = f"?show={kinds[media_type]}" if media_type in kinds else ""
    return f"{PREFIX}/blobs/{digest}{shown}"


@endpoint("GET", "/blobs/{digest}", query=BlobForm, media="*/*", failures=(416,))
async def get_blob(call: Call) -> Response:
    """Get the bytes of a blob, or a range of them."""
    digest, form = str(call.request.path_params["digest"]), call.query
    if not is_digest(digest):
        raise ApiError(404, "not_found", "not a blob's digest: expected 64 hexadecimal digits")
    return await blob_answer(call, digest, show=form.show, download=form.download)


async def blob_answer(
    call: Call,
    digest: str,
    *,
    show: str = "",
    download: bool = False,
    name: str = "",
    cache: str = _FOR_EVER,
) -> Response:
    """Return the answer with a blob's bytes, or with the range that the request asks for.

    Args:
        show: the type of a text, see `BlobForm`.
        download: to be saved as a file.
        name: of that file; by default it is made of the digest.
        cache: how long a browser may keep it at this address.

    Raises:
        ApiError: The blob or the range does not exist.
    """
    headers = {"Cache-Control": cache, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
    try:
        file, size, media_type = await asyncio.to_thread(_opened, call, digest)
    except FileNotFoundError as error:
        raise ApiError(
            404, "not_found", "blob not found; the daemon has not stored it yet, or it was deleted"
        ) from error
    except OSError as error:
        raise ApiError(503, "blobs_unavailable", f"the blob store: {error}") from error
    is_page = not media_type and show == "html"
    headers["Content-Security-Policy"] = PAGE_POLICY if is_page else _POLICY
    headers["Content-Type"] = media_type or _TEXTS.get(show, "application/octet-stream")
    if download:
        ending = _ENDINGS.get(media_type, show or "bin")
        headers["Content-Disposition"] = _saved_as(name or f"{digest[:16]}.{ending}")
    if call.request.headers.get("if-none-match") == headers["ETag"]:
        file.close()
        return Response(status_code=304, headers=headers)
    try:
        first, last = _range_of(call.request.headers.get("range"), size)
    except ApiError:
        file.close()
        raise
    is_part = (first, last) != (0, size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if is_part:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return StreamingResponse(
        _read(file, first, last + 1), status_code=206 if is_part else 200, headers=headers
    )


def _saved_as(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return f'attachment; filename="{name}"'
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _opened(call: Call, digest: str) -> tuple[BinaryIO, int, str]:
    file = call.context.blobs.open(digest)
    try:
        head = file.read(64)
        return file, file.seek(0, 2), media_type_of(head)
    except BaseException:
        file.close()
        raise


async def _read(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        await asyncio.to_thread(file.seek, start)
        while start < end:
            data = await asyncio.to_thread(file.read, min(_CHUNK_BYTES, end - start))
            if not data:
                return
            start += len(data)
            yield data
    finally:
        file.close()


def _range_of(header: str | None, size: int) -> tuple[int, int]:
    """Return the first and last requested byte; all bytes if the header is not a single range.

    Raises:
        ApiError: The blob has none of these bytes.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return 0, size - 1
    start, end = found.groups()
    if start:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
    else:
        first, last = max(0, size - int(end)), size - 1
    if first > last or first >= size:
        raise ApiError(
            416, "range_invalid", f"the blob has {size} bytes, so the range {header} is not in it"
        )
    return first, last


_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"OggS", "application/ogg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"glTF", "model/gltf-binary"),
)


def media_type_of(head: bytes) -> str:
    """Return the media type that a file's first bytes show, "" where they show none."""
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], "")
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if head[:3] == b"ID3" and head[3:4] < b"\x10":
        return "audio/mpeg"
    if head[4:8] == b"ftyp":
        return "image/avif" if head[8:12] in (b"avif", b"avis") else "video/mp4"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
