"""A centre with a past of four days that a seed decides, and what may happen to it when hours are closed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import case, insert, select, update

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.httpkit.access import Actor, Role
from dialer.reports.closing import Closing
from dialer.reports.figures import AgentTime, Counts, Group
from dialer.reports.figures_store import Scope
from dialer.reports.model import DAY, HOUR, hour_of
from dialer.reports.service import FigureService
from support import plain_figures as plain

SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")
MINUTE = timedelta(minutes=1)
#: Zones of whole, half and quarter hours, and two whose clocks are changed.
ZONES = ("Europe/Moscow", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")
RESULTS = (*t.RESULTS, "answered", "answered", "no_answer")
STATES = ("ready", "talking", "wrap_up", "paused", "reserved", "offline")


@dataclass(slots=True)
class World:
    """A centre with a past that a seed decides."""

    database: Database
    owner_url: str
    dice: random.Random
    now: datetime
    campaigns: list[int]
    lists: list[int | None]
    trunks: list[int]
    agents: list[int | None]
    sessions: list[UUID]

    def moment(self, days: float = 4) -> datetime:
        """Some time of the past, often the very beginning of an hour or of a second."""
        at = self.now - timedelta(seconds=self.dice.uniform(60, days * 86400))
        return self.dice.choice((at, at, at.replace(microsecond=0), hour_of(at)))

    def facts(self, at: datetime, *, open_: bool = False) -> dict[str, Any]:
        """What may be changed in an attempt that was made at that time."""
        dice = self.dice
        result = None if open_ and dice.random() < 0.5 else dice.choice(RESULTS)
        live = result in ("answered", "abandoned", "caller_hung_up", "machine")
        joined = result == "answered"
        contact = dice.choice((None, *range(1, 40)))
        return {
            "campaign_id": dice.choice(self.campaigns),
            "list_id": dice.choice(self.lists),
            "trunk_id": dice.choice(self.trunks),
            "agent_id": dice.choice(self.agents) if joined else None,
            "contact_id": contact,
            "e164": f"+7916000{dice.randrange(8):04}",
            "result": result,
            "sent_at": at if dice.random() < 0.9 else None,
            "answered_at": at if live else None,
            "connected_at": at if joined else None,
            "join_ms": dice.uniform(2, 40) if joined else None,
            "answer_to_agent_ms": dice.uniform(20, 4000) if joined else None,
            "state": "wrap_up" if open_ else "ended",
            "ended_at": None if open_ else at + MINUTE,
        }

    async def attempts(self, many: int, *, open_: int = 0) -> None:
        """More attempts, the open ones of the last hours."""
        rows = []
        for n in range(many):
            at = self.moment(0.3 if n < open_ else 4)
            rows.append(
                {
                    "tenant_id": 1, "id": uuid4(), "caller_id": "+74950000001", "mode": "progressive",
                    "policy": "default/1", "created_at": at, **self.facts(at, open_=n < open_),
                }
            )  # fmt: skip
        async with self.database.tenant(1) as conn:
            await conn.execute(insert(t.attempt), rows)

    def ended(self, started: datetime) -> datetime:
        """When a stretch ended."""
        long = self.dice.choice((timedelta(0), MINUTE, 40 * MINUTE, 3 * HOUR, 26 * HOUR))
        return min(started + long * self.dice.random(), self.now)

    async def stretches(self, many: int) -> None:
        """More time of agents, some of it about a call."""
        async with self.database.tenant(1) as conn:
            ids = list(await conn.scalars(select(t.attempt.c.id)))
            for _ in range(many):
                started = self.moment()
                await conn.execute(insert(t.agent_time).values(self._stretch(started, ids)))

    def _stretch(self, started: datetime, ids: list[UUID]) -> dict[str, Any]:
        n = self.dice.randrange(len(self.sessions))
        return {
            "tenant_id": 1, "session_id": self.sessions[n], "agent_id": self.agents[n],
            "state": self.dice.choice(STATES), "started_at": started, "ended_at": self.ended(started),
            "attempt_id": self.dice.choice((None, self.dice.choice(ids))),
        }  # fmt: skip

    async def move_to(self, zone: str) -> None:
        """The tenant is at another place; the server itself cannot change that."""
        owner = await connect(self.owner_url)
        await owner.execute("UPDATE tenant SET timezone = $1 WHERE id = 1", zone)
        await owner.close()

    async def mend(self) -> None:
        """Change something that may be closed."""
        dice, a, s = self.dice, t.attempt, t.agent_time
        async with self.database.tenant(1) as conn:
            ids = list(await conn.scalars(select(a.c.id)))
            spent = list(await conn.scalars(select(s.c.id).where(s.c.ended_at.is_not(None))))
            some, stretch = dice.choice(ids), dice.choice(spent)
            match dice.randrange(7):
                case 0:
                    made = (await conn.execute(select(a.c.created_at).where(a.c.id == some))).scalar_one()
                    values = self.facts(made)
                    await conn.execute(update(a).where(a.c.id == some).values(values))
                case 1:
                    at = self.moment()
                    answered = case((a.c.answered_at.is_not(None), at))
                    await conn.execute(
                        update(a).where(a.c.id == some).values(created_at=at, answered_at=answered)
                    )
                case 2:
                    await conn.execute(
                        update(a)
                        .where(a.c.ended_at.is_(None))
                        .values(
                            state="ended", ended_at=self.now, result="answered", answered_at=a.c.created_at
                        )
                    )
                case 3:
                    started = (
                        await conn.execute(select(s.c.started_at).where(s.c.id == stretch))
                    ).scalar_one()
                    await conn.execute(
                        update(s).where(s.c.id == stretch).values(ended_at=self.ended(started))
                    )
                case 4:
                    values = self._stretch(self.moment(), ids)
                    await conn.execute(update(s).where(s.c.id == stretch).values(values))
                case 5:
                    ended = max(self.moment(0.5), self.now - HOUR)
                    await conn.execute(update(s).where(s.c.ended_at.is_(None)).values(ended_at=ended))
                case _:
                    await self.move_to(dice.choice(ZONES))
        if dice.random() < 0.5:
            await self.attempts(dice.randrange(1, 4))
        if dice.random() < 0.5:
            await self.stretches(1)

    def closing(self, **more: Any) -> Closing:
        """What closes hours, at once and without rest."""
        return Closing(self.database, 1096, grace=timedelta(0), rest=0.0, **more)

    async def closed_until(self) -> datetime:
        """How far it is closed."""
        async with self.database.tenant(1) as conn:
            found: datetime = (await conn.execute(select(t.report_state.c.closed_until))).scalar_one()
        return found

    async def check(self, spans: int) -> None:
        """So many reports of random spans, each of them as a count of every row has it."""
        figures, dice = FigureService(self.database, clock=lambda: self.now), self.dice
        for n in range(spans):
            since, until = sorted((self.moment(), self.moment()))
            if since == until:
                continue
            until = dice.choice((until, self.now))
            campaign = dice.choice(self.campaigns)
            life = None if n % 2 else since
            found = await figures.campaign_figures(SUPERVISOR, campaign, since=life, until=until)
            scope = Scope(1, life, until, campaign)
            async with self.database.tenant(1) as conn:
                expected = await plain.counts(conn, scope, None, "UTC")
                times = await plain.agent_times(conn, scope, self.now, by_agent=False)
            assert_alike(found.total.counts, expected[None])
            assert found.total.time == times[None]
            for group in Group:
                await self._check_group(figures, group, since, until)

    async def _check_group(
        self, figures: FigureService, group: Group, since: datetime, until: datetime
    ) -> None:
        found = await figures.figures(SUPERVISOR, group, since=since, until=until)
        scope = Scope(1, since, until)
        async with self.database.tenant(1) as conn:
            zone = (await conn.execute(select(t.tenant.c.timezone).where(t.tenant.c.id == 1))).scalar_one()
            total = await plain.counts(conn, scope, None, zone)
            expected = await plain.counts(conn, scope, group, zone)
            all_time = await plain.agent_times(conn, scope, self.now, by_agent=False)
            times: Mapping[int | None, AgentTime] = {}
            if group is Group.AGENT:
                times = await plain.agent_times(conn, scope, self.now, by_agent=True)
        assert_alike(found.total.counts, total[None])
        assert found.total.time == all_time[None]
        rows = {row.key: row for row in found.rows}
        assert rows.keys() == {*expected, *times}
        for key, row in rows.items():
            assert row.time == times.get(key)
            if key in expected:
                assert_alike(row.counts, expected[key])


def assert_alike(found: Counts, expected: Counts) -> None:
    """All is equal, but for percentiles: those are right to half a hundredth."""
    for name in ("join_ms", "answer_to_agent_ms"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert astuple(one) == pytest.approx(astuple(other), rel=0.00502)
            assert one.max == other.max
    assert replace(found, join_ms=None, answer_to_agent_ms=None) == replace(
        expected, join_ms=None, answer_to_agent_ms=None
    )


async def _id(conn: Any, table: Any, **values: Any) -> int:
    made = await conn.execute(insert(table).values(tenant_id=1, **values).returning(table.c.id))
    return int(made.scalar_one())


async def world_of(seed: int, database: Database, owner_url: str) -> World:
    """Two campaigns, lists, trunks, three agents; attempts and agents' time of four days."""
    dice, now = random.Random(seed), utc_now()
    async with database.tenant(1) as conn:
        campaigns = [
            await _id(
                conn,
                t.campaign,
                name=f"C{n}",
                policy="default",
                skill="ru" if n else None,
                started_at=now - timedelta(hours=dice.uniform(50, 99)),
                ended_at=now - timedelta(hours=dice.uniform(0, 40)) if n else None,
            )
            for n in range(2)
        ]
        lists = [await _id(conn, t.contact_list, name=f"L{n}") for n in range(2)]
        trunks = [
            await _id(conn, t.trunk, name=f"T{n}", endpoint=f"t{n}", caller_id="+7", allowed_prefixes=["+7"])
            for n in range(2)
        ]
        agents, sessions = [], []
        for n in range(3):
            user = await _id(
                conn, t.app_user, login=f"u{n}", name=f"U{n}", role="operator", password_hash="-"
            )
            skills = ["ru"] if n else []
            agents.append(
                await _id(conn, t.agent, user_id=user, name=f"U{n}", endpoint=f"a{n}", skills=skills)
            )
            sessions.append(uuid4())
            values = {
                "tenant_id": 1, "id": sessions[-1], "agent_id": agents[-1], "state": "ready",
                "state_since": now, "idle_since": now, "logged_in_at": now - 4 * DAY,
            }  # fmt: skip
            await conn.execute(insert(t.agent_session).values(values))
    world = World(
        database, owner_url, dice, now, campaigns, [*lists, None], trunks, [*agents, None], sessions
    )
    await world.move_to(dice.choice(ZONES))
    await world.attempts(300, open_=dice.choice((0, 4)))
    await world.stretches(120)
    async with database.tenant(1) as conn:
        for n in range(2):  # what goes on now
            values = {"session_id": sessions[n], "agent_id": agents[n], "started_at": world.moment(2)}
            await conn.execute(insert(t.agent_time).values(tenant_id=1, state="paused", **values))
    return world
