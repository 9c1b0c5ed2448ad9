"""Who may write: passwords, TLS, certificates; and what is said when it does not fit."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from stepwell_daemon.config import build_parser
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.part_settings import load_config, server_settings
from stepwell_daemon.sink_errors import kind_of
from stepwell_store import SchemaTooNewError, StoreUnavailableError
from stepwell_store.server.settings import ServerEndpoint, ServerSettings, parse_endpoints
from stepwell_store.server.store import ServerStore, open_server
from tests.certificates import make_authority, make_certificate
from tests.node import free_port
from tests.servers.clickhouse import PASSWORD, ClickHouseServer
from tests.store.made import fresh_project, log, writer

pytestmark = pytest.mark.processes


def settings_of(server: ClickHouseServer, **more: object) -> ServerSettings:
    endpoint = ServerEndpoint("127.0.0.1", server.port)
    return replace(
        ServerSettings(endpoints=(endpoint,), connect_seconds=5.0, timeout_seconds=10.0),
        **more,  # type: ignore[arg-type]
    )


def logs_and_reads(settings: ServerSettings) -> None:
    store = open_server(settings)
    try:
        store.migrate()
        project = fresh_project()
        log(store, writer(project), [0, 1], loss=[1.0, 2.0])
        (found,) = store.query(
            "SELECT count() AS n FROM points WHERE series IN "
            "(SELECT series FROM series WHERE project = {project:String})",
            parameters={"project": project},
        )
        assert found == {"n": 2}
    finally:
        store.close()


def test_a_server_that_is_away_is_one_error_and_nothing_in_the_drivers_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint = ServerEndpoint("127.0.0.1", free_port())
    store = open_server(ServerSettings(endpoints=(endpoint,), connect_seconds=5.0))
    with pytest.raises(StoreUnavailableError, match="refused"):
        store.migrate()
    store.close()
    assert not [each for each in caplog.records if each.name.startswith("clickhouse_driver")]


@pytest.mark.holds("server-access")
def test_a_password_is_read_for_each_connection(server: ClickHouseServer, tmp_path: Path) -> None:
    held = {"password": "wrong"}
    settings = settings_of(server, user="writer", read_password=lambda: held["password"])
    store = open_server(settings)
    with pytest.raises(
        StoreUnavailableError, match=r"(?s)connecting to ClickHouse failed.*user"
    ) as told:
        store.migrate()
    assert kind_of(told.value) == "auth"
    assert "wrong" not in str(told.value).replace("Wrong password", "")
    held["password"] = PASSWORD
    store.migrate()
    store.close()
    logs_and_reads(settings)


def test_a_password_file_that_is_taken_away_is_a_server_that_is_away(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)
    words = ["--clickhouse-hosts", server.address, "--clickhouse-user", "writer"]
    words += ["--sink", "clickhouse", "--clickhouse-password-file", str(path)]
    settings = server_settings(load_config(build_parser().parse_args(words), {}))
    logs_and_reads(settings)
    path.unlink()
    with pytest.raises(
        StoreUnavailableError, match=f"reading the password.*{path}: cannot be read"
    ):
        logs_and_reads(settings)


def test_a_statement_of_the_user_is_sent_as_it_is(server: ClickHouseServer) -> None:
    store = open_server(settings_of(server))
    store.migrate()
    names, rows = store.read("SELECT '{name:String}' AS text WHERE 0", timeout_seconds=30)
    assert (names, rows) == (["text"], [])
    assert store.read("SELECT '{name:String}' AS text", timeout_seconds=30)[1] == [
        {"text": "{name:String}"}
    ]
    store.close()


@contextmanager
def tls_server(folder: Path, authority: Path, **names: str) -> Iterator[int]:
    """Run a server that wants certificates of ``authority``; give its port for TLS."""
    cert, key = make_certificate(authority, folder.name, **names)
    port = free_port()
    more = (
        f"<tcp_port_secure>{port}</tcp_port_secure><openSSL><server>"
        f"<certificateFile>{cert}</certificateFile><privateKeyFile>{key}</privateKeyFile>"
        f"<caConfig>{authority}</caConfig><verificationMode>strict</verificationMode>"
        "<loadDefaultCAFile>false</loadDefaultCAFile></server></openSSL>"
    )
    server = ClickHouseServer(folder, more=more)
    server.ports_to_wait_for.append(port)
    with server:
        yield port


@pytest.mark.holds("server-access")
def test_tls_with_certificates_of_both_sides(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "ca")
    cert, key = make_certificate(authority, "node")
    with tls_server(tmp_path / "tls", authority) as port:
        secure = ServerSettings(
            endpoints=(ServerEndpoint("localhost", port),),
            secure=True,
            ca_file=authority,
            cert_file=cert,
            key_file=key,
        )
        logs_and_reads(secure)
        with pytest.raises(StoreUnavailableError, match="connecting to ClickHouse failed"):
            logs_and_reads(replace(secure, cert_file=None, key_file=None))
        stranger = make_authority(tmp_path / "other", "other")
        with pytest.raises(StoreUnavailableError, match=r"(?i)certificate"):
            logs_and_reads(replace(secure, ca_file=stranger))
    with tls_server(tmp_path / "foreign", authority, names="DNS:elsewhere.example") as port:
        other = replace(secure, endpoints=(ServerEndpoint("localhost", port),))
        with pytest.raises(StoreUnavailableError, match=r"(?i)hostname mismatch"):
            logs_and_reads(other)


@pytest.mark.holds("server-access")
def test_many_daemons_may_make_the_tables_of_one_server_at_once(server: ClickHouseServer) -> None:
    problems: list[Exception] = []

    def migrate() -> None:
        store = open_server(settings_of(server))
        try:
            store.migrate()
        except Exception as error:
            problems.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=migrate) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert problems == []
    logs_and_reads(settings_of(server))


def test_a_schema_of_a_newer_stepwell_is_left_alone(server: ClickHouseServer) -> None:
    store: ServerStore = open_server(settings_of(server))
    store.migrate()
    store.query("INSERT INTO schema_versions (version, name) SELECT 99, 'of the future'")
    with pytest.raises(SchemaTooNewError, match=r"version 99.*upgrade stepwell"):
        store.migrate()
    store.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--clickhouse-hosts", "a:x"],
            r"clickhouse_hosts is 'a:x': 'a:x' is not HOST or HOST:PORT",
        ),
        (["--clickhouse-hosts", " "], "no host is given"),
        (["--clickhouse-hosts", "a,b"], "several clickhouse_hosts need clickhouse_cluster"),
        (["--clickhouse-database", "a-b"], "expected letters, digits and _ only"),
        (["--clickhouse-cluster", "a;b"], "expected letters, digits and _ only"),
        (["--clickhouse-cert-file", "/x"], "together, or neither"),
        (["--clickhouse-password-file", "/nowhere"], "/nowhere: cannot be read"),
        (["--clickhouse-tls", "maybe"], "expected one of auto, on, off"),
    ],
)
def test_settings_that_do_not_go_together_are_told(words: list[str], told: str) -> None:
    arguments = build_parser().parse_args(["--sink", "clickhouse", *words])
    with pytest.raises(DaemonConfigError, match=told):
        load_config(arguments, {})


def test_tls_is_spoken_beyond_loopback(tmp_path: Path) -> None:
    def settings(*words: str) -> ServerSettings:
        arguments = build_parser().parse_args(["--sink", "clickhouse", *words])
        return server_settings(load_config(arguments, {"HOME": str(tmp_path)}))

    assert not settings("--clickhouse-hosts", "127.0.0.1").secure
    found = settings("--clickhouse-hosts", "clickhouse.example")
    assert (found.secure, found.endpoints) == (True, (ServerEndpoint("clickhouse.example", 9440),))
    assert not settings("--clickhouse-hosts", "10.0.0.1:9000", "--clickhouse-tls", "off").secure


def test_addresses() -> None:
    assert parse_endpoints("a, b:1 ,[::1]:2,[::1]", 9) == (
        ServerEndpoint("a", 9),
        ServerEndpoint("b", 1),
        ServerEndpoint("::1", 2),
        ServerEndpoint("::1", 9),
    )
