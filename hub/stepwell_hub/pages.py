"""The few pages that the hub writes itself: to log in, to go on, and when the page is not built.

No script. What comes from a request is escaped; everything else is our own text.
"""

from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from stepwell_hub.headers import content_policy

# The design's values: hub/web/src/styles/tokens.css.
_STYLE: Final = (
    ":root{color-scheme:light;--bg:#fbfaf8;--bg2:#f4f2ee;--line:#e4e0d8;--ink:#1c1a17;"
    "--accent:#0d5f63}"
    "@media(prefers-color-scheme:dark){:root{color-scheme:dark;--bg:#14171a;--bg2:#191d21;"
    "--line:#2a3036;--ink:#e9e6e0;--accent:#6fc7c1}}"
    'body{font:13px/18px ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",'
    '"DejaVu Sans",sans-serif;display:grid;gap:12px;max-width:52ch;margin:15vh auto 0;'
    "padding:0 16px;color:var(--ink);background:var(--bg)}"
    "h1,p{margin:0}h1{font-size:18px;line-height:24px}a,svg{color:var(--accent)}"
    "code{font:12px/16px ui-monospace,Menlo,Consolas,monospace;background:var(--bg2);"
    "border:1px solid var(--line);border-radius:3px;padding:2px 6px;overflow-wrap:anywhere}"
)
_LOGO: Final = (
    '<svg viewBox="0 0 16 16" width="24" height="24" aria-hidden="true">'
    '<path fill="currentColor" d="M0 1h16v4h-3v4h-3v4H6V9H3V5H0z"/></svg>'
)


def login_page(*, host: str, code_was_bad: bool = False) -> HTMLResponse:
    """Return the page that says how to get in; ``host`` is the address as the browser has it.

    Its words are those of the built page (``pages/SignedOut.tsx``).
    """
    first = (
        (
            "This link was used before, or it is too old. Each link opens the page once, within "
            "12 hours."
        )
        if code_was_bad
        else "The hub shows runs only to users who can read its key."
    )
    return _page(
        "This browser is not signed in",
        f"<p>{first} Open the page from a terminal:</p>"
        "<p><code>stepwell open</code></p>"
        "<p>Run it where the hub runs, as the user who started it, and open the link that it "
        f"prints here.</p>{_forwarding(host)}",
        status=401,
    )


def _forwarding(host: str) -> str:
    """Return how to forward the port over ssh; "" where the address is not of a loopback."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    name = name or host
    port = port if port.isdecimal() else "80"
    if name not in ("localhost", "127.0.0.1", "[::1]"):
        return ""
    return (
        f"<p>Over ssh, forward the port first: <code>ssh -L {port}:localhost:{port} HOST</code></p>"
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
    """Return the page that is shown if this installation has no built page."""
    return _page(
        "The page is not built",
        "<p>The hub runs, but it was installed from source, without the built page. In the "
        "source folder, run <code>make setup</code> and load this address again. An "
        "installation that is not editable, such as <code>pip install "
        "'/path/to/stepwell[all]'</code>, contains the page.</p>",
        status=503,
    )


def replaced_page() -> HTMLResponse:
    """Return the page that is shown if the installation of a running hub was replaced."""
    return _page(
        "stepwell was installed again",
        "<p>This hub runs from the former installation, which is gone. Start it again: "
        "<code>stepwell down</code>, then <code>stepwell open</code>; a service is restarted by "
        "its operator. Nothing is lost: runs that are at work continue.</p>",
        status=503,
    )


def _page(title: str, body: str, *, status: int = 200, head: str = "") -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body>{_LOGO}<h1>{title}</h1>{body}</body></html>",
        status_code=status,
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": content_policy(style=_STYLE),
        },
    )
