"""How long the reports and the live pages take over a long past."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, text

from dialer.bench.load import centre_data, past
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.day import Books, open_books
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.calls.call_log import Filter
from dialer.calls.service import CallService
from dialer.campaigns import store as campaigns
from dialer.campaigns.model import Campaign
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.session import connect
from dialer.httpkit.access import Actor
from dialer.reports.closing import Closing
from dialer.reports.figures import Group
from dialer.reports.live import LiveService
from dialer.reports.service import FigureService

#: No page waits longer, seconds.
MOST_S: Final = 2.0
#: The case of closing the past: all the questions stand on it.
CLOSING: Final = "closing an hour, mean"


@dataclass(frozen=True, slots=True)
class Centre:
    """Whom the questions are asked, and of what."""

    figures: FigureService
    live: LiveService
    calls: CallService
    campaign: Campaign
    agent_id: int
    #: a day and thirty days ago
    day: datetime
    month: datetime


Ask = Callable[[Centre], Awaitable[Any]]
ACTOR: Final = Actor.server(TENANT)


def _by(group: Group) -> Ask:
    return lambda centre: centre.figures.figures(ACTOR, group, since=centre.day)


QUESTIONS: Final[dict[str, Ask]] = {
    **{f"day by {group}": _by(group) for group in Group},
    "month by campaign": lambda its: its.figures.figures(ACTOR, Group.CAMPAIGN, since=its.month),
    "month by agent": lambda its: its.figures.figures(ACTOR, Group.AGENT, since=its.month),
    "campaign, its whole life": lambda its: its.figures.campaign_figures(ACTOR, its.campaign.id),
    "campaign, a day": lambda its: its.figures.campaign_figures(ACTOR, its.campaign.id, since=its.day),
    "wall board": lambda its: its.live.board(ACTOR, its.campaign),
    "call log": lambda its: its.calls.calls(ACTOR, Filter()),
    "call log of a campaign": lambda its: its.calls.calls(ACTOR, Filter(campaign_id=its.campaign.id)),
    "call log of an agent": lambda its: its.calls.calls(ACTOR, Filter(agent_id=its.agent_id)),
}


class Reports:
    """Every question of the pages over a past of so many attempts."""

    name = "reports"
    title = (
        "Reports and live pages over a past of so many attempts, 250,000 a day, ten campaigns, each question "
        "asked as the server asks it (its role, row security); none may take over 2 s"
    )
    columns = (
        ("ms_p50", "p50, ms"),
        ("ms_p95", "p95"),
        ("first_ms", "first time, ms"),
        ("db_cpu_ms", "CPU, ms: PostgreSQL"),
        ("server_cpu_ms", "server"),
        ("attempts", "attempts"),
        ("database_mb", "database, MB"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a question and a size of the past."""
        for many in (5_000,) if wish.short else (1_000_000, 10_000_000):
            cases = {name: f"attempts={many} {name}" for name in (CLOSING, *QUESTIONS)}
            wanted = [name for name, case in cases.items() if (self.name, case, wish.short) not in wish.known]
            if not wanted:
                continue
            async with open_books() as books:
                began = time.perf_counter()
                centre = await _with_past(books, many, wish.seed, say)
                say(f"reports: {many:,} attempts written in {time.perf_counter() - began:.0f} s")
                async with books.engine.database.system() as conn:
                    size = (
                        await conn.execute(text("SELECT pg_database_size(current_database())"))
                    ).scalar_one()
                closed = await _closed(books, many, say)  # the questions read what is closed
                if CLOSING in wanted:
                    yield Measured(self.name, cases[CLOSING], wish.seed, wish.short, closed)
                for question in wanted:
                    if question == CLOSING:
                        continue
                    figures = await _timed(books, QUESTIONS[question], centre, 2 if wish.short else 7)
                    slow = figures["ms_p95"] > MOST_S * 1000
                    yield Measured(
                        self.name,
                        cases[question],
                        wish.seed,
                        wish.short,
                        {**figures, "attempts": many, "database_mb": size / 1e6},
                        broken=f"over {MOST_S:g} s" if slow else "",
                    )


async def _closed(books: Books, many: int, say: Say) -> dict[str, float]:
    """Close the hours of the past as the product does, but without a rest; what an hour takes."""
    began, before = time.perf_counter(), books.cpu()
    hours = await Closing(books.engine.database, 1096, rest=0.0).round()
    took_s, after = time.perf_counter() - began, books.cpu()
    owner = await connect(books.owner_url, application="dozvon bench")
    try:
        for table in ("report_figures", "report_time", "report_over"):
            await owner.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await owner.close()
    say(f"reports: {hours:,} hours closed in {took_s:.0f} s")
    each = {f"{part}_cpu_ms": (after[part] - before[part]) * 1000 / hours for part in after}
    return {"ms_p50": took_s * 1000 / hours, **each, "attempts": many, "hours": hours}


async def _timed(books: Books, ask: Ask, centre: Centre, times: int) -> dict[str, float]:
    took, before = [], books.cpu()
    for _ in range(times):
        began = time.perf_counter()
        await ask(centre)
        took.append((time.perf_counter() - began) * 1000)
    after = books.cpu()
    each = {f"{part}_cpu_ms": (after[part] - before[part]) * 1000 / times for part in after}
    return {"first_ms": took[0], **each, **spread(took, "ms", 50, 95)}


async def _with_past(books: Books, many: int, seed: int, say: Say) -> Centre:
    """Write the past; whom to ask about it."""
    data, database = books.data, books.engine.database
    made = [data.campaign_id]
    async with database.tenant(TENANT) as conn:
        for n in range(2, past.CAMPAIGNS + 1):
            values = {"tenant_id": TENANT, "name": f"Прошлое {n}", "policy": "ru", "status": "running"}
            campaign_id = await conn.scalar(insert(t.campaign).values(values).returning(t.campaign.c.id))
            assert campaign_id is not None
            made.append(campaign_id)
        await conn.execute(text("UPDATE campaign SET started_at = now() - interval '60 days'"))
        disposition = (await conn.execute(text("SELECT id FROM disposition LIMIT 1"))).scalar_one()
    seats = await centre_data.add_agents(data, past.AGENTS)
    agents = [seat.worker.agent_id for seat in seats]
    connection = await connect(books.owner_url, application="dozvon bench")
    try:
        await past.write(
            connection,
            many,
            seed=seed,
            campaigns=made,
            agents=agents,
            list_id=data.list_id,
            trunk_id=data.trunk_id,
            disposition_id=disposition,
            say=say,
        )
    finally:
        await connection.close()
    async with database.tenant(TENANT) as conn:
        campaign = await campaigns.one(conn, TENANT, data.campaign_id)
    assert campaign is not None
    now = utc_now()
    return Centre(
        FigureService(database),
        LiveService(database),
        books.service,
        campaign,
        agents[0],
        day=now - timedelta(days=1),
        month=now - timedelta(days=30),
    )


REPORTS = Reports()
