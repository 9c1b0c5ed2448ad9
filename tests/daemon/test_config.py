"""Settings: where they come from, which wins, and what is refused."""

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from stepwell_daemon.__main__ import BAD_CONFIG, OK, main
from stepwell_daemon.blobs import start_check
from stepwell_daemon.blobs.start_check import check_at_start
from stepwell_daemon.config import FIELDS, RELOADABLE, DaemonConfig, build_parser, check_reload
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.part_settings import load_config
from stepwell_daemon.serve import sink_kind


def load(*arguments: str, **environ: str) -> DaemonConfig:
    return load_config(build_parser().parse_args(arguments), {"STEPWELL_DATA": "/d", **environ})


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "stepwelld.toml"
    path.write_text(text)
    return str(path)


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "block_points = 1\nwriters_max = 2\nconnections_max = 3\n")
    config = load(
        *("--config", file, "--block-points", "10"),
        STEPWELLD_BLOCK_POINTS="11",
        STEPWELLD_WRITERS_MAX="12",
    )
    assert (config.block_points, config.writers_max, config.connections_max) == (10, 12, 3)
    assert config.insert_threads == FIELDS["insert_threads"].default


def test_places_come_from_the_variables_that_every_part_knows() -> None:
    config = load(STEPWELL_SOCKET="/s/s.sock", STEPWELL_DATA="/data")
    assert config.socket == Path("/s/s.sock")
    assert config.data == Path("/data")
    assert config.journals == Path("/data/journals")
    assert load("--data", "/other").journals == Path("/other/journals")
    assert load("--data", "/other", STEPWELL_DIR="/j").journals == Path("/j")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block_point = 1", "did you mean block_points?"),
        ("[spool]\nsegment_bytes = 1", "[spool]: unknown table; put its settings"),
        ("spool_bytes_max = 1", "expected 1,048,576 or more, not 1"),
        ("host = ''", "host: expected an address or a host name, not ''"),
        ("host = ' '", "127.0.0.1 means this machine only"),
        ("host = 'not a host'", "host: expected an address or a host name, not 'not a host'"),
        ("hub_catalog = 'mysql://x'", "hub_catalog: expected postgresql://[USER@]HOST[:PORT]/"),
        ("hub_host = '-x'", "hub_host: expected an address or a host name, not '-x'"),
        (
            "hub_port = 9464",
            "metrics_port and hub_port are both 9464; set two different ports, or 0",
        ),
        ("hub_port = 9\nmetrics_port = 9\nhost = '0.0.0.0'", "are both 9"),
        ("socket_group = 'no-such-group-here'", "no such group; create it"),
        ("block_points = 'many'", "a whole number"),
        ("block_points = 1.5", "a whole number"),
        ("block_points = true", "a whole number"),
        ("block_points = 0", "expected 1 or more"),
        ("metrics_port = 70000", "expected 0 to 65535"),
        ("drain_seconds = nan", "expected a number, not nan"),
        ("sample_seconds = inf", "expected a number, not inf"),
        ("log_level = 'loud'", "expected one of debug, info, warning, error, not 'loud'"),
        ("durability = 3", "expected one of synced, written, not 3"),
        ("data = 3", "expected a path"),
        ("data = 'here'", "data: expected an absolute path, not 'here'"),
        ("metrics_port = '9464'", "expected a whole number, without quotes, not '9464'"),
        ("spool_bytes_max = '8GB'", "a whole number of bytes without a unit, such as 8000000000"),
        ("idle_exit = '5'", "expected a number, without quotes, not '5'"),
        ("log_file = '/'", "log_file: / is a folder"),
        ("log_file = '/dev/null/stepwell.log'", "/dev/null is not a folder"),
        ("log_file = '/proc/nope/x.log'", "log_file: creating /proc/nope/x.log failed"),
        ("retention_run_days = 99999999", "run_days"),
        ("block_points", "invalid TOML"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(DaemonConfigError) as refused:
        load("--config", file)
    assert message in str(refused.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_log_file_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DaemonConfigError, match=f"failed in {tmp_path}"):
        load("--log-file", str(tmp_path / "stepwell.log"))


def test_what_somebody_has_set_is_known(tmp_path: Path) -> None:
    file = written(tmp_path, "block_points = 1\n")
    config = load("--config", file, "--metrics-port", "9464", STEPWELLD_WRITERS_MAX="12")
    assert config.named == {"block_points", "metrics_port", "writers_max"}


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DaemonConfigError, match="invalid TOML"):
        load("--config", str(file))


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    with pytest.raises(DaemonConfigError, match="did you mean STEPWELLD_SAMPLE_SECONDS"):
        load(STEPWELLD_SAMPLES_SECONDS="3")
    with pytest.raises(DaemonConfigError, match="known are STEPWELLD_BLOB_FREE_BYTES_MIN, STEP"):
        load(STEPWELLD_ZZZZZZ="3")


