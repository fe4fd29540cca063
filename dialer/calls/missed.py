"""Calls that nobody served, noted with their end where the number's rule has their callers called back.

The note is written in the transaction of the end, so no crash loses one; what comes of it is decided by
`dialer.inbound.missed`, a little later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared

#: Who was cut off calls again by themselves within this, seconds.
COMES_BACK_S: Final = 30

#: Who left the flow is missed by the rule `all` alone; by both who has waited, and whom a fault of ours lost.
#: A number without a rule of its own goes by that of the tenant, where there is one.
_NOTE = Prepared(
    """
    INSERT INTO missed_call (tenant_id, call_id, due_at)
    SELECT c.tenant_id, c.id, c.hung_up_at + make_interval(secs => :back_s)
      FROM inbound_call c
      JOIN inbound_number n ON n.tenant_id = c.tenant_id AND n.id = c.number_id
      LEFT JOIN missed_default d ON d.tenant_id = c.tenant_id AND n.missed_rule = 'usual'
     WHERE c.tenant_id = :tenant_id AND c.id = ANY (CAST(:call_ids AS uuid[])) AND c.e164 <> ''
       AND c.result IN ('abandoned', 'left', 'failed', 'unknown')
       AND CASE coalesce(d.rule, n.missed_rule)
                WHEN 'all' THEN true
                WHEN 'queue' THEN c.queued_at IS NOT NULL OR c.result <> 'left'
                ELSE false END
       AND c.hung_up_at - coalesce(c.queued_at, c.answered_at)
           >= make_interval(secs => coalesce(d.after_s, n.missed_after_s))
    ON CONFLICT DO NOTHING
    """
)


async def note(conn: AsyncConnection, tenant_id: int, call_ids: Sequence[UUID]) -> None:
    """Note those of these calls, which have ended, that were missed."""
    if call_ids:
        await _NOTE.run(conn, tenant_id=tenant_id, call_ids=list(call_ids), back_s=COMES_BACK_S)
