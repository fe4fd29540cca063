"""Writes onto leads when they may be dialled, so that the claim need not ask: it reads `open_from` and
`open_until`.

A window that has closed is followed by the next one; a lead that waits for something else (a retry, a limit)
gets the window around the time at which that is over. Where the rules of a campaign have changed (its hours,
its policy, the tables of holidays or zones), all its leads are written anew, in the order of their ids and in
pieces; until then the placer, which asks the rules once more, keeps back what is no longer open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.compliance.filters import Filter, Rules
from dialer.compliance.policy import good_day
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.policies import store as policies
from dialer.policies.fields import PolicyBody
from dialer.policies.windows import opening
from scheduler.holds import Hold

log = structlog.get_logger(__name__)

EVERY_S = 3.0
#: Leads that are written in one transaction: it holds their rows for some tenths of a second.
PIECE = 2_000
#: The share of the time in which the database is left to the calls while many leads are written.
REST = 0.5

_RUNNING = Prepared(
    """
    SELECT id, calendar_stamp, calendar_done FROM campaign
     WHERE tenant_id = :tenant_id AND status = 'running' ORDER BY id
    """
)
_LEAD = """
    l.id, l.e164, l.timezones, l.open_from, l.open_until, l.hold, p.good_from, p.good_until
      FROM lead l
      LEFT JOIN contact_phone p ON p.tenant_id = l.tenant_id AND p.contact_id = l.contact_id
           AND p.e164 = l.e164 AND p.good_from IS NOT NULL
"""
#: Those whose window is over. A lead that is being claimed is left to the next round.
_OVER = Prepared(
    f"""
    SELECT {_LEAD}
     WHERE l.tenant_id = :tenant_id AND l.campaign_id = :campaign_id AND l.status IN ('new', 'waiting')
       AND l.open_until <= :now
     ORDER BY l.open_until
     LIMIT :piece
       FOR UPDATE OF l SKIP LOCKED
    """
)
#: All of them, in the order of their numbers, for new rules. Waits for one that is being claimed.
_ALL = Prepared(
    f"""
    SELECT {_LEAD}
     WHERE l.tenant_id = :tenant_id AND l.campaign_id = :campaign_id AND l.e164 > :done
       AND l.status IN ('new', 'waiting')
     ORDER BY l.e164
     LIMIT :piece
       FOR UPDATE OF l
    """
)
_WRITE = Prepared(
    """
    UPDATE lead SET open_from = n.open_from, open_until = n.open_until, hold = n.hold
      FROM unnest(CAST(:ids AS bigint[]), CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]),
                  CAST(:holds AS text[])) AS n (id, open_from, open_until, hold)
     WHERE tenant_id = :tenant_id AND lead.id = n.id AND status IN ('new', 'waiting')
    """
)
_STAMP = Prepared(
    """
    UPDATE campaign SET calendar_stamp = :stamp, calendar_done = :done
     WHERE tenant_id = :tenant_id AND id = :campaign_id
    """
)


#: Holds that are the calendar's own.
_CALENDARS = frozenset({Filter.HOURS.value, Filter.ZONE.value})


def stamp_of(rules: Rules) -> str:
    """Changes with all that the windows of a campaign's leads depend on."""
    table = rules.window
    parts = (
        PolicyBody.of(rules.policy).model_dump_json(),
        table.days,
        sorted(table.exceptions.items()),
        table.on_holidays,
        version("holidays"),
        version("tzdata"),
    )
    return f"{rules.policy.stamp} {blake2b(repr(parts).encode(), digest_size=8).hexdigest()}"


