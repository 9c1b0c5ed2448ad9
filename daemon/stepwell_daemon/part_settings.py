"""Conversion of the configuration to the settings of each part, with checks, for their makers."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from stepwell_daemon.config import FIELDS, DaemonConfig, read_config, wants_hub
from stepwell_daemon.errors import DaemonConfigError
from stepwell_daemon.forwarder import ForwardSettings
from stepwell_daemon.instance import group_number
from stepwell_daemon.log_file import check_can_be_made, check_can_be_written, check_log_file
from stepwell_daemon.samplers.known import chosen_samplers
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_store.blob_store import BlobStore, open_blob_store
from stepwell_store.retention import RetentionSettings
from stepwell_store.server import configuration
from stepwell_store.server.settings import ServerSettings
from stepwell_wire.hub_address import catalog_failure, is_host
from stepwell_wire.places import check_socket_path

_OF_RELAY: Final = ("address", "token_file", "ca_file", "cert_file", "key_file", "timeout_seconds")


def load_config(
    arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> DaemonConfig:
    """Return the effective configuration, checked for every part.

    Raises:
        DaemonConfigError: A setting is unknown, unreadable or invalid; the text says which and
            where.
    """
    config = read_config(arguments, environ)
    try:
        check_socket_path(config.socket)
        retention(config)
        chosen_samplers(config.samplers)
    except ValueError as error:
        raise DaemonConfigError(str(error)) from error
    if not is_host(config.host):
        raise DaemonConfigError(
            f"host: expected an address or a host name, not {config.host!r}; 127.0.0.1 means "
            "this machine only, 0.0.0.0 all its addresses"
        )
    if config.log_file:
        check_log_file(Path(config.log_file).expanduser().absolute())
    if config.socket_group:
        group_number(config.socket_group)
    config.further_journal_roots()
    blob_store(config)
    config.listen_settings()
    config.hub_address()
    # The address may contain a password, so the message does not repeat it.
    if problem := catalog_failure(config.hub_catalog):
        raise DaemonConfigError(f"hub_catalog: {problem}")
    _check_ports(config)
    if config.sink == "gateway":
        config.relay_settings()
    if config.sink == "clickhouse":
        server_settings(config)
    if config.block_bytes > config.in_flight_bytes_max:
        raise DaemonConfigError("block_bytes is larger than in_flight_bytes_max; reduce it")
    return config


def unused_settings(config: DaemonConfig) -> str:
    """Return the settings that were set and have no effect, as an error; "" without any.

    A start goes on with them: a variable of another program's configuration stops no daemon.
    """
    for prefixes, is_used, needed in (
        (("clickhouse_",), config.sink == "clickhouse", 'sink = "clickhouse"'),
        (
            ("gateway_listen_", "gateway_tokens_file"),
            bool(config.gateway_listen),
            'gateway_listen = "HOST:PORT"',
        ),
        (
            tuple(f"gateway_{each}" for each in _OF_RELAY),
            config.sink == "gateway",
            'sink = "gateway"',
        ),
    ):
        names = sorted(
            name
            for name in config.named
            if name.startswith(prefixes) and getattr(config, name) != FIELDS[name].default
        )
        if names and not is_used:
            return (
                f"{', '.join(names)}: no effect without {needed}; set that too, or remove "
                f"{('it' if len(names) == 1 else 'them')}"
            )
    return ""


def check_is_used(config: DaemonConfig) -> None:
    """Check that every setting has an effect, for commands that check a configuration.

    Raises:
        DaemonConfigError: One has none.
    """
    if problem := unused_settings(config):
        raise DaemonConfigError(problem)


def _check_ports(config: DaemonConfig) -> None:
    """Raise DaemonConfigError if /metrics and the page would need the same port."""
    if not wants_hub(config) or config.metrics_port != config.hub_port or not config.hub_port:
        return
    hosts = {config.host, config.hub_host}
    if "hub_port" in config.named and (len(hosts) == 1 or hosts & {"0.0.0.0", "::", ""}):
        raise DaemonConfigError(
            f"metrics_port and hub_port are both {config.hub_port}; set two different ports, "
            "or 0 for any free one"
        )


def server_settings(config: DaemonConfig) -> ServerSettings:
    """Return how to reach the ClickHouse servers.

    Raises:
        DaemonConfigError: A setting is missing or impossible, or the driver is not installed.
    """
    try:
        return configuration.server_settings(config, insert_quorum=config.clickhouse_insert_quorum)
    except configuration.ServerConfigError as error:
        raise DaemonConfigError(str(error)) from error


def check_blob_store(config: DaemonConfig) -> None:
    """Check that the folder of the blob store can be made and written; a full disk is no error.

    Raises:
        DaemonConfigError: It cannot.
    """
    if config.blob_store and config.sink != "gateway":
        _check_folder(Path(config.blob_store).expanduser(), "blob_store")


def check_places(config: DaemonConfig) -> None:
    """Check the places that a start makes or uses, for commands that check a configuration.

    Raises:
        DaemonConfigError: A folder cannot be made or written, or the socket is another file.
    """
    check_blob_store(config)
    _check_folder(config.data, "data")
    check_journals(config)
    if not os.path.lexists(config.socket):
        check_can_be_made(config.socket, "socket")
    elif os.path.exists(config.socket) and not config.socket.is_socket():
        raise DaemonConfigError(
            f"socket: {config.socket} exists and is not a socket; set another path"
        )


def check_journals(config: DaemonConfig) -> None:
    """Check that ``journals`` is a folder, or can become one.

    The daemon need not write into it: users may have folders of their own there.

    Raises:
        DaemonConfigError: It is not, and cannot.
    """
    if not os.path.lexists(config.journals) and config.journals.parent != config.data:
        check_can_be_made(config.journals, "journals")
    elif os.path.exists(config.journals) and not os.path.isdir(config.journals):
        raise DaemonConfigError(f"journals: {config.journals} is not a folder; set a folder")


def _check_folder(folder: Path, name: str) -> None:
    # os.path: Path.exists() raises for a folder that may not be entered.
    if not os.path.exists(folder):
        check_can_be_made(folder, name)
    elif not os.path.isdir(folder):
        raise DaemonConfigError(f"{name}: {folder} is not a folder; set a folder")
    else:
        check_can_be_written(folder, name)


def spool_settings(config: DaemonConfig) -> SpoolSettings:
    return SpoolSettings(
        segment_bytes=config.segment_bytes,
        bytes_max=config.spool_bytes_max,
        writer_share_max=config.writer_share_max,
        in_flight_bytes_max=config.in_flight_bytes_max,
        commit_interval_seconds=config.commit_interval_seconds,
        sync_groups=config.durability == "synced",
        keep_seconds=config.keep_seconds,
        keep_bytes=config.keep_bytes,
    )


def forward_settings(config: DaemonConfig) -> ForwardSettings:
    return ForwardSettings(
        block_points=config.block_points,
        block_bytes=config.block_bytes,
        block_delay_seconds=config.block_delay_seconds,
        insert_threads=config.insert_threads,
    )


def blob_store(config: DaemonConfig) -> BlobStore:
    """Return the place of finished blobs.

    Raises:
        DaemonConfigError: The setting is not an absolute path.
    """
    try:
        return open_blob_store(config.data, config.blob_store)
    except ValueError as error:
        raise DaemonConfigError(str(error)) from error


def retention(config: DaemonConfig) -> RetentionSettings:
    return RetentionSettings(
        run_days=config.retention_run_days,
        node_days=config.retention_node_days,
        console_days=config.retention_console_days,
    )
