"""Tells agents that a promised call comes, and supervisors that nobody is there for one; in the jobs process.

What was told stands on the callback, so a restart forgets and repeats nothing. An agent who logs in later has
it on the own page. Besides, it puts right what others have done to leads and callbacks (`promised.tidy`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from scheduler import promised
from scheduler.callbacks import LATE

log = structlog.get_logger(__name__)

EVERY_S = 5.0

#: Each thing is told once of each time for which a callback is due; of two servers one tells it.
_SOON = Prepared(
    """
    UPDATE callback SET reminded_at = :now
     WHERE tenant_id = :tenant_id AND state = 'waiting' AND agent_id IS NOT NULL AND reminded_at IS NULL
       AND due_at <= :soon
    RETURNING id, campaign_id, lead_id, agent_id, due_at
    """
)
_DUE = Prepared(
    """
    UPDATE callback SET told_at = :now
     WHERE tenant_id = :tenant_id AND state = 'waiting' AND agent_id IS NOT NULL AND told_at IS NULL
       AND due_at <= :now
    RETURNING id, campaign_id, lead_id, agent_id, due_at
    """
)
_LATE = Prepared(
    """
    UPDATE callback c SET late_told_at = :now
      FROM campaign k
     WHERE c.tenant_id = :tenant_id AND c.state = 'waiting' AND c.late_told_at IS NULL
       AND k.tenant_id = c.tenant_id AND k.id = c.campaign_id
       AND c.due_at <= CAST(:now AS timestamptz)
           - CASE WHEN c.away = 'supervisor' THEN make_interval(secs => k.callback_wait_s)
                  ELSE CAST(:late AS interval) END
    RETURNING c.id, c.campaign_id, c.lead_id, c.agent_id, c.due_at
    """
)


class Reminding:
    """The task of the jobs process. `ahead_s`: how long before a call its agent is told."""

    def __init__(self, database: Database, ahead_s: float) -> None:
        self._database = database
        self._ahead = timedelta(seconds=ahead_s)

    async def run(self) -> None:
        """Until cancelled, every few seconds; a database that is away is asked again."""
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.warning("reminding_waits", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def round(self) -> None:
        """Tell what is to be told now, in every tenant."""
        for tenant_id in await self._database.tenants():
            now = utc_now()
            async with self._database.tenant(tenant_id) as conn:
                await self._tell(conn, tenant_id, now)
            async with self._database.tenant(tenant_id) as conn:
                await promised.tidy(conn, tenant_id, now)

    async def _tell(self, conn: AsyncConnection, tenant_id: int, now: datetime) -> None:
        soon = await _SOON.rows(conn, tenant_id=tenant_id, now=now, soon=now + self._ahead)
        due = await _DUE.rows(conn, tenant_id=tenant_id, now=now)
        late = await _LATE.rows(conn, tenant_id=tenant_id, now=now, late=LATE)
        told = [("soon", row) for row in soon if row.due_at > now]
        told += [("due", row) for row in due]
        told += [("late", row) for row in late]
        facts = [
            events.Fact(
                "callback.reminder",
                {
                    "callback_id": row.id,
                    "campaign_id": row.campaign_id,
                    "lead_id": row.lead_id,
                    "agent_id": row.agent_id,
                    "due_at": row.due_at.isoformat(),
                    "what": what,
                },
                row.campaign_id,
                row.agent_id,
            )
            for what, row in told
        ]
        await events.emit_all(conn, facts, tenant_id=tenant_id)
