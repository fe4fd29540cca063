"""Changes of very many leads of a campaign: another order, a quota that was filled or raised, recycling, an
area that is not to be called any more.

Each is a row that is written with what has caused it, and carried out by the jobs process in pieces of some
thousand leads in the order of their numbers, each piece a transaction that notes how far it came. A process
that dies loses nothing; calls go on meanwhile and wait for a piece at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db.events import wake
from dialer.db.listen import JOBS
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.db.sort_key import OF_LEAD
from dialer.db.tables import lead_change
from dialer.errors import DatabaseUnavailable
from scheduler import promised, refused
from scheduler.hopper import FOR_LONG
from scheduler.recycling import NEVER, Recycle

log = structlog.get_logger(__name__)

#: Leads in a transaction.
PIECE: Final = 5000
#: Looked for by itself so often; a note makes it at once.
EVERY_S: Final = 60.0
AGAIN_S: Final = 1.0
_C = lead_change.c


class What(StrEnum):
    """What is changed."""

    #: each lead gets its place by the campaign's order of now
    ORDER = "order"
    #: leads under a full quota rest; those that rest for one that is not full come back
    QUOTA = "quota"
    #: closed leads begin anew
    RECYCLE = "recycle"
    #: leads of an area that is not to be called close
    REFUSE = "refuse"
    #: leads that were closed for an area that may be called again are opened
    ALLOW = "allow"

    @property
    def of_area(self) -> bool:
        """Whether it is about the numbers that begin with `prefix` of its rule."""
        return self in (What.REFUSE, What.ALLOW)


#: Whether the contact c falls under the quota q.
UNDER_QUOTA = "lower(btrim(c.custom->>q.field)) = lower(q.value)"

_FULL = f"""
    EXISTS (SELECT FROM campaign_quota q JOIN contact c ON c.tenant_id = q.tenant_id AND {UNDER_QUOTA}
             WHERE q.tenant_id = l.tenant_id AND q.campaign_id = l.campaign_id AND q.reached >= q.wanted
               AND c.id = l.contact_id)
"""
#: What of a closed lead l the rule asks.
_RECYCLED = f"""
    l.status = 'closed' AND l.closed_reason <> ALL ('{{{",".join(sorted(NEVER))}}}')
    AND (CAST(:reasons AS text[]) = '{{}}' OR l.closed_reason = ANY (CAST(:reasons AS text[])))
    AND (CAST(:results AS text[]) = '{{}}' OR l.last_result = ANY (CAST(:results AS text[])))
    AND coalesce(l.last_attempt_at, l.created_at) <= CAST(:before AS timestamptz)
