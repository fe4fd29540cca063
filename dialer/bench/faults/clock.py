"""The clock is set by an hour, forward or back, while calls go on; a time zone gets another rule.

What counts for hours is the wall clock of the machine that the engine runs on, at the moment of the decision:
who sets it decides. What counts for everything that takes a time is the clock that nobody can set. So after a
step dialling goes on or stops as the new time has it, and nothing else happens: no wrap-up ends or lasts an
hour longer, no customer waits longer than the policy says, nobody is logged out, no call is lost.

Zone data is read once a process: a changed rule holds from the engine's next start, as for any program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from dialer import settings
from dialer.agents.model import AgentState
from dialer.asterisk.speech import Speaker
from dialer.bench.model import Run, Say, case_of
from dialer.bench.set_clock import SEEN_S, SetClock, Zones, library
from dialer.bench.site import TENANT, Mark, NotInTime, Site, patience
from dialer.bench.site_parts import until
from dialer.db import cluster
from dialer.db import tables as t
from dialer.db.embedded import EmbeddedPostgres

AGENTS = 4
HOUR_S = 3600
#: The zone of every lead of a site, and the hour that it is there.
ZONE, NOON = "Europe/Moscow", 12
MESSAGE = "Вам звонил автосалон «Северный»."
TALK_S, WRAP_UP_S = 1.5, 0.3
WRAP_UP_LIMIT_S = 10
#: An agent who takes so long for the paperwork, seconds: the limit passes first.
SLOW_S = 24.0
#: The policy of the site's campaigns: a person may wait so long.
ABANDON_S = 2.0
#: From the step to the last call that was decided before it: what a process knows of the clock is so old, and
#: the pacing loop looks once a second.
SEEN_BY_S = SEEN_S + 1.5
#: Nothing is dialled for so long where nothing may be.
QUIET_S = 4.0
_ALWAYS = (Mark(datetime(2000, 1, 1, tzinfo=UTC)), Mark(datetime(2100, 1, 1, tzinfo=UTC)))


@dataclass(frozen=True, slots=True)
class Row:
    """The row."""

    name: str = "clock"
    title: str = "clock steps of an hour either way, time zone data changed"
    must_hold: str = "no call outside hours; timers right"
    cases: tuple[str, ...] = ("forward", "back", "hours_forward", "hours_back", "database", "zones")
    long_runs: int = 20
    short_runs: int = 2

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One centre whose clocks are ours, a step a seed."""
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dozvon-clock-")))
            faketime = await library(settings.load().packages_dir, say)
            server, store = SetClock(faketime, folder / "server"), SetClock(faketime, folder / "store")
            zones = Zones(folder / "zones")
            zones.rule(ZONE, NOON)
            postgres = await asyncio.to_thread(_postgres, folder, store)
            stack.push_async_callback(postgres.stop)
            site = await stack.enter_async_context(
                Site.open(
                    agents=AGENTS,
                    seed=seeds[0],
                    talk_s=TALK_S,
                    wrap_up_s=WRAP_UP_S,
                    say=say,
                    urls=await postgres.start(),
                    environment={**server.environment(), **zones.environment()},
                )
            )
            # libfaketime breaks the waits for programs that are run: what web would have spoken lies ready.
            await Speaker.of(site.settings).speak(MESSAGE, site.settings.locale, folder / "message.wav")
            for seed in seeds:
                case = case_of(self.cases, seed)
                run = await Step(site, server, store, zones, seed, case).run()
                say(f"clock {seed} {case}: {run.broken or 'held'}")
                yield run


def _postgres(folder: Path, clock: SetClock) -> EmbeddedPostgres:
    """A database that goes by this clock; it runs as somebody else, who may read the clock's file."""
    folder.chmod(0o755)
    programs = cluster.programs(cluster.locate(folder))
    environment = {**programs.environment, **clock.environment()}
    return EmbeddedPostgres(folder, programs=replace(programs, environment=environment))


