"""Sockets of other users and sockets without permission: nothing is sent, and the remedy fits."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from stepwell.cli import daemon_process
from stepwell.cli.checks import Level, node
from stepwell.cli.options import Places
from stepwell_store import EmbeddedStore
from stepwell_wire import trusted_socket
from tests.cli.conftest import Call, made
from tests.fake_daemon import FakeDaemon

OTHER = 54_321


@pytest.fixture
def foreign(daemon: FakeDaemon, place: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    """A daemon that answers, of a user who is not trusted."""
    trusted = trusted_socket.trusted_users

    def untrusted(folder: str, environ: Mapping[str, str]) -> frozenset[int]:
        return frozenset() if folder == str(place) else trusted(folder, environ)

    monkeypatch.setattr(trusted_socket, "trusted_users", untrusted)
    return daemon


@pytest.fixture
def forbidden(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket in a folder that this user may not enter; root may, so the kernel is played."""
    opened = os.open

    def refuse(path: str, *arguments: int, **more: int) -> int:
        if path == str(place / "s.sock"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **more)

    monkeypatch.setattr(trusted_socket.os, "open", refuse)


def where(place: Path) -> Places:
    return Places(place / "s.sock", place / "data", place / "journals", data_named=False)


@pytest.mark.parametrize("kind", ["foreign", "forbidden"])
def test_run_becomes_its_command_all_the_same(
    call: Call, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(kind)

    def become(program: str, words: list[str], environ: dict[str, str]) -> NoReturn:
        raise SystemExit(42)

    monkeypatch.setattr(os, "execvpe", become)
    done = call("run", "--keep-wandb", "--", sys.executable, "-c", "pass")
    assert done.code == 42, done.err
    assert "no daemon: " in done.err
    assert "STEPWELL_SOCKET" in done.err


def test_no_daemon_is_started_in_the_folder_of_another_user(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_socket.os, "geteuid", lambda: OTHER)
    folder = place / "theirs"
    folder.mkdir()
    os.chown(folder, *((OTHER + 1,) * 2 if os.getuid() == 0 else (-1, -1)))
    reason = daemon_process.ensure_personal(where(folder))
    assert "belongs to another user" in reason
    assert "STEPWELL_SOCKET" in reason
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["status", "runs", "down"])
def test_a_socket_without_permission_is_no_missing_daemon(
    call: Call, forbidden: None, command: str
) -> None:
    done = call(command)
    assert done.code == 3
    assert "no permission to use the socket" in done.err
    assert "stepwell up" not in done.err


def test_status_as_json_says_it_too(call: Call, forbidden: None) -> None:
    done = call("status", "--json")
    assert done.code == 3
    (problem,) = json.loads(done.out)["problems"]
    assert "no permission" in problem


@pytest.mark.parametrize("kind", ["foreign", "forbidden"])
def test_a_folder_that_is_named_is_read_without_the_socket(
    call: Call, store: object, kind: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(kind)
    done = call("runs", "--data", os.environ["STEPWELL_DATA"])
    assert done.code == 0, done.err
    assert "run-a" in done.out


@pytest.mark.parametrize("kind", ["foreign", "forbidden"])
def test_a_run_at_work_in_that_folder_is_no_reason_to_ask_the_socket(
    call: Call, store: EmbeddedStore, kind: str, request: pytest.FixtureRequest
) -> None:
    made(store, "at-work", f"run-{kind}", name=kind, state="running")
    request.getfixturevalue(kind)
    data = ("--data", os.environ["STEPWELL_DATA"])
    for words in (("runs", "--project", "at-work"), ("show", f"at-work/run-{kind}")):
        done = call(*words, *data)
        assert done.code == 0, done.err
        assert f"run-{kind}" in done.out


def test_doctor_has_nobody_end_another_users_program(place: Path, foreign: FakeDaemon) -> None:
    status, (finding,) = node.daemon(where(place))
    assert status is None
    assert (finding.check, finding.level) == ("socket", Level.FAIL)
    assert "belongs to another user" in finding.message
    assert "kill" not in finding.remedy
    assert "stepwell down" not in finding.remedy
    assert "STEPWELL_SOCKET" in finding.remedy


def test_doctor_tells_a_socket_without_permission(place: Path, forbidden: None) -> None:
    _, (finding,) = node.daemon(where(place))
    assert "kill" not in finding.remedy
