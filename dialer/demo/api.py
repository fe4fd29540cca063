"""The server's API as the demo and the bench use it: the way any program would."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from aiohttp import ClientSession, ClientTimeout, CookieJar

from dialer.errors import DozvonError

#: The stream of events never ends by itself; silence is broken by the server's pings.
_STREAM = ClientTimeout(total=None, sock_read=60)


class ApiRefused(DozvonError):
    """The API refused {method} {path}: {status} {problem}."""

    id = "api-refused"


@dataclass(slots=True)
class Event:
    """One server-sent event."""

    kind: str
    data: Mapping[str, Any]


class Api:
    """One person at the API: by a session from `log_in` on, or by an API token.

    `http`: connections shared by many with tokens; who made them closes them.
    """

    def __init__(self, url: str, *, token: str | None = None, http: ClientSession | None = None) -> None:
        self._url = f"{url}/api/v1"
        # Cookies of 127.0.0.1 are kept only when told so.
        self._http = http or ClientSession(cookie_jar=CookieJar(unsafe=True))
        self._shared = http is not None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._shared:
            await self._http.close()

    async def log_in(self, login: str, password: str) -> None:
        """Begin a session. Raises ApiRefused."""
        reply = await self.call("POST", "/session", {"login": login, "password": password})
        self._headers["X-CSRF-Token"] = reply["csrf_token"]

    async def call(
        self, method: str, path: str, body: object = None, *, data: bytes | None = None, type_: str = ""
    ) -> Any:
        """One request; its decoded reply. Raises ApiRefused."""
        headers = self._headers | ({"Content-Type": type_} if type_ else {})
        async with self._http.request(
            method, self._url + path, json=body, data=data, headers=headers
        ) as reply:
            text = await reply.text()
            if reply.status >= 400:
                problem = json.loads(text).get("detail", text) if text.startswith("{") else text
                raise ApiRefused(method=method, path=path, status=reply.status, problem=problem)
            return json.loads(text) if text else None

    async def events(self, query: str = "") -> AsyncIterator[Event]:
        """The stream of events, from now on, until the caller stops or the server ends it.

        The first is an `open` of ours: nothing that happens after it is missed. Raises ApiRefused.
        """
        async with self._http.get(
            f"{self._url}/events?{query}", headers=self._headers, timeout=_STREAM
        ) as reply:
            if reply.status >= 400:
                problem = await reply.text()
                raise ApiRefused(method="GET", path="/events", status=reply.status, problem=problem)
            yield Event("open", {})
            kind = ""
            async for raw in reply.content:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    yield Event(kind, json.loads(line[5:]))
