"""Asks a host of the tenant's list, and no other address than the host's own.

A name is resolved once, by us, and the connection goes to what was found then: a name that stands for another
address a moment later (DNS rebinding) leads nowhere else. Nothing but the URL, the body and the host's header
goes out; no cookies, no proxy of the machine's, no redirects to hosts that are not in the list.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from aiohttp import ClientError, ClientResponse, ClientSession, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from dialer.hosts.model import Address, Host, entry_for, may_connect
from ivr_flows import hosts

#: The longest reply that is read, bytes.
MOST_REPLY: Final = 256 * 1024
#: Redirects that are followed, within the list.
MOST_REDIRECTS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
#: Those after which a POST stays one.
_SAME_METHOD: Final = frozenset({307, 308})


class NotAsked(Exception):
    """Why there is no reply, in words for the log."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server has said."""

    status: int
    #: the JSON that it sent; None: nothing, or no JSON
    document: Any


class Resolver(AbstractResolver):
    """Finds the addresses of a name, and gives out those that a request may go to."""

    def __init__(self, *, inside: bool) -> None:
        self._inside = inside

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError where there is none, NotAsked where none is left."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        usable: list[ResolveResult] = []
        for its_family, _, proto, _, address in found:
            where = str(address[0])
            if may_connect(_address(where), inside=self._inside):
                flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
                usable.append(
                    ResolveResult(
                        hostname=host,
                        host=where,
                        port=port,
                        family=its_family,
                        proto=proto,
                        flags=flags,
                    )
                )
        if not usable:
            raise NotAsked(f"{host} stands for an address inside of a network, and is not listed as inside")
        return usable

    async def close(self) -> None:
        """Nothing is held."""


async def ask(
    entries: Sequence[Host], method: str, url: str, body: Mapping[str, Any] | None, timeout_s: float
) -> Reply:
    """Send a request, with the body as JSON, and read the reply; all of it within `timeout_s`.

    `entries`: the tenant's list. Raises NotAsked.
    """
    try:
        async with asyncio.timeout(timeout_s):
            for _ in range(MOST_REDIRECTS + 1):
                answer = await _once(entries, method, url, body)
                if isinstance(answer, Reply):
                    return answer
                url, same = answer
                if not same:
                    method, body = "GET", None
            raise NotAsked(f"{MOST_REDIRECTS} redirects led to another")
    except TimeoutError:
        raise NotAsked(f"no reply within {timeout_s:g} s") from None
    except (
        OSError
    ) as error:  # of the connection; what others say may hold the URL, with what callers keyed in
        raise NotAsked(str(error)) from error
    except (ClientError, ValueError) as error:
        raise NotAsked(type(error).__name__) from error


async def _once(
    entries: Sequence[Host], method: str, url: str, body: Mapping[str, Any] | None
) -> Reply | tuple[str, bool]:
    """The reply; or where it sends us, and whether with the same method."""
    entry, target = entry_for(url, entries), URL(url, encoded=True)
    host, port = hosts.host_of(url) if entry is not None else ("", 0)
    # A third reader of the URL: the one that connects.
    if entry is None or (target.host, target.port) != (host, port):
        raise NotAsked("the host is not in the list of allowed hosts")
    if (literal := _literal(host)) is not None and not may_connect(literal, inside=entry.inside):
        raise NotAsked(f"{host} is an address inside of a network, and is not listed as inside")
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Dozvon"}
    if entry.header:
        headers[entry.header] = entry.secret
    connector = TCPConnector(resolver=Resolver(inside=entry.inside), use_dns_cache=False, force_close=True)
    async with (
        ClientSession(connector=connector, cookie_jar=DummyCookieJar(), auto_decompress=False) as http,
        http.request(method, target, json=body, headers=headers, allow_redirects=False) as reply,
    ):
        if reply.status in _REDIRECTS and (to := reply.headers.get("Location")):
            return urljoin(url, to), reply.status in _SAME_METHOD
        return Reply(reply.status, await _document(reply))


async def _document(reply: ClientResponse) -> Any:
    """The JSON of a reply; None: it has none. Raises NotAsked where it is too long."""
    read = bytearray()
    async for piece in reply.content.iter_any():
        read += piece
        if len(read) > MOST_REPLY:
            raise NotAsked(f"the reply is longer than {MOST_REPLY} bytes")
    try:
        return json.loads(read)
    except (ValueError, RecursionError):
        return None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])
