"""What every request meets before its handler, on a real port: doors, types, limits, keys, problems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import Field
from sqlalchemy import text
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from support.web import PASSWORD, Caller, Web, serving

from dialer.db.session import Database
from dialer.errors import AsteriskUnavailable, Conflict, DatabaseUnavailable, DozvonError
from dialer.httpkit.access import Right, Role
from dialer.httpkit.identity import csrf_token, page_actor
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.problems import ERROR_PAGE
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out
from dialer.settings import load

things = Routes("things")
DONE = web.AppKey("done", list)
GATE = web.AppKey("gate", asyncio.Event)


class Thing(In):
    name: str = Field(min_length=2)
    size: int
    when: datetime | None = None


class ThingOut(Out):
    number: int
    name: str


class Filter(PageQuery):
    tag: list[str] = Field(default_factory=list)


@things.post("/things", right=Right.CAMPAIGNS_EDIT, status=201)
async def make(call: Call, body: Thing) -> ThingOut:
    """Make a thing."""
    done = call.app[DONE]
    done.append(body.name)
    if body.name == "refused":
        raise Conflict(reason="no more things")
    if body.name == "broken":
        raise AsteriskUnavailable(reason="a test")
    if body.name == "in doubt":
        raise DatabaseUnavailable(reason="a test")
    if body.name == "unforeseen":
        raise RuntimeError("+79161234567")
    if body.name == "slow":
        await call.app[GATE].wait()
    return ThingOut(number=len(done), name=body.name)


@things.get("/things")
async def fetch(call: Call, query: Filter) -> Page[ThingOut]:
    """Things by number."""
    after = decode(query.cursor, int)
    first = after[0] + 1 if after else 0
    found = [ThingOut(number=n, name=",".join(query.tag)) for n in range(first, 5)][: query.limit + 1]
    page, following = cut(found, query.limit, lambda row: (row.number,))
    return Page[ThingOut](items=page, next=following)


@things.get("/things/{number}/{key}/{word}")
async def one(call: Call, number: int, key: UUID, word: str) -> ThingOut:
    """One thing."""
    return ThingOut(number=number, name=f"{key}{word}")


@things.post("/things/empty")
async def empty(call: Call) -> None:
    """Nothing comes, nothing goes."""


@things.post("/things/file", accepts="text/csv", body_limit=1000)
async def upload(call: Call) -> ThingOut:
    """Take a file."""
    return ThingOut(number=sum([len(chunk) async for chunk in call.chunks()]), name="file")


@things.get("/things/raw", raw="text/csv")
async def raw(call: Call) -> web.Response:
    """Give a file."""
    return web.Response(text="a,b\n", content_type="text/csv")


@pytest.fixture
async def web_things(database: Database, database_url: str) -> AsyncIterator[Web]:
    """A web process that has things."""
    services: dict[web.AppKey[Any], Any] = {DONE: [], GATE: asyncio.Event()}
    async with serving(database, database_url, tables=[things], services=services) as running:
        running.stack.callback(services[GATE].set)
        yield running


@pytest.fixture
async def program(web_things: Web) -> Caller:
    """A program with a supervisor's token."""
    return await web_things.program(Role.SUPERVISOR)


GOOD: dict[str, object] = {"name": "thing", "size": 1}
KEY = UUID("0190a5b0-0000-7000-8000-000000000000")

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


# -- CSRF ----------------------------------------------------------------------------------------------


async def test_a_session_changes_nothing_without_its_token(web_things: Web) -> None:
    """No token, a wrong one, another session's: refused. Its own, in the header or in a form: not."""
    browser = await web_things.browser(Role.SUPERVISOR)
    other = await web_things.browser(Role.SUPERVISOR)
    mine = browser.headers.pop("X-CSRF-Token")
    for headers in (
        {},
        {"X-CSRF-Token": "x"},
        {"X-CSRF-Token": other.headers["X-CSRF-Token"]},
        {"X-CSRF-Token": "я"},
    ):
        reply = await browser.call("POST", "~/things", GOOD, headers=headers)
        assert (reply.status, reply.json["type"]) == (403, "/problems/bad-csrf-token")
    assert (await browser.call("POST", "~/things", GOOD, headers={"X-CSRF-Token": mine})).status == 201
    # A form passes this door (and is then refused by the route, which takes JSON).
    assert (await browser.call("POST", "~/things", data={"csrf_token": "x"})).status == 403
    assert (await browser.call("POST", "~/things", data={"csrf_token": mine})).status == 415


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


