"""Who may do what: pure decisions over a request's headers.

Every request of the API needs the key. Browsers show it by a cookie, programs as a bearer token.
Host is checked against DNS rebinding, Origin against requests that another site makes.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from stepwell_hub.errors import Failure
from stepwell_wire.hub_access import check_cookie, cookie_name
from stepwell_wire.hub_address import HubAddress, is_loopback

SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_EVERYWHERE: Final = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Rules:
    """The settings that requests are checked against."""

    key: str
    address: HubAddress

    def host_failure(self, headers: Mapping[str, str]) -> Failure | None:
        """Return why the Host name that the client used is refused, None if it is ours."""
        name = host_name(headers.get("host", ""))
        if name and (is_loopback(name) or name in self._names()):
            return None
        is_address = _is_address(name)
        # DNS rebinding needs a name: the origin of an address is the machine with that address.
        if is_address and self.address.host in _EVERYWHERE:
            return None
        what = "an address" if is_address else "a name"
        return Failure(
            400,
            "host_unknown",
            f"{name or 'nothing'!r} is not {what} of this hub; set url (hub_url of a daemon) to "
            "the address that browsers use",
        )

    def peer_failure(self, peer: str) -> Failure | None:
        """Return why a client at this address is refused: it bypassed the proxy, without TLS."""
        if self.address.cert_file or is_loopback(self.address.host) or is_loopback(peer):
            return None
        if self.is_proxy(peer):
            return None
        return Failure(
            403, "proxy_needed", "this port does not speak TLS; use the address of the proxy"
        )

    def is_proxy(self, peer: str) -> bool:
        """Return whether ``peer`` is the proxy that the settings name."""
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # A listener on :: sees IPv4 clients in this form.
        return any(
            address in network
            for network in self.address.proxy_networks()
            if network.version == address.version
        )

    def is_secure(self, scheme: str, peer: str, headers: Mapping[str, str]) -> bool:
        """Return whether the browser speaks TLS, to us or to the proxy."""
        if scheme == "https" or self.address.url.startswith("https:"):
            return True
        return self.is_proxy(peer) and headers.get("x-forwarded-proto", "") == "https"

    def origin_failure(self, method: str, headers: Mapping[str, str]) -> Failure | None:
        """Return why a request may come from another site, None if it does not.

        A browser names the origin of every request that changes something.
        """
        origin = headers.get("origin")
        if origin is None:
            if method in SAFE_METHODS or has_bearer(headers):
                return None
            return Failure(
                403,
                "origin_missing",
                "a request that changes data needs the Origin header, or the key as a bearer token",
            )
        if self._is_own_origin(origin, headers):
            return None
        return Failure(403, "origin_foreign", "the request was sent by a page of another site")

    def key_failure(self, headers: Mapping[str, str], *, now: float) -> Failure | None:
        """Return why the request is not let in, None where it shows the key."""
        if has_bearer(headers):
            token = headers["authorization"].split(None, 1)[1].strip()
            if hmac.compare_digest(token.encode(), self.key.encode()):
                return None
            return Failure(401, "key_wrong", "wrong key; the hub's key is in its key file")
        if self.has_cookie(headers, now=now):
            return None
        return Failure(
            401,
            "key_missing",
            "the key is missing: `stepwell open` makes a link for a browser, programs send "
            "Authorization: Bearer KEY",
        )

    def has_cookie(self, headers: Mapping[str, str], *, now: float) -> bool:
        """Return whether the browser was let in before."""
        # The standard library's parser drops all cookies if one of another program is malformed.
        found = cookie_parser(headers.get("cookie", "")).get(cookie_name(self.key))
        return found is not None and check_cookie(self.key, found, now=now)

    def _names(self) -> set[str]:
        names = {urlsplit(self.address.url).hostname or ""}
        if self.address.host not in _EVERYWHERE:
            names.add(self.address.host.lower())
        else:
            names.add((urlsplit(self.address.base_url(0)).hostname or "").lower())
        return names - {""}

    def _is_own_origin(self, origin: str, headers: Mapping[str, str]) -> bool:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https"):
            return False
        if self.address.url:
            own = urlsplit(self.address.url)
            if (parts.scheme, parts.netloc.lower()) == (own.scheme, own.netloc.lower()):
                return True
        return parts.netloc.lower() == headers.get("host", "").lower() != ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def has_bearer(headers: Mapping[str, str]) -> bool:
    words = headers.get("authorization", "").split()
    return len(words) == 2 and words[0].lower() == "bearer"


def host_name(host: str) -> str:
    """Return the name in a Host header, "" if it has none."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # Raises if it is not a number.
        name = parts.hostname or ""
    except ValueError:
        return ""
    return "" if parts.path or parts.query or "@" in host else name.rstrip(".").lower()
