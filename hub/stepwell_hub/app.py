"""The composition of the hub's ASGI application: endpoints, page, and the gate around them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp

# Importing declares the endpoints.
from stepwell_hub.access import Access
from stepwell_hub.answers import failure_answer
from stepwell_hub.api import ENDPOINTS
from stepwell_hub.context import Context
from stepwell_hub.endpoints import routes
from stepwell_hub.errors import Failure
from stepwell_hub.health import Health
from stepwell_hub.key_file import KeyFile
from stepwell_hub.openapi import openapi_answer
from stepwell_hub.redirects import our_path
from stepwell_hub.static import FOLDER, Static

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def create_app(
    context: Context,
    keys: KeyFile,
    *,
    static: Path = FOLDER,
    on_request: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """Return the application.

    Args:
        keys: the hub's key.
        static: folder of the built page.
        on_request: called when a client that has the key uses the API.
    """
    files = Static(static)

    async def store_answers() -> bool:
        # Not by the asker: long queries must not make a hub look unhealthy.
        return await asyncio.to_thread(context.store.ping)

    async def page(request: Request) -> Response:
        address = our_path(request.scope["path"])
        if address is not None:
            return RedirectResponse(address, status_code=307)
        return await files.page(request)

    async def unknown(request: Request) -> Response:
        allowed = {
            method
            for route in known
            if route.matches(request.scope)[0] is Match.PARTIAL
            for method in route.methods or ()
        }
        if allowed:
            names = ", ".join(sorted(allowed))
            message = f"{request.method} {request.url.path}: expected {names}"
            answer = failure_answer(Failure(405, "method_wrong", message))
            answer.headers["Allow"] = names
            return answer
        return failure_answer(
            Failure(404, "not_found", f"{request.url.path}: path not found; see /api/openapi.json")
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        context.feeds.stop()
        await context.sweeps.close()
        context.colors.close()
        context.asker.close()
        context.table_workers.close()
        context.catalog.close()

    known = [
        Route("/api/openapi.json", openapi_answer(ENDPOINTS), methods=["GET"]),
        *routes(context, ENDPOINTS),
    ]
    app = Starlette(
        routes=[
            *known,
            Route("/api/{path:path}", unknown, methods=_METHODS),
            Route("/assets/{path:path}", files.asset, methods=["GET"]),
            Route("/{path:path}", page, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _refuse},
        lifespan=lifespan,
    )
    return Access(
        app,
        keys,
        context.config.address(),
        use_code=context.catalog.use_code,
        health=Health(
            {"store": store_answers, "catalog": context.catalog.answers}, dispensable={"catalog"}
        ),
        on_use=on_request,
    )


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "not_found", 405: "method_wrong"}
    return failure_answer(
        Failure(
            error.status_code,
            words.get(error.status_code, "refused"),
            f"{request.method} {request.url.path}: {error.detail}",
        )
    )
