"""What goes with a call that is made for one agent: how many numbers they may type in, and that they are
kept for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.calls import store
from dialer.calls.targets import ByHand, Target
from dialer.calls.terms import CallTerms
from dialer.errors import NotAllowed, WrongState
from dialer.queues import places
from dialer.trunks import loads

#: Numbers typed by hand are counted over so long.
TYPED_IN = timedelta(hours=1)


async def check_typed(
    conn: AsyncConnection, terms: CallTerms, target: Target, by_hand: ByHand, now: datetime
) -> None:
    """Refuse a number typed by hand when the agent has dialled as many of them as one may."""
    if target.lead is not None or by_hand.place is not None:
        return
    most = await loads.typed_cap(conn, terms.tenant_id)
    typed = await store.typed_since(conn, terms.tenant_id, by_hand.shift.agent_id, now - TYPED_IN)
    if typed >= most:
        raise NotAllowed(reason="the agent has dialled as many numbers by hand as one may in an hour")


async def keep_agent(
    conn: AsyncConnection, terms: CallTerms, target: Target, by_hand: ByHand, attempt_id: UUID, now: datetime
) -> None:
    """Have the agent for the attempt, in its transaction: one who started it while ready or paused, one who
    was chosen for a kept place while ready. Raises WrongState."""
    tenant_id, shift = terms.tenant_id, by_hand.shift
    if by_hand.place is None:
        lead_id = target.lead.id if target.lead else None
        if not await agents.reserve_own(conn, tenant_id, shift.id, attempt_id, lead_id, now):
            raise WrongState(what="The agent", state="in a call", allowed="ready or paused")
        return
    if not await places.begin(conn, tenant_id, by_hand.place.call_id, attempt_id):
        raise WrongState(what="The place", state="not waiting", allowed="kept")
    if not await agents.reserve(conn, tenant_id, shift.id, now, attempt_id=attempt_id):
        raise WrongState(what="The agent", state="not free", allowed="ready")
