"""Artifacts on the page: made by the hub's API, found, read, compared, followed and deleted."""

import json

import pytest
from blake3 import blake3
from playwright.sync_api import Browser, Page, expect

from stepwell_store.blob_store import open_blob_store
from stepwell_wire.manifest import Entry, Manifest
from tests.blobs import put_blob
from tests.browser.axe import assert_fits
from tests.browser.chromium import PHONE, Watch, enter, post, watched
from tests.browser.site import Site

PROJECT = "artifacts"
# One pixel.
GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


def log(page: Page, site: Site, name: str, files: dict[str, bytes], run_id: str) -> str:
    """Log a version, its blobs put where the daemon would; return its number."""
    blobs = open_blob_store(site.node.data, "")
    entries = {}
    for path, content in files.items():
        entries[path] = Entry(put_blob(blobs, content), len(content))
    packed = Manifest(entries).pack()
    facts = {"name": name, "type": "dataset", "run_id": run_id, "metadata": {"rows": 60}}
    body = {"key": blake3(name.encode() + packed).hexdigest(), "manifest": json.loads(packed)}
    begun = post(page, site, f"/projects/{PROJECT}/artifacts", body | facts)
    path = f"/artifact-versions/{begun['version']['id']}/commit"
    return str(post(page, site, path, {"aliases": []})["version"])


@pytest.fixture(scope="module")
def runs(site: Site) -> None:
    trainer = site.trainer()
    try:
        trainer.init(PROJECT, id="prepare", name="make the data").log({"x": 1}).finish()
        trainer.init(PROJECT, id="train", name="train on it").log({"x": 1}).finish()
        site.flush()
    finally:
        trainer.close()


