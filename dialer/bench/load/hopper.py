"""The claim of a hundred leads from long lists, and eight schedulers that claim a million at once.

Two campaigns over the same people: of one every lead may be dialled now, of the other nine of ten are closed
or rest. Lists grow within one run. Rows only: nothing is dialled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, text

from dialer.bench.load import centre_data
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.day import Books, open_books
from dialer.bench.load.growth import plan_in_a_line, vacuum
from dialer.bench.load.model import Measured, Say, Wish, spread
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from scheduler import hopper
from scheduler.hopper import ClaimedLead

#: Leads of a claim.
MANY: Final = 100
#: The longest that a claim may take at the 95th percentile, ms.
WITHIN_MS: Final = 10.0
SCHEDULERS: Final = 8
PIECE: Final = 250_000
#: The leads of the other campaign: of ten in the order of the list five are closed, four rest, one is awake.
_DONE = """
    INSERT INTO lead (tenant_id, campaign_id, list_id, contact_id, e164, timezones, status, attempts,
                      last_result, closed_reason, hold, open_from, open_until)
    SELECT tenant_id, :other, list_id, contact_id, e164, timezones,
           CASE WHEN n < 5 THEN 'closed' WHEN n < 9 THEN 'waiting' ELSE 'new' END,
           CASE WHEN n < 9 THEN 1 ELSE 0 END,
           CASE WHEN n < 5 THEN 'answered' WHEN n < 9 THEN 'no_answer' END,
           CASE WHEN n < 5 THEN 'sale' END,
           CASE WHEN n >= 5 AND n < 9 THEN 'retry' END,
           CASE WHEN n >= 5 AND n < 9 THEN now() + interval '1 day' ELSE open_from END, open_until
      FROM (SELECT *, id % 10 AS n FROM lead
             WHERE tenant_id = :tenant AND campaign_id = :campaign AND sort_key <= :most
               AND id > (SELECT coalesce(max(id), 0) - :most FROM lead
                          WHERE tenant_id = :tenant AND campaign_id = :campaign)) l
     ORDER BY id
"""


class Hopper:
    """A hundred leads at a time."""

    name = "hopper"
    title = (
        "The claim of a hundred leads (locked, then let go) by the server's role under row security: of "
        "lists of which every lead may be dialled, of which half are closed and four of ten rest, and by "
        "shares of lists; and eight schedulers at once, each lead claimed and marked as dialled"
    )
    columns = (
        ("leads", "leads"),
        ("claim_ms_p50", "claim p50, ms"),
        ("claim_ms_p95", "p95"),
        ("claim_ms_max", "longest"),
        ("rows_looked_at", "rows looked at"),
        ("claims_per_s", "leads/s"),
        ("twice", "claimed twice"),
        ("missed", "never"),
        ("database_mb", "database, MB"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a length and kind of list, and one of eight schedulers."""
        async for one in self._claims(wish, say):
            yield one
        many = 2_000 if wish.short else 1_000_000
        case = f"{SCHEDULERS} schedulers, leads={many}"
        if (self.name, case, wish.short) not in wish.known:
            figures = await _at_once(many, say)
            broken = (
                "" if not figures["twice"] and not figures["missed"] else "a lead was claimed twice or never"
            )
            yield Measured(self.name, case, wish.seed, wish.short, figures, broken=broken)

    def _known(self, wish: Wish) -> bool:
        return all((self.name, _case(*one), wish.short) in wish.known for one in _CASES[wish.short])

    async def _claims(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        if self._known(wish):
            return
        async with open_books() as books:
            other = await _other_campaign(books)
            for length, kind in _CASES[wish.short]:
                while books.data.leads < length:
                    await _add(books, other, min(PIECE, length - books.data.leads))
                    say(f"hopper: {books.data.leads:,}")
                    if books.data.leads == length:
                        await vacuum(books)
                campaign = other if kind == "done" else books.data.campaign_id
                figures, plan = await _timed(
                    books, campaign, 10 if wish.short else 200, mixed=kind == "shares"
                )
                late = figures["claim_ms_p95"] >= WITHIN_MS and not wish.short
                yield Measured(
                    self.name,
                    _case(length, kind),
                    wish.seed,
                    wish.short,
                    {"leads": length, **figures},
                    note=plan,
                    broken=f"a claim takes {WITHIN_MS:.0f} ms or more" if late else "",
                )


def _case(length: int, kind: str) -> str:
    return f"leads={length}, {_KINDS[kind]}"


_KINDS: Final = {"awake": "all to be dialled", "done": "nine of ten not", "shares": "by shares of lists"}
_CASES: Final = {
    short: [(length, kind) for length in lengths for kind in _KINDS]
    for short, lengths in {True: (2_000,), False: (100_000, 1_000_000, 10_000_000)}.items()
}


async def _other_campaign(books: Books) -> int:
    """A second campaign with no leads; the first gets a list with a share."""
    async with books.engine.database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="Вторая", status="running", policy="demo")
            .returning(t.campaign.c.id)
        )
        await conn.execute(
            insert(t.campaign_list).values(
                tenant_id=TENANT, campaign_id=books.data.campaign_id, list_id=books.data.list_id, share=1
            )
        )
    assert isinstance(other, int)
    return other