"""
_IN_AREA = "starts_with(l.e164, CAST(:prefix AS text))"
#: by change: what is set, and of which leads
_CHANGES: Mapping[What, tuple[str, str]] = {
    What.ORDER: (f"sort_key = {OF_LEAD}", f"l.status <> 'closed' AND l.sort_key <> {OF_LEAD}"),
    What.QUOTA: (
        """
        hold = CASE WHEN l.hold IS NULL THEN 'quota' END,
        open_from = CASE WHEN l.hold IS NULL THEN CAST(:far AS timestamptz) ELSE CAST(:now AS timestamptz) END
        """,
        f"""
        l.status IN ('new', 'waiting')
        AND ((l.hold IS NULL AND {_FULL}) OR (l.hold = 'quota' AND NOT {_FULL}))
        """,
    ),
    What.RECYCLE: (
        f"""
        status = 'waiting', hold = NULL, closed_reason = NULL, open_from = CAST(:now AS timestamptz),
        attempts = CASE WHEN CAST(:reset AS boolean) THEN 0 ELSE l.attempts END,
        sort_key = CASE WHEN k.lead_order = 'fewest_attempts' AND CAST(:reset AS boolean)
                        THEN 0 ELSE {OF_LEAD} END
        """,
        _RECYCLED,
    ),
    What.REFUSE: (refused.CLOSED, f"{refused.OPEN} AND {_IN_AREA} AND {refused.AREA_REFUSED}"),
    What.ALLOW: (refused.OPENED, f"{refused.SHUT} AND {_IN_AREA}"),
}
#: The last number that could begin with the prefix.
_OF_AREA = "AND e164 <= CAST(:prefix AS text) || '999999999999999'"
_PIECE = """
    WITH part AS (
        SELECT id, e164 FROM lead
         WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND e164 > :after {area}
         ORDER BY e164
         LIMIT :most
    ), locked AS MATERIALIZED (  -- in the order in which everybody locks leads
        SELECT l.id
          FROM lead l
          JOIN campaign k ON k.tenant_id = l.tenant_id AND k.id = l.campaign_id
         WHERE l.tenant_id = :tenant_id AND l.id IN (SELECT id FROM part) AND {which}
         ORDER BY l.id
           FOR UPDATE OF l
    ), done AS (
        UPDATE lead l SET {sets}
          FROM locked, campaign k
         WHERE l.tenant_id = :tenant_id AND l.id = locked.id
           AND k.tenant_id = l.tenant_id AND k.id = l.campaign_id
        RETURNING l.id
    )
    SELECT (SELECT count(*) FROM part) AS looked, (SELECT max(e164) FROM part) AS until,
           (SELECT count(*) FROM done) AS changed {more}