def test_a_socket_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(DaemonConfigError, match="107"):
        load("--socket", "/" + "s" * 120)


def test_check_config_prints_what_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--check-config", "--data", str(tmp_path), "--block-points", "7"]) == OK
    printed = json.loads(capsys.readouterr().out)
    assert printed["block_points"] == 7
    assert set(printed) == set(FIELDS)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("/proc/nope/blobs", "blob_store: creating /proc/nope/blobs failed"),
        ("/dev/null", "blob_store: /dev/null is not a folder"),
        ("/dev/null/blobs", "blob_store: creating /dev/null/blobs failed"),
    ],
)
def test_an_impossible_blob_store_is_a_wrong_setting_also_at_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: str, message: str
) -> None:
    words = ["--data", str(tmp_path), "--blob-store", folder]
    assert main(["--check-config", *words]) == BAD_CONFIG
    assert message in capsys.readouterr().err
    assert load(*words).blob_store == folder  # A reload has no effect on it.
    words += ["--socket", str(tmp_path / "s.sock"), "--hub", "off"]
    done = subprocess.run(
        [sys.executable, "-m", "stepwell_daemon", *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines)) == (BAD_CONFIG, 2), done.stderr
    assert "starting version" in lines[0]
    assert lines[1].startswith(f"stepwelld: {message}")


def test_a_blob_store_that_was_usable_before_may_be_absent_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    config = load("--data", str(tmp_path), "--blob-store", str(folder / "blobs"))
    assert check_at_start(config) == ""
    folder.write_text("no folder")
    warning = check_at_start(config)
    assert "is not a folder" in warning
    assert "usable at an earlier start" in warning
    with pytest.raises(DaemonConfigError):
        check_at_start(replace(config, blob_store=str(folder / "other")))


