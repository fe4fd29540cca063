"""Agents who work through the API and do not give up: whatever falls, they come back and go on.

They remember each disposition that the server has acknowledged: none of those may be lost.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from aiohttp import ClientError

from dialer.clock import utc_now
from dialer.demo.api import Api, ApiRefused

log = structlog.get_logger(__name__)

CODES = ("sale", "interest", "refusal", "other")
#: Longest wait for a reply: a frozen server holds the connection and says nothing.
REPLY_S = 10.0
#: Between two tries to reach a server that is away: nothing tells when it is back.
AGAIN_S = 0.2
#: With no news for so long an agent looks at the own state.
LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Saved:
    """A disposition that the server has acknowledged (HTTP 2xx)."""

    code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shift:
    """Where an agent is, as the server told."""

    state: str
    attempt_id: str | None = None

    @classmethod
    def of(cls, agent: Mapping[str, Any]) -> Shift:
        """From the API's answer about the agent."""
        shift = agent["shift"]
        return cls(shift["state"], shift["attempt_id"]) if shift else cls("offline")


@dataclass(slots=True)
class Robot:
    """One agent; `run` until cancelled. It never falls."""

    url: str
    login: str
    password: str = field(repr=False)
    rng: random.Random
    #: mean length of a talk and of the wrap-up, seconds
    talk_s: float
    wrap_up_s: float
    #: Log-ins take their turn: a password costs the server a tenth of a second of its processor, and a
    #: crowd that gives up and comes again never gets in.
    turn: asyncio.Semaphore
    #: draws how long a wrap-up takes, seconds; None: even around `wrap_up_s`
    draw_wrap_up: Callable[[random.Random], float] | None = None
    #: how long each was to take, by attempt
    wrap_ups: dict[str, float] = field(default_factory=dict)
    #: takes calls; False: stays in a pause, or logged out, once there
    willing: bool = True
    #: set while it hears the server's events
    present: asyncio.Event = field(default_factory=asyncio.Event)
    #: the last that it knows
    shift: Shift = field(default_factory=lambda: Shift("offline"))
    #: by attempt
    saved: dict[str, Saved] = field(default_factory=dict)
    #: how often the server was lost, and how often it refused something
    losses: int = 0
    refusals: int = 0
    _logged_in: bool = False
    _codes: dict[str, str] = field(default_factory=dict)
    _talk: tuple[str, float] = ("", 0.0)

    async def run(self) -> None:
        """Work until cancelled."""
        async with Api(self.url) as api:
            while True:
                try:
                    if not self._logged_in:
                        async with self.turn, asyncio.timeout(3 * REPLY_S):
                            await api.log_in(self.login, self.password)
                        self._logged_in = True
                    await self._work(api)
                except ApiRefused as error:
                    self.refusals += 1
                    if error.details["status"] in (401, 403):
                        self._logged_in = False
                    log.info("robot_refused", login=self.login, reason=str(error))
                except (ClientError, OSError, TimeoutError) as error:
                    self.losses += 1
                    log.info("robot_lost_server", login=self.login, reason=repr(error))
                finally:
                    self.present.clear()
                await asyncio.sleep(AGAIN_S)

    async def _work(self, api: Api) -> None:
        news: asyncio.Queue[Shift | None] = asyncio.Queue()
        opened = asyncio.Event()
        listening = asyncio.create_task(self._listen(api, news, opened))
        listening.add_done_callback(lambda _task: news.put_nowait(None))
        try:
            # The stream first, then the look: what comes between is told twice, and never missed.
            opening = asyncio.create_task(opened.wait())
            await asyncio.wait({opening, listening}, timeout=REPLY_S, return_when=asyncio.FIRST_COMPLETED)
            opening.cancel()
            if not opened.is_set():
                raise ConnectionError("the stream of events did not open")
            self.shift = await self._look(api)
            self.present.set()
            while True:
                try:
                    self.shift = await self._act(api, news)
                except ApiRefused as error:
                    if error.details["status"] in (401, 403):
                        raise
                    # The call ended in the same moment, or a part of the server is away.
                    self.refusals += 1
                    self.shift = await self._news(news, 0.3) or await self._look(api)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _act(self, api: Api, news: asyncio.Queue[Shift | None]) -> Shift:
        match self.shift:
            case Shift("offline") if self.willing:
                return Shift.of(await self._call(api, "POST", "/agents/me/login"))
            case Shift("paused") if self.willing:
                return Shift.of(await self._call(api, "POST", "/agents/me/ready"))
            case Shift("talking", str(attempt)):
                if (heard := await self._news(news, self._left(attempt))) is not None:
                    return heard
                await self._call(api, "POST", f"/calls/{attempt}/hangup")
            case Shift("wrap_up", str(attempt)):
                await asyncio.sleep(self._wrap_up(attempt))
                code = self._codes.setdefault(attempt, self.rng.choice(CODES))
                await self._call(api, "PUT", f"/calls/{attempt}/disposition", {"code": code})
                self.saved[attempt] = Saved(code, utc_now())
        return await self._news(news, LOOK_S) or await self._look(api)

    def _left(self, attempt: str) -> float:
        """Seconds that the talk still takes; drawn once for each."""
        now = asyncio.get_running_loop().time()
        if self._talk[0] != attempt:
            self._talk = (attempt, now + self.rng.uniform(0.3, 1.7) * self.talk_s)
        return max(0.0, self._talk[1] - now)

    def _wrap_up(self, attempt: str) -> float:
        """Seconds that the wrap-up takes; drawn once for each."""
        if attempt not in self.wrap_ups:
            draw = self.draw_wrap_up
            drawn = draw(self.rng) if draw else self.rng.uniform(0.5, 1.5) * self.wrap_up_s
            self.wrap_ups[attempt] = drawn
        return self.wrap_ups[attempt]

    async def _look(self, api: Api) -> Shift:
        return Shift.of(await self._call(api, "GET", "/agents/me"))

    async def _call(self, api: Api, method: str, path: str, body: object = None) -> Any:
        async with asyncio.timeout(REPLY_S):
            return await api.call(method, path, body)

    async def _news(self, news: asyncio.Queue[Shift | None], within_s: float) -> Shift | None:
        """The newest state that the server told; None when it told none in that time."""
        heard: list[Shift | None] = []
        try:
            async with asyncio.timeout(within_s):
                heard.append(await news.get())
        except TimeoutError:
            return None
        while not news.empty():
            heard.append(news.get_nowait())
        if None in heard:
            raise ConnectionError("the stream of events has ended")
        return heard[-1]

    async def _listen(self, api: Api, news: asyncio.Queue[Shift | None], opened: asyncio.Event) -> None:
        async for event in api.events("agent=me"):
            if event.kind == "open":
                opened.set()
            elif event.kind == "agent.state":
                payload = event.data["payload"]
                news.put_nowait(Shift(payload["state"], payload["attempt_id"]))


class Robots:
    """The agents of a site."""

    def __init__(self, robots: Sequence[Robot]) -> None:
        self.robots = list(robots)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Set all to work."""
        self._tasks += [asyncio.create_task(robot.run(), name=robot.login) for robot in self.robots]

    async def stop(self) -> None:
        """End all, in the middle of whatever they do: nobody logs out."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def check(self) -> None:
        """Raise what one fell over: a mistake of the bench's own."""
        for task in self._tasks:
            if task.done():
                task.result()

    @property
    def present(self) -> bool:
        """Whether every one hears the server."""
        return all(robot.present.is_set() for robot in self.robots)

    def saved(self) -> dict[str, Saved]:
        """Every acknowledged disposition, by attempt."""
        return {attempt: saved for robot in self.robots for attempt, saved in robot.saved.items()}
