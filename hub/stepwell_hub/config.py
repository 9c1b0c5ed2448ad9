"""The hub's settings: flags, STEPWELLHUB_* variables, a TOML file, defaults."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_hub.errors import HubConfigError
from stepwell_hub.sweeps.answers import LEASE_SECONDS
from stepwell_store.blob_store import BlobStore, open_blob_store
from stepwell_store.server import configuration
from stepwell_store.server.settings import ServerSettings
from stepwell_wire.arguments import OneLineParser
from stepwell_wire.configuration import SettingError, SettingsReader, setting
from stepwell_wire.hub_access import KEY_FILE, hub_dir
from stepwell_wire.hub_address import PORT_DEFAULT as HUB_PORT_DEFAULT
from stepwell_wire.hub_address import HubAddress, HubAddressError, catalog_failure
from stepwell_wire.places import default_data_dir

PREFIX: Final = "STEPWELLHUB_"


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """Everything that can be set, read once at start and passed down."""

    data: Path = setting(Path(), "data folder; its folder hub/ has the key and the catalog")
    host: str = setting("127.0.0.1", "address of the page")
    port: int = setting(
        HUB_PORT_DEFAULT,
        "port of the page; 0: any free port, also used if the default port is in use",
        0,
        65_535,
    )
    url: str = setting(
        "", "address of the page in links for browsers, if it differs from host and port"
    )
    cert_file: str = setting(
        "", "certificate of the page; required for addresses other than loopback"
    )
    key_file: str = setting("", "key of cert_file")
    proxy: str = setting("", "addresses of the proxy that terminates TLS, separated by commas")
    log_level: str = setting(
        "info", "debug, info, warning or error", choices=("debug", "info", "warning", "error")
    )
    catalog: str = setting("", "postgresql://… of the catalog; empty: a file in hub/")
    store: str = setting(
        "embedded",
        "the store: embedded (of the data folder) or clickhouse",
        choices=("embedded", "clickhouse"),
    )
    journals: str = setting(
        "",
        "folders of journals, separated by colons; the hub deletes a run's notes there when "
        "it deletes the run",
    )
    blob_store: str = setting(
        "", "folder of the blob store that the daemons write; empty: blobstore in the data folder"
    )
    daemon_status: str = setting("", "address of the daemon's /status.json, for the status page")
    query_seconds: float = setting(30.0, "time limit of a query, in seconds", 0.1, 3600)
    query_memory_bytes: int = setting(1 << 30, "memory limit of a query", 16 << 20)
    queries_max: int = setting(4, "queries at once", 1, 64)
    table_workers: int = setting(2, "processes that read logged tables", 1, 16)
    queries_waiting_max: int = setting(
        64, "maximum of waiting queries; others are rejected", 0, 10_000
    )
    sweep_lease_seconds: float = setting(
        LEASE_SECONDS,
        "seconds without a heartbeat after which an agent of a sweep loses its trial",
        1,
        3600,
    )
    listeners_max: int = setting(256, "maximum of live connections", 1, 10_000)
    request_bytes_max: int = setting(4 << 20, "maximum bytes of a request's body", 1 << 10, 1 << 30)
    clickhouse_hosts: str = setting("127.0.0.1", "HOST[:PORT] of servers, separated by commas")
    clickhouse_database: str = setting("stepwell", "the database")
    clickhouse_user: str = setting("default", "the user")
    clickhouse_password_file: str = setting("", "file with the user's password")
    clickhouse_cluster: str = setting("", "name of the cluster; empty: one server")
    clickhouse_timeout_seconds: float = setting(
        60.0,
        "seconds without data after which the connection to a server is closed while an "
        "answer is due",
        1,
    )
    clickhouse_tls: str = setting(
        "auto", "on, off, or auto: on for hosts other than loopback", choices=("auto", "on", "off")
    )
    clickhouse_ca_file: str = setting("", "CA certificates for the servers' certificates")
    clickhouse_cert_file: str = setting("", "client certificate, if the servers require one")
    clickhouse_key_file: str = setting("", "key of clickhouse_cert_file")

    named: frozenset[str] = frozenset()
    """Names of the settings that were set by a file, a variable or an argument."""

    @property
    def folder(self) -> Path:
        """Where key, state and catalog are."""
        return hub_dir(self.data)

    def journals_dirs(self) -> tuple[Path, ...]:
        return tuple(Path(text) for text in self.journals.split(":") if text)

    def open_blob_store(self) -> BlobStore:
        """Return where the bytes of media are.

        Raises:
            HubConfigError: The setting is not an absolute path.
        """
        try:
            return open_blob_store(self.data, self.blob_store)
        except ValueError as error:
            raise HubConfigError(str(error)) from error

    def address(self) -> HubAddress:
        """Return where to listen.

        Raises:
            HubConfigError: The settings contradict each other, or are unsafe in a network.
        """
        address = HubAddress(
            host=self.host,
            port=self.port,
            url=self.url,
            cert_file=_path(self.cert_file),
            key_file=_path(self.key_file),
            proxy=self.proxy,
        )
        try:
            address.check(prefix="")
        except HubAddressError as error:
            raise HubConfigError(str(error)) from error
        return address


_READER: Final = SettingsReader(HubConfig, prefix=PREFIX)


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="stepwell hub",
        description="The hub serves the page and the HTTP API of a store.",
        epilog=f"Every setting can also be in the TOML file, or in a variable {PREFIX}NAME.",
    )
    _READER.add_arguments(parser)
    parser.add_argument(
        "--rotate-key",
        action="store_true",
        help="make a new key and exit. A running hub uses it at once; cookies, links and tokens "
        "of the old key become invalid",
    )
    # How a daemon starts a hub; none of these is a setting.
    for name, text in (
        ("--listen-fd", "file descriptor of an inherited listening socket"),
        (
            "--control-fd",
            "file descriptor of a socket to the owner; the hub ends when it is closed",
        ),
        ("--owner-pid", "process id of the owner"),
    ):
        parser.add_argument(name, type=int, default=None, help=f"for the daemon: {text}")
    return parser


def load_config(
    arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> HubConfig:
    """Return the effective configuration.

    Raises:
        HubConfigError: A setting is unknown, unreadable or invalid; says which and where.
    """
    values: dict[str, Any] = {"data": default_data_dir(environ)}
    try:
        given = _READER.read(arguments, environ)
    except SettingError as error:
        raise HubConfigError(str(error)) from error
    values |= {**given, "named": frozenset(given)}
    config = HubConfig(**values)
    config.address()
    config.open_blob_store()
    if config.store == "clickhouse":
        server_settings(config)
    if problem := catalog_failure(config.catalog):
        raise HubConfigError(f"catalog: {problem}")
    return config


def check_data(config: HubConfig, *, rotates_key: bool = False) -> None:
    """Check that the data folder exists, so that a typing error creates no new one.

    A daemon that starts its hub creates the folder itself; a daemon beside the hub may not have
    created its store yet. A hub over ClickHouse servers creates its folder.

    Raises:
        HubConfigError: There is no such folder, or no hub has used it, whose key could be rotated.
    """
    if config.data.is_dir():
        if rotates_key and not os.path.lexists(config.folder / KEY_FILE):
            raise HubConfigError(
                f"data: no hub has used {config.data}, so there is no key to replace; name the "
                "hub's data folder with --data or STEPWELL_DATA. `stepwell status` prints that of "
                "a daemon"
            )
        return
    problem = f"data: {config.data} is not a folder"
    if rotates_key:
        raise HubConfigError(f"{problem}; set data to the hub's data folder")
    if config.store == "embedded":
        raise HubConfigError(
            f"{problem}; log a run first (`stepwell up` starts a daemon with a page), choose "
            "another folder with --data or STEPWELL_DATA, or read servers with --store "
            "clickhouse"
        )


def check_is_used(config: HubConfig) -> None:
    """Check that the settings of ClickHouse servers have an effect.

    Else a hub with `clickhouse_hosts` but without `store` would show the embedded store instead.

    Raises:
        HubConfigError: They have none.
    """
    names = sorted(name for name in config.named if name.startswith("clickhouse_"))
    if names and config.store != "clickhouse":
        raise HubConfigError(
            f'{", ".join(names)}: no effect without store = "clickhouse"; set that too, or '
            f"remove {'it' if len(names) == 1 else 'them'}"
        )


def server_settings(config: HubConfig) -> ServerSettings:
    """Return how to reach the ClickHouse servers.

    Raises:
        HubConfigError: A setting is missing or invalid, or the driver is not installed.
    """
    try:
        return configuration.server_settings(config)
    except configuration.ServerConfigError as error:
        raise HubConfigError(str(error)) from error


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None
