"""Where a hub listens and what it is called; shared by the daemon, which starts it, and the hub."""

import errno
import ipaddress
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PORT_DEFAULT: Final = 8470
_BACKLOG: Final = 128
_PORT_FILE: Final = "port"
"""In the hub's folder: the port of the last hub, if it is not the default port."""
_NAME: Final = re.compile(r"\w([\w.-]*[\w.])?")
_NAME_CHARACTERS_MAX: Final = 253
_CATALOGS: Final = ("postgresql://", "postgresql+psycopg://")
_EVERYWHERE: Final = ("0.0.0.0", "::", "")


class HubAddressError(ValueError):
    """The settings contradict each other, or are unsafe in a network."""


@dataclass(frozen=True, kw_only=True)
class HubAddress:
    """What the settings `hub_host`, `hub_port`, … say.

    Attributes:
        url: the hub's address for browsers, if it differs from host and port.
        proxy: addresses or networks, separated by commas, of the proxy that ends TLS.
    """

    host: str = "127.0.0.1"
    port: int = PORT_DEFAULT
    url: str = ""
    cert_file: Path | None = None
    key_file: Path | None = None
    proxy: str = ""

    def check(self, prefix: str = "hub_") -> None:
        """Raise HubAddressError if a setting is invalid or unsafe."""
        if self.host and not is_host(self.host):
            raise HubAddressError(
                f"{prefix}host: expected an address or a host name, not {self.host!r}; "
                "127.0.0.1 means this machine only, 0.0.0.0 all its addresses"
            )
        if bool(self.cert_file) != bool(self.key_file):
            raise HubAddressError(
                f"{prefix}cert_file and {prefix}key_file: only one is set; set both or none"
            )
        for path in (self.cert_file, self.key_file):
            if path is not None and not path.is_file():
                raise HubAddressError(f"{prefix}cert_file, {prefix}key_file: {path} is not a file")
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise HubAddressError(
                    f"{prefix}url is {self.url!r}; expected https://HOST[:PORT], as browsers see it"
                )
            if parts.path.strip("/") or parts.query or parts.fragment:
                raise HubAddressError(
                    f"{prefix}url is {self.url!r}; the page needs a host name of its own; "
                    "remove the path, query and fragment"
                )
        try:
            self.proxy_networks()
        except ValueError as error:
            raise HubAddressError(
                f"{prefix}proxy is {self.proxy!r}: {error}; expected addresses or networks, "
                "separated by commas"
            ) from error
        if not is_loopback(self.host) and not self.cert_file and not self.proxy:
            raise HubAddressError(
                f"{prefix}host {self.host}: the key would cross the network unencrypted; set "
                f"{prefix}cert_file and {prefix}key_file for TLS, or name the proxy that "
                f"ends TLS in {prefix}proxy"
            )

    def proxy_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Return the networks of the named proxy.

        Raises:
            ValueError: One is not an address or network.
        """
        parts = filter(None, (part.strip() for part in self.proxy.split(",")))
        return tuple(ipaddress.ip_network(part, strict=False) for part in parts)

    def base_url(self, port: int) -> str:
        """Return the base of the page's addresses, without a slash at the end."""
        if self.url:
            return self.url.rstrip("/")
        host = socket.gethostname() if self.host in _EVERYWHERE else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.cert_file else 'http'}://{shown}:{port}"


def catalog_failure(url: str) -> str:
    """Return why ``url`` cannot be a hub's catalog; "" if it can, or if it is empty: a file."""
    if not url or url.startswith(_CATALOGS):
        return ""
    return "expected postgresql://[USER@]HOST[:PORT]/DATABASE, or empty for a file of the hub"


def is_host(text: str) -> bool:
    """Return whether ``text`` has the form of an address or of a name; it may not exist."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        is_name = _NAME.fullmatch(text) is not None and text.strip("0123456789.") != ""
        return is_name and len(text) <= _NAME_CHARACTERS_MAX
    return True


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine only; names other than localhost are not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind_hub(folder: Path, host: str, port: int, *, is_named: bool) -> socket.socket:
    """Return a listening socket for the hub of ``folder``.

    A port that the user named is the only one, and the noted one is forgotten. Otherwise the hub's
    last port comes first, so that open pages find the hub again; then ``port``, then any. The
    folder has a note of the last port if it is not ``port``.

    Raises:
        OSError: There is no such address, or its port is in use and no other may be used.
    """
    note = folder / _PORT_FILE
    if is_named:
        listener = bind(host, port, may_move=False)
        with suppress(OSError):
            note.unlink(missing_ok=True)
        return listener
    former = 0
    with suppress(OSError, ValueError):
        former = int(note.read_text())
    if not 0 < former < 1 << 16:
        former = 0
    listener = bind(host, port, former=former)
    now = listener.getsockname()[1]
    if port and now != (former or port):
        with suppress(OSError):  # Then the next one is different.
            note.write_text(f"{now}\n")
    return listener


def bind(host: str, port: int, *, former: int = 0, may_move: bool = True) -> socket.socket:
    """Return a listening socket on ``former``; if that is in use on ``port``, else on any port.

    Args:
        may_move: use another port if ``port`` is in use.
        former: the port to try first; 0 for none.

    Raises:
        OSError: There is no such address, or its port is in use and no other may be used.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for number in dict.fromkeys((former or port, port, 0) if may_move else (port,)):
            try:
                listener.bind((address[0], number, *address[2:]))
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or number == 0 or not may_move:
                    raise
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