"""
_PIECES: Mapping[What, Prepared] = {
    what: Prepared(
        _PIECE.format(
            sets=sets,
            which=which,
            area=_OF_AREA if what.of_area else "",
            more=", ARRAY(SELECT id FROM done) AS ids" if what is What.REFUSE else "",
        )
    )
    for what, (sets, which) in _CHANGES.items()
}
#: It begins where the area does. A campaign that was stopped dials nobody, whatever its leads are.
_ASK_AREA = Prepared(
    """
    INSERT INTO lead_change (tenant_id, campaign_id, what, rule, after_e164)
    SELECT tenant_id, id, CAST(:what AS text), jsonb_build_object('prefix', CAST(:prefix AS text)),
           CAST(:prefix AS text)
      FROM campaign
     WHERE tenant_id = :tenant_id AND (CAST(:campaign_id AS bigint) IS NULL OR id = :campaign_id)
       AND status <> 'stopped'
     ORDER BY id
    """
)
_COUNT = Prepared(
    f"""
    SELECT count(*) FROM lead l
     WHERE l.tenant_id = :tenant_id AND l.campaign_id = :campaign_id AND {_RECYCLED}
    """  # noqa: S608 - texts of ours
)
#: One after the other: what was asked for last is what holds at the end.
_NEXT = Prepared(
    """
    SELECT id, campaign_id, what, rule, after_e164, created_at FROM lead_change
     WHERE tenant_id = :tenant_id
       AND id = (SELECT min(id) FROM lead_change WHERE tenant_id = :tenant_id AND finished_at IS NULL)
       AND finished_at IS NULL
       FOR UPDATE SKIP LOCKED
    """
)
_DONE = Prepared(
    """
    UPDATE lead_change
       SET after_e164 = coalesce(:until, after_e164), looked = looked + :looked, changed = changed + :changed,
           finished_at = CASE WHEN CAST(:over AS boolean) THEN now() END
     WHERE tenant_id = :tenant_id AND id = :id
    """
)


@dataclass(frozen=True, slots=True)
class LeadChange:
    """A change that was asked for."""

    id: int
    campaign_id: int
    what: What
    #: leads looked at so far, and changed
    looked: int
    changed: int
    created_at: datetime
    #: None: it goes on
    finished_at: datetime | None


async def ask(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, what: What, rule: Recycle | None = None
) -> int:
    """Have a change made once this transaction commits; its id."""
    values = {"campaign_id": campaign_id, "what": what, "rule": rule.as_kept() if rule else {}}
    made: int | None = await conn.scalar(
        insert(lead_change).values(tenant_id=tenant_id, **values).returning(_C.id)
    )
    assert made is not None
    await conn.execute(select(func.pg_notify(JOBS, "")))
    return made


async def ask_area(
    conn: AsyncConnection, tenant_id: int, prefix: str, campaign_id: int | None, *, refuse: bool
) -> None:
    """Have the leads whose numbers begin so (E.164) closed, of one campaign or of all, once this transaction
    commits; or those opened that were closed for it."""
    what = What.REFUSE if refuse else What.ALLOW
    await _ASK_AREA.run(conn, tenant_id=tenant_id, campaign_id=campaign_id, what=what, prefix=prefix)
    await conn.execute(select(func.pg_notify(JOBS, "")))


async def latest(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, what: What, *, limit: int = 10
) -> list[LeadChange]:
    """The latest changes of the kind that were asked for, the last first."""
    query = (
        select(_C.id, _C.campaign_id, _C.what, _C.looked, _C.changed, _C.created_at, _C.finished_at)
        .where(_C.tenant_id == tenant_id, _C.campaign_id == campaign_id, _C.what == what)
        .order_by(_C.id.desc())
        .limit(limit)
    )
    return [LeadChange(row[0], row[1], What(row[2]), *row[3:]) for row in await conn.execute(query)]


def _asked(rule: Recycle, now: datetime) -> dict[str, Any]:
    before = datetime.fromtimestamp(now.timestamp() - rule.older_than_s, now.tzinfo)
    return {"reasons": list(rule.reasons), "results": list(rule.results), "before": before}


async def would_recycle(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, rule: Recycle, now: datetime
) -> int:
    """How many leads the rule would have dialled anew."""
    found = await _COUNT.value(conn, tenant_id=tenant_id, campaign_id=campaign_id, **_asked(rule, now))
    return int(found)


async def piece(conn: AsyncConnection, tenant_id: int, most: int = PIECE) -> int | None:
    """Make the next piece of the tenant's oldest change; how many leads were looked at. None: nothing is
    asked for, or another process is at it."""
    row = await _NEXT.row(conn, tenant_id=tenant_id)
    if row is None:
        return None
    now, what = utc_now(), What(row.what)
    values: dict[str, Any] = {"now": now, "far": now + FOR_LONG}
    if what is What.RECYCLE:
        rule = Recycle.of(row.rule)
        values |= _asked(rule, row.created_at) | {"reset": rule.reset_attempts}
    if what.of_area:
        values["prefix"] = row.rule["prefix"]
    whose = {"tenant_id": tenant_id, "campaign_id": row.campaign_id}
    done = await _PIECES[what].row(conn, **whose, after=row.after_e164, most=most, **values)
    if what is What.REFUSE and done.ids:  # nobody calls them back either
        await promised.cancel_leads(conn, tenant_id, done.ids, "do_not_call", now)
    over = done.looked < most
    told = {"looked": done.looked, "changed": done.changed, "until": done.until, "over": over}
    await _DONE.run(conn, tenant_id=tenant_id, id=row.id, **told)
    if over:
        await wake(conn, "campaigns", tenant_id=tenant_id)
        log.info("leads_changed", campaign=row.campaign_id, what=what)
    return int(done.looked)


class Changes:
    """Carries out what is asked for, in every tenant. `run` until cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Something may have been asked for."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again later."""
        while True:
            self._asked.clear()
            try:
                for tenant_id in await self._database.tenants():
                    await self.round(tenant_id)
            except DatabaseUnavailable as error:
                log.warning("changes_wait", reason=str(error))
                await asyncio.sleep(AGAIN_S)  # nothing tells when a database is back
                continue
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def round(self, tenant_id: int) -> int:
        """Make all that is asked for of a tenant; how many leads were looked at."""
        looked = 0
        while True:
            async with self._database.tenant(tenant_id) as conn:
                some = await piece(conn, tenant_id)
            if some is None:
                return looked
            looked += some
            await asyncio.sleep(0)
