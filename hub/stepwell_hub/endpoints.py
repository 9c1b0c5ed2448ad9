"""Endpoints: input and answer of each are declared once, for the router, the checks and OpenAPI.

@endpoint("GET", "/projects", answer=ProjectsPage, query=ProjectsForm)
async def list_projects(call: Call) -> Any:
    '''List projects.'''
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, get_origin, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stepwell_hub.answers import JSON, answer, failure_answer
from stepwell_hub.context import Context
from stepwell_hub.errors import (
    ApiError,
    CatalogUnavailableError,
    ClientGoneError,
    Failure,
    SweepEndedError,
    SweepInvalidError,
    SweepNotFoundError,
    failure_of,
)
from stepwell_store.errors import StoreError
from stepwell_store.queries import SeriesRequestError

logger = logging.getLogger("stepwell_hub")

PREFIX: Final = "/api/v1"
NAME_CHARACTERS_MAX: Final = 1024
_WHERE: Final = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")


class Form(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a request, by name; a name that is not declared is an error."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One request that the API answers.

    Attributes:
        path: below the prefix, with ``{name}`` for text.
        query: the parameters after the question mark.
        body: the JSON body.
        answer: the type of the JSON answer, None where there is none.
        media: type of the answer; ``answer`` has no meaning unless it is JSON.
        failures: statuses of its own, besides those that every endpoint may have.
        body_bytes_max: where a body may be larger than the hub's setting allows others.
        is_short: its answer is a few hundred bytes, and its caller asks again with the same key
            after a lost answer, so its work goes on when the caller leaves: it is done without
            the tasks and the thread that others need.
    """

    method: str
    path: str
    handler: "Callable[[Call], Awaitable[Any]]"
    query: type[Form] | None = None
    body: type[Form] | None = None
    answer: Any = None
    media: str = JSON
    status: int = 200
    failures: tuple[int, ...] = ()
    body_bytes_max: int = 0
    is_short: bool = False

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().splitlines()[0].rstrip(".")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked. ``query`` and ``body`` are forms of the endpoint's kinds."""

    request: Request
    context: Context
    query: Any = None
    body: Any = None

    @property
    def project(self) -> str:
        return str(self.request.path_params["project"])

    @property
    def run_id(self) -> str:
        return str(self.request.path_params["run_id"])

    async def ask(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return the result of a query of the store; see `Asker.ask`."""
        try:
            return await self.context.asker.ask(function, *arguments, **named)
        except SeriesRequestError as error:
            raise ApiError(400, "value_invalid", str(error)) from error


ENDPOINTS: Final[list[Endpoint]] = []


def endpoint(
    method: str, path: str, **facts: Any
) -> Callable[[Callable[[Call], Awaitable[Any]]], Callable[[Call], Awaitable[Any]]]:
    """Declare the decorated function as an endpoint; ``facts`` are `Endpoint`'s."""

    def declare(handler: Callable[[Call], Awaitable[Any]]) -> Callable[[Call], Awaitable[Any]]:
        ENDPOINTS.append(Endpoint(method, path, handler, **facts))
        return handler

    return declare


def routes(context: Context, endpoints: list[Endpoint]) -> list[Route]:
    """Return the routes of ``endpoints``."""
    return [
        Route(PREFIX + each.path, _served(each, context), methods=[each.method])
        for each in endpoints
    ]


def _served(each: Endpoint, context: Context) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            call = await _checked(each, request, context)
            if each.is_short:
                return answer(await each.handler(call), status=each.status)
            given = await _while_connected(each.handler(call), request)
        except ApiError as error:
            return failure_answer(error.failure)
        except StoreError as error:
            return failure_answer(failure_of(error))
        except CatalogUnavailableError as error:
            return failure_answer(Failure(503, "catalog_unavailable", str(error)))
        except SweepInvalidError as error:
            return failure_answer(Failure(400, "sweep_invalid", str(error), error.field))
        except SweepNotFoundError as error:
            return failure_answer(Failure(404, "not_found", str(error)))
        except SweepEndedError as error:
            return failure_answer(Failure(409, "sweep_ended", str(error)))
        except ClientGoneError:
            return Response(status_code=499)
        except Exception:
            logger.exception("a request failed method=%s path=%s", each.method, each.path)
            context.failures += 1
            return failure_answer(Failure(500, "hub_failed", "the hub failed; see its log"))
        if isinstance(given, Response):
            return given
        if each.answer is None:
            return Response(status_code=204)
        # In a thread: a page of 10,000 runs takes a second, and live feeds must not wait for it.
        return await asyncio.to_thread(answer, given, status=each.status)

    return serve


async def _while_connected(work: Awaitable[Any], request: Request) -> Any:
    """Return what ``work`` gives; cancel it when the client leaves.

    Raises:
        ClientGoneError: The client left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGoneError
    finally:
        for task in (working, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, StoreError):
                    await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# ---------------------------------------------------------------------- checks


async def _checked(each: Endpoint, request: Request, context: Context) -> Call:
    for name, value in request.path_params.items():
        if not value or len(value) > NAME_CHARACTERS_MAX:
            message = f"{name}: expected 1 to {NAME_CHARACTERS_MAX} characters"
            raise ApiError(400, "name_invalid", message, field=name)
    query = _query_of(each.query, request)
    bytes_max = max(each.body_bytes_max, context.config.request_bytes_max)
    data = await _body_of(request, bytes_max)
    body = None
    if each.body is not None:
        if request.headers.get("content-type", "").split(";")[0].strip() != JSON:
            raise ApiError(415, "media_wrong", f"the body must be {JSON}")
        try:
            body = msgspec.json.decode(data, type=each.body)
        except msgspec.ValidationError as error:
            raise _invalid("body", error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(400, "json_invalid", f"the body is not JSON: {error}") from error
        except RecursionError as error:
            message = "the body has too many nested objects or lists; reduce its depth"
            raise ApiError(400, "json_invalid", message) from error
    return Call(request, context, query, body)


def _query_of(form: type[Form] | None, request: Request) -> Form | None:
    given = request.query_params
    kinds = get_type_hints(form) if form is not None else {}
    values: dict[str, Any] = {}
    for name in given:
        if name not in kinds:
            known = ", ".join(kinds) or "none"
            raise ApiError(
                400,
                "parameter_unknown",
                f"{name}: unknown parameter; expected one of {known}",
                field=name,
            )
        many = get_origin(kinds[name]) in (tuple, list)
        values[name] = given.getlist(name) if many else given[name]
    if form is None:
        return None
    try:
        return msgspec.convert(values, type=form, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid("parameter", error) from error


async def _body_of(request: Request, bytes_max: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > bytes_max:
            raise ApiError(413, "body_too_large", f"the body has more than {bytes_max} bytes")
    return bytes(data)


def _invalid(what: str, error: msgspec.ValidationError) -> ApiError:
    text = str(error)
    found = _WHERE.search(text)
    field = found.group(1) if found else ""
    message = _WHERE.sub("", text)
    return ApiError(
        400, f"{what}_invalid", f"{field}: {message}" if field else message, field=field
    )
