"""Why people call: the tenant's list of reasons, and that of one call, set by the flow or by the agent.

A call keeps the reason in its own words: one that is renamed or taken off the list changes no call of before.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.inbound import store
from dialer.said import Said

#: So many are offered at most, and so long is one.
MOST = 100
LONGEST = 100

_ALL = Prepared("SELECT name FROM call_reason WHERE tenant_id = :tenant_id ORDER BY place, name")
#: One who reads meanwhile sees the old list or the new one; two who write go one after the other.
_LOCK = Prepared("SELECT pg_advisory_xact_lock(hashtextextended('call reasons', :tenant_id))")
_CLEAR = Prepared("DELETE FROM call_reason WHERE tenant_id = :tenant_id")
_WRITE = Prepared(
    """
    INSERT INTO call_reason (tenant_id, name, place)
    SELECT CAST(:tenant_id AS integer), name, place
      FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS one (name, place)
    """
)
_SET = Prepared(
    """
    UPDATE inbound_call SET reason = :reason WHERE tenant_id = :tenant_id AND id = :call_id
    RETURNING campaign_id, agent_id
    """
)


class ReasonService:
    """The reasons for which people call a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reasons(self, actor: Actor) -> list[str]:
        """The list, in the order in which agents see it."""
        if not actor.may(Right.CAMPAIGNS_READ):
            actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _names(conn, actor.tenant_id)

    async def write(self, actor: Actor, names: Sequence[str]) -> list[str]:
        """Write the list anew. Raises Invalid where one stands in it twice."""
        actor.require(Right.CAMPAIGNS_EDIT)
        if len({name.casefold() for name in names}) < len(names):
            raise Invalid(field="reasons", reason="is given twice")
        async with self._database.tenant(actor.tenant_id) as conn:
            await _LOCK.run(conn, tenant_id=actor.tenant_id)
            was = await _names(conn, actor.tenant_id)
            await _CLEAR.run(conn, tenant_id=actor.tenant_id)
            await _WRITE.run(conn, tenant_id=actor.tenant_id, names=list(names))
            await audit.record(conn, actor, "reasons.write", "reasons", was=was, now=list(names))
        return list(names)

    async def set(self, actor: Actor, call_id: UUID, reason: str | None) -> None:
        """Say why somebody has called, during the call or after it; None: take back what was said.

        One's own call, or with the right anybody's. Raises NotFound, Forbidden, Invalid when it is not on the
        list.
        """
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            own = await store.is_own(conn, tenant_id, call_id, actor.user_id)
            actor.require(Right.WORK if own else Right.CALLS_CONTROL)
            known = await _names(conn, tenant_id)
            if reason is not None and reason not in known:
                raise Invalid(
                    field="reason", reason=Said("must be one of: {expected}", expected=", ".join(known))
                )
            row = await _SET.row(conn, tenant_id=tenant_id, call_id=call_id, reason=reason)
            if row is None:
                raise NotFound(what="call", key=call_id)
            if not own:
                await audit.record(conn, actor, "call.reason", f"call:{call_id}")
            about = {
                "attempt_id": str(call_id),
                "campaign_id": row.campaign_id,
                "agent_id": row.agent_id,
            }
            await events.emit(
                conn,
                "call.reason",
                about,
                tenant_id=tenant_id,
                campaign_id=row.campaign_id,
                agent_id=row.agent_id,
            )


async def _names(conn: AsyncConnection, tenant_id: int) -> list[str]:
    return await _ALL.column(conn, tenant_id=tenant_id)
