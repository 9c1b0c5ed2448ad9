"""The few pages that the hub writes itself: to log in, to go on, and when the page is not built.

No script. What comes from a request is escaped; everything else is our own text.
"""

from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from stepwell_hub.headers import content_policy

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:15vh auto;padding:0 1.5rem;"
    "color:#1f2328;background:#fff}code{font-family:ui-monospace,monospace;background:#eff1f3;"
    "padding:.15em .4em;border-radius:4px}h1{font-size:1.4rem}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}"
    "code{background:#21262d}}"
)


def login_page(*, code_was_bad: bool = False) -> HTMLResponse:
    """Return the page that says how to get in."""
    first = (
        "<p>This link was used before or is too old: each opens the page once, within 12 hours.</p>"
        if code_was_bad
        else "<p>This page shows runs to people who have its key.</p>"
    )
    return _page(
        "Log in",
        f"{first}<p>Type <code>stepwell open</code> in a terminal on the machine where stepwell "
        "runs, as the user who started it. It prints a new link and opens it where a browser is. "
        "Over ssh, forward the port and open the printed link here: "
        "<code>ssh -L 8470:localhost:8470 HOST</code>.</p>",
        status=401,
    )


def forward(address: str) -> HTMLResponse:
    """Return a page that goes on to ``address`` by itself.

    No redirect: a browser does not send a strict cookie on a redirect from another site.
    """
    shown = escape(address, quote=True)
    return _page(
        "stepwell",
        f'<p><a href="{shown}">Open the page</a></p>',
        head=f'<meta http-equiv="refresh" content="0;url={shown}">',
    )


def not_built_page() -> HTMLResponse:
    """Return the page that stands in where this installation has no page."""
    return _page(
        "The page is not built",
        "<p>The hub runs, but this installation was made from source and has no page. In the "
        "source folder, type <code>make setup</code> and load this address again. A wheel from "
        "<code>pip install 'stepwell[all]'</code> has the page in it.</p>",
        status=503,
    )


def _page(title: str, body: str, *, status: int = 200, head: str = "") -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1>{body}</body></html>",
        status_code=status,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": content_policy(style=_STYLE),
        },
    )
