"""What the agents of the bench do, all of them in one place: be ready, and save a disposition for each talk.

They work through the API as agents' screens do, each with its own token; what happens they learn from one
stream of events, a supervisor's. Two hundred streams are a row of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import structlog
from aiohttp import ClientSession, TCPConnector

from dialer.demo.api import Api, ApiRefused

log = structlog.get_logger(__name__)


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
        """Log these agents in and make them ready. Raises ApiRefused, TimeoutError."""
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
        """One request; its decoded reply. Raises ApiRefused."""
        return await self._api(token).call(method, path, body)

    def _api(self, token: str) -> Api:
        assert self._http is not None
        return Api(self.url, token=token, http=self._http)

    def check(self) -> None:
        """Raise what made the stream end, if it has ended."""
        if self._listening is not None and self._listening.done():
            self._listening.result()
            raise ApiRefused(method="GET", path="/events", status=200, problem="the stream has ended")

    # -- what happens --------------------------------------------------------------------------------------

    async def _listen(self, opened: asyncio.Event) -> None:
        async for event in self._api(self.supervisor_token).events():
            if event.kind == "open":
                opened.set()
            elif event.kind == "agent.state":
                payload = event.data["payload"]
                worker = self.workers.get(payload["agent_id"])
                if worker is not None:
                    worker.state = payload["state"]
                    self._act(worker, payload)
                    async with self._changed:
                        self._changed.notify_all()

    def _act(self, worker: Worker, payload: Mapping[str, Any]) -> None:
        match payload["state"]:
            case "paused":
                self._do(self._ready(worker))
            case "wrap_up" if payload["attempt_id"]:
                self._do(self._dispose(worker, payload["attempt_id"]))

    def _do(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _ready(self, worker: Worker) -> None:
        try:
            await self.call(worker.token, "POST", "/agents/me/ready")
        except ApiRefused as error:
            log.warning("not_ready", reason=str(error))

    async def _dispose(self, worker: Worker, attempt_id: str) -> None:
        try:
            await self.call(worker.token, "PUT", f"/calls/{attempt_id}/disposition", {"code": "sale"})
        except ApiRefused as error:
            log.warning("not_disposed", reason=str(error))
