"""Configuration: defaults, then a TOML file, then STEPWELLD_* variables, then flags.

Every setting has one name: `block_points` in the file, STEPWELLD_BLOCK_POINTS in the environment,
--block-points as a flag. An unknown name is an error that names the nearest known one.

A leaf: what the parts of the daemon make of the settings, `part_settings` says. So whoever asks for
the configuration loads neither numpy nor grpc.
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
    default_socket,
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
"""What SIGHUP may change while the daemon runs."""


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """Everything that can be set, read once at start and passed down."""

    socket: Path = setting(Path(), "the unix socket that writers connect to")
    data: Path = setting(Path(), "folder of spool and embedded store")
    journals: Path = setting(Path(), "folder of the writers' journals, to recover dead ones")
    journal_roots: str = setting(
        "",
        "further folders, separated by colons, in which journals of other users are taken in",
    )
    host: str = setting("127.0.0.1", "address of the HTTP server")
    metrics_port: int = setting(
        9464, "port of /metrics, /healthz, /readyz, /status.json; 0: any free one", 0, 65_535
    )
    log_level: str = setting(
        "info", "debug, info, warning or error", choices=("debug", "info", "warning", "error")
    )
    log_file: str = setting("", "write the log here instead of to stderr")
    idle_exit: float = setting(
        0.0, "end after so many seconds with no writer and all stored; 0: never", 0
    )
    drain_seconds: float = setting(10.0, "at a stop, forward what is spooled for so long", 0)
    sample_seconds: float = setting(5.0, "seconds between samples of the node; 0: none", 0)
    samplers: str = setting(
        ",".join(SAMPLER_NAMES), "what is sampled of the node, separated by commas; empty: nothing"
    )
    recover_seconds: float = setting(
        10.0, "seconds between looks for journals of dead writers; 0: none", 0
    )
    writers_max: int = setting(4096, "writers connected at once", 1)
    connections_max: int = setting(8192, "connections at once", 1)
    hello_seconds: float = setting(30.0, "a connection must say who it is within so long", 0.1)
    in_flight_bytes_max: int = setting(64 << 20, "frames in memory, not yet on disk", 8 << 20)
    durability: str = setting(
        "synced",
        "what an ack means: synced (survives loss of power) or written (survives a kill)",
        choices=("synced", "written"),
    )
    commit_interval_seconds: float = setting(0.01, "least time between two syncs", 0, 1)
    segment_bytes: int = setting(64 << 20, "size of a spool segment", 64 << 10, 4 << 30)
    spool_bytes_max: int = setting(8 << 30, "spooled bytes not yet stored", 1 << 20)
    writer_share_max: float = setting(
        0.5,
        "share of what waits in a spool, three quarters full, that one writer may hold; 1: all",
        0.01,
        1,
    )
    keep_seconds: float = setting(600.0, "keep stored segments for so long", 0)
    keep_bytes: int = setting(256 << 20, "keep at most so many stored bytes", 0)
    block_points: int = setting(400_000, "points in one block for the store", 1)
    block_bytes: int = setting(16 << 20, "bytes of records in one block", 1 << 10)
    block_delay_seconds: float = setting(0.2, "least time that records gather", 0, 60)
    insert_threads: int = setting(2, "blocks inserted at once", 1, 64)
    blob_store: str = setting(
        "", "folder of the blob store; empty: blobstore in the data folder. Hubs read it too"
    )
    blob_queue_bytes_max: int = setting(
        8 << 30, "bytes of blobs that were taken and are not in the blob store", 1 << 20
    )
    blob_free_bytes_min: int = setting(
        1 << 30, "free bytes of the data folder's disk that blobs leave to rows", 0
    )
    blob_workers: int = setting(1, "processes that encode and hash blobs", 1, 64)
    blob_worker_memory_bytes: int = setting(2 << 30, "address space of one of them", 256 << 20)
    blob_seconds: float = setting(120.0, "one blob may take a worker so long", 1)
    blob_grace_hours: float = setting(
        168.0, "blobs that nothing names are deleted so long after they were last put; 0: never", 0
    )
    sink: str = setting(
        "embedded",
        "where records go: embedded (a store of its own), clickhouse (servers) or gateway "
        "(another daemon)",
        choices=("embedded", "clickhouse", "gateway"),
    )
    clickhouse_hosts: str = setting("127.0.0.1", "HOST[:PORT] of servers, separated by commas")
    clickhouse_database: str = setting("stepwell", "the database; made where it is missing")
    clickhouse_user: str = setting("default", "the user")
    clickhouse_password_file: str = setting("", "file with the user's password")
    clickhouse_cluster: str = setting(
        "", "name of the cluster, for replicated tables on all its shards; empty: one server"
    )
    clickhouse_insert_quorum: int = setting(
        0, "replicas that must have a block before it counts as stored; 0: one", 0, 64
    )
    clickhouse_timeout_seconds: float = setting(
        60.0, "a server that is silent for so long while it owes an answer is left", 1
    )
    clickhouse_tls: str = setting(
        "auto", "on, off, or auto: on beyond loopback", choices=("auto", "on", "off")
    )
    clickhouse_ca_file: str = setting("", "CA certificates that the servers' must come from")
    clickhouse_cert_file: str = setting("", "certificate to show to the servers")
    clickhouse_key_file: str = setting("", "its key")
    gateway_address: str = setting("", "host:port of the gateway, for sink = gateway")
    gateway_token_file: str = setting("", "file with the token for the gateway")
    gateway_ca_file: str = setting("", "CA certificates that the gateway's must come from")
    gateway_cert_file: str = setting("", "certificate to show to the gateway")
    gateway_key_file: str = setting("", "its key")
    gateway_timeout_seconds: float = setting(
        30.0, "a gateway that is silent for so long is connected anew", 1
    )
    gateway_listen: str = setting("", "host:port where other daemons may relay to; empty: none")
    gateway_listen_cert_file: str = setting("", "certificate of that port; beyond loopback a must")
    gateway_listen_key_file: str = setting("", "its key")
    gateway_listen_client_ca_file: str = setting(
        "", "CA certificates that a daemon's must come from; empty: none is asked for"
    )
    gateway_tokens_file: str = setting("", "file of tokens, one a line; one is asked for then")
    socket_group: str = setting("", "group that may use the socket; empty: the daemon's own")
    hub: str = setting(
        "auto",
        "auto: start the hub, the page, where this daemon has a store of its own; or off",
        choices=("auto", "off"),
    )
    hub_host: str = setting("127.0.0.1", "address of the page")
    hub_port: int = setting(
        HUB_PORT_DEFAULT,
        "port of the page; 0 for any free one, which is taken too where the default is in use",
        0,
        65_535,
    )
    hub_url: str = setting("", "the page's address as browsers see it, where it is another")
    hub_control_key_file: str = setting(
        "",
        "file with the key of the hub at hub_url, where this daemon has no hub of its own: trials "
        "of sweeps are stopped and artifacts committed through it; empty: agents stop trials, "
        "artifacts wait",
    )
    hub_cert_file: str = setting("", "certificate of the page; beyond loopback a must")
    hub_key_file: str = setting("", "its key")
    hub_proxy: str = setting("", "addresses of the proxy that ends TLS, separated by commas")
    hub_catalog: str = setting(
        "", "postgresql://… for the hub's own small tables; empty: a file beside the store"
    )
    engine_memory_bytes: int = setting(2 << 30, "memory of the embedded engine", 256 << 20)
    retention_run_days: int = setting(0, "delete runs so long after their end; 0: never", 0)
    retention_node_days: int = setting(90, "keep points of nodes for so long; 0: for ever", 0)
    retention_console_days: int = setting(0, "keep console lines for so long; 0: for ever", 0)
    named: frozenset[str] = frozenset()
    """Names of the settings that were set by a file, a variable or an argument."""

    def further_journal_roots(self) -> tuple[Path, ...]:
        """Return where journals of other users are taken in besides ``journals``.

        Raises:
            DaemonConfigError: One of them is no absolute path.
        """
        named = [text for text in self.journal_roots.split(":") if text]
        for text in named:
            if not text.startswith("/"):
                raise DaemonConfigError(
                    f"journal_roots names {text!r}; expected absolute paths, separated by colons"
                )
        return tuple(map(Path, named))

    def relay_settings(self) -> RelaySettings:
        """Return how to reach the gateway.

        Raises:
            DaemonConfigError: The settings do not go together.
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
        """Return where other daemons may relay to, None for nowhere.

        Raises:
            DaemonConfigError: The settings do not go together, or leave the network too much.
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
        """Return where the hub listens.

        Raises:
            DaemonConfigError: The settings do not go together, or leave the network too much.
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
        description="The daemon of a node: takes what writers log, keeps it, stores it.",
        epilog=f"Every setting can also stand in the TOML file, or in {PREFIX}NAME.",
    )
    _READER.add_arguments(parser)
    parser.add_argument(
        "--check-config", action="store_true", help="print the effective settings and end"
    )
    parser.add_argument(
        "--personal",
        action="store_true",
        help="a training script starts this daemon: leave out the script's limits and unknown "
        f"{PREFIX}NAMEs, and let a script start it again when it dies",
    )
    return parser


def is_unknown(variable: str) -> bool:
    """Whether a variable of the environment looks like a setting and is none."""
    name = variable.removeprefix(PREFIX).lower()
    return variable.startswith(PREFIX) and name != "config" and name not in FIELDS


def read_config(
    arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> DaemonConfig:
    """Return what is configured; `part_settings.load_config` also checks what goes together.

    Raises:
        DaemonConfigError: Something is unknown, unreadable or impossible; says what and where.
    """
    if getattr(arguments, "personal", False):
        environ = {name: value for name, value in environ.items() if not is_unknown(name)}
    values: dict[str, Any] = {
        "socket": default_socket(environ),
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


def check_reload(old: DaemonConfig, new: DaemonConfig) -> tuple[DaemonConfig, list[str]]:
    """Return what holds after a reload, and the names of changes that need a restart."""
    changed = [name for name in FIELDS if getattr(old, name) != getattr(new, name)]
    applied = {name: getattr(new, name) for name in changed if name in RELOADABLE}
    refused = [name for name in changed if name not in RELOADABLE]
    return dataclasses.replace(old, **applied), refused
