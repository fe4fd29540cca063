"""Errors over HTTP: RFC 9457 problem details for programs, a page for people.

A DozvonError becomes `application/problem+json`:

    {"type": "/problems/<id>", "title": ..., "status": ..., "detail": ..., and the error's own details}

`type` is stable and is what programs look at; `title` and `detail` are in the reader's language. A wrong
field is 422 with `errors: [{"field": "items.0.name", "reason": ...}]`. What nobody foresaw is 500 with the
`error_id` under which the log has the trace.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError
from yarl import URL

from dialer.errors import (
    BadRequest,
    DozvonError,
    Invalid,
    NotFound,
    NotLoggedIn,
    TooLarge,
    TooManyRequests,
    WrongMethod,
)
from dialer.httpkit.i18n import message, negotiate, told_in, translator
from dialer.httpkit.keys import LOCALE, REQUEST_ID, SETTINGS
from dialer.httpkit.schema import FORMS
from dialer.reasons import reason_of
from dialer.said import Said

log = structlog.stdlib.get_logger(__name__)

API_PREFIX = "/api/"
MEDIA_TYPE = "application/problem+json"
#: Members that RFC 9457 defines: an error's details never overwrite them.
RESERVED = frozenset({"type", "title", "status", "detail", "instance"})

#: Writes the page that tells a person of an error: (request, error, title, detail). Set by the pages.
ErrorPage = Callable[[web.Request, DozvonError, str, str], Awaitable[web.StreamResponse]]
ERROR_PAGE: web.AppKey[ErrorPage] = web.AppKey("error_page")

#: Titles by status; Python's own phrases change between its versions.
TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "Log-in needed",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Wrong content type",
    421: "Wrong server",
    422: "Wrong values",
    429: "Too many tries",
    500: "Internal error",
    502: "Asterisk refused",
    503: "Not available",
    504: "No answer in time",
}

#: What is not available now (503) is asked for again after so long, seconds: parts come back by themselves.
RETRY_AFTER_S = 2


def invalid(error: ValidationError, where: str = "") -> Invalid:
    """All wrong fields of a pydantic error as one Invalid; the values themselves are not repeated."""
    found = []
    for one in error.errors(include_url=False, include_input=False):
        # The name of something in a mapping is marked so; an empty one has no place of its own.
        named = one["loc"][-1:] == ("[key]",)
        place = ".".join(str(part) for part in one["loc"][: -1 if named else None] if part != "")
        reason = reason_of(one, FORMS)
        if named:
            reason = Said("the name: {reason}", reason=reason)
        found.append({"field": place or where or "body", "reason": reason})
    return Invalid(field=found[0]["field"], reason=found[0]["reason"], errors=found)


def problem(error: DozvonError, locale: str) -> dict[str, Any]:
    """The members of the problem document of an error."""
    told = {name: value for name, value in error.details.items() if name not in RESERVED}
    details = dict(told_in(told, locale))
    if isinstance(error, Invalid):
        details.setdefault("errors", [{"field": details.get("field"), "reason": details.get("reason")}])
    return {
        "type": f"/problems/{error.id}",
        "title": translator(locale).gettext(TITLES[error.status]),
        "status": error.status,
        "detail": message(error, locale),
        **details,
    }


def problem_reply(error: DozvonError, locale: str) -> web.Response:
    """The reply that a program gets."""
    headers = {"Content-Language": locale, "Cache-Control": "no-store"}
    if isinstance(error, NotLoggedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="dozvon"'
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.details["seconds"])
    elif error.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, WrongMethod):
        headers["Allow"] = str(error.details["allowed"])
    return web.Response(
        status=error.status,
        # What is told of the request may hold bytes of it that were no text.
        body=json.dumps(problem(error, locale), ensure_ascii=False, default=str).encode(errors="replace"),
        content_type=MEDIA_TYPE,
        charset="utf-8",
        headers=headers,
    )


def locale_of(request: web.Request) -> str:
    """The language of the reply: the actor's, else what the browser asks for, else the setting."""
    return request.get(LOCALE) or negotiate(
        request.headers.get("Accept-Language"), request.app[SETTINGS].locale
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever is raised inside into a reply."""
    try:
        return await handler(request)
    except DozvonError as error:
        if error.status == 503:
            # Said once by whoever watches over that part; the trace of every request would hide it.
            log.warning("request_refused", error=error.id, reason=str(error))
        elif error.status >= 500:
            log.exception("request_failed", error_id=request[REQUEST_ID], error=error.id)
        return await _reply(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return await _reply(request, _translated(request, error))
    except ConnectionError:
        # Nobody is there to be told; aiohttp ends the connection.
        raise
    except Exception:
        log.exception("request_failed", error_id=request[REQUEST_ID])
        error_id = request[REQUEST_ID]
        return await _reply(request, DozvonError(error_id=error_id))


async def _reply(request: web.Request, error: DozvonError) -> web.StreamResponse:
    locale = locale_of(request)
    page = request.app.get(ERROR_PAGE)
    wants_page = "text/html" in request.headers.get("Accept", "")
    if request.path.startswith(API_PREFIX) or page is None or not wants_page:
        return problem_reply(error, locale)
    if isinstance(error, NotLoggedIn) and request.method == "GET":
        # Only a path of ours: `next` must never lead to another server.
        login = URL("/login").with_query(next=request.path_qs)
        return web.Response(status=303, headers={"Location": str(login), "Cache-Control": "no-store"})
    title = translator(locale).gettext(TITLES[error.status])
    return await page(request, error, title, message(error, locale))


def _translated(request: web.Request, error: web.HTTPException) -> DozvonError:
    """aiohttp's own refusals in our words."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return WrongMethod(method=request.method, allowed=", ".join(sorted(error.allowed_methods)))
    if isinstance(error, web.HTTPNotFound):
        return NotFound(what="page", key=request.path)
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge(limit=request.client_max_size)
    return BadRequest(reason=error.reason)
