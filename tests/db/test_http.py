"""What every request meets before its handler, on a real port: fields, types, limits, doors, the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from support.things import GOOD, KEY, things
from support.web import PASSWORD, Caller, Web, serving

from dialer.db.session import Database
from dialer.errors import DozvonError
from dialer.httpkit.access import Right, Role
from dialer.httpkit.identity import csrf_token, page_actor
from dialer.httpkit.problems import ERROR_PAGE
from dialer.settings import load


@pytest.fixture
async def program(web_things: Web) -> Caller:
    """A program with a supervisor's token."""
    return await web_things.program(Role.SUPERVISOR)


# -- fields --------------------------------------------------------------------------------------------


async def test_a_good_body_makes_a_thing(program: Caller) -> None:
    """The reply is the model, with the status that was declared, and is kept by no cache."""
    reply = await program.call("POST", "~/things", GOOD | {"when": "2026-01-31T09:00:00+03:00"})
    assert (reply.status, reply.json) == (201, {"number": 1, "name": "thing"})
    assert reply.headers["Cache-Control"] == "no-store"


WRONG_BODIES: list[tuple[Any, list[str]]] = [
    ({"name": "thing"}, ["size"]),
    (GOOD | {"colour": "red"}, ["colour"]),
    (GOOD | {"size": "1"}, ["size"]),
    (GOOD | {"size": True}, ["size"]),
    (GOOD | {"size": 1.5}, ["size"]),
    (GOOD | {"name": " a "}, ["name"]),
    ({"name": 5, "size": None}, ["name", "size"]),
    ([], ["body"]),
    (GOOD | {"when": 5}, ["when"]),
]


async def test_wrong_fields_are_named(program: Caller) -> None:
    """All wrong fields at once, unknown ones too, each with a reason; no type is guessed."""
    for body, fields in WRONG_BODIES:
        reply = await program.call("POST", "~/things", body)
        assert (reply.status, reply.headers["Content-Type"]) == (
            422,
            "application/problem+json; charset=utf-8",
        )
        assert reply.json["type"] == "/problems/invalid"
        assert [error["field"] for error in reply.json["errors"]] == fields
        assert all(error["reason"] for error in reply.json["errors"])


TORN = [
    b"",
    b"{",
    b'{"name": "a", "name": "b", "size": 1}',
    b"[" * 100_000,
    b"\xff",
    b'{"name":"a\\u0000","size":1}',
]


async def test_what_is_no_json_of_ours_is_a_bad_request(program: Caller) -> None:
    """Torn, doubled, nested without end, not UTF-8, with a NUL: 400 and no trace."""
    for body in TORN:
        reply = await program.call(
            "POST", "~/things", data=body, headers={"Content-Type": "application/json"}
        )
        assert (reply.status, reply.json["type"]) == (400, "/problems/bad-request")


WRONG_TYPES = ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=koi8-r"]


async def test_another_content_type_is_refused(program: Caller) -> None:
    """A body must say that it is JSON in UTF-8."""
    for kind in WRONG_TYPES:
        reply = await program.call("POST", "~/things", data=b"{}", headers={"Content-Type": kind})
        assert (reply.status, reply.json["type"]) == (415, "/problems/not-accepted")


