"""The addresses of the servers, and the settings of their connections."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Valid names of a database or a cluster: statements contain them unquoted."""

PORT_DEFAULT: Final = 9000
PORT_SECURE_DEFAULT: Final = 9440


@dataclass(frozen=True, slots=True)
class ServerEndpoint:
    """The address of one server's native protocol."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoints(text: str, port_default: int) -> tuple[ServerEndpoint, ...]:
    """Return the endpoints in ``"host[:port], …"``; IPv6 addresses are in brackets.

    Raises:
        ValueError: There is no endpoint, or a port is invalid.
    """
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        if part.startswith("["):
            host, _, rest = part[1:].partition("]")
            port = rest.removeprefix(":")
        else:
            host, _, port = part.rpartition(":") if ":" in part else (part, "", "")
        if not host or (port and not (port.isdecimal() and 0 < int(port) < 65_536)):
            raise ValueError(f"{part!r} is not HOST or HOST:PORT")
        found.append(ServerEndpoint(host, int(port) if port else port_default))
    if not found:
        raise ValueError("no host is given")
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """The access to a server, or to a cluster through some of its servers.

    Attributes:
        cluster: its name in the servers' ``remote_servers``; empty for one server.
        read_password: called for each new connection, so that a password can be changed.
        timeout_seconds: time-out of a server that does not answer.
        insert_quorum: number of replicas that must have a block before it counts as stored; 0: one.
    """

    endpoints: tuple[ServerEndpoint, ...]
    database: str = "stepwell"
    user: str = "default"
    read_password: Callable[[], str] = lambda: ""
    secure: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    cluster: str = ""
    insert_quorum: int = 0
    connect_seconds: float = 5.0
    timeout_seconds: float = 60.0

    @property
    def kind(self) -> str:
        """The name of a store there in the status."""
        return f"clickhouse {self.cluster or ', '.join(map(str, self.endpoints))}"
