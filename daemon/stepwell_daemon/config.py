"""Configuration: defaults, then a TOML file, then STEPWELLD_* variables, then flags.

Every setting has one name: `block_points` in the file, STEPWELLD_BLOCK_POINTS in the environment,
--block-points as a flag. An unknown name is an error that names the nearest known one.

This module imports no part of the daemon: `part_settings` converts the settings for the parts. So
reading the configuration loads neither numpy nor grpc.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.gateway.settings import ListenSettings, RelaySettings
from stepwell_daemon.samplers.names import SAMPLER_NAMES
from stepwell_wire.arguments import OneLineParser
from stepwell_wire.configuration import SettingError, SettingsReader, setting
from stepwell_wire.hub_address import PORT_DEFAULT as HUB_PORT_DEFAULT
from stepwell_wire.hub_address import HubAddress, HubAddressError
from stepwell_wire.places import (
    default_data_dir,
    default_journals_dir,
    own_socket,
)

PREFIX: Final = "STEPWELLD_"
RELOADABLE: Final = frozenset(
    {
        "log_level",
        "sample_seconds",
        "recover_seconds",
        "retention_run_days",
        "retention_node_days",
        "retention_console_days",
        "blob_grace_hours",
        "drain_seconds",
    }
)
"""The settings that SIGHUP may change while the daemon runs."""


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """All settings, read once at start and passed down."""

    socket: Path = setting(Path(), "the unix socket that writers connect to")
    data: Path = setting(Path(), "folder of the spool and the embedded store")
    journals: Path = setting(
        Path(), "folder of the writers' journals, searched for those of dead writers"
    )
    journal_roots: str = setting(
        "",
        "further folders with journals of other users, separated by colons",
    )
    host: str = setting("127.0.0.1", "address of the HTTP server")
    metrics_port: int = setting(
        9464, "port of /metrics, /healthz, /readyz and /status.json; 0: any free port", 0, 65_535
    )
    log_level: str = setting(
        "info", "debug, info, warning or error", choices=("debug", "info", "warning", "error")
    )
    log_file: str = setting("", "write the log to this file; empty: to stderr")
    idle_exit: float = setting(
        0.0, "seconds without a writer after which the daemon ends, if all is stored; 0: never", 0
    )
    drain_seconds: float = setting(10.0, "seconds to wait for the store while the daemon stops", 0)
    sample_seconds: float = setting(5.0, "seconds between samples of the node; 0: no samples", 0)
    samplers: str = setting(
        ",".join(SAMPLER_NAMES), "samplers of the node, separated by commas; empty: none"
    )
    recover_seconds: float = setting(
        10.0, "seconds between searches for journals of dead writers; 0: no search", 0
    )
    writers_max: int = setting(4096, "writers connected at once", 1)
    connections_max: int = setting(8192, "connections (also without a hello) at once", 1)
    hello_seconds: float = setting(
        30.0, "seconds within which a new connection must send its hello", 0.1
    )
    in_flight_bytes_max: int = setting(
        64 << 20, "bytes of frames that are in memory and not yet on disk", 8 << 20
    )
    durability: str = setting(
        "synced",
        "acknowledge frames after the sync (synced: they survive a power loss) or after the "
        "write (written: they survive a kill)",
        choices=("synced", "written"),
    )
    commit_interval_seconds: float = setting(0.01, "shortest time between two syncs", 0, 1)
    segment_bytes: int = setting(64 << 20, "size of a spool segment", 64 << 10, 4 << 30)
    spool_bytes_max: int = setting(
        8 << 30,
        "maximum of spooled bytes that are not stored yet; a full spool refuses frames",
        1 << 20,
    )
    writer_share_max: float = setting(
        0.5,
        "maximum share of one writer in the waiting bytes while the spool is more than "
        "three quarters full; 1: no limit",
        0.01,
        1,
    )
    keep_seconds: float = setting(600.0, "seconds for which stored segments are kept", 0)
    keep_bytes: int = setting(256 << 20, "maximum of stored bytes that are kept", 0)
    block_points: int = setting(400_000, "maximum of points in one block for the store", 1)
    block_bytes: int = setting(16 << 20, "maximum bytes of records in one block", 1 << 10)
    block_delay_seconds: float = setting(
        0.2, "minimum seconds for which records are collected into a block", 0, 60
    )
    insert_threads: int = setting(2, "maximum of blocks that are inserted at once", 1, 64)
    blob_store: str = setting(
        "", "folder of the blob store, which the hub reads too; empty: blobstore in the data folder"
    )
    blob_queue_bytes_max: int = setting(
        8 << 30, "maximum bytes of received blobs that are not in the blob store yet", 1 << 20
    )
    blob_free_bytes_min: int = setting(
        1 << 30,
        "free bytes on the disk of the data folder that are reserved for rows, not used for blobs",
        0,
    )
    blob_workers: int = setting(1, "processes that encode and hash blobs", 1, 64)
    blob_worker_memory_bytes: int = setting(
        2 << 30, "memory limit (address space) of one blob worker", 256 << 20
    )
    blob_seconds: float = setting(120.0, "processor time for one blob in a worker", 1)
    blob_grace_hours: float = setting(
        168.0, "hours after which a blob without a reference is deleted; 0: never", 0
    )
    sink: str = setting(
        "embedded",
        "destination of records: embedded (a store of its own), clickhouse (servers) or gateway "
        "(another daemon)",
        choices=("embedded", "clickhouse", "gateway"),
    )
    clickhouse_hosts: str = setting("127.0.0.1", "HOST[:PORT] of servers, separated by commas")
    clickhouse_database: str = setting("stepwell", "the database; it is created if it is missing")
    clickhouse_user: str = setting("default", "the user")
    clickhouse_password_file: str = setting("", "file with the user's password")
    clickhouse_cluster: str = setting(
        "", "name of the cluster, for replicated tables on all its shards; empty: one server"
    )
    clickhouse_insert_quorum: int = setting(
        0, "replicas that must confirm a block before it counts as stored; 0: one", 0, 64
    )
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
    gateway_address: str = setting("", "host:port of the gateway, for sink = gateway")
    gateway_token_file: str = setting("", "file with the token for the gateway")
    gateway_ca_file: str = setting("", "CA certificates for the gateway's certificate")
    gateway_cert_file: str = setting("", "client certificate, if the gateway requires one")
    gateway_key_file: str = setting("", "key of gateway_cert_file")
    gateway_timeout_seconds: float = setting(
        30.0, "seconds without an answer after which the daemon connects to the gateway again", 1
    )
    gateway_listen: str = setting(
        "", "host:port on which this daemon accepts other daemons as their gateway; empty: none"
    )
    gateway_listen_cert_file: str = setting(
        "", "certificate of gateway_listen; required for addresses other than loopback"
    )
    gateway_listen_key_file: str = setting("", "key of gateway_listen_cert_file")
    gateway_listen_client_ca_file: str = setting(
        "", "CA certificates for the certificates of daemons; empty: no certificate is required"
    )
    gateway_tokens_file: str = setting(
        "", "file of accepted tokens, one on each line; empty: no token is required"
    )
    socket_group: str = setting("", "group that may use the socket; empty: the daemon's user only")
    hub: str = setting(
        "auto",
        "auto: start the hub (the page) if this daemon has a store of its own; off: never",
        choices=("auto", "off"),
    )
    hub_host: str = setting("127.0.0.1", "address of the page")
    hub_port: int = setting(
        HUB_PORT_DEFAULT,
        "port of the page; 0: any free port, also used if the default port is in use",
        0,
        65_535,
    )
    hub_url: str = setting(
        "", "address of the page in links for browsers, if it differs from hub_host and hub_port"
    )
    hub_control_key_file: str = setting(
        "",
        "file with the key of the hub at hub_url, for a daemon without its own hub: through "
        "that hub the daemon stops trials and commits artifacts; empty: agents stop trials, "
        "artifacts wait",
    )
    hub_cert_file: str = setting(
        "", "certificate of the page; required for addresses other than loopback"
    )
    hub_key_file: str = setting("", "key of hub_cert_file")
    hub_proxy: str = setting("", "addresses of the proxy that terminates TLS, separated by commas")
    hub_catalog: str = setting(
        "", "postgresql://… of the hub's catalog; empty: a file beside the store"
    )
    engine_memory_bytes: int = setting(2 << 30, "memory limit of the embedded engine", 256 << 20)
    retention_run_days: int = setting(0, "days after which an ended run is deleted; 0: never", 0)
    retention_node_days: int = setting(
        90, "days after which telemetry of nodes is deleted; 0: never", 0
    )
    retention_console_days: int = setting(
        0, "days after which console lines are deleted; 0: never", 0
    )
    named: frozenset[str] = frozenset()
    """Names of the settings that were set by a file, a variable or an argument."""

    def further_journal_roots(self) -> tuple[Path, ...]:
        """Return the folders besides ``journals`` from which other users' journals are imported.

        Raises:
            DaemonConfigError: One of them is not an absolute path.
        """
        named = [text for text in self.journal_roots.split(":") if text]
        for text in named:
            if not text.startswith("/"):
                raise DaemonConfigError(
                    f"journal_roots is {text!r}; expected absolute paths, separated by colons"
                )
        return tuple(map(Path, named))

    def relay_settings(self) -> RelaySettings:
        """Return the address and credentials of the gateway.

        Raises:
            DaemonConfigError: The settings contradict each other.
        """
        settings = RelaySettings(
            address=self.gateway_address,
            token_file=_path(self.gateway_token_file),
            ca_file=_path(self.gateway_ca_file),
            cert_file=_path(self.gateway_cert_file),
            key_file=_path(self.gateway_key_file),
            timeout_seconds=self.gateway_timeout_seconds,
        )
        settings.check()
        return settings

    def listen_settings(self) -> ListenSettings | None:
        """Return the settings of the port for other daemons, None without one.

        Raises:
            DaemonConfigError: The settings contradict each other, or are unsafe on a network.
        """
        if not self.gateway_listen:
            return None
        settings = ListenSettings(
            address=self.gateway_listen,
            cert_file=_path(self.gateway_listen_cert_file),
            key_file=_path(self.gateway_listen_key_file),
            client_ca_file=_path(self.gateway_listen_client_ca_file),
            tokens_file=_path(self.gateway_tokens_file),
        )
        settings.check()
        return settings

    def hub_address(self) -> HubAddress:
        """Return the settings of the hub's address.

        Raises:
            DaemonConfigError: The settings contradict each other, or are unsafe on a network.
        """
        address = HubAddress(
            host=self.hub_host,
            port=self.hub_port,
            url=self.hub_url,
            cert_file=_path(self.hub_cert_file),
            key_file=_path(self.hub_key_file),
            proxy=self.hub_proxy,
        )
        try:
            address.check()
        except HubAddressError as error:
            raise DaemonConfigError(str(error)) from error
        return address

    def to_json(self) -> str:
        """Return the settings as JSON, for ``--check-config``."""
        values = {name: getattr(self, name) for name in FIELDS}
        return json.dumps(values, indent=2, default=str)


_READER: Final = SettingsReader(DaemonConfig, prefix=PREFIX)
FIELDS: Final = _READER.fields


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="stepwelld",
        description="The daemon of a node: receives what writers log, spools it and stores it.",
        epilog=f"Every setting can also be in the TOML file, or in a variable {PREFIX}NAME.",
    )
    _READER.add_arguments(parser)
    parser.add_argument(
        "--check-config", action="store_true", help="print the effective settings and exit"
    )
    parser.add_argument(
        "--personal",
        action="store_true",
        help="for training scripts, which start this daemon: ignore the script's limits and "
        f"unknown {PREFIX}NAMEs; a script starts the daemon again if it dies",
    )
    return parser


def is_unknown(variable: str) -> bool:
    """Whether an environment variable looks like a setting but is not one."""
    name = variable.removeprefix(PREFIX).lower()
    return variable.startswith(PREFIX) and name != "config" and name not in FIELDS


def read_config(
    arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> DaemonConfig:
    """Return the configuration; `part_settings.load_config` also checks settings against each
    other.

    Raises:
        DaemonConfigError: A setting is unknown, unreadable or invalid; the text says which and
            where.
    """
    if getattr(arguments, "personal", False):
        environ = {name: value for name, value in environ.items() if not is_unknown(name)}
    values: dict[str, Any] = {
        "socket": own_socket(environ),
        "data": default_data_dir(environ),
        "journals": None,
    }
    try:
        given = _READER.read(arguments, environ)
    except SettingError as error:
        raise DaemonConfigError(str(error)) from error
    values |= {**given, "named": frozenset(given)}
    if values["journals"] is None:
        values["journals"] = default_journals_dir({**environ, "STEPWELL_DATA": str(values["data"])})
    return DaemonConfig(**values)


def wants_hub(config: DaemonConfig) -> bool:
    """Return whether a daemon with this configuration has a hub: one with its own store."""
    return config.hub == "auto" and config.sink == "embedded"


def check_reload(old: DaemonConfig, new: DaemonConfig) -> tuple[DaemonConfig, list[str], list[str]]:
    """Return the configuration after a reload, its changed names, and those that need a restart."""
    changed = [name for name in FIELDS if getattr(old, name) != getattr(new, name)]
    applied = {name: getattr(new, name) for name in changed if name in RELOADABLE}
    refused = [name for name in changed if name not in RELOADABLE]
    return dataclasses.replace(old, **applied), list(applied), refused