async def chunked(size: int) -> AsyncIterator[bytes]:
    """A body that does not say how long it is."""
    for _ in range(size // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_too_large_is_refused(program: Caller, announced: bool) -> None:
    """With a Content-Length and without."""
    data: Any = b" " * 300_000 if announced else chunked(300_000)
    reply = await program.call("POST", "~/things", data=data, headers={"Content-Type": "application/json"})
    assert (reply.status, reply.json["limit"]) == (413, 256 * 1024)


async def test_a_file_has_its_own_type_and_limit(program: Caller) -> None:
    """The handler reads it in pieces; one byte too many is refused."""
    kind = {"Content-Type": "text/csv"}
    assert (await program.call("POST", "~/things/file", data=b"x" * 1000, headers=kind)).json[
        "number"
    ] == 1000
    assert (await program.call("POST", "~/things/file", data=b"x" * 1001, headers=kind)).status == 413
    assert (await program.call("POST", "~/things/file", {"a": 1})).status == 415


async def test_a_request_without_a_body_has_none(program: Caller) -> None:
    """Nothing or an empty object; a field would be one that nobody knows."""
    assert (await program.call("POST", "~/things/empty")).status == 204
    assert (await program.call("POST", "~/things/empty", {})).status == 204
    assert (await program.call("POST", "~/things/empty", {"force": True})).status == 400


PATHS = [
    (f"7/{KEY}/a%20b", 200),
    (f"9223372036854775807/{KEY}/w", 200),
    (f"9223372036854775808/{KEY}/w", 404),
    (f"-1/{KEY}/w", 404),
    (f"+1/{KEY}/w", 404),
    (f"x/{KEY}/w", 404),
    ("7/0190a5b000007000800000000000000z/w", 404),
    (f"7/{KEY}/%00", 404),
]


async def test_names_in_the_path_have_types(program: Caller) -> None:
    """What cannot be an id is not found, before any SQL."""
    for path, status in PATHS:
        assert (await program.call("GET", f"~/things/{path}")).status == status


QUERIES = [
    ("limit=2", 200),
    ("tag=a&tag=b", 200),
    ("limit=0", 422),
    ("limit=201", 422),
    ("limit=2&limit=3", 422),
    ("colour=red", 422),
    ("tag=%00", 400),
    ("cursor=zzz", 400),
]


async def test_the_query_string_is_strict(program: Caller) -> None:
    """Unknown, doubled and wrong parameters are refused."""
    for query, status in QUERIES:
        assert (await program.call("GET", f"~/things?{query}")).status == status


@pytest.mark.parametrize("address", ["~/things?word=a%00", "~/things?%00=a", "/nothing?q=%00"])
async def test_no_address_holds_a_nul(program: Caller, address: str) -> None:
    """PostgreSQL keeps none in a text: it is refused before any route or page asks for one."""
    reply = await program.call("GET", address)
    assert (reply.status, "NUL" in reply.text) == (400, True)


async def test_pages_lead_through_the_whole_list(program: Caller) -> None:
    """Following `next` shows each row once."""
    seen: list[int] = []
    cursor = ""
    while True:
        page = (await program.call("GET", f"~/things?limit=2{cursor}")).json
        seen += [item["number"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [0, 1, 2, 3, 4]


# -- doors ---------------------------------------------------------------------------------------------


async def test_a_stranger_is_asked_to_log_in(web_things: Web) -> None:
    """401 with a challenge; a page leads to the log-in only where there are pages."""
    stranger = await web_things.stranger()
    reply = await stranger.call("GET", "~/things", headers={"Accept": "text/html"})
    assert (reply.status, reply.json["type"]) == (401, "/problems/not-logged-in")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_wrong_token_is_refused_even_where_none_is_needed(web_things: Web) -> None:
    """A program with a revoked token learns so."""
    stranger = await web_things.stranger()
    for value in ("Bearer dzv_wrong", "Bearer", "Basic YTpi", "Bearer " + "x" * 500):
        reply = await stranger.call("GET", "/openapi.json", headers={"Authorization": value})
        assert reply.status == 401


async def test_a_missing_right_is_told(web_things: Web) -> None:
    """403 names the right, in the reader's language."""
    operator = await web_things.program(Role.OPERATOR)
    reply = await operator.call("POST", "~/things", GOOD)
    assert (reply.status, reply.json["right"], reply.json["role"]) == (403, "campaigns_edit", "operator")


async def test_a_name_that_is_not_ours_is_not_answered(program: Caller) -> None:
    """DNS rebinding: right address, wrong Host."""
    reply = await program.call("GET", "~/things", headers={"Host": "evil.example"})
    assert (reply.status, reply.json["type"]) == (421, "/problems/wrong-host")


@pytest.mark.parametrize("path", ["~/nothing", "/nothing"])
async def test_what_is_not_there_is_a_problem_too(program: Caller, path: str) -> None:
    """aiohttp's own refusals are told like ours."""
    assert (await program.call("GET", path)).json["type"] == "/problems/not-found"


async def test_a_wrong_method_names_the_right_ones(program: Caller) -> None:
    """405 with Allow."""
    reply = await program.call("PUT", "~/things/empty")
    assert (reply.status, reply.headers["Allow"], reply.json["allowed"]) == (405, "POST", "POST")


async def test_every_reply_carries_the_headers_of_security(program: Caller) -> None:
    """Pages, problems and files alike."""
    for path in ("~/things", "~/things/raw", "~/nothing", "/openapi.json"):
        headers = (await program.call("GET", path)).headers
        assert "script-src 'self';" in headers["Content-Security-Policy"]
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
        assert headers["X-Request-Id"]


@pytest.mark.parametrize(("language", "title"), [("ru", "Не найдено"), ("en", "Not found")])
async def test_a_stranger_reads_problems_in_their_language(
    web_things: Web, language: str, title: str
) -> None:
    """Accept-Language decides before a log-in."""
    stranger = await web_things.stranger()
    reply = await stranger.call("GET", "/nothing", headers={"Accept-Language": language})
    assert (reply.json["title"], reply.headers["Content-Language"]) == (title, language)


async def test_a_stranger_sends_little(web_things: Web) -> None:
    """Who is not logged in cannot fill the memory, nor send without end."""
    stranger = await web_things.stranger()
    kind = {"Content-Type": "application/json"}
    assert (await stranger.call("POST", "~/session", data=b" " * 20_000, headers=kind)).status == 413
    assert (await stranger.call("POST", "~/session", data=chunked(2000), headers=kind)).status == 400


# -- what is written down ------------------------------------------------------------------------------


async def test_the_unforeseen_is_told_by_its_id_only(program: Caller) -> None:
    """500 says nothing of the inside; the log has the trace under the same id."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        reply = await program.call("POST", "~/things", GOOD | {"name": "unforeseen"})
    assert reply.status == 500
    assert "9161234567" not in reply.text
    assert reply.json["error_id"] == reply.headers["X-Request-Id"]
    (failed,) = [line for line in lines if line["event"] == "request_failed"]
    assert (failed["error_id"], failed["exc_info"]) == (reply.json["error_id"], True)


async def test_a_line_of_the_log_holds_the_route_and_no_numbers(program: Caller) -> None:
    """Route, status, time and user; what was asked for stays out, also when it is wrong."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        for path in ("~/things?cursor=79161234567", "~/things/79161234567/x/y", "/79161234567"):
            await program.call("GET", path)
    told = [line for line in lines if line["event"] == "request"]
    assert [(line["route"], line["status"]) for line in told] == [
        ("/api/v1/things", 400),
        ("/api/v1/things/{number}/{key}/{word}", 404),
        ("unmatched", 404),
    ]
    assert program.user is not None
    assert {line["user_id"] for line in told} == {program.user.id}
    assert all(line["ms"] >= 0 and line["request_id"] for line in told)
    assert "79161234567" not in str(lines)


# -- the description -----------------------------------------------------------------------------------


async def test_the_api_describes_itself(web_things: Web) -> None:
    """The document is valid OpenAPI 3.1 and has every route."""
    stranger = await web_things.stranger()
    document = (await stranger.call("GET", "/openapi.json")).json
    OpenAPIV31SpecValidator(document).validate()
    operations = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert operations >= {(route.method.lower(), f"/api/v1{route.path}") for route in things}
    make_thing = document["paths"]["/api/v1/things"]["post"]
    assert set(make_thing["responses"]) >= {"201", "400", "401", "403", "409", "413", "415", "422"}
    assert document["components"]["schemas"]["Thing"]["additionalProperties"] is False
    assert document["paths"]["/api/v1/session"]["post"]["security"] == []


async def test_behind_a_proxy_cookies_are_secure(database: Database, database_url: str) -> None:
    """With an https address the cookie is bound to it by its name and its flags, and browsers are told to
    come by https."""
    settings = load(public_url="https://dialer.example.org")
    async with serving(database, database_url, settings=settings) as running:
        user = await running.user(Role.OPERATOR)
        stranger = await running.stranger()
        reply = await stranger.call(
            "POST",
            "~/session",
            {"login": user.login, "password": PASSWORD},
            headers={"Host": "dialer.example.org"},
        )
        cookie = reply.headers["Set-Cookie"]
        assert cookie.startswith("__Host-dozvon_session=")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
        assert "Strict-Transport-Security" in reply.headers


# -- pages ---------------------------------------------------------------------------------------------


async def error_page(_request: web.Request, error: DozvonError, title: str, detail: str) -> web.Response:
    """What the pages would draw."""
    return web.Response(status=error.status, text=f"<h1>{title}</h1>{detail}", content_type="text/html")


async def users_page(request: web.Request) -> web.Response:
    """A page for administrators."""
    return web.Response(text=page_actor(request, Right.USERS_EDIT).name + csrf_token(request))


async def test_pages_lead_to_the_log_in_and_tell_of_errors(database: Database, database_url: str) -> None:
    """A person gets the log-in page with the way back, and errors as pages; a program gets problems."""

    def pages(app: web.Application) -> None:
        app[ERROR_PAGE] = error_page
        app.router.add_get("/users", users_page)

    html = {"Accept": "text/html,*/*;q=0.8", "Accept-Language": "ru"}
    async with serving(database, database_url, pages=pages) as running:
        stranger = await running.stranger()
        away = await stranger.call("GET", "/users?page=2&q=a", headers=html)
        assert (away.status, away.headers["Location"]) == (303, "/login?next=/users?page%3D2%26q%3Da")
        assert (await stranger.call("GET", "/users")).json["type"] == "/problems/not-logged-in"
        lost = await stranger.call("GET", "/nothing", headers=html)
        assert (lost.status, lost.text) == (404, "<h1>Не найдено</h1>Не найдено: страница /nothing.")
        operator = await running.browser(Role.OPERATOR)
        assert (await operator.call("GET", "/users", headers=html)).status == 403
        admin = await running.browser(Role.ADMINISTRATOR)
        assert admin.user is not None
        shown = await admin.call("GET", "/users", headers=html)
        assert shown.text == admin.user.name + admin.headers["X-CSRF-Token"]
