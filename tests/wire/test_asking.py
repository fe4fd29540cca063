"""Requests of flows to a real HTTP server: what goes out, what is taken, and what is refused."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web
from support.http_server import Server, server

from dialer.hosts import asking
from dialer.hosts.asking import MOST_REPLY, NotAsked, Reply, ask
from dialer.hosts.model import Host

__all__ = ["server"]


async def test_a_server_of_the_list_is_asked(server: Server) -> None:
    """By the URL as the flow has encoded it, with the body as JSON and the host's header; no cookies."""
    entries = [server.host(header="Authorization", secret="Bearer abc")]
    assert await ask(entries, "GET", f"{server.url}/a%2Fb?n=%2B7", None, 2) == Reply(200, {"balance": 12.5})
    await ask(entries, "POST", f"{server.url}/x", {"имя": "Анна"}, 2)
    (get, post) = server.asked
    assert get[:3] == ("GET", "/a%2Fb?n=%2B7", "")
    assert (post[0], post[2]) == ("POST", '{"\\u0438\\u043c\\u044f": "\\u0410\\u043d\\u043d\\u0430"}')
    assert get[3]["Authorization"] == "Bearer abc"
    assert "Cookie" not in get[3]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_our_own_network_is_asked_only_where_the_list_says_so(server: Server, name: str) -> None:
    """Whether the address is written or the name stands for it."""
    url = f"http://{name}:{server.port}/"
    with pytest.raises(NotAsked, match="inside"):
        await ask([server.host(inside=False, name=name)], "GET", url, None, 2)
    assert server.asked == []
    assert (await ask([server.host(name=name)], "GET", url, None, 2)).status == 200


async def test_a_host_that_is_not_listed_is_not_asked(server: Server) -> None:
    """Nor one at another port, nor by another name."""
    entries = [server.host(), Host(2, "example.org", inside=True, header="", secret="")]
    for url in (
        f"http://localhost:{server.port}/",
        "http://127.0.0.1/",
        f"{server.url}@example.com/",
        "file:///x",
    ):
        with pytest.raises(NotAsked, match="not in the list"):
            await ask(entries, "GET", url, None, 2)
    assert server.asked == []


async def test_the_name_is_resolved_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it stands for a moment later is not asked for."""
    answers = iter(["127.0.0.1", "169.254.169.254"])
    loop = asyncio.get_running_loop()

    async def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(loop, "getaddrinfo", found)
    url = f"http://crm.example:{server.port}/"
    entries = [server.host(name="crm.example")]
    assert (await ask(entries, "GET", url, None, 2)).status == 200
    with pytest.raises(NotAsked, match="inside"):  # the next request asks anew, and nobody is asked there
        await ask(entries, "GET", url, None, 2)


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (303, "GET"), (307, "POST")])
async def test_a_redirect_within_the_list_is_followed(server: Server, status: int, method: str) -> None:
    """With the method that HTTP says."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/a":
            return web.Response(status=status, headers={"Location": "/b"})
        return web.json_response([1])

    server.answer = answer
    assert await ask([server.host()], "POST", f"{server.url}/a", {"x": 1}, 2) == Reply(200, [1])
    assert server.asked[1][:3] == (method, "/b", '{"x": 1}' if method == "POST" else "")


@pytest.mark.parametrize(
    "to", ["http://localhost:{port}/", "//example.com/", "http://169.254.169.254/x", "/again"]
)
async def test_a_redirect_out_of_the_list_or_without_end_is_not_followed(server: Server, to: str) -> None:
    """The header of the one host goes to no other."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": to.format(port=server.port)})

    server.answer = answer
    with pytest.raises(NotAsked):
        await ask([server.host(header="Authorization", secret="x")], "GET", f"{server.url}/", None, 2)
    assert len(server.asked) == (asking.MOST_REDIRECTS + 1 if to == "/again" else 1)


async def test_a_reply_is_read_up_to_a_limit(server: Server) -> None:
    """Also one that says no length and never ends; packed ones are not unpacked."""

    async def endless(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        for _ in range(10 * MOST_REPLY // 65_536):
            await reply.write(b" " * 65_536)
        return reply

    server.answer = endless
    with pytest.raises(NotAsked, match="longer"):
        await ask([server.host()], "GET", f"{server.url}/", None, 5)

    async def packed(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    server.answer = packed
    assert await ask([server.host()], "GET", f"{server.url}/", None, 5) == Reply(200, None)
    assert server.asked[0][3]["Accept-Encoding"] == "identity"


async def test_a_server_that_is_slow_or_gone_is_given_up(server: Server) -> None:
    """In the time that the flow gives."""
    never = asyncio.Event()

    async def answer(_: web.Request) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    server.answer = answer
    with pytest.raises(NotAsked, match="within"):
        await ask([server.host()], "GET", f"{server.url}/", None, 0.3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        gone = Host(1, f"127.0.0.1:{port}", inside=True, header="", secret="")
        with pytest.raises(NotAsked):
            await ask([gone], "GET", f"http://127.0.0.1:{port}/", None, 2)


@pytest.mark.parametrize("text", ["", "hello", "{", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")])
async def test_what_is_no_json_is_nothing(server: Server, text: str | bytes) -> None:
    """And no error: many servers answer a word."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text if isinstance(text, bytes) else text.encode(), status=201)

    server.answer = answer
    assert await ask([server.host()], "GET", f"{server.url}/", None, 2) == Reply(201, None)
