"""What the agents of the bench do, all of them in one place: be ready, and save a disposition for each talk.

They work through the API as agents' screens do, each with its own token; what happens they learn from one
stream of events, a supervisor's. Two hundred streams are a row of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import structlog
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from dialer.errors import DozvonError

log = structlog.get_logger(__name__)

_STREAM = ClientTimeout(total=None, sock_read=60)


class Refused(DozvonError):
    """The API refused {method} {path}: {status} {problem}."""

    id = "bench-refused"


@dataclass(slots=True)
class Worker:
    """An agent and the token by which it works."""

    agent_id: int
    token: str = field(repr=False)
    state: str = "offline"


@dataclass(slots=True)
class Hands:
    """The agents. Use it as a context: the stream is open inside."""

    url: str
    supervisor_token: str = field(repr=False)
    workers: dict[int, Worker] = field(default_factory=dict)
    #: dispositions that the API has acknowledged
    disposed: int = 0
    #: phones that were lost while at work
    lost: int = 0
    _http: ClientSession | None = field(default=None, init=False)
    _listening: asyncio.Task[None] | None = field(default=None, init=False)
    _doing: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __aenter__(self) -> Hands:
        self._http = ClientSession(connector=TCPConnector(limit=64))
        opened = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(opened))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait({waiting, self._listening}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._listening.done():
            await self._listening
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._doing, *([self._listening] if self._listening else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert self._http is not None
        await self._http.close()

    async def log_in(self, workers: Mapping[int, Worker], within_s: float) -> None:
        """Log these agents in and make them ready. Raises Refused, TimeoutError."""
        self.workers.update(workers)
        for worker in workers.values():
            await self.call(worker.token, "POST", "/agents/me/login")
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(
                lambda: all(
                    worker.state not in ("offline", "calling", "paused") for worker in workers.values()
                )
            )

    async def call(self, token: str, method: str, path: str, body: object = None) -> Any:
        """One request; its decoded reply. Raises Refused."""
        assert self._http is not None
        async with self._http.request(
            method, f"{self.url}/api/v1{path}", json=body, headers={"Authorization": f"Bearer {token}"}
        ) as reply:
            text = await reply.text()
            if reply.status >= 400:
                raise Refused(method=method, path=path, status=reply.status, problem=text[:300])
            return json.loads(text) if text else None

    def check(self) -> None:
        """Raise what made the stream end, if it has ended."""
        if self._listening is not None and self._listening.done():
            self._listening.result()
            raise Refused(method="GET", path="/events", status=200, problem="the stream has ended")

    # -- what happens --------------------------------------------------------------------------------------

    async def _listen(self, opened: asyncio.Event) -> None:
        async for kind, event in self._events(opened):
            if kind == "agent.state":
                payload = event["payload"]
                worker = self.workers.get(payload["agent_id"])
                if worker is not None:
                    worker.state = payload["state"]
                    self._act(worker, payload)
                    async with self._changed:
                        self._changed.notify_all()

    async def _events(self, opened: asyncio.Event) -> AsyncIterator[tuple[str, Any]]:
        assert self._http is not None
        headers = {"Authorization": f"Bearer {self.supervisor_token}"}
        async with self._http.get(f"{self.url}/api/v1/events", headers=headers, timeout=_STREAM) as reply:
            opened.set()
            kind = ""
            async for raw in reply.content:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    yield kind, json.loads(line[5:])

    def _act(self, worker: Worker, payload: Mapping[str, Any]) -> None:
        match payload["state"]:
            case "paused":
                self._do(self._ready(worker))
            case "wrap_up" if payload["attempt_id"]:
                self._do(self._dispose(worker, payload["attempt_id"]))
            case "lost":
                self.lost += 1

    def _do(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _ready(self, worker: Worker) -> None:
        try:
            await self.call(worker.token, "POST", "/agents/me/ready")
        except Refused as error:
            log.warning("not_ready", reason=str(error))

    async def _dispose(self, worker: Worker, attempt_id: str) -> None:
        try:
            await self.call(worker.token, "PUT", f"/calls/{attempt_id}/disposition", {"code": "sale"})
        except Refused as error:
            log.warning("not_disposed", reason=str(error))
        else:
            self.disposed += 1
