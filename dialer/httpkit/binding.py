"""From a request to the arguments of its handler, and from what it returns to the reply."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, get_origin
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from dialer.errors import BadRequest, Invalid, NotAccepted, NotFound, NotLoggedIn, TooLarge
from dialer.httpkit.idempotency import HEADER, once
from dialer.httpkit.keys import ACTOR
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.problems import invalid
from dialer.httpkit.routes import PREFIX, Call, Route, Routes


def mount(app: web.Application, tables: Iterable[Routes]) -> None:
    """Serve the routes under `PREFIX`."""
    for table in tables:
        for route in table:
            app.router.add_route(route.method, PREFIX + route.path, serve(route), name=f"api_{route.name}")


def serve(route: Route) -> Handler:
    """The aiohttp handler of a route.

    Order: log-in, right, type and size of the body, fields, Idempotency-Key, handler.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        actor = request.get(ACTOR)
        if actor is None and not route.public:
            raise NotLoggedIn
        if actor is not None and route.right is not None:
            actor.require(route.right)
        call = Call(request, route.body_limit)
        arguments = _path(route, request)
        payload = b"" if route.accepts else await _payload(route, request)
        if route.accepts:
            _check_type(request, *route.accepts)
        if route.body is not None:
            field = route.takes.get(request.content_type)
            arguments["body"] = _text(route.body, field, payload) if field else _body(route.body, payload)
        arguments |= _query(route, request)

        async def work() -> web.StreamResponse:
            return _reply(route, call, await route.handler(call, **arguments))

        key = request.headers.get(HEADER)
        if key is None or request.method != "POST":
            return await work()
        if not route.idempotent or actor is None:
            raise BadRequest(reason="this request takes no Idempotency-Key")
        fingerprint = hashlib.sha256(
            b"\0".join((request.method.encode(), request.path_qs.encode(), payload))
        ).hexdigest()
        return await once(request, actor, key, fingerprint, work)

    return handle


def _path(route: Route, request: web.Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in route.path_types.items():
        text = request.match_info[name]
        value: object = None
        if kind is int and re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= MAX_ID:
            value = int(text)
        elif kind is UUID and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
            value = UUID(text)
        elif kind is str and "\0" not in text:
            value = text
        if value is None:
            # What is not even an id names nothing.
            raise NotFound(what=name.removesuffix("_id"), key=text)
        found[name] = value
    return found


def _check_type(request: web.Request, *these: str) -> None:
    accepted = ", ".join(these)
    if request.content_type not in these:
        raise NotAccepted(accepted=accepted)
    if (request.charset or "utf-8").lower() != "utf-8":
        raise NotAccepted(accepted=f"{accepted}; charset=utf-8")


async def _payload(route: Route, request: web.Request) -> bytes:
    if route.body is not None:
        _check_type(request, "application/json", *route.takes)
    if (request.content_length or 0) > route.body_limit:
        raise TooLarge(limit=route.body_limit)
    payload = bytearray()
    async for chunk in request.content.iter_any():
        payload += chunk
        if len(payload) > route.body_limit:
            raise TooLarge(limit=route.body_limit)
    if route.body is None and bytes(payload).strip() not in {b"", b"{}"}:
        raise BadRequest(reason="this request takes no body")
    return bytes(payload)


def _body(model: type[BaseModel], payload: bytes) -> BaseModel:
    try:
        bad = _has_nul(json.loads(payload, object_pairs_hook=_no_twins))
    except (ValueError, RecursionError):
        raise BadRequest(reason="the body is not JSON, or has a field twice") from None
    if bad:
        raise BadRequest(reason="the body holds a NUL character")
    try:
        # Strict: "5" is not 5. From JSON, so that texts still become times, UUIDs and enumerations.
        return model.model_validate_json(payload, strict=True)
    except ValidationError as error:
        raise invalid(error) from None


def _text(model: type[BaseModel], field: str, payload: bytes) -> BaseModel:
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(reason="the body is not UTF-8") from None
    if _has_nul(text):
        raise BadRequest(reason="the body holds a NUL character")
    try:
        return model.model_validate({field: text})
    except ValidationError as error:
        raise invalid(error) from None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _has_nul(value: object) -> bool:
    """PostgreSQL keeps no NUL in a text: refused here once, for every field."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def _query(route: Route, request: web.Request) -> dict[str, Any]:
    asked = request.query
    if route.query is None:
        if asked:
            first = next(iter(asked))
            raise Invalid(field=first, reason="is not known here")
        return {}
    values: dict[str, Any] = {}
    for name in asked:
        given = asked.getall(name)
        known = route.query.model_fields.get(name)
        if known is not None and get_origin(known.annotation) in {list, tuple, set, frozenset}:
            values[name] = given
        elif len(given) > 1:
            raise Invalid(field=name, reason="is given twice")
        else:
            values[name] = given[0]
    try:
        return {"query": route.query.model_validate(values)}
    except ValidationError as error:
        raise invalid(error, "query") from None


def _reply(route: Route, call: Call, returned: Any) -> web.StreamResponse:
    if route.raw is not None:
        if not isinstance(returned, web.StreamResponse):
            raise TypeError(f"{route.name} must return its own reply")
        reply: web.StreamResponse = returned
    elif route.gives is not None and isinstance(returned, web.StreamResponse):
        reply = returned
        reply.set_status(route.status)
    elif route.reply is None:
        reply = web.Response(status=route.status)
    else:
        reply = web.Response(
            status=route.status,
            body=route.reply.dump_json(returned, warnings="error"),
            content_type="application/json",
            charset="utf-8",
        )
    reply.headers.setdefault("Cache-Control", "no-store")
    if route.gives is not None:
        reply.headers.setdefault("Vary", "Accept")
    for edit in call.edits:
        edit(reply)
    return reply
