"""How many numbers an agent may type in."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import store
from dialer.calls.targets import ByHand, Target
from dialer.calls.terms import CallTerms
from dialer.errors import NotAllowed
from dialer.trunks import loads

#: Numbers typed by hand are counted over so long.
TYPED_IN = timedelta(hours=1)


async def check_typed(
    conn: AsyncConnection, terms: CallTerms, target: Target, by_hand: ByHand, now: datetime
) -> None:
    """Refuse a number typed by hand when the agent has dialled as many of them as one may."""
    if target.lead is not None:
        return
    most = await loads.typed_cap(conn, terms.tenant_id)
    typed = await store.typed_since(conn, terms.tenant_id, by_hand.shift.agent_id, now - TYPED_IN)
    if typed >= most:
        raise NotAllowed(reason="the agent has dialled as many numbers by hand as one may in an hour")
