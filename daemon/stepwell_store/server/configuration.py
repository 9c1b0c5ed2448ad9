"""Reads the settings ``clickhouse_*`` of the daemon and of the hub into `ServerSettings`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

from stepwell_store.errors import StoreUnavailableError
from stepwell_store.server.settings import (
    NAME,
    PORT_DEFAULT,
    PORT_SECURE_DEFAULT,
    ServerSettings,
    parse_endpoints,
)
from stepwell_wire.hub_address import is_loopback
from stepwell_wire.installation import install_command
from stepwell_wire.secret_files import SecretFileError, read_secret

_NEEDED: Final = ("clickhouse_driver", "lz4", "pandas")


class ClickHouseConfig(Protocol):
    """The settings that say where the servers are."""

    @property
    def clickhouse_hosts(self) -> str: ...

    @property
    def clickhouse_database(self) -> str: ...

    @property
    def clickhouse_user(self) -> str: ...

    @property
    def clickhouse_password_file(self) -> str: ...

    @property
    def clickhouse_cluster(self) -> str: ...

    @property
    def clickhouse_timeout_seconds(self) -> float: ...

    @property
    def clickhouse_tls(self) -> str: ...

    @property
    def clickhouse_ca_file(self) -> str: ...

    @property
    def clickhouse_cert_file(self) -> str: ...

    @property
    def clickhouse_key_file(self) -> str: ...


class ServerConfigError(ValueError):
    """A setting of the servers is missing or impossible."""


def server_settings(config: ClickHouseConfig, *, insert_quorum: int = 0) -> ServerSettings:
    """Return the address and credentials of the servers.

    Args:
        insert_quorum: replicas that must have a block before it counts as stored; 0: one.

    Raises:
        ServerConfigError: A setting is missing or impossible, or the driver is not installed.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ServerConfigError(
            f"ClickHouse servers need packages that are missing ({', '.join(missing)}): "
            f"{install_command('server')}"
        )
    try:
        named = parse_endpoints(config.clickhouse_hosts, PORT_DEFAULT)
    except ValueError as error:
        raise ServerConfigError(
            f"clickhouse_hosts is {config.clickhouse_hosts!r}: {error}; expected HOST[:PORT], …"
        ) from error
    secure = config.clickhouse_tls == "on" or (
        config.clickhouse_tls == "auto" and not all(is_loopback(each.host) for each in named)
    )
    if len(named) > 1 and not config.clickhouse_cluster:
        raise ServerConfigError(
            "several clickhouse_hosts need clickhouse_cluster: separate servers would each "
            "store a part of the rows, and a block sent to two of them would be stored "
            "twice"
        )
    for name in ("clickhouse_database", "clickhouse_cluster"):
        value = getattr(config, name)
        if value and not NAME.fullmatch(value):
            raise ServerConfigError(f"{name} is {value!r}; expected letters, digits and _ only")
    if not config.clickhouse_database:
        raise ServerConfigError("clickhouse_database is empty; set a name")
    if bool(config.clickhouse_cert_file) != bool(config.clickhouse_key_file):
        raise ServerConfigError(
            "set clickhouse_cert_file and clickhouse_key_file together, or neither"
        )
    password_file = _path(config.clickhouse_password_file)
    _password_in(password_file)

    def read_password() -> str:
        try:
            return _password_in(password_file)
        except ServerConfigError as error:  # Changed or taken away since: as a server that is away.
            raise StoreUnavailableError(
                f"reading the password for ClickHouse failed: {error}"
            ) from error

    return ServerSettings(
        endpoints=parse_endpoints(
            config.clickhouse_hosts, PORT_SECURE_DEFAULT if secure else PORT_DEFAULT
        ),
        database=config.clickhouse_database,
        user=config.clickhouse_user,
        read_password=read_password,
        secure=secure,
        ca_file=_path(config.clickhouse_ca_file),
        cert_file=_path(config.clickhouse_cert_file),
        key_file=_path(config.clickhouse_key_file),
        cluster=config.clickhouse_cluster,
        insert_quorum=insert_quorum,
        timeout_seconds=config.clickhouse_timeout_seconds,
    )


def _password_in(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return read_secret(path).decode().rstrip("\r\n")
    except SecretFileError as error:
        raise ServerConfigError(str(error)) from error
    except UnicodeDecodeError as error:
        raise ServerConfigError(f"{path}: expected UTF-8 text") from error


def _path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text else None
