"""`stepwell open` with a hub that is not that of the daemon here, over a real hub."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stepwell.api import Api
from stepwell.cli.__main__ import main
from stepwell.errors import HubAccessError
from stepwell_wire.hub_access import check_login_code, ensure_key, hub_dir
from tests.api.conftest import World
from tests.fake_daemon import FakeDaemon
from tests.hub.made import make_run


@pytest.fixture(autouse=True)
def run(world: World) -> None:
    make_run(world.store, "opened", "run-a", name="first try")


@pytest.fixture
def relaying(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """The daemon of a node that relays to a gateway."""
    folder = Path(tempfile.mkdtemp(prefix="swo-"))
    monkeypatch.setenv("STEPWELL_SOCKET", str(folder / "s.sock"))
    monkeypatch.delenv("STEPWELL_DATA")
    daemon = FakeDaemon(folder / "s.sock", folder / "data")
    daemon.status["sink"]["kind"] = "gateway gate:7077"
    daemon.status["wants_hub"] = False
    yield daemon
    daemon.stop()
    shutil.rmtree(folder)


def opened(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["open", *words, "--no-browser", "--print-link", "--json"])
    said = capsys.readouterr()
    return code, said.out, said.err


def assert_link(world: World, out: str, path: str) -> None:
    found = json.loads(out)
    assert found["url"] == world.url + path
    code = found["link"].partition("?login=")[2]
    assert urlsplit(found["link"]).path == path
    assert check_login_code(world.key, code, now=time.time()) is not None


@pytest.mark.usefixtures("relaying")
@pytest.mark.parametrize(
    ("words", "path"),
    [((), "/"), (("opened",), "/p/opened"), (("first try",), "/p/opened/runs/run-a")],
)
def test_a_node_that_relays_opens_the_hub_that_is_named(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    path: str,
) -> None:
    monkeypatch.setenv("STEPWELL_HUB", world.url + "/")
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    code, out, err = opened(capsys, *words)
    assert (code, err) == (0, "")
    assert_link(world, out, path)


def test_a_node_that_relays_opens_the_page_of_its_configuration(
    world: World,
    relaying: FakeDaemon,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = opened(capsys)
    assert code == 3
    assert "its hub_url does not name the page; set STEPWELL_HUB to the page's address" in err
    relaying.status["hub_url"] = world.url
    code, _, err = opened(capsys)
    assert code == 1
    assert err.startswith(f"stepwell: {world.url} needs a login, and there is no key for ")
    monkeypatch.setenv("STEPWELL_HUB_KEY", "x" * 43)
    code, _, err = opened(capsys)
    assert code == 1
    assert "key" in err
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    code, out, err = opened(capsys, "run-a")
    assert (code, err) == (0, "")
    assert_link(world, out, "/p/opened/runs/run-a")
    assert opened(capsys, "nothing")[0] == 4


def test_without_a_daemon_the_hub_that_is_named_is_opened(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPWELL_HUB", world.url)
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    code, out, err = opened(capsys, "opened")
    assert (code, err) == (0, "")
    assert_link(world, out, "/p/opened")
    monkeypatch.setenv("STEPWELL_HUB", "localhost:8470")
    code, _, err = opened(capsys)
    assert code == 2
    assert "'localhost:8470' is not an address of a hub" in err


def test_the_key_of_the_hub_here_is_not_given_to_a_hub_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ensure_key(hub_dir(tmp_path))  # STEPWELL_DATA
    monkeypatch.setenv("STEPWELL_HUB", "https://team.invalid")
    code, out, err = opened(capsys)
    assert (code, out) == (1, "")
    assert err.startswith("stepwell: https://team.invalid needs a login, and there is no key for ")
    with pytest.raises(HubAccessError, match=r"no key for https://team\.invalid"):
        list(Api().projects())


def test_a_hub_that_does_not_answer_gets_a_link_but_finds_no_run(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPWELL_HUB", "http://127.0.0.1:9")
    monkeypatch.setenv("STEPWELL_HUB_KEY", world.key)
    code, out, err = opened(capsys)
    assert (code, json.loads(out)["url"]) == (0, "http://127.0.0.1:9/")
    assert err.startswith("stepwell: http://127.0.0.1:9 cannot be reached from this machine (")
    code, out, err = opened(capsys, "opened")
    assert (code, out) == (3, "")
    assert "http://127.0.0.1:9 does not answer, so 'opened' cannot be found there" in err
