"""The OpenAPI description, made from the endpoints' declarations."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, get_origin, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stepwell_hub.answers import JSON
from stepwell_hub.endpoints import NAME_CHARACTERS_MAX, PREFIX, Endpoint
from stepwell_wire import __version__

_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_REF: Final = "#/components/schemas/{name}"
_NUMBERS: Final = {
    "Number": {
        "description": "A number. NaN and the infinities are objects with their name.",
        "anyOf": [
            {"type": "number"},
            {
                "type": "object",
                "required": ["$float"],
                "properties": {"$float": {"enum": ["NaN", "Infinity", "-Infinity"]}},
            },
        ],
    },
    "Integer": {
        "description": "An integer. Beyond 2^53 it is an object with its digits as text.",
        "anyOf": [
            {"type": "integer"},
            {
                "type": "object",
                "required": ["$int"],
                "properties": {"$int": {"type": "string", "pattern": "^-?[0-9]+$"}},
            },
        ],
    },
    "Failure": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "field": {"type": "string"},
                    "position": {"type": "integer"},
                    "length": {"type": "integer"},
                },
            }
        },
    },
}
_COMMON_FAILURES: Final = (400, 401, 403, 404, 413, 415, 500, 503, 504)


def openapi_answer(endpoints: list[Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that serves the description; it is made at the first request."""
    made: list[bytes] = []

    async def serve(_: Request) -> Response:
        if not made:
            made.append(msgspec.json.encode(describe(endpoints)))
        return Response(made[0], media_type=JSON, headers={"Cache-Control": "no-store"})

    return serve


def describe(endpoints: list[Endpoint]) -> dict[str, Any]:
    """Return the description as OpenAPI 3.1."""
    answers = [each.answer for each in endpoints if each.answer is not None and each.media == JSON]
    bodies = [each.body for each in endpoints if each.body is not None]
    queries = [each.query for each in endpoints if each.query is not None]
    answer_schemas, answer_parts = msgspec.json.schema_components(answers, ref_template=_REF)
    form_schemas, form_parts = msgspec.json.schema_components(
        [*bodies, *queries], ref_template=_REF
    )
    by_answer = dict(zip(map(id, answers), map(_with_number_types, answer_schemas), strict=True))
    by_form = dict(zip([*bodies, *queries], form_schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        facts = _operation(each, by_answer, by_form, form_parts)
        paths.setdefault(PREFIX + each.path, {})[each.method.lower()] = facts
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stepwell hub",
            "version": __version__,
            "description": "Runs, series and all other data of the page.",
        },
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_with_number_types(answer_parts), **form_parts, **_NUMBERS},
        },
    }


def _operation(
    each: Endpoint,
    by_answer: dict[int, Any],
    by_form: dict[Any, Any],
    parts: dict[str, Any],
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": each.handler.__name__,
        "summary": each.summary,
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS_MAX},
            }
            for name in _IN_PATH.findall(each.path)
        ],
        "responses": {str(each.status): _success(each, by_answer)},
    }
    if each.answer is None and each.media == JSON:
        operation["responses"] = {"204": {"description": "Done."}}
    if each.query is not None:
        operation["parameters"] += _parameters(each.query, parts)
    if each.body is not None:
        content = {JSON: {"schema": by_form[each.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    failure = {
        "description": "The error.",
        "content": {JSON: {"schema": {"$ref": _REF.format(name="Failure")}}},
    }
    for status in (*_COMMON_FAILURES, *each.failures):
        operation["responses"][str(status)] = failure
    return operation


def _success(each: Endpoint, by_answer: dict[int, Any]) -> dict[str, Any]:
    if each.media != JSON:
        schema: Any = {"type": "string"}
        if not each.media.startswith("text/"):
            schema = {"type": "string", "contentMediaType": each.media}
    else:
        schema = by_answer.get(id(each.answer), {})
    return {"description": each.summary + ".", "content": {each.media: {"schema": schema}}}


def _parameters(form: type[msgspec.Struct], parts: dict[str, Any]) -> list[dict[str, Any]]:
    schema = parts[form.__name__]
    kinds = get_type_hints(form)
    required = set(schema.get("required", ()))
    found = []
    for name, each in schema["properties"].items():
        facts: dict[str, Any] = {"name": name, "in": "query", "required": name in required}
        facts["schema"] = each
        if get_origin(kinds[name]) in (tuple, list):
            facts |= {"style": "form", "explode": True}
        found.append(facts)
    return found


def _with_number_types(schema: Any) -> Any:
    """Return ``schema`` with numbers as answers write them."""
    if isinstance(schema, dict):
        if schema.get("type") in ("number", "integer"):
            return {"$ref": _REF.format(name=schema["type"].capitalize())}
        return {name: _with_number_types(each) for name, each in schema.items()}
    if isinstance(schema, list):
        return [_with_number_types(each) for each in schema]
    return schema
