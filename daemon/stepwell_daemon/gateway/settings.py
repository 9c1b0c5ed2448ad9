"""Settings of both ends of a relay, checked."""

from dataclasses import dataclass
from pathlib import Path

from stepwell_daemon.errors import DaemonConfigError
from stepwell_wire.hub_address import is_loopback


@dataclass(frozen=True, kw_only=True)
class ListenSettings:
    """The gateway's end."""

    address: str
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    tokens_file: Path | None = None

    def check(self) -> None:
        """Raise DaemonConfigError if the settings are unsafe on a network."""
        host, _ = split_address(self.address, "gateway_listen")
        if bool(self.cert_file) != bool(self.key_file):
            raise DaemonConfigError(
                "set gateway_listen_cert_file and gateway_listen_key_file together, or neither"
            )
        if self.client_ca_file and not self.cert_file:
            raise DaemonConfigError("gateway_listen_client_ca_file needs gateway_listen_cert_file")
        if is_loopback(host):
            return
        if not self.cert_file:
            raise DaemonConfigError(
                f"gateway_listen {self.address}: TLS is required for addresses other than "
                "loopback; set gateway_listen_cert_file and gateway_listen_key_file"
            )
        if not self.tokens_file and not self.client_ca_file:
            raise DaemonConfigError(
                f"gateway_listen {self.address}: every host on the network could write; set "
                "gateway_tokens_file, gateway_listen_client_ca_file or both"
            )


@dataclass(frozen=True, kw_only=True)
class RelaySettings:
    """The node's end."""

    address: str
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    timeout_seconds: float = 30.0

    @property
    def secure(self) -> bool:
        """TLS is used: always beyond loopback, on loopback if a CA is configured."""
        host, _ = split_address(self.address, "gateway_address")
        return self.ca_file is not None or not is_loopback(host)

    def check(self) -> None:
        """Raise DaemonConfigError if the settings contradict each other."""
        split_address(self.address, "gateway_address")
        if bool(self.cert_file) != bool(self.key_file):
            raise DaemonConfigError(
                "set gateway_cert_file and gateway_key_file together, or neither"
            )
        if self.cert_file and not self.secure:
            raise DaemonConfigError(
                "gateway_cert_file needs TLS, which loopback uses only with "
                "gateway_ca_file: set that too"
            )


def split_address(address: str, name: str) -> tuple[str, int]:
    """Return host and port.

    Raises:
        DaemonConfigError: ``address`` is not ``host:port``.
    """
    host, separator, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise DaemonConfigError(f"{name}: expected host:port, not {address!r}")
    return host, int(port)
