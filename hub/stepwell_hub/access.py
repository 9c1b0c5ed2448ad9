"""The gate before everything: pure ASGI, so that no route can be added around it.

/healthz, /readyz     free for every Host and peer: they answer one line
Host, peer            every other request
key, Origin           every path under /api/
/assets/…             free: the page's own program, the same for all users
any other path        a page: with `?login=CODE` a cookie, without a cookie the login page
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepwell_hub import pages
from stepwell_hub.answers import failure_answer
from stepwell_hub.auth import Rules
from stepwell_hub.errors import CatalogUnavailableError, Failure
from stepwell_hub.headers import SECURITY, content_policy
from stepwell_hub.health import PATHS as HEALTH_PATHS
from stepwell_hub.health import Health
from stepwell_hub.key_file import KeyFile
from stepwell_wire.hub_access import (
    COOKIE_SECONDS,
    LOGIN_PARAMETER,
    LoginCode,
    check_login_code,
    cookie_name,
    make_cookie,
)
from stepwell_wire.hub_address import HubAddress

API: Final = "/api/"
FREE: Final = ("/assets/",)
COOKIE_IN_SCOPE: Final = "stepwell.cookie"
"""Where the application finds the name of this hub's cookie."""

_HEADERS: Final = [
    (name.lower().encode(), value.encode())
    for name, value in {**SECURITY, "Content-Security-Policy": content_policy()}.items()
]

UseCode = Callable[[LoginCode], Awaitable[bool]]
"""Notes that a code is used; False when it was before."""


class Access:
    """Lets requests through to ``app``, or answers them itself."""

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyFile,
        address: HubAddress,
        *,
        use_code: UseCode,
        health: Health,
        on_use: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._keys = keys
        self._address = address
        self._use_code = use_code
        self._health = health
        self._on_use = on_use
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        key = self._keys.current()
        answer = await self._look(scope, Rules(key, self._address))
        target: Any = self._app if answer is None else answer
        send = _with_security(send)
        if answer is None and scope["path"].startswith(API):
            scope[COOKIE_IN_SCOPE] = cookie_name(key)
            send = self._while_it_counts(key, send)
        await target(scope, receive, send)

    def _while_it_counts(self, key: str, send: Send) -> Send:
        """Return ``send`` that ends an answer, such as a live feed, when the key was rotated."""
        is_over = False

        async def send_while_it_counts(message: Message) -> None:
            nonlocal is_over
            if is_over:
                return  # The application learns of the end by its own receive.
            if message["type"] == "http.response.body" and message.get("more_body"):
                is_over = self._keys.current() != key
                if is_over:
                    message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        return send_while_it_counts

    async def _look(self, scope: Scope, rules: Rules) -> Response | None:
        """Return the answer to a request that goes no further, else None."""
        headers = Headers(scope=scope)
        peer = (scope.get("client") or ("", 0))[0]
        path, method = scope["path"], scope["method"]
        if path in HEALTH_PATHS:
            return await self._health.answer(path, method)
        failure = rules.host_failure(headers) or rules.peer_failure(peer)
        if failure is not None:
            return failure_answer(failure)
        if path.startswith(API):
            failure = rules.key_failure(headers, now=self._clock()) or rules.origin_failure(
                method, headers
            )
            if failure is not None:
                return failure_answer(failure)
            self._on_use()
            return None
        if method not in ("GET", "HEAD"):
            return failure_answer(
                Failure(405, "method_wrong", f"requests of pages use GET or HEAD, not {method}")
            )
        if path.startswith(FREE):
            return None
        return await self._page(scope, rules, headers, peer)

    async def _page(
        self, scope: Scope, rules: Rules, headers: Headers, peer: str
    ) -> Response | None:
        now = self._clock()
        parameters = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        code = next((value for name, value in parameters if name == LOGIN_PARAMETER), None)
        kept = [each for each in parameters if each[0] != LOGIN_PARAMETER]
        # One slash at the front: two would name another host.
        path = "/" + scope["path"].lstrip("/\\")
        clean = quote(path) + (f"?{urlencode(kept)}" if kept else "")
        if code is not None and scope["method"] == "GET":
            found = check_login_code(rules.key, code, now=now)
            try:
                is_good = found is not None and await self._use_code(found)
            except CatalogUnavailableError as error:
                return failure_answer(Failure(503, "catalog_unavailable", str(error)))
            if is_good:
                is_secure = rules.is_secure(scope["scheme"], peer, headers)
                return self._log_in(rules.key, clean, is_secure)
            if rules.has_cookie(headers, now=now):
                return pages.forward(clean)
            return pages.login_page(host=headers.get("host", ""), code_was_bad=True)
        if rules.has_cookie(headers, now=now):
            return None
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # A link on another site: the browser does not send a strict cookie with it.
            return pages.forward(clean)
        return pages.login_page(host=headers.get("host", ""))

    def _log_in(self, key: str, address: str, secure: bool) -> Response:
        answer = pages.forward(address)
        answer.set_cookie(
            cookie_name(key),
            make_cookie(key, now=self._clock()),
            max_age=COOKIE_SECONDS,
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return answer


def _with_security(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            more = [each for each in _HEADERS if each[0] not in present]
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return send_guarded
