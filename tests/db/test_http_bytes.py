"""Requests whose bytes are no text: refused as any wrong request, never an error of the server's own."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from support.web import Web, serving

from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.httpkit.forms import read_form

HOST = b"Host: 127.0.0.1\r\n"
URLENCODED = b"Content-Type: application/x-www-form-urlencoded\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=x\r\n"


async def told(site: Web, first: bytes, headers: bytes, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of the reply to a request that no client would write."""
    port = int(site.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    writer.write(first + b" HTTP/1.1\r\n" + headers + length + b"Connection: close\r\n\r\n" + body)
    async with asyncio.timeout(30):
        reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, rest = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


@pytest.mark.parametrize(
    ("first", "headers", "body", "status", "problem"),
    [
        (b"GET /api/v1/me", HOST + b"Authorization: Bearer dzv_\xff\xfe\r\n", b"", 401, "not-logged-in"),
        (b"GET /api/v1/me", HOST + b"Cookie: dozvon_session=\xff\xfe\r\n", b"", 401, "not-logged-in"),
        (b"GET /api/v1/me", b"Host: 127\x830.0.1\r\n", b"", 421, "wrong-host"),
        (b"POST /api/v1/session", HOST + b"Origin: http://[x\r\n", b"{}", 403, "bad-csrf-token"),
    ],
)
async def test_bytes_that_are_no_text_are_refused(
    site: Web, first: bytes, headers: bytes, body: bytes, status: int, problem: str
) -> None:
    """In a token, a cookie, a host's name, an origin: a problem document and no internal error."""
    found, said = await told(site, first, headers, body)
    assert (found, json.loads(said)["type"]) == (status, f"/problems/{problem}")


async def test_a_csrf_token_of_no_text_is_a_wrong_one(site: Web) -> None:
    """Of a person who is logged in: refused as any other that is wrong."""
    browser = await site.browser(Role.OPERATOR)
    (cookie,) = list(browser.http.cookie_jar)
    headers = HOST + f"Cookie: {cookie.key}={cookie.value}\r\n".encode() + b"X-CSRF-Token: \xff\xfe\r\n"
    found, said = await told(site, b"PATCH /api/v1/me", headers, b"{}")
    assert (found, json.loads(said)["type"]) == (403, "/problems/bad-csrf-token")


@pytest.mark.parametrize(
    "form",
    [
        FORM,
        b"Content-Type: multipart/form-data\r\n",
        b"Content-Type: application/x-www-form-urlencoded; charset=nobodys\r\n",
        b"Content-Type: application/x-www-form-urlencoded; charset=utf-16\r\n",
    ],
)
async def test_a_form_that_is_none_is_refused(database: Database, database_url: str, form: bytes) -> None:
    """Parts without their boundary, a charset that nobody knows, bytes that are not of it: status 400."""

    async def read(request: web.Request) -> web.Response:
        await read_form(request)
        return web.Response()

    def add(app: web.Application) -> None:
        app.router.add_post("/form", read)

    async with serving(database, database_url, pages=add) as site:
        assert (await told(site, b"POST /form", HOST + form, b'{"name": 1}\xd8'))[0] == 400
        assert (await told(site, b"POST /form", HOST + URLENCODED, b"a=b"))[0] == 200
