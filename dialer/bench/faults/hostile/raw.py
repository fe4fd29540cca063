"""Requests that no client of ours would send, on bare sockets: torn, endless, huge, doubled, of wrong
types, under paths that lead elsewhere; by strangers and by people who are logged in.

Whatever comes back is no 5xx and comes within its time; the process lives, holds no connection of them for
ever, and a plain request is answered while they hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from dialer.bench.faults.hostile import texts
from dialer.bench.faults.hostile.block import Block
from dialer.bench.faults.hostile.floor import Floor
from dialer.bench.site import patience
from dialer.httpkit.access import Role

#: Connections at once, and how many more say nothing or too little all the while (slow loris).
AT_ONCE: Final = 12
LORIS: Final = 40
ANSWER_S: Final = 15.0
#: How long one that is not whole is listened to, seconds.
HEARS_S: Final = 0.3
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")

PATHS: Final = (
    "/", "/login", "/campaigns", "/calls", "/lists", "/lists/1", "/status", "/metrics", "/healthz",
    "/openapi.json",
    "/static/app.css", "/api/v1/calls", "/api/v1/campaigns", "/api/v1/lists/1/imports", "/api/v1/session",
    "/api/v1/users", "/api/v1/trunks", "/api/v1/me", "/api/v1/contacts", "/api/v1/figures", "/api/v1/audit",
    "/api/v1/calls.csv", "/api/v1/campaigns/1/leads",
)  # fmt: skip
TRICKS: Final = (
    "/static/..%2f..%2fapp.py", "/static/../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd",
    "//evil.example/",
    "/%00", "/%ff%fe", "/api/v1/../../login", "/api/v1//calls", "/api/v1/calls/%0d%0aX:1",
    "/api/v1/calls/" + "9" * 400,
    "/api/v1/campaigns/99999999999999999999", "/api/v1/campaigns/-1", "/api/v1/campaigns/1e3",
    "/login?next=//evil",
    "/login?next=/%5cevil", "/login?next=javascript:1", "/calls?" + "a=b&" * 3_000,
    "/calls?from=" + "9" * 5_000,
    "/calls?cursor=" + "A" * 7_000, "/lists/1?cursor=%00", "http://evil.example/calls", "*",
    "/" + "a" * 12_000,
    "/api/v1/calls?number=%F0%9F%92%A9", "/api/v1/contacts?list_id=%D9%A1", "/api/v1/figures?group=%00",
    "/;x=y", "/~",
    "/static/app.css/..%5c..%5c", "/campaigns/1/..;/users", "/api/v1/calls?from=0000-00-00", "/%2e%2e%2f",
)  # fmt: skip


#: Bodies that are no right JSON, or too right.
BODIES: Final = (
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"name":"a","name":"b"}',
    b'{"limit":' + b"9" * 5_000 + b"}",
    b'{"name":NaN,"ratio":Infinity,"priority":-Infinity}',
    b'{"name":"\xff\xfe\x80"}',
    b'{"name":"\\ud800","login":"\\u0000"}',
    b'{"ratio":1e999999,"max_cps":1e-400,"priority":1.0}',
    json.dumps(
        {"name": "x", "trunks": [2**70], "retries": {"results": {"busy": {"after_s": 10**30}}}}
    ).encode("utf-16"),
    b'{"__proto__":{"x":1},"name":{"$ne":null},"constructor":[]}',
)


def bodies(dice: random.Random) -> bytes:
    """One of those, one with hostile texts in it, or bytes of chance."""
    name = texts.sendable(texts.hostile(dice, "x"))
    told = dice.choice(
        (
            {"name": name, "login": name, "password": name, "role": name, "mode": name},
            [{"name": name}] * 50,
            {name: name, "items": [{"code": name}] * 200},
            {"name": name, "number": "+79161234567", "campaign_id": 1},
        )
    )
    data = json.dumps(told).encode()
    spoilt = (b"\xef\xbb\xbf" + data, texts.noise(dice, 3_000), texts.mutated(dice, data))
    return dice.choice((dice.choice(BODIES), dice.choice(BODIES), data, *spoilt))


def request(dice: random.Random, headers: tuple[str, ...]) -> tuple[bytes, bool]:
    """One request as bytes, and whether it is whole, so that an answer is owed."""
    method = dice.choice(
        ("GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "X" * 40)
    )
    path = dice.choice(PATHS if dice.random() < 0.6 else TRICKS)
    body = bodies(dice) if method in ("POST", "PUT", "PATCH") or dice.random() < 0.1 else b""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if body or method in ("POST", "PUT", "PATCH"):
        kind = dice.choice(
            ("application/json", "application/json", "application/json; charset=utf-16", "text/csv",
            "text/plain", "",
             "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data",
             "a/b/c;;=")
        )  # fmt: skip
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    way = dice.random()
    if way < 0.06:
        lines += [f"X-{n}: {n}" for n in range(dice.choice((200, 2_000)))]
    elif way < 0.1:
        lines.append("X: " + "A" * dice.choice((9_000, 200_000)))
    elif way < 0.14:
        lines += ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]
    elif way < 0.2:
        lines.append("Cookie: dozvon_session=" + texts.sendable(texts.hostile(dice, "x")).replace("\n", " "))
    elif way < 0.26:
        lines.append(
            dice.choice(
                ("Authorization: Bearer ", "Authorization: Basic Og==", "Authorization: Bearer " + "A" * 500)
            )
        )
    elif way < 0.3:
        lines[1] = dice.choice(
            ("Host: evil.example", "Host: ", "Host: 127.0.0.1:x", "Host: [::1%x]", "Host: a b", "X: y")
        )
    elif way < 0.34:
        lines.append("Expect: " + dice.choice(("100-continue", "nothing")))
    elif way < 0.38:
        lines += [
            "Range: bytes=" + "0-1," * 500 + "5-",
            "If-None-Match: " + '"x",' * 100,
            "Last-Event-ID: " + "9" * 40,
        ]
    elif way < 0.42:
        lines.append(
            "Accept-Language: " + dice.choice(("ru;q=x", "*" * 500, "ru;q=NaN, en;q=1e99", "\xff", ",,;;=="))
        )
    elif way < 0.46:
        lines.append("Idempotency-Key: " + dice.choice(("", "A" * 3_000, "\xe9", "a b", "'")))
    made = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1", "replace") + body
    if dice.random() < 0.35:
        return texts.mutated(dice, made), False
    # Two lengths, or a method that opens a tunnel: what follows is the other side's to say.
    return made, method != "CONNECT" and "Transfer-Encoding: chunked" not in lines


async def run(block: Block, floor: Floor) -> None:
    """A block of them."""
    since = floor.site.mark()
    role = block.dice.choice((None, Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR))
    headers: tuple[str, ...] = (f"Authorization: Bearer {await floor.token(role)}",) if role else ()
    before = floor.site.web.files()
    port = floor.site.settings.http_port
    async with _loris(block, port):
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(seed: int) -> None:
            dice = random.Random(seed)  # noqa: S311 - to be made again
            data, whole = request(dice, headers)
            async with gate:
                await _exchange(block, port, texts.torn(dice, data, 3), whole=whole)

        count = block.size(400, 60)
        await asyncio.gather(*(one(block.dice.getrandbits(48)) for _ in range(count)))
        block.took("http_raw", count)
        await _huge(block, floor, headers)
        if not await _plain(floor):
            block.harm("HTTP: a plain request is not answered while others hang")
    await floor.holds(block, since)
    left = floor.site.web.files() - before
    if left > LORIS:
        block.harm(f"HTTP: the web process holds {left} descriptors more than before")


async def _exchange(block: Block, port: int, pieces: list[bytes], *, whole: bool) -> None:
    """Send one request; harm for a 5xx, and for no answer where one is owed."""
    heard = b""
    data = b"".join(pieces)
    # One that was cut short waits for its rest, and is owed nothing.
    seconds = patience(ANSWER_S) if whole else HEARS_S
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                while len(heard) < 4_096 and (got := await reader.read(4_096)):
                    heard += got
            finally:
                writer.transport.abort()
    except TimeoutError:
        if whole:
            block.harm(f"HTTP: no answer to {data[:150]!r}, heard {heard[:60]!r}")
    except OSError:
        pass  # thrown out, which is an answer
    found = _STATUS.match(heard)
    block.figures["http_answers"] = block.figures.get("http_answers", 0) + (found is not None)
    if found and int(found[1]) >= 500:
        block.harm(f"HTTP: {found[1].decode()} to {data[:200]!r}: {heard[-200:]!r}")


async def _huge(block: Block, floor: Floor, headers: tuple[str, ...]) -> None:
    """Bodies and fields of 10 MB and more."""
    given = dict(line.split(": ", 1) for line in headers)
    body = block.dice.choice(
        (b'{"name":"' + b"A" * 10_000_000 + b'"}', b" " * 20_000_000, b'{"name":"' + b"\xff" * 10_000_000)
    )
    path = block.dice.choice(
        ("/api/v1/campaigns", "/api/v1/session", "/login", "/api/v1/users", "/api/v1/calls")
    )
    async with ClientSession(timeout=ClientTimeout(total=patience(60))) as http:
        try:
            async with http.post(
                floor.site.url + path, data=body, headers={"Content-Type": "application/json", **given}
            ) as reply:
                if reply.status >= 500:
                    block.harm(f"HTTP: {reply.status} to {len(body)} bytes at {path}")
        except ClientError:
            pass  # it closes before all of it is sent, as it may
        except TimeoutError:
            block.harm(f"HTTP: no answer to {len(body)} bytes at {path}")
    block.took("http_huge")


@contextlib.asynccontextmanager
async def _loris(block: Block, port: int) -> AsyncIterator[None]:
    """Connections that say a little and then nothing, held while the block runs."""
    held = []
    for n in range(block.size(LORIS, 10)):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            start = b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            writer.write((b"", b"G", start, start + b"Content-Length: 900\r\n\r\n{")[n % 4])
            held.append(writer)
    block.took("http_loris", len(held))
    try:
        yield
    finally:
        for writer in held:
            writer.transport.abort()


async def _plain(floor: Floor) -> bool:
    async with ClientSession(timeout=ClientTimeout(total=patience(10))) as http:
        try:
            async with http.get(f"{floor.site.url}/login") as reply:
                return reply.status == 200 and "password" in await reply.text()
        except (ClientError, TimeoutError):
            return False
