"""What was lost between two points in time, by witnesses that are not the server: the carrier's own log, what
agents were told over HTTP, and the database itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, any_, func, literal, select
from sqlalchemy.dialects import postgresql as pg

from dialer.bench.site_robots import Robots
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo.carrier import Carrier
from dialer.demo.setup import TENANT


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of the attempts that were made in a span of time."""

    #: attempts made
    calls: int = 0
    #: INVITEs too many at their numbers
    double_dials: int = 0
    #: of them without an end now
    unfinished_attempts: int = 0
    #: acknowledged in the span, and not in the database as they were
    lost_dispositions: int = 0
    #: ended as unknown
    unknown: int = 0
    #: numbers that were dialled and have no attempt at all, each counted once in the life of a site
    without_row: int = 0
    #: acknowledged in the span
    dispositions: int = 0
    #: ids of those without an end
    open: tuple[UUID, ...] = ()
    #: their numbers that were dialled more than once
    doubles: tuple[str, ...] = ()


@dataclass(slots=True)
class Witness:
    """Asks all three."""

    database: Database
    carrier: Carrier
    robots: Robots
    _rowless: set[str] = field(default_factory=set)

    async def tally(self, since: datetime, until: datetime) -> Tally:
        """What was lost of what was begun from `since` until before `until`. Raises DatabaseUnavailable."""
        # The log first: a row is committed before its INVITE.
        invites = self.carrier.invites()
        async with self.database.tenant(TENANT) as conn:
            found = await conn.execute(
                select(t.attempt.c.id, t.attempt.c.e164, t.attempt.c.result, t.attempt.c.ended_at).where(
                    t.attempt.c.created_at >= since, t.attempt.c.created_at < until
                )
            )
            rows = list(found)
            known = set(await conn.scalars(select(func.distinct(t.attempt.c.e164))))
        doubles = {row.e164 for row in rows if len(invites.get(row.e164, ())) > 1}
        rowless = invites.keys() - known - self._rowless
        self._rowless |= rowless
        saved = {
            UUID(attempt): one.code for attempt, one in self.robots.saved().items() if since <= one.at < until
        }
        stored = await self._stored(list(saved))
        return Tally(
            calls=len(rows),
            double_dials=sum(len(invites[number]) - 1 for number in doubles),
            unfinished_attempts=sum(row.ended_at is None for row in rows),
            lost_dispositions=sum(stored.get(attempt) != code for attempt, code in saved.items()),
            unknown=sum(row.result == "unknown" and row.ended_at is not None for row in rows),
            without_row=len(rowless),
            dispositions=len(saved),
            open=tuple(row.id for row in rows if row.ended_at is None),
            doubles=tuple(sorted(doubles)),
        )

    async def story(self, number: str) -> str:
        """What the database says of a number's attempts, for a person who looks for the reason."""
        query = select(t.attempt).where(t.attempt.c.e164 == number).order_by(t.attempt.c.created_at)
        async with self.database.tenant(TENANT) as conn:
            rows = list(await conn.execute(query))
        told = [
            f"{row.id} {row.created_at:%H:%M:%S.%f} {row.result} {row.detail or ''}".strip() for row in rows
        ]
        return f"{len(self.carrier.invites().get(number, ()))} calls for attempts {'; '.join(told)}"

    async def _stored(self, attempts: list[UUID]) -> dict[UUID, str]:
        joined = (t.disposition.c.tenant_id == t.attempt.c.tenant_id) & (
            t.disposition.c.id == t.attempt.c.disposition_id
        )
        query: Any = (
            select(t.attempt.c.id, t.disposition.c.code)
            .join(t.disposition, joined)
            # One array: a statement has 32,767 arguments at most, and two hours have more talks.
            .where(t.attempt.c.id == any_(literal(attempts, ARRAY(pg.UUID(as_uuid=True)))))
        )
        async with self.database.tenant(TENANT) as conn:
            return {row.id: row.code for row in await conn.execute(query)}
