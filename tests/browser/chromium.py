"""Debian's chromium under Playwright, and what a page may not do while a test looks at it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Playwright,
    Request,
    Response,
)

from tests.browser.site import Site

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_MS: Final = 30_000
"""How long an expectation waits. It ends as soon as it holds, so only failures take so long."""

WIDE: Final = (1440, 900)
PHONE: Final = (390, 844)

_TELL_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the content security policy: ${event.violatedDirective} ` +
                `${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@dataclass
class Watch:
    """Notes what no page may do: console errors, exceptions, dialogs, foreign requests.

    Attributes:
        allowed: patterns of what a test brings about itself.
    """

    origin: str
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    failures: list[Response] = field(default_factory=list)
    """Answers by which the hub says that it failed; a failing test tells them."""

    def follow(self, context: BrowserContext) -> None:
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"exception: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("dialog", self._dialog)

    def allow(self, pattern: str) -> None:
        """Let faults pass that ``pattern`` is found in, from the start of the test on."""
        self.allowed.append(pattern)

    def remaining(self) -> list[str]:
        return [
            fault
            for fault in self.faults
            if not any(re.search(pattern, fault) for pattern in self.allowed)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self.faults.append(f"console error: {message.text} ({where})")

    def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _response(self, response: Response) -> None:
        if response.status >= 500:
            self.failures.append(response)

    def said(self) -> str:
        """Return the faults that remain, and what the hub said where it failed."""
        texts = self.remaining()
        for response in self.failures if texts else ():
            with suppress(Error):  # A page that has gone took the answer with it.
                texts.append(f"{response.status} {response.url}: {response.text()[:500]}")
        return "\n".join(texts)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.faults.append(f"foreign request: {request.url}")


def launched(playwright: Playwright) -> Browser:
    """Start chromium. The caller closes it."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))


@contextmanager
def watched(
    browser: Browser,
    origin: str,
    *,
    theme: str = "light",
    size: tuple[int, int] = WIDE,
    traces: Path | None = None,
) -> Iterator[tuple[BrowserContext, Watch]]:
    """A browser profile of its own, whose pages' faults fail the test at its end.

    Args:
        theme: ``light`` or ``dark``, as the system would say it.
        traces: a folder to keep a trace in, for looking at a failure.
    """
    context = browser.new_context(
        color_scheme="dark" if theme == "dark" else "light",
        viewport={"width": size[0], "height": size[1]},
        has_touch=size == PHONE,
    )
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch(origin)
    watch.follow(context)
    if traces is not None:
        context.tracing.start(screenshots=True, snapshots=True)
    said = ""
    try:
        yield context, watch
        said = watch.said()
    finally:
        if traces is not None:
            context.tracing.stop(path=traces / f"trace-{os.getpid()}-{id(context):x}.zip")
        context.close()
    assert not said, said


def enter(page: Page, link: str) -> None:
    """Open a link that signs in, and wait for the address that it leads to."""
    page.goto(link)
    page.wait_for_url(lambda url: "login=" not in url)


def post(page: Page, site: Site, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Post to the hub's API as a program does."""
    answer = page.request.post(
        f"{site.url}/api/v1{path}", data=body, headers={"Authorization": f"Bearer {site.key}"}
    )
    assert answer.ok, answer.text()
    found: dict[str, Any] = answer.json()
    return found


def delete(page: Page, site: Site, path: str) -> None:
    """Delete by the hub's API as a program does."""
    answer = page.request.delete(
        f"{site.url}/api/v1{path}", headers={"Authorization": f"Bearer {site.key}"}
    )
    assert answer.ok, answer.text()


def text_of(page: Page) -> str:
    return page.locator("body").inner_text()
