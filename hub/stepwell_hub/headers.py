"""Headers of every answer, and the policy that limits the sources of a page."""

import base64
import hashlib
from typing import Final

SECURITY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}


def content_policy(*, style: str = "") -> str:
    """Return the Content-Security-Policy: our own files only, and this one inline style."""
    styles = "style-src 'self'"
    if style:
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        styles += f" 'sha256-{digest}'"
    return (
        f"default-src 'self'; {styles}; img-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    )