async def test_another_site_cannot_even_log_somebody_in(web_things: Web) -> None:
    """Before there is a token the browser's own word on the origin counts."""
    for headers in FOREIGN:
        stranger = await web_things.stranger()
        body = {"login": "a", "password": "b"}
        assert (await stranger.call("POST", "~/session", body, headers=headers)).status == 403
        assert (
            await stranger.call("POST", "~/session", body, headers={"Origin": web_things.url})
        ).status == 401


async def test_a_stranger_sends_little(web_things: Web) -> None:
    """Who is not logged in cannot fill the memory, nor send without end."""
    stranger = await web_things.stranger()
    kind = {"Content-Type": "application/json"}
    assert (await stranger.call("POST", "~/session", data=b" " * 20_000, headers=kind)).status == 413
    assert (await stranger.call("POST", "~/session", data=chunked(2000), headers=kind)).status == 400


# -- Idempotency-Key -----------------------------------------------------------------------------------


async def test_a_repeated_post_is_done_once(web_things: Web, program: Caller) -> None:
    """The same key and body: the same reply, marked, and no second thing."""
    key = {"Idempotency-Key": "k1"}
    first = await program.call("POST", "~/things", GOOD, headers=key)
    again = await program.call("POST", "~/things", GOOD, headers=key)
    assert (again.status, again.json) == (first.status, first.json) == (201, {"number": 1, "name": "thing"})
    assert ("Idempotent-Replayed" in first.headers, "Idempotent-Replayed" in again.headers) == (False, True)


async def test_a_key_is_good_for_one_request(program: Caller) -> None:
    """Another body, or another path, with the same key is refused."""
    key = {"Idempotency-Key": "k1"}
    await program.call("POST", "~/things", GOOD, headers=key)
    for path, body in (("~/things", GOOD | {"size": 2}), ("~/things/empty", None)):
        reply = await program.call("POST", path, body, headers=key)
        assert (reply.status, reply.json["type"]) == (422, "/problems/idempotency-key-reused")


async def test_a_refusal_is_repeated_and_a_failure_is_not(program: Caller) -> None:
    """409 stays the answer of its key; 503 frees the key, so that the repetition works."""
    done = 0
    for name, status, works in (("refused", 409, 1), ("broken", 503, 2), ("unforeseen", 500, 2)):
        body, key = GOOD | {"name": name}, {"Idempotency-Key": name}
        replies = [await program.call("POST", "~/things", body, headers=key) for _ in range(2)]
        assert [reply.status for reply in replies] == [status, status]
        done += works + 1
        assert (await program.call("POST", "~/things", GOOD)).json["number"] == done


async def test_what_the_database_may_have_taken_is_not_done_again(program: Caller, web_things: Web) -> None:
    """The database went away in the work, perhaps after its commit: the key stays taken."""
    body, key = GOOD | {"name": "in doubt"}, {"Idempotency-Key": "k1"}
    first, again = [await program.call("POST", "~/things", body, headers=key) for _ in range(2)]
    assert (first.status, first.headers["Retry-After"]) == (503, "2")
    assert (again.status, again.json["type"]) == (409, "/problems/still-at-work")
    assert web_things.app[DONE] == ["in doubt"]


async def test_of_two_at_once_one_works(program: Caller, web_things: Web) -> None:
    """The second is told that the first is still at work."""
    key = {"Idempotency-Key": "k1"}
    body = GOOD | {"name": "slow"}
    tasks = [asyncio.create_task(program.call("POST", "~/things", body, headers=key)) for _ in range(2)]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    (refused,) = [task.result() for task in done]
    assert (refused.status, refused.json["type"]) == (409, "/problems/still-at-work")


async def test_keys_are_ones_own(program: Caller, web_things: Web) -> None:
    """Two users may choose the same key."""
    other = await web_things.program(Role.SUPERVISOR)
    key = {"Idempotency-Key": "k1"}
    numbers = [
        (await one.call("POST", "~/things", GOOD, headers=key)).json["number"] for one in (program, other)
    ]
    assert numbers == [1, 2]


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_has_a_form(program: Caller, key: str) -> None:
    """An empty or endless key is refused."""
    assert (await program.call("POST", "~/things", GOOD, headers={"Idempotency-Key": key})).status == 400


async def test_old_keys_are_forgotten(program: Caller, database: Database) -> None:
    """A day later the key is free."""
    from dialer.httpkit.idempotency import forget_old

    key = {"Idempotency-Key": "k1"}
    await program.call("POST", "~/things", GOOD, headers=key)
    async with database.tenant(1) as conn:
        await forget_old(conn)
        assert await conn.scalar(text("SELECT count(*) FROM idempotency")) == 1
        await conn.execute(text("UPDATE idempotency SET created_at = now() - interval '25 hours'"))
        await forget_old(conn)
        assert await conn.scalar(text("SELECT count(*) FROM idempotency")) == 0


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
