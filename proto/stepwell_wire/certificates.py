"""Why a hub's certificate is not accepted, and what to do."""

import ssl
from typing import Final

CERTIFICATES: Final = "SSL_CERT_FILE"
_NOT_VALID_NOW: Final = (9, 10)
_OTHER_NAMES: Final = (62, 64)
"""OpenSSL's codes: not yet valid, expired; another host name, another IP address."""


def certificate_failure(error: object) -> str:
    """Return why the certificate of a connection was not accepted; "" for another error.

    Args:
        error: an error of the connection, or one that has it as its ``reason``.
    """
    found = _rejection(error)
    return "" if found is None else _reason_of(found)


def certificate_problem(error: object, *, of_daemon: bool = False) -> str:
    """Return `certificate_failure` as a sentence with a remedy; "" for another error.

    Args:
        of_daemon: the daemon made the connection, so its environment counts.
    """
    place = " in the daemon's environment" if of_daemon else ""
    found = _rejection(error)
    if found is None:
        return ""
    if found.verify_code in _OTHER_NAMES:
        remedy = "use an address that the certificate names; hub_url of the daemon sets it in links"
    elif found.verify_code in _NOT_VALID_NOW:
        remedy = "renew the certificate, or correct this machine's clock"
    else:
        remedy = (
            f"set {CERTIFICATES}{place} to the file of the authority that signed it, or to a copy "
            "of a self-signed certificate"
        )
    return f"its certificate is not accepted ({_reason_of(found)}); {remedy}"


def _rejection(error: object) -> ssl.SSLCertVerificationError | None:
    found = error if isinstance(error, ssl.SSLError) else getattr(error, "reason", None)
    return found if isinstance(found, ssl.SSLCertVerificationError) else None


def _reason_of(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message.rstrip(".") or str(error)
