"""The page's files: what may be cached, what is compressed, and what stands in for them."""

import time
from pathlib import Path

import pytest

from tests.hub.conftest import Hub


@pytest.fixture
def page(hub: Hub) -> Path:
    """A built page, and a client that is logged in: `hub.browser`."""
    from stepwell_wire.hub_access import cookie_name, make_cookie

    folder = hub.config.data / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>stepwell</title>")
    (folder / "icon.svg").write_text("<svg/>")
    (folder / "assets" / "app.1a2b.js").write_text("go()")
    (folder / "assets" / "app.1a2b.js.br").write_bytes(b"brotli")
    (folder / "assets" / "app.1a2b.js.gz").write_bytes(b"gzip")
    (hub.config.data / "secret.txt").write_text("secret")
    hub.browser.cookies.set(cookie_name(hub.key), make_cookie(hub.key, now=time.time()))
    return folder


@pytest.mark.parametrize("path", ["/", "/p/a", "/p/a/table", "/p/a/runs/b/logs", "/status", "/x"])
def test_every_page_is_the_one_page(hub: Hub, page: Path, path: str) -> None:
    answer = hub.browser.get(path)
    assert answer.status_code == 200
    assert "stepwell" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    again = hub.browser.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_files_with_a_hash_are_kept_for_good_and_need_no_key(hub: Hub, page: Path) -> None:
    answer = hub.client().get("/assets/app.1a2b.js", headers={"Accept-Encoding": "identity"})
    assert answer.text == "go()"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [("gzip, br", "br", b"brotli"), ("gzip;q=1", "gzip", b"gzip"), ("zstd", None, b"go()")],
)
def test_a_compressed_sibling_goes_out_where_it_is_understood(
    hub: Hub, page: Path, accepted: str, encoding: str | None, body: bytes
) -> None:
    headers = {"Accept-Encoding": accepted}
    with hub.client().stream("GET", "/assets/app.1a2b.js", headers=headers) as answer:
        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert b"".join(answer.iter_raw()) == body


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/../index.html",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets//etc/passwd",
        "/assets/",
        "/assets/%00",
        "/assets/" + "n" * 300,
        "/" + "n" * 300,
    ],
)
def test_nothing_outside_the_page_is_served(hub: Hub, page: Path, path: str) -> None:
    answer = hub.client().get(path)
    assert "secret" not in answer.text
    assert answer.status_code in (401, 404)


def test_a_link_out_of_the_folder_is_not_followed(hub: Hub, page: Path) -> None:
    (page / "assets" / "out.js").symlink_to(hub.config.data / "secret.txt")
    assert hub.client().get("/assets/out.js").status_code == 404


def test_files_beside_the_page_are_served(hub: Hub, page: Path) -> None:
    answer = hub.browser.get("/icon.svg")
    assert answer.text == "<svg/>"
    assert answer.headers["content-type"] == "image/svg+xml"


def test_without_a_built_page_it_says_which_command_builds_it(hub: Hub, page: Path) -> None:
    (page / "index.html").unlink()
    answer = hub.browser.get("/p/a")
    assert answer.status_code == 503
    assert "make setup" in answer.text


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("/team/digits", "/p/digits"),
        ("/team/digits/workspace", "/p/digits"),
        ("/team/digits/table", "/p/digits/table"),
        ("/team/digits/runs", "/p/digits/table"),
        ("/team/digits/runs/k3x9", "/p/digits/runs/k3x9"),
        ("/team/digits/runs/k3x9/overview", "/p/digits/runs/k3x9/overview"),
        ("/team/digits/runs/k3x9/workspace", "/p/digits/runs/k3x9/charts"),
        ("/team/digits/sweeps", "/p/digits/sweeps"),
        ("/team/digits/sweeps/k3x9", "/p/digits/sweeps/k3x9"),
        ("/team/a%20b/runs/x%3Fy", "/p/a%20b/runs/x%3Fy"),
    ],
)
def test_addresses_in_the_shape_of_wandb_lead_to_ours(
    hub: Hub, page: Path, theirs: str, ours: str
) -> None:
    answer = hub.browser.get(theirs)
    assert answer.status_code == 307
    assert answer.headers["location"] == ours


def test_a_hub_whose_installation_was_replaced_says_how_it_starts_again(
    hub: Hub, page: Path
) -> None:
    (page / "index.html").rename(page / "moved.html")
    assert "make setup" in hub.browser.get("/").text, "never there, for this hub"
    (page / "moved.html").rename(page / "index.html")
    assert hub.browser.get("/").status_code == 200
    (page / "index.html").unlink()
    answer = hub.browser.get("/p/a")
    assert answer.status_code == 503
    assert "<code>stepwell down</code>, then <code>stepwell open</code>" in answer.text
    assert "make setup" not in answer.text
