"""The bytes of media over the API: typed by their content, sandboxed, in ranges, for ever."""

import pytest
from blake3 import blake3

from stepwell_hub.api.blobs import media_type_of
from tests.blobs import put_blob
from tests.hub.conftest import Hub

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def url_of(hub: Hub, content: bytes) -> str:
    """Keep ``content``; return its address."""
    return f"/api/v1/blobs/{put_blob(hub.context.blobs, content)}"


def test_a_blob_comes_as_what_its_content_is(hub: Hub) -> None:
    url = url_of(hub, PNG)
    answer = hub.program.get(url)
    assert answer.status_code == 200
    assert answer.content == PNG
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    again = hub.program.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_without_the_key_nobody_gets_it(hub: Hub) -> None:
    assert hub.browser.get(url_of(hub, PNG)).status_code == 401


def test_a_hostile_page_is_sandboxed_without_a_network(hub: Hub) -> None:
    url = url_of(hub, b"<script>fetch('/api/v1/projects')</script>")
    answer = hub.program.get(f"{url}?show=html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts;" in policy
    for open_door in ("allow-same-origin", "allow-top-navigation", "connect-src", "allow-popups"):
        assert open_door not in policy
    plain = hub.program.get(url)
    assert plain.headers["content-type"] == "application/octet-stream"
    assert "allow-scripts" not in plain.headers["content-security-policy"]


def test_a_picture_is_never_shown_as_a_page(hub: Hub) -> None:
    answer = hub.program.get(url_of(hub, PNG + b"<script>") + "?show=html")
    assert answer.headers["content-type"] == "image/png"
    assert "allow-scripts" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 9),
        ("bytes=100-", 206, 100, 207),
        ("bytes=-8", 206, 200, 207),
        ("bytes=200-999", 206, 200, 207),
        ("bytes=0-", 200, 0, 207),
        ("bytes=0-1,5-6", 200, 0, 207),
        ("lines=0-1", 200, 0, 207),
        (f"bytes={'9' * 5000}-", 200, 0, 207),
    ],
)
def test_ranges(hub: Hub, asked: str, status: int, first: int, last: int) -> None:
    answer = hub.program.get(url_of(hub, PNG), headers={"Range": asked})
    assert answer.status_code == status
    assert answer.content == PNG[first : last + 1]
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {first}-{last}/208"


@pytest.mark.parametrize("asked", ["bytes=208-", "bytes=9-3", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(hub: Hub, asked: str) -> None:
    answer = hub.program.get(url_of(hub, PNG), headers={"Range": asked})
    assert answer.status_code == 416


@pytest.mark.parametrize("name", ["a" * 64, "nonsense", "..%2F..%2Fhub%2Fkey", "A" * 64])
def test_what_is_not_there_is_not_found(hub: Hub, name: str) -> None:
    assert hub.program.get(f"/api/v1/blobs/{name}").status_code == 404


def test_an_empty_blob_and_a_download(hub: Hub) -> None:
    assert hub.program.get(url_of(hub, b"")).content == b""
    answer = hub.program.get(url_of(hub, PNG) + "?download=true")
    name = blake3(PNG).hexdigest()[:16]
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.png"'


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"BM1234\0\0\0\0", "image/bmp"),
        (b"BMW is a car", ""),
        (b"ID3\x04", "audio/mpeg"),
        (b"ID3 tags", ""),
        (b"<svg onload=alert(1)>", ""),
        (b"", ""),
    ],
)
def test_types_are_read_from_the_first_bytes(head: bytes, expected: str) -> None:
    assert media_type_of(head) == expected