async def _add(books: Books, other: int, more: int) -> None:
    await centre_data.add_leads(books.data, more)
    async with books.engine.database.tenant(TENANT) as conn:
        whose = {"tenant": TENANT, "campaign": books.data.campaign_id, "other": other, "most": more}
        await conn.execute(text(_DONE), whose)


async def _timed(books: Books, campaign_id: int, times: int, *, mixed: bool) -> tuple[dict[str, float], str]:
    """Claim and let go, again and again; the figures and the plan in a line."""
    database, took = books.engine.database, list[float]()
    for _ in range(times):
        async with database.tenant(TENANT) as conn:
            began = time.perf_counter()
            claimed = await hopper.claim(conn, TENANT, campaign_id, MANY, utc_now(), mixed=mixed)
            took.append((time.perf_counter() - began) * 1000)
            assert len(claimed) == MANY
    asked: dict[str, Any] = {"tenant_id": TENANT, "campaign_id": campaign_id, "now": utc_now()}
    statement: Prepared = hopper.CLAIM_LISTS if mixed else hopper.CLAIM
    asked |= {"lists": [books.data.list_id], "many": [MANY], "but": []} if mixed else {"wanted": MANY}
    async with database.tenant(TENANT) as conn:
        told = await statement.explain(conn, **asked)
        size = (await conn.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
    looked, plan = plan_in_a_line(told[0]["Plan"])
    figures = {**spread(took, "claim_ms", 50, 95), "claim_ms_max": max(took)}
    return {**figures, "rows_looked_at": looked, "database_mb": size / 1e6}, plan


async def _at_once(leads: int, say: Say) -> dict[str, float]:
    """Have eight schedulers claim every lead of a list; what came of it."""
    async with open_books() as books:
        while books.data.leads < leads:
            await centre_data.add_leads(books.data, min(PIECE, leads - books.data.leads))
            say(f"hopper: {books.data.leads:,}")
        await vacuum(books)
        databases = [Database.open(books.app_url, pool=1) for _ in range(SCHEDULERS)]
        try:
            began = time.perf_counter()
            claimed = await asyncio.gather(*(_scheduler(one, books.data.campaign_id) for one in databases))
            took_s = time.perf_counter() - began
        finally:
            for one in databases:
                await one.close()
        every = [lead for of_one in claimed for lead in of_one]
        fewest = min(map(len, claimed))
        return {
            "leads": leads,
            "schedulers": SCHEDULERS,
            "claims_per_s": len(every) / took_s,
            "twice": len(every) - len(set(every)),
            "missed": leads - len(set(every)),
            "fewest_of_one": fewest,
        }


async def _scheduler(database: Database, campaign_id: int) -> list[int]:
    """Claim and mark as dialled until there is no lead; ids of all."""
    mine: list[int] = []
    while True:
        async with database.tenant(TENANT) as conn:
            now = utc_now()
            leads: list[ClaimedLead] = await hopper.claim(conn, TENANT, campaign_id, MANY, now)
            ids = [one.id for one in leads]
            if ids:
                await hopper.dialling(conn, TENANT, ids, now)
        if not ids:
            if await _none_left(database, campaign_id, now):
                return mine
            continue
        mine += ids


async def _none_left(database: Database, campaign_id: int, now: datetime) -> bool:
    """Whether no lead is left, and none is locked by another that may let it go."""
    async with database.tenant(TENANT) as conn:
        return not await hopper.peek(conn, TENANT, campaign_id, 1, now)


HOPPER = Hopper()
