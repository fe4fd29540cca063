"""The description of the API, made from the routes that serve it: OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from dialer import __version__
from dialer.errors import (
    BadCsrfToken,
    BadRequest,
    DatabaseFull,
    DatabaseUnavailable,
    DozvonError,
    Forbidden,
    Invalid,
    KeyReused,
    NotAccepted,
    NotFound,
    NotLoggedIn,
    StillAtWork,
    TooLarge,
)
from dialer.httpkit.idempotency import HEADER
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.problems import MEDIA_TYPE
from dialer.httpkit.routes import PREFIX, Route, Routes

PATH = "/openapi.json"
DOCUMENT = web.AppKey("openapi", dict)
REF = "#/components/schemas/{model}"

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem details; `type` is stable, `title` and `detail` are for people.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "description": "makes the request safe to repeat: the same key gets the same reply for a day",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}
_PATH_SCHEMAS: dict[type, dict[str, Any]] = {
    int: {"type": "integer", "minimum": 0, "maximum": MAX_ID},
    str: {"type": "string"},
    UUID: {"type": "string", "format": "uuid"},
}


def document(tables: Iterable[Routes]) -> dict[str, Any]:
    """The whole description."""
    routes = [route for table in tables for route in table]
    schemas, definitions = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Dozvon",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "security": [{"token": []}, {"session": [], "csrf": []}],
        "paths": paths,
        "components": {
            "schemas": {**definitions, "Problem": _PROBLEM},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "an API token"},
                "session": {"type": "apiKey", "in": "cookie", "name": "dozvon_session"},
                "csrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRF-Token",
                    "description": "with a session, for everything but GET",
                },
            },
        },
    }


async def serve_document(request: web.Request) -> web.Response:
    """GET /openapi.json"""
    return web.json_response(request.app[DOCUMENT])


_Key = tuple[str, Literal["body", "reply"]]


def _schemas(routes: Iterable[Route]) -> tuple[dict[_Key, Any], dict[str, Any]]:
    """Schemas of bodies and replies, with shared definitions named once."""
    inputs: list[tuple[_Key, JsonSchemaMode, TypeAdapter[Any]]] = []
    for route in routes:
        if route.body is not None:
            inputs.append(((route.name, "body"), "validation", TypeAdapter(route.body)))
        if route.reply is not None:
            inputs.append(((route.name, "reply"), "serialization", route.reply))
    found, shared = TypeAdapter.json_schemas(inputs, ref_template=REF)
    return {key: schema for (key, _mode), schema in found.items()}, dict(shared.get("$defs", {}))


def _operation(route: Route, schemas: dict[_Key, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": _responses(route, schemas),
    }
    described = [route.description] if route.description else []
    if route.right is not None:
        described.append(f"Needs the right `{route.right.value}`.")
    if described:
        made["description"] = "\n\n".join(described)
    if route.body is not None:
        content = {"application/json": {"schema": schemas[route.name, "body"]}}
        content |= {one: {"schema": _raw(one)} for one in route.takes}
        made["requestBody"] = {"required": True, "content": content}
    elif route.accepts:
        content = {one: {"schema": _raw(one)} for one in route.accepts}
        made["requestBody"] = {"required": True, "content": content}
    if route.public:
        made["security"] = []
    return made


def _raw(media_type: str) -> dict[str, str]:
    """The schema of a body that goes by its type alone: whoever knows one of JSON reads an object from it."""
    return {"type": "object" if media_type.endswith("json") else "string"}


def _parameters(route: Route) -> list[dict[str, Any]]:
    made = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[kind]}
        for name, kind in route.path_types.items()
    ]
    if route.query is not None:
        made += _query(route.query)
    if route.idempotent:
        made.append(_IDEMPOTENCY_KEY)
    return made


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    made = []
    for name, part in schema.get("properties", {}).items():
        field = _inline(part, definitions)
        description = field.pop("description", None)
        made.append(
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "schema": field,
                **({"description": description} if description else {}),
            }
        )
    return made


def _inline(part: Any, definitions: dict[str, Any]) -> Any:
    """A parameter's schema without references (enumerations are their only ones)."""
    if isinstance(part, dict):
        if "$ref" in part:
            return _inline(definitions[part["$ref"].rpartition("/")[2]], definitions)
        return {name: _inline(inner, definitions) for name, inner in part.items()}
    if isinstance(part, list):
        return [_inline(inner, definitions) for inner in part]
    return part


def _responses(route: Route, schemas: dict[_Key, Any]) -> dict[str, Any]:
    reply: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.raw:
        reply["content"] = {route.raw: {"schema": _raw(route.raw)}}
    elif route.reply is not None:
        reply["content"] = {"application/json": {"schema": schemas[route.name, "reply"]}}
        if route.gives is not None:
            reply["content"][route.gives] = {"schema": _raw(route.gives)}
    made = {str(route.status): reply}
    by_status: dict[int, list[type[DozvonError]]] = {}
    for error in dict.fromkeys(_refusals(route)):
        by_status.setdefault(error.status, []).append(error)
    for status, errors in sorted(by_status.items()):
        made[str(status)] = {
            "description": "; ".join(f"`/problems/{error.id}`: {error.template()}" for error in errors),
            "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}},
        }
    return made


def _refusals(route: Route) -> Iterable[type[DozvonError]]:
    """All that the route may refuse with: its own errors and those of the machinery around it."""
    yield BadRequest
    if not route.public:
        yield NotLoggedIn
        # Without a right that all need, a row of somebody else's may still be refused.
        yield Forbidden
    if route.method != "GET":
        yield BadCsrfToken
    if route.path_types:
        yield NotFound
    if route.body is not None or route.accepts:
        yield NotAccepted
        yield TooLarge
    if route.body is not None or route.query is not None:
        yield Invalid
    if route.idempotent:
        yield StillAtWork
        yield KeyReused
    yield from route.errors
    # Nothing is answered without the database: who asks is looked up in it, and where, and what for.
    yield DatabaseUnavailable
    yield DatabaseFull
