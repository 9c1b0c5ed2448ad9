"""`stepwell doctor`: one line a fact, and what to do about it."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from stepwell.cli.checks import Level, environment, node, stored
from stepwell_store import open_embedded
from tests.cli.conftest import Call
from tests.daemon.journals import make_journal
from tests.daemon.made import row, schema_event
from tests.fake_daemon import FakeDaemon


def test_all_is_well_with_a_daemon_and_a_store(call: Call, daemon: FakeDaemon) -> None:
    told = call("doctor")
    assert told.code == 0, told
    assert "fail " not in told.out
    for check in ("python", "packages", "clock", "socket", "daemon", "disk", "spool", "store"):
        assert f"{check} " in told.out
    assert "points, schema" in told.out


def test_json_has_stable_keys(call: Call, daemon: FakeDaemon) -> None:
    findings = json.loads(call("doctor", "--json").out)["findings"]
    assert all(set(each) == {"check", "level", "message", "remedy"} for each in findings)
    assert {each["level"] for each in findings} <= {"ok", "warn", "fail"}


def test_no_daemon_is_known_about_and_no_failure(call: Call) -> None:
    told = call("doctor")
    assert told.code == 0
    assert "warn  socket     no daemon on" in told.out


def test_a_named_socket_without_a_daemon_has_no_other_folder_looked_at(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPWELL_DATA")
    told = call("doctor")
    assert told.code == 1
    assert "fail  data       no daemon answers on" in told.out
    assert "give its folder with --data or STEPWELL_DATA" in told.out
    assert "store  " not in told.out


def test_a_folder_that_cannot_be_looked_at_is_a_finding_among_the_others(call: Call) -> None:
    hidden = "/tmp/" + "x" * 300
    told = call("doctor", "--data", hidden)
    assert told.code == 1
    assert f"fail  data       {hidden}: File name too long" in told.out
    assert "→ run this as the daemon's user" in told.out
    assert "journals   0 writers running" in told.out


def test_what_fails_makes_the_exit_code(call: Call, daemon: FakeDaemon) -> None:
    daemon.status["sink"] |= {"healthy": False, "last_error": "no space left"}
    told = call("doctor")
    assert told.code == 1
    assert "fail  sink       embedded: no space left" in told.out
    daemon.status["problems"] = [
        "the sink accepts no rows now, they wait in the spool: no space left",
        "the store rejected 3 frames, kept in "
        f"{daemon.status['data_dir']}/spool/dead_letter; the .reason files have the reasons",
        "something else",
    ]
    told = call("doctor")
    assert told.out.count("no space left") == 1, "what another check says is not said twice"
    assert ".reason files" not in told.out
    assert "warn  daemon     something else" in told.out
    assert "→" in told.out
    assert "1 to fix" in told.out


def test_what_a_daemon_says_of_itself_is_passed_on(call: Call, daemon: FakeDaemon) -> None:
    daemon.status["problems"] = ["the spool is full: make room"]
    daemon.status["totals"]["refused"] = {"LIMIT": 3}
    daemon.status["spool"] |= {"oldest_unforwarded_seconds": 300.0}
    told = call("doctor").out
    assert "the spool is full: make room" in told
    assert "3 frames refused since its start (LIMIT 3)" in told
    assert "5m00s old" in told


def test_a_file_where_the_socket_should_be_fails(place: Path) -> None:
    (place / "s.sock").write_text("")
    assert node.unanswered(place / "s.sock").level is Level.FAIL


def test_a_read_only_file_system_is_no_matter_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    (finding,) = node.data_dir(tmp_path / "data")
    assert finding.message == f"{tmp_path} is on a read-only file system"
    assert finding.remedy == "give another folder with --data or STEPWELL_DATA"


def test_a_folder_that_cannot_be_written_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # A root user may write everywhere.
    (finding,) = node.data_dir(tmp_path / "data")
    assert finding.level is Level.FAIL


@pytest.mark.parametrize(
    ("free_bytes", "level"), [(1 << 20, Level.FAIL), (1 << 30, Level.WARN), (1 << 40, Level.OK)]
)
def test_little_room_is_said_before_there_is_none(free_bytes: int, level: Level) -> None:
    assert node.free_space(Path("/"), free_bytes).level is level


@pytest.mark.parametrize(
    ("version", "level"),
    [
        (None, Level.FAIL),
        ("5.25.9", Level.FAIL),
        ("5.26.0", Level.OK),
        ("7.36.2rc1", Level.OK),
        ("8.0.0", Level.FAIL),
    ],
)
def test_versions_are_held_against_the_range(version: str | None, level: Level) -> None:
    assert environment.base_package("protobuf", version, (5, 26), (8,)).level is level


def test_a_damaged_store_fails_with_a_reason(place: Path) -> None:
    (place / "store").write_text("")
    assert [each.level for each in stored.store(place)] == [Level.OK], "a file is no store"


@pytest.mark.slow
def test_a_store_whose_tables_were_never_made_is_said_and_left_as_it_is(place: Path) -> None:
    open_embedded(place).close()
    for _ in range(2):
        (found,) = stored.store(place)
        assert found.level is Level.WARN
        assert "a table is missing" in found.message


def test_a_journal_in_the_fallback_folder_needs_sync_unless_a_daemon_imports_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = place / "run" / "s.sock"
    socket.parent.mkdir()
    folder = place / "fallback"
    make_journal(folder, "w1", schema_event() + row(1), socket=str(socket))

    def remedies() -> list[str]:
        return [each.remedy for each in stored.journals(folder, fallback_of=socket)]

    assert [each.split(";")[0] for each in remedies()] == ["a running daemon sends it"]
    make_journal(folder, "w2", schema_event() + row(1))  # Of an older release.
    assert remedies()[1:] == ["run `stepwell sync`; the daemon here does not import it"]
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)  # A system daemon of another user.
    assert remedies() == ["run `stepwell sync`; the daemon here does not import it"]


def test_a_journal_that_the_daemon_says_it_does_not_import_needs_sync(place: Path) -> None:
    journals = place / "journals"
    first = make_journal(journals, "w1", schema_event() + row(1))
    make_journal(journals, "w2", schema_event() + row(1))
    said = [f"{first}: the owner of the journal is user 5, …", f"{first}0: another journal"]
    found = list(stored.journals(journals, problems_of_daemon=said))
    assert [each.remedy.split(";")[0] for each in found] == [
        "a running daemon sends it",
        "run `stepwell sync`",
    ]


def test_a_folder_that_is_no_journal_is_kept_and_said(place: Path) -> None:
    broken = place / "journals" / "run-w"
    broken.mkdir(parents=True)
    (broken / "writer.json").write_text("{")
    (found,) = stored.journals(place / "journals")
    assert found.level is Level.WARN
    assert "writer.json" in found.message
    assert (broken / "writer.json").exists()


def test_the_daemons_folder_of_journals_is_looked_at_too(
    call: Call, daemon: FakeDaemon, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's own folder has a default that a daemon for several users does not share."""
    ours, shared = Path(os.environ["STEPWELL_DATA"]) / "journals", place / "shared"
    make_journal(shared, "w1", schema_event() + row(1), mode="offline")
    daemon.status["journals_dir"] = str(shared)
    assert str(shared) not in call("doctor").out, "STEPWELL_DIR names another one"
    monkeypatch.delenv("STEPWELL_DIR")
    told = call("doctor").out
    assert "1 offline writer left" in told
    assert f"unsent in {shared}" in told
    assert str(ours) not in told
    del daemon.status["journals_dir"]  # A daemon of an older release.
    assert f"no journal waits in {ours}" in call("doctor").out


