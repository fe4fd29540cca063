"""The pop with 200 agents at work: from the answer to the part of the agent's desk that has the card.

Engine, web and PostgreSQL are real, Asterisk is on paper. Desks are kept live as the page does it: a stream
of the agent's own events, and the parts that they renew. A pop takes from the moment that the engine has
written down for the answer to the whole part with the card; a browser paints it in a few milliseconds more,
which tests/bench/bench_pop.py measures of real calls.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

from aiohttp import ClientSession
from sqlalchemy import text

from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.bench.load.pages import LivePage, Part, browsers
from dialer.bench.load.stage import Stage, open_stage
from dialer.clock import utc_now

AGENTS: Final = 200
PANEL: Final = "/desk/panel"
#: What is promised with so many, milliseconds.
MOST_MS: Final = 300.0
#: Answers of the last moments are still on their way.
LATEST: Final = timedelta(seconds=2)
_CARD: Final = re.compile(r'data-card="([0-9a-f-]{36})"')


class Desk(LivePage):
    """One agent's desk."""

    #: As desk.html has them.
    parts: ClassVar = {
        PANEL: Part(("call.", "agent.", "lead.", "callback.", "script."), 0.1),
        "/desk/messages": Part(("agent.message",), 0.1),
        "/desk/own": Part(("call.disposed", "agent.state"), 5.0),
    }
    query = "?agent=me"
    at_once = "call.assigned"

    def __init__(self, http: ClientSession, token: str, url: str) -> None:
        super().__init__(http, token, url)
        #: when the card of a call came first
        self.cards: dict[UUID, datetime] = {}

    def shown(self, path: str, text: str) -> None:
        """See `LivePage`."""
        if path == PANEL and (card := _CARD.search(text)) is not None:
            self.cards.setdefault(UUID(card[1]), utc_now())


class PopRow:
    """Desks of agents who are given calls one after another."""

    name = "pop"
    title = (
        "The desks of 200 agents at work: from the answer to the part of the page with the customer's card; "
        "Asterisk on paper, engine, web and PostgreSQL real"
    )
    columns = (
        ("agents", "agents"),
        ("calls_per_s", "calls/s asked"),
        ("pops", "cards"),
        ("pop_ms_p50", "p50, ms"),
        ("pop_ms_p95", "p95"),
        ("pop_ms_p99", "p99"),
        ("pop_ms_max", "max"),
        ("kb_per_s", "kB/s a desk"),
        ("web_cores", "cores: web"),
        ("engine_cores", "engine"),
        ("db_cores", "PostgreSQL"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """One measurement."""
        many = 40 if wish.short else AGENTS
        case = f"agents={many}"
        if (self.name, case, wish.short) in wish.known:
            return
        seconds, talk_s = (6.0, 8.0) if wish.short else (60.0, 30.0)
        rate = many / (talk_s + 2.0) / 1.1
        leads = round(rate * (seconds + talk_s + 40) * 1.5) + 100
        async with open_stage(say, agents=many, leads=leads, ring_s=0.5, talk_s=talk_s, paper=True) as stage:
            tokens = [seat.worker.token for seat in stage.seats]
            await stage.agents(many)
            async with browsers() as http:
                desks = [Desk(http, token, stage.server.url) for token in tokens]
                tasks = [asyncio.create_task(one.run()) for one in desks]
                try:
                    async with asyncio.timeout(60):
                        await asyncio.gather(*(one.opened.wait() for one in desks))
                    await stage.rate(rate)
                    await stage.start()
                    await stage.watch(min(talk_s, seconds))  # until agents become free one by one
                    yield await self._look(stage, desks, case, rate, seconds, wish)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(
        self, stage: Stage, desks: list[Desk], case: str, rate: float, seconds: float, wish: Wish
    ) -> Measured:
        since, cpu, before = await stage.now(), stage.cpu(), _bytes(desks)
        await stage.watch(seconds)
        until, spent, came = await stage.now(), stage.cpu().since(cpu), _bytes(desks) - before
        await stage.pause()
        cards = {card: at for one in desks for card, at in one.cards.items()}
        answered = await _answered(stage, since, until - LATEST)
        late = [(cards[call] - at).total_seconds() * 1000 for call, at in answered.items() if call in cards]
        figures = {
            "agents": len(desks),
            "calls_per_s": rate,
            "pops": len(late),
            **spread(late, "pop_ms"),
            "pop_ms_max": max(late, default=0.0),
            "kb_per_s": came / len(desks) / seconds / 1000,
            "web_cores": spent["web"] / seconds,
            "engine_cores": spent["engine"] / seconds,
            "db_cores": spent["db"] / seconds,
        }
        broken = ""
        if len(late) < len(answered) or not late:
            broken = f"{len(answered) - len(late)} of {len(answered)} cards never came"
        elif not wish.short and figures["pop_ms_p95"] >= MOST_MS:
            broken = "cards come later than promised"
        return Measured(self.name, case, wish.seed, wish.short, figures, broken=broken)


def _bytes(desks: list[Desk]) -> int:
    return sum(one.stream_bytes + one.part_bytes for one in desks)


async def _answered(stage: Stage, since: datetime, until: datetime) -> dict[UUID, datetime]:
    """When the calls were answered that an agent has got."""
    async with stage.server.database.tenant(TENANT) as conn:
        found = await conn.execute(
            text(
                "SELECT id, answered_at FROM attempt WHERE tenant_id = :tenant AND connected_at IS NOT NULL"
                " AND answered_at >= :since AND answered_at < :until"
            ),
            {"tenant": TENANT, "since": since, "until": until},
        )
        return {row.id: row.answered_at for row in found}


POP = PopRow()