@pytest.mark.parametrize("was_usable", [True, False])
def test_a_blob_store_without_an_answer_is_only_a_warning_at_the_start(
    tmp_path: Path, was_usable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load("--data", str(tmp_path), "--blob-store", str(tmp_path / "blobs"))
    if was_usable:
        assert check_at_start(config) == ""
    end = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(start_check, "check_blob_store", lambda config: end.wait())
        try:
            warning = check_at_start(config, seconds=0.1)
        finally:
            end.set()
    assert "did not answer within 0.1 s" in warning
    assert "earlier start" not in warning
    assert (tmp_path / start_check.NOTE_FILE).exists() == was_usable
    assert check_at_start(config) == ""


def test_a_blob_store_without_permission_is_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load("--data", str(tmp_path), "--blob-store", str(tmp_path))

    def refuse(**options: object) -> NoReturn:  # Root may write everywhere.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(DaemonConfigError, match=r"writing in .* failed \(Permission denied\)"):
        check_at_start(config)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--clickhouse-hosts", "ch1"], 'clickhouse_hosts: no effect without sink = "clickhouse"'),
        (
            ["--sink", "gateway", "--gateway-address", "127.0.0.1:1", "--clickhouse-user", "me"],
            "clickhouse_user: no effect",
        ),
        (
            ["--gateway-address", "gate:1", "--gateway-token-file", "/t"],
            'gateway_address, gateway_token_file: no effect without sink = "gateway"; set that '
            "too, or remove them",
        ),
        (["--gateway-tokens-file", "/t"], 'without gateway_listen = "HOST:PORT"'),
    ],
)
def test_check_config_names_settings_without_an_effect_and_a_start_goes_on(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--check-config", "--data", str(tmp_path), *words]) == BAD_CONFIG
    assert told in capsys.readouterr().err
    assert load(*words).named


@pytest.mark.parametrize(
    "words",
    [
        ["--hub-port", "9464", "--hub", "off"],
        ["--hub-port", "9464", "--hub-host", "::1"],
        ["--metrics-port", "8470"],  # The page moves to another port.
        ["--hub-port", "0", "--metrics-port", "0"],
        ["--clickhouse-user", "default"],
        ["--host", "fe80::1%eth0"],
        ["--host", "my_node-1.example."],
    ],
)
def test_settings_that_go_together_are_accepted(words: list[str], tmp_path: Path) -> None:
    assert main(["--check-config", "--data", str(tmp_path), *words]) == OK


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "/proc/x"], "data: creating /proc/x failed"),
        (["--data", "FILE"], "data: FILE is not a folder"),
        (["--data", "FILE/x"], "data: creating FILE/x failed: FILE is not a folder"),
        (["--journals", "/proc/j"], "journals: creating /proc/j failed"),
        (["--journals", "FILE"], "journals: FILE is not a folder"),
        (["--socket", "/proc/s/s.sock"], "socket: creating /proc/s/s.sock failed"),
        (["--socket", "FILE"], "socket: FILE exists and is not a socket"),
        (["--host", "999.1.1.1"], "host: expected an address or a host name, not '999.1.1.1'"),
    ],
)
def test_check_config_finds_what_would_end_the_start(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    given = [word.replace("FILE", str(file)) for word in words]
    assert main(["--check-config", "--data", str(tmp_path), *given]) == BAD_CONFIG
    assert told.replace("FILE", str(file)) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]


def test_journals_that_cannot_be_kept_are_reported_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    words = ["--data", str(tmp_path / "data"), "--socket", str(tmp_path / "s.sock")]
    done = subprocess.run(
        [sys.executable, "-m", "stepwell_daemon", *words, "--journals", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == BAD_CONFIG
    assert f"journals: {file} is not a folder" in done.stderr


def test_a_wrong_configuration_ends_with_its_own_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--config", str(tmp_path / "missing.toml")]) == BAD_CONFIG
    assert "missing.toml" in capsys.readouterr().err


def test_a_reload_applies_what_it_can_and_names_the_rest() -> None:
    old = load()
    new = load("--sample-seconds", "1", "--segment-bytes", "1000000")
    config, applied, refused = check_reload(old, new)
    assert config.sample_seconds == 1.0
    assert config.segment_bytes == old.segment_bytes
    assert applied == ["sample_seconds"]
    assert refused == ["segment_bytes"]
    assert set(FIELDS) > RELOADABLE


def test_what_the_sink_is_called_is_known_before_it_is_opened() -> None:
    assert sink_kind(load()) == "embedded"
    relays = load("--sink", "gateway", "--gateway-address", "127.0.0.1:7")
    assert sink_kind(relays) == "gateway 127.0.0.1:7"
    servers = load("--sink", "clickhouse", "--clickhouse-hosts", "127.0.0.1:9")
    assert sink_kind(servers) == "clickhouse 127.0.0.1:9"
    named = load("--sink", "clickhouse", "--clickhouse-cluster", "two_by_two")
    assert sink_kind(named) == "clickhouse two_by_two"


def test_an_unknown_sampler_is_refused() -> None:
    assert load("--samplers", "host").samplers == "host"
    with pytest.raises(
        DaemonConfigError, match="unknown name 'tpus'; the samplers are host, disks"
    ):
        load("--samplers", "host,tpus")


def test_every_setting_says_what_it_is() -> None:
    assert all(each.help for each in FIELDS.values())


def test_asking_for_the_configuration_loads_no_numpy_and_no_grpc() -> None:
    loaded = "import sys, stepwell_daemon.config; print({'numpy', 'grpc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
