"""The agents of the demo: they work through the API, as an agent's screen does.

Each logs in, has the phone called, is ready, talks as long as a drawn time says (or until the customer hangs
up), writes down what the talk came to, and is ready again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from dataclasses import dataclass, field

import structlog

from dialer.demo.api import Api, ApiRefused

log = structlog.get_logger(__name__)

#: What a talk comes to, with weights: about every fifth person who is reached makes an appointment.
_OUTCOMES = (
    ("sale", 22),
    ("interest", 14),
    ("callback", 16),
    ("refusal", 40),
    ("wrong-person", 5),
    ("other", 3),
)


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, seconds; drawn from lognormal laws."""

    talk_mean_s: float
    talk_cv: float
    wrap_up_mean_s: float
    wrap_up_cv: float

    def talk(self, rng: random.Random) -> float:
        """One talk."""
        return _lognormal(rng, self.talk_mean_s, self.talk_cv)

    def wrap_up(self, rng: random.Random) -> float:
        """One wrap-up."""
        return _lognormal(rng, self.wrap_up_mean_s, self.wrap_up_cv)


def _lognormal(rng: random.Random, mean: float, cv: float) -> float:
    sigma2 = math.log(1 + cv * cv)
    return rng.lognormvariate(math.log(mean) - sigma2 / 2, math.sqrt(sigma2))


@dataclass(slots=True)
class Robot:
    """One agent."""

    url: str
    login: str
    password: str = field(repr=False)
    times: Times
    rng: random.Random
    #: set while the agent's phone is up
    at_work: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Queue[tuple[str, str | None]] = field(default_factory=asyncio.Queue)

    async def run(self) -> None:
        """Work until cancelled."""
        async with Api(self.url) as api:
            await api.log_in(self.login, self.password)
            listening = asyncio.create_task(self._listen(api))
            try:
                state = (await api.call("POST", "/agents/me/login"))["shift"]
                if self._news.empty():  # else the phone was up before this reply came
                    self._news.put_nowait((state["state"], state["attempt_id"]))
                while True:
                    state, attempt = await self._news.get()
                    if not self._news.empty():
                        continue  # older than what we know already
                    await self._act(api, state, attempt)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def log_out(self) -> None:
        """End the shift."""
        async with Api(self.url) as api:
            await api.log_in(self.login, self.password)
            await api.call("POST", "/agents/me/logout")

    async def _act(self, api: Api, state: str, attempt: str | None) -> None:
        if state not in ("calling", "lost", "offline"):
            self.at_work.set()
        try:
            match state:
                case "paused":
                    await api.call("POST", "/agents/me/ready")
                case "talking" if attempt:
                    # Whatever comes first: the talk is said out, or the customer hangs up (news).
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self.times.talk(self.rng)):
                            self._news.put_nowait(await self._news.get())
                            return
                    await api.call("POST", f"/calls/{attempt}/hangup")
                case "wrap_up" if attempt:
                    await asyncio.sleep(self.times.wrap_up(self.rng))
                    codes, weights = zip(*_OUTCOMES, strict=True)
                    code = self.rng.choices(codes, weights)[0]
                    await api.call("PUT", f"/calls/{attempt}/disposition", {"code": code})
        except ApiRefused as error:
            # The call ended in the same moment: the news of that is on its way.
            log.info("robot_refused", login=self.login, reason=str(error))

    async def _listen(self, api: Api) -> None:
        async for event in api.events("agent=me"):
            if event.kind == "agent.state":
                payload = event.data["payload"]
                self._news.put_nowait((payload["state"], payload["attempt_id"]))