@dataclass(slots=True)
class Step:
    """One run."""

    site: Site
    server: SetClock
    store: SetClock
    zones: Zones
    seed: int
    case: str
    broken: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    async def run(self) -> Run:
        """Dial, set the clock, look; set it back, look again."""
        site = self.site
        before, recover_s = await site.tally(*_ALWAYS), None
        rng = random.Random(f"{self.seed} clock")  # noqa: S311
        try:
            recover_s = await getattr(self, f"_{self.case}")(rng)
            await self._end()
        except NotInTime as error:
            self.broken.append(str(error))
        finally:
            self.server.step(0)
            self.store.step(0)
        after = await site.tally(*_ALWAYS)
        self.figures["load_max"] = os.getloadavg()[0]
        return Run(
            "clock",
            self.seed,
            self.case,
            calls=after.calls - before.calls,
            double_dials=after.double_dials - before.double_dials,
            unfinished_attempts=after.unfinished_attempts,
            lost_dispositions=after.lost_dispositions - before.lost_dispositions,
            unknown=after.unknown - before.unknown,
            recover_s=recover_s,
            figures=self.figures,
            broken="; ".join(self.broken),
        )

    # -- timers ------------------------------------------------------------------------------------------

    async def _forward(self, rng: random.Random) -> float:
        return await self._timers(self.server, HOUR_S, rng)

    async def _back(self, rng: random.Random) -> float:
        return await self._timers(self.server, -HOUR_S, rng)

    async def _database(self, rng: random.Random) -> float:
        """The database's machine has its clock set; the server's goes on."""
        return await self._timers(self.store, rng.choice((HOUR_S, -HOUR_S)), rng)

    async def _timers(self, clock: SetClock, by_s: int, rng: random.Random) -> float:
        """Set a clock in the middle of a wrap-up, with customers waiting, and back; the seconds until a call
        was dialled after the first step."""
        await self._campaign(mode="power", ratio=2)
        await self._dialled()
        async with self._nobody_waits_too_long():
            began = await self._slow_wrap_up()
            await asyncio.sleep(rng.uniform(0.3, 2))
            clock.step(by_s)
            recover_s = await self._dialled()
            await self._limit_kept(began)
            await self._talks_go_on()
            clock.step(0)
            await asyncio.sleep(SEEN_S)
            await self._dialled()
            await self._talks_go_on()
        try:
            await self.site.until_agents_back(patience(2 * SLOW_S))
        except NotInTime:
            self.broken.append("an agent is no longer at work")
        return recover_s

    async def _slow_wrap_up(self) -> float:
        """Wait until an agent who is slow over the paperwork has begun it; when that was."""
        slow = self.site.robots.robots[0]
        slow.wrap_up_s = SLOW_S
        state = self._state_of(slow.login)
        # One that has begun before may still be a quick one.
        await until(
            "an agent is not wrapping up", lambda: self._is_not(state, AgentState.WRAP_UP), patience(30)
        )
        await until("an agent wraps up", lambda: self._is(state, AgentState.WRAP_UP), patience(30))
        return asyncio.get_running_loop().time()

    async def _limit_kept(self, began: float) -> None:
        """The wrap-up ends at its limit, by our own clock."""
        state = self._state_of(self.site.robots.robots[0].login)
        with contextlib.suppress(NotInTime):
            await until(
                "the wrap-up ends", lambda: self._is(state, AgentState.PAUSED), patience(WRAP_UP_LIMIT_S + 3)
            )
        took = asyncio.get_running_loop().time() - began
        self.site.robots.robots[0].wrap_up_s = WRAP_UP_S  # now that the agent has heard of the slow one
        self.figures["wrap_up_s"] = took
        if not WRAP_UP_LIMIT_S - 1 <= took <= patience(WRAP_UP_LIMIT_S + 3):
            self.broken.append(f"a wrap-up with a limit of {WRAP_UP_LIMIT_S} s lasted {took:.1f} s")

    @contextlib.asynccontextmanager
    async def _nobody_waits_too_long(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch_waiting())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            allowed = patience(ABANDON_S + 1.5)
            if self.figures.get("waited_s", 0.0) > allowed:
                self.broken.append(f"a customer waited {self.figures['waited_s']:.1f} s for an agent")

    async def _watch_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        query = select(t.attempt.c.id).where(t.attempt.c.state == "waiting", t.attempt.c.result.is_(None))
        since: dict[Any, float] = {}
        while True:
            async with self.site.database.tenant(TENANT) as conn:
                found = set(await conn.scalars(query))
            now = loop.time()
            since = {one: since.get(one, now) for one in found}
            longest = max((now - first for first in since.values()), default=0.0)
            self.figures["waited_s"] = max(self.figures.get("waited_s", 0.0), longest)
            await asyncio.sleep(0.1)  # rows tell nobody

    async def _talks_go_on(self) -> None:
        """Agents end talks and save what they came to: what they ask of the engine is done."""
        saved = len(self.site.robots.saved())

        async def more() -> bool:
            return len(self.site.robots.saved()) >= saved + 2

        await until("talks go on after a step", more, patience(15))

    # -- hours -------------------------------------------------------------------------------------------

    async def _hours_forward(self, rng: random.Random) -> float:
        there = self.zones.rule(ZONE, NOON)
        return await self._hours("08:00", _clock(there + timedelta(minutes=rng.randint(5, 50))), HOUR_S)

    async def _hours_back(self, rng: random.Random) -> float:
        there = self.zones.rule(ZONE, NOON)
        return await self._hours(_clock(there - timedelta(minutes=rng.randint(5, 50))), "22:00", -HOUR_S)

    async def _hours(self, call_from: str, call_until: str, by_s: int) -> float:
        """The step leads out of the campaign's hours, and back into them."""
        await self._campaign(call_from=call_from, call_until=call_until)
        await self._dialled()
        self.server.step(by_s)
        await asyncio.sleep(SEEN_BY_S)
        await self._nothing_dialled("out of hours by the clock as it was set")
        self.server.step(0)
        await asyncio.sleep(SEEN_S)
        # The numbers that were looked at wait for the next opening as the clock had it: others are dialled.
        await self.site.feed(50)
        return await self._dialled()

    async def _zones(self, rng: random.Random) -> float:
        """The zone gets another rule, by which it is night there."""
        await self._campaign(call_from="08:00", call_until="20:00")
        await self._dialled()
        self.zones.rule(ZONE, rng.choice((0, 1, 2, 3, 4)))
        await asyncio.sleep(SEEN_BY_S)
        await self._dialled()  # the rule that the engine has read holds until it ends
        await self._restart()
        await self._nothing_dialled("at night by the zone's new rule, after a restart")
        self.zones.rule(ZONE, NOON)
        began = asyncio.get_running_loop().time()
        await self._restart()
        await self.site.feed(50)
        await self._dialled()
        return asyncio.get_running_loop().time() - began

    async def _restart(self) -> None:
        await self.site.engine.stop()
        await self.site.engine.start()
        await self.site.until_agents_back(patience(30))

    # -- looking -----------------------------------------------------------------------------------------

    async def _campaign(self, **fields: Any) -> None:
        await self.site.keep_dialling(wrap_up_limit_s=WRAP_UP_LIMIT_S, abandon_message=MESSAGE, **fields)

    async def _end(self) -> None:
        """Stop the campaign, and see every call come to its end."""
        await self.site.stop_feeding()
        async with self.site.api() as api:
            await api.log_in(*self.site.supervisor)
            await api.call("POST", f"/campaigns/{self.site.campaign_id}/stop")
        await self._until(
            "every call ends",
            select(func.count()).where(t.attempt.c.ended_at.is_(None)),
            lambda left: left == 0,
            patience(WRAP_UP_LIMIT_S + 20),
        )

    async def _made(self) -> int:
        async with self.site.database.tenant(TENANT) as conn:
            return await conn.scalar(select(func.count()).select_from(t.attempt)) or 0

    async def _dialled(self) -> float:
        """Wait for a call that is not there yet; the seconds it took."""
        began, before = asyncio.get_running_loop().time(), await self._made()
        made = select(func.count()).select_from(t.attempt)
        await self._until("a call is made", made, lambda now: now > before, patience(20))
        return asyncio.get_running_loop().time() - began

    async def _nothing_dialled(self, when: str) -> None:
        before = await self._made()
        await asyncio.sleep(QUIET_S)
        if more := await self._made() - before:
            self.broken.append(f"{more} calls were made {when}")

    async def _until(self, what: str, query: Any, true: Callable[[int], bool], within_s: float) -> None:
        async def look() -> bool:
            async with self.site.database.tenant(TENANT) as conn:
                return true(await conn.scalar(query) or 0)

        await until(what, look, within_s)

    def _state_of(self, login: str) -> Any:
        """The query for an agent's state."""
        return (
            select(t.agent_session.c.state)
            .join(
                t.agent,
                (t.agent.c.tenant_id == t.agent_session.c.tenant_id)
                & (t.agent.c.id == t.agent_session.c.agent_id),
            )
            .where(t.agent.c.endpoint == login, t.agent_session.c.logged_out_at.is_(None))
        )

    async def _is(self, query: Any, state: AgentState) -> bool:
        async with self.site.database.tenant(TENANT) as conn:
            return bool(await conn.scalar(query) == state)

    async def _is_not(self, query: Any, state: AgentState) -> bool:
        return not await self._is(query, state)


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


ROW = Row()
