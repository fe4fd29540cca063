"""Sends a file that is somewhere else through us, whole or the part that was asked for (RFC 9110, Range)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web

#: Gives the bytes from one place to before another, in pieces.
Read = Callable[[int, int], AsyncIterator[bytes]]


async def send_part(
    request: web.Request, size: int, read: Read, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Send the part of a file of `size` bytes that the request asks for. What `read` raises before the first
    piece is raised; a file that breaks off later ends the connection."""
    begin, end, status = 0, size, 200
    try:
        asked = request.http_range
    except ValueError:  # no range that we know: the whole is right
        asked = slice(None, None, 1)
    if asked.start is not None or asked.stop is not None:
        begin, end, _ = asked.indices(size)
        status = 206
        if begin >= end:
            told = {**headers, "Content-Range": f"bytes */{size}"}
            return web.Response(status=416, headers=told)
    reply = web.StreamResponse(status=status, headers={**headers, "Accept-Ranges": "bytes"})
    reply.content_length = end - begin
    if status == 206:
        reply.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    if request.method == "HEAD" or begin == end:
        await reply.prepare(request)
        return reply
    pieces = read(begin, end)
    first = await anext(pieces)
    await reply.prepare(request)
    await reply.write(first)
    async for piece in pieces:
        await reply.write(piece)
    await reply.write_eof()
    return reply