def test_sync_names_the_folders_that_it_searched(
    call: Call, daemon: FakeDaemon, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(place))  # It has no fallback folder.
    assert call("sync").out == f"nothing to send in {place / 'journals'}\n"
    monkeypatch.delenv("STEPWELL_DIR")
    monkeypatch.setenv("STEPWELL_DATA", str(place))
    daemon.status["journals_dir"] = str(place / "shared")
    for name in ("journals", "shared"):
        (place / name).mkdir()
    searched = f"{place / 'journals'} and {place / 'shared'}"
    assert call("sync").out == f"nothing to send in {searched}\n"


def test_the_configuration_names_the_places_that_are_checked(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STEPWELL_DATA", "STEPWELL_DIR"):
        monkeypatch.delenv(name)
    config = place / "daemon.toml"
    config.write_text(
        f"socket = '{place}/own.sock'\ndata = '{place}/own'\njournals = '{place}/shared'\n"
    )
    make_journal(place / "shared", "w1", schema_event() + row(1), mode="offline")
    told = call("doctor", "--config", config).out
    assert f"no daemon on {place / 'own.sock'}" in told
    assert f"unsent in {place / 'shared'}" in told
    config.write_text("nonsense = 1\n")
    wrong = call("doctor", "--config", config)
    assert wrong.code == 1
    assert "fail  config     " in wrong.out