class CalendarWriter:
    """Writes the windows of one installation's running campaigns. `rest`: see REST."""

    def __init__(self, database: Database, *, piece: int = PIECE, rest: float = REST) -> None:
        self._database = database
        self._piece = piece
        self._rest = rest
        self._asked = asyncio.Event()
        #: (tenant, campaign) -> the rules that were met last, with what their calendar remembers
        self._rules: dict[tuple[int, int], tuple[str, Rules]] = {}

    def ask(self) -> None:
        """Look now: a campaign was started or changed."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled, each few seconds and when asked; a database that is away is asked again."""
        while True:
            self._asked.clear()
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("calendar_waits", reason=str(error))
            try:
                async with asyncio.timeout(EVERY_S):  # time itself is the event
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def round(self) -> int:
        """Write what is due, of every tenant; how many leads were."""
        return sum([await self._tenant(tenant_id) for tenant_id in await self._database.tenants()])

    async def _tenant(self, tenant_id: int) -> int:
        async with self._database.tenant(tenant_id) as conn:
            running = await _RUNNING.rows(conn, tenant_id=tenant_id)
            found = await policies.rules(conn, tenant_id, [row.id for row in running])
        written = 0
        for row in running:
            if row.id not in found:
                continue  # nothing is dialled by rules that nobody knows
            stamp, kept = stamp_of(found[row.id]), self._rules.get((tenant_id, row.id))
            if kept is None or kept[0] != stamp:
                kept = self._rules[tenant_id, row.id] = stamp, found[row.id]
            # What is over first: the rest can wait.
            written += await self._pieces(_Over(tenant_id, row.id, kept[1]))
            if row.calendar_stamp != stamp or row.calendar_done is not None:
                done = row.calendar_done if row.calendar_stamp == stamp else ""
                written += await self._pieces(_Anew(tenant_id, row.id, kept[1], stamp, done or ""))
        return written

    async def _pieces(self, work: _Over | _Anew) -> int:
        written, more = 0, True
        while more:
            began_s = time.monotonic()
            async with self._database.tenant(work.tenant_id) as conn:
                more, many = await work.piece(conn, self._piece)
            written += many
            if more:  # leaves the database to the calls
                await asyncio.sleep((time.monotonic() - began_s) * self._rest / (1 - self._rest))
        return written


@dataclass(slots=True)
class _Over:
    """The leads of a campaign whose window is over."""

    tenant_id: int
    campaign_id: int
    rules: Rules

    async def piece(self, conn: AsyncConnection, size: int) -> tuple[bool, int]:
        """Write some; whether there may be more, and how many they were."""
        now = utc_now()
        rows = await _OVER.rows(
            conn, tenant_id=self.tenant_id, campaign_id=self.campaign_id, now=now, piece=size
        )
        many = await _write(conn, self.tenant_id, self.rules, rows, now)
        return len(rows) == size, many


@dataclass(slots=True)
class _Anew:
    """All leads of a campaign whose rules have changed."""

    tenant_id: int
    campaign_id: int
    rules: Rules
    stamp: str
    #: they are written up to this number
    done: str

    async def piece(self, conn: AsyncConnection, size: int) -> tuple[bool, int]:
        """Write some; whether there may be more, and how many were not right."""
        now = utc_now()
        rows = await _ALL.rows(
            conn, tenant_id=self.tenant_id, campaign_id=self.campaign_id, done=self.done, piece=size
        )
        many = await _write(conn, self.tenant_id, self.rules, rows, now)
        more = len(rows) == size
        self.done = rows[-1].e164 if rows else self.done
        await _STAMP.run(
            conn,
            tenant_id=self.tenant_id,
            campaign_id=self.campaign_id,
            stamp=self.stamp,
            done=self.done if more else None,
        )
        return more, many


async def _write(
    conn: AsyncConnection, tenant_id: int, rules: Rules, rows: Sequence[Any], now: datetime
) -> int:
    """Give each of these leads its window; how many had another one."""
    changed = [
        (row.id, *after)
        for row in rows
        if (after := times(row, rules, now)) != (row.open_from, row.open_until, row.hold)
    ]
    if changed:
        ids, froms, untils, holds = map(list, zip(*changed, strict=True))
        await _WRITE.run(conn, tenant_id=tenant_id, ids=ids, froms=froms, untils=untils, holds=holds)
    return len(changed)


def times(row: Any, rules: Rules, now: datetime) -> tuple[datetime, datetime, str | None]:
    """What `open_from`, `open_until` and `hold` of a lead are to be."""
    zones, good = tuple(row.timezones), good_day(row.good_from, row.good_until)
    if row.hold == Hold.CALLBACK:  # its callback says when; this is when it is looked at again
        return (
            row.open_from,
            opening(rules.calendar, zones, max(now, row.open_from), good).open_until,
            row.hold,
        )
    if row.hold not in _CALENDARS and row.open_from > now:
        # It waits for something else until then. Where it is closed then, its window is over at that moment,
        # and it is looked at again.
        found = opening(rules.calendar, zones, row.open_from, good)
        return row.open_from, found.open_until if found.hold is None else row.open_from, row.hold
    found = opening(rules.calendar, zones, now, good)
    if found.hold is not None:
        return found.open_from, found.open_until, found.hold.value
    if row.hold in _CALENDARS:
        return now, found.open_until, None
    return row.open_from, found.open_until, row.hold