def test_an_artifact_is_logged_found_read_compared_followed_and_deleted(
    browser: Browser, site: Site, page: Page, watch: Watch, runs: None
) -> None:
    root = f"{site.run_path(PROJECT)}/artifacts"
    main = page.get_by_role("main")
    page.goto(f"{site.url}{root}")
    expect(main).to_contain_text("No artifact yet")
    expect(main).to_contain_text('stepwell.init(project="artifacts")')

    files = {"README.md": b"# Digits", "images/one.gif": GIF, "facts.json": b'{"a":1}'}
    log(page, site, "data", files, "prepare")
    log(page, site, "data", files | {"README.md": b"# New", "more": b"+"}, "prepare")
    use = {"run_id": "train"}
    post(page, site, f"/projects/{PROJECT}/artifacts/data/versions/v1/uses", use)
    log(page, site, "model", {"weights": b"w"}, "train")
    page.get_by_role("searchbox", name="Search artifacts").fill("dat")
    expect(page.get_by_role("row")).to_have_count(2)
    assert page.url.endswith("?q=dat")
    page.get_by_role("link", name="data", exact=True).click()

    facts = page.get_by_role("region", name="Version", exact=True)
    for text in ("dataset", "latest", "in 4 files"):
        expect(facts).to_contain_text(text)
    expect(main).to_contain_text('run.use_artifact("data:v1")')
    ran = page.get_by_role("region", name="Runs", exact=True)
    expect(ran).to_contain_text("make the data")
    expect(ran).to_contain_text("train on it")
    page.get_by_role("textbox", name="New alias").fill("best")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".page-header .tag")).to_have_text(["best", "latest"])
    assert_fits(page)

    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("button", name="README.md").click()
    expect(page.get_by_role("region", name="File README.md")).to_contain_text("# New")
    page.get_by_role("button", name="images/").click()
    page.get_by_role("button", name="one.gif").click()
    picture = page.get_by_role("img", name="images/one.gif")
    expect(picture).to_have_js_property("naturalWidth", 1)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download images/one.gif").click()
    assert saved.value.suggested_filename == "one.gif"
    assert saved.value.path().read_bytes() == GIF
    assert_fits(page)

    page.get_by_role("link", name="Compare", exact=True).click()
    expect(main.get_by_role("row")).to_contain_text(["Change", "README.md", "more"])
    expect(main).to_contain_text("2 files unchanged")

    page.get_by_role("link", name="Lineage", exact=True).click()
    nodes = page.locator("a.graph-node")
    expect(nodes).to_have_text(
        [
            "make the datarun, finished",
            "data:v1dataset",
            "train on itrun, finished",
            "model:v0dataset",
        ]
    )
    nodes.nth(2).focus()
    expect(page.locator("a.graph-node.on-path")).to_have_count(4)
    assert_fits(page)
    page.get_by_role("button", name="List", exact=True).click()
    expect(main.get_by_role("row").nth(1)).to_contain_text("data:v1")
    with watched(browser, site.url, theme="dark", size=PHONE) as (context, _):
        phone = context.new_page()
        enter(phone, site.link(f"{root}/data/best/lineage"))
        expect(phone.locator("a.graph-node")).to_have_count(4)
        expect(phone.locator("a.graph-node[aria-current]")).to_be_in_viewport(ratio=0.99)
        zoom = phone.get_by_role("group", name="Zoom").bounding_box()
        area = phone.locator(".graph-area").bounding_box()
        assert zoom is not None
        assert area is not None
        assert zoom["y"] + zoom["height"] <= area["y"], "the zoom's buttons lie on the graph"
        phone.get_by_role("button", name="Fit", exact=True).click()
        for at in range(4):
            expect(phone.locator("a.graph-node").nth(at)).to_be_in_viewport(ratio=0.99)
        assert_fits(phone)

    page.goto(f"{site.url}{site.run_path(PROJECT, 'train', 'artifacts')}")
    expect(page.get_by_role("region", name="Used artifacts")).to_contain_text("data:v1")
    logged = page.get_by_role("region", name="Logged artifacts")
    expect(logged).to_contain_text("model:v0")
    page.get_by_role("region", name="Used artifacts").get_by_role("link", name="data:v1").click()

    page.get_by_role("button", name="Delete…").click()
    question = page.get_by_role("dialog", name="Delete data:v1?")
    expect(question).to_contain_text("It has the aliases best, latest.")
    question.get_by_role("button", name="Delete with its aliases").click()
    listed = page.get_by_role("group", name="Table of artifacts").get_by_role("row")
    data = page.get_by_role("link", name="data", exact=True)
    expect(listed.filter(has=data)).to_contain_text("v0")
    page.goto(f"{site.url}{root}/data/v1")
    expect(main).to_contain_text("data:v1 was deleted")
    watch.allow(r"status of 404")
    page.goto(f"{site.url}{root}/data/v9")
    expect(main).to_contain_text("There is no data:v9")


def test_a_version_that_was_not_made_is_told_on_the_run(
    browser: Browser, site: Site, page: Page, watch: Watch
) -> None:
    script = """
import pathlib, tempfile, stepwell
with stepwell.init(project="failed", id="r", settings=dict(metadata=False)) as run:
    file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    file.write_bytes(b"one")
    run.log_artifact(file, name="data", type="dataset").wait(120)
    run.log_artifact(file, name="data", type="model")
"""
    assert site.node.python(script).returncode == 0
    site.flush()

    def told(at: Page) -> None:
        warning = at.get_by_role("region", name="Failed artifacts")
        expect(warning).to_contain_text("data: ")
        expect(warning).to_contain_text("dataset")
        assert_fits(at)

    page.goto(f"{site.url}{site.run_path('failed', 'r', 'artifacts')}")
    told(page)
    expect(page.get_by_role("region", name="Logged artifacts")).to_contain_text("data:v0")
    page.goto(f"{site.url}{site.run_path('failed', 'r', 'overview')}")
    told(page)
    with watched(browser, site.url, theme="dark", size=PHONE) as (context, _):
        phone = context.new_page()
        enter(phone, site.link(site.run_path("failed", "r", "artifacts")))
        told(phone)
