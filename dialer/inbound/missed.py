"""Has missed callers called back, by the rules of their numbers: a task of the jobs process.

A call that was missed is noted with its end (`dialer.calls.missed`). Half a minute later it is decided: who
has come back, was reached meanwhile or has a promise is left alone; anybody else is promised a call, which
any agent of the number's campaign makes. Who calls and is served before that takes the promise back. A place
in a queue that was kept and given up becomes such a promise too.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.callbacks import phoned
from dialer.callbacks import store as callbacks
from dialer.callbacks.phoned import Phoned
from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable, Invalid, NotAllowed, NotFound, WrongState
from dialer.inbound import given_up
from scheduler.callbacks import State

log = structlog.get_logger(__name__)

EVERY_S = 5.0
#: Calls of one transaction.
BATCH = 50

#: A later call of the number was served, or was missed itself and is what is decided then; or it goes on.
_DUE = Prepared(
    """
    SELECT m.call_id, c.campaign_id, c.contact_id, c.e164, coalesce(c.reason, c.queue, '') AS note,
           EXISTS (SELECT FROM inbound_call o
                    WHERE o.tenant_id = c.tenant_id AND o.e164 = c.e164 AND o.created_at > c.created_at
                      AND o.hung_up_at IS NULL) AS calling,
           EXISTS (SELECT FROM inbound_call o
                    WHERE o.tenant_id = c.tenant_id AND o.e164 = c.e164 AND o.created_at > c.created_at
                      AND (o.result IN ('answered', 'contained', 'voicemail', 'callback', 'transferred')
                           OR EXISTS (SELECT FROM missed_call a
                                       WHERE a.tenant_id = o.tenant_id AND a.call_id = o.id))) AS came_back,
           EXISTS (SELECT FROM attempt a
                    WHERE a.tenant_id = c.tenant_id AND a.e164 = c.e164 AND a.created_at > c.created_at
                      AND a.connected_at IS NOT NULL) AS reached,
           EXISTS (SELECT FROM callback k
                    WHERE k.tenant_id = c.tenant_id AND k.contact_id = c.contact_id
                      AND k.state IN ('waiting', 'dialling')) AS promised
      FROM missed_call m
      JOIN inbound_call c ON c.tenant_id = m.tenant_id AND c.id = m.call_id
     WHERE m.tenant_id = :tenant_id AND m.fate IS NULL AND m.due_at <= :now
     ORDER BY m.due_at
     LIMIT :limit
       FOR UPDATE OF m SKIP LOCKED
    """
)
_DECIDE = Prepared(
    """
    UPDATE missed_call SET fate = :fate, reason = :reason, callback_id = :callback_id, decided_at = :now
     WHERE tenant_id = :tenant_id AND call_id = :call_id
    """
)
_LATER = Prepared(
    """
    UPDATE missed_call SET due_at = CAST(:now AS timestamptz) + interval '30 seconds'
     WHERE tenant_id = :tenant_id AND call_id = :call_id
    """
)
#: Promises of missed calls whose people have called again since, and were served. A lead that was made for
#: the promise is over with it; any other is one of its list again.
_NEEDLESS = Prepared(
    """
    SELECT k.id, l.created_at >= c.created_at AS made_for_it
      FROM callback k
      JOIN missed_call m ON m.tenant_id = k.tenant_id AND m.callback_id = k.id
      JOIN inbound_call c ON c.tenant_id = m.tenant_id AND c.id = m.call_id
      JOIN lead l ON l.tenant_id = k.tenant_id AND l.id = k.lead_id
     WHERE k.tenant_id = :tenant_id AND k.state = 'waiting'
       AND EXISTS (SELECT FROM inbound_call o
                    WHERE o.tenant_id = c.tenant_id AND o.e164 = c.e164 AND o.created_at > c.created_at
                      AND o.result IN ('answered', 'transferred'))
    """
)


@dataclass(slots=True)
class MissedCalls:
    """The task of the jobs process."""

    database: Database

    async def run(self) -> None:
        """Until cancelled, every few seconds; a database that is away is asked again."""
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("missed_calls_wait", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def round(self) -> None:
        """Decide what is due now, in every tenant."""
        for tenant_id in await self.database.tenants():
            while await self._decide(tenant_id) == BATCH:
                pass
            await self._take_back(tenant_id)
            while await given_up.promise(self.database, tenant_id) == given_up.BATCH:
                pass

    async def _decide(self, tenant_id: int) -> int:
        now = utc_now()
        async with self.database.tenant(tenant_id) as conn:
            rows = await _DUE.rows(conn, tenant_id=tenant_id, now=now, limit=BATCH)
            for row in rows:
                about = {"tenant_id": tenant_id, "call_id": row.call_id, "now": now}
                if row.calling:  # what becomes of that call is not known yet
                    await _LATER.run(conn, **about)
                    continue
                fate, reason, made = await _fate(conn, tenant_id, row)
                await _DECIDE.run(conn, **about, fate=fate, reason=reason, callback_id=made)
                log.info("missed_call", call=str(row.call_id), fate=fate, reason=reason)
        return len(rows)

    async def _take_back(self, tenant_id: int) -> None:
        async with self.database.tenant(tenant_id) as conn:
            for needless in await _NEEDLESS.rows(conn, tenant_id=tenant_id):
                row = await callbacks.lock(conn, tenant_id, needless.id)
                if row is None or row.state is not State.WAITING:
                    continue
                ended = {"state": State.CANCELED.value, "reason": "came_back", "ended_at": utc_now()}
                await callbacks.change(conn, tenant_id, row.id, ended)
                await callbacks.free_lead(conn, tenant_id, row.lead_id, close=needless.made_for_it)


async def _fate(conn: AsyncConnection, tenant_id: int, row: Any) -> tuple[str, str | None, int | None]:
    """What comes of a missed call: the word, why nobody calls, the promise."""
    for fate in ("came_back", "reached", "promised"):
        if row[fate]:
            return fate, None, None
    if row.contact_id is None:
        return "refused", "forgotten", None
    who = Phoned(row.campaign_id, row.contact_id, row.e164, row.call_id)
    try:
        async with conn.begin_nested():
            made = await phoned.promise(conn, tenant_id, who, note=row.note)
    except (Invalid, NotAllowed, NotFound, WrongState) as error:
        return "refused", str(error.details.get("code") or error.id), None
    return "task", None, made.id
