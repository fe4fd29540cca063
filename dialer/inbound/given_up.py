"""Promises calls to those whose kept place was given up: they were not reached, or the queue has closed."""

from __future__ import annotations

import structlog

from dialer.callbacks import phoned
from dialer.callbacks.phoned import Phoned
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import Invalid, NotAllowed, NotFound, WrongState

log = structlog.get_logger(__name__)

#: Places of one transaction.
BATCH = 50

_DUE = Prepared(
    """
    SELECT call_id, campaign_id, contact_id, e164, coalesce(nullif(reason, ''), queue) AS note
      FROM kept_place
     WHERE tenant_id = :tenant_id AND stage = 'task' AND callback_id IS NULL AND why IS NULL
     ORDER BY call_id
     LIMIT :limit
       FOR UPDATE SKIP LOCKED
    """
)
_DECIDE = Prepared(
    """
    UPDATE kept_place SET callback_id = :callback_id, why = :why
     WHERE tenant_id = :tenant_id AND call_id = :call_id
    """
)


async def promise(database: Database, tenant_id: int) -> int:
    """Make promised calls of the tenant's places that were given up; of how many it was decided."""
    async with database.tenant(tenant_id) as conn:
        rows = await _DUE.rows(conn, tenant_id=tenant_id, limit=BATCH)
        for row in rows:
            made, why = None, None
            if row.contact_id is None:
                why = "forgotten"
            else:
                who = Phoned(row.campaign_id, row.contact_id, row.e164, row.call_id)
                try:
                    async with conn.begin_nested():
                        made = (await phoned.promise(conn, tenant_id, who, note=row.note)).id
                except (Invalid, NotAllowed, NotFound, WrongState) as error:
                    why = str(error.details.get("code") or error.id)
            await _DECIDE.run(conn, tenant_id=tenant_id, call_id=row.call_id, callback_id=made, why=why)
            log.info("place_given_up", call=str(row.call_id), callback=made, reason=why)
    return len(rows)
