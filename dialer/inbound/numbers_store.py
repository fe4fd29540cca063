"""The SQL of the numbers that people call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.tables import campaign, flow, inbound_number
from dialer.inbound.model import Number

_N = inbound_number.c
_NUMBERS = select(
    _N.id,
    _N.number,
    _N.name,
    _N.flow_id,
    flow.c.name.label("flow"),
    _N.campaign_id,
    campaign.c.name.label("campaign"),
    _N.queue,
    _N.test,
    _N.active,
    _N.missed_rule,
    _N.missed_after_s,
)
_NUMBERS = _NUMBERS.join_from(
    inbound_number, flow, (flow.c.tenant_id == _N.tenant_id) & (flow.c.id == _N.flow_id)
).join(campaign, (campaign.c.tenant_id == _N.tenant_id) & (campaign.c.id == _N.campaign_id))


async def numbers(conn: AsyncConnection, tenant_id: int, number_id: int | None = None) -> list[Number]:
    """All numbers of the tenant, or the one with this id."""
    query = _NUMBERS.where(_N.tenant_id == tenant_id).order_by(_N.number)
    if number_id is not None:
        query = query.where(_N.id == number_id)
    return [Number(**row._mapping) for row in await conn.execute(query)]


async def add_number(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """A new number; its id. One that somebody has breaks a unique constraint."""
    made = await conn.scalar(
        insert(inbound_number).values(tenant_id=tenant_id, **values).returning(inbound_number.c.id)
    )
    assert isinstance(made, int)
    return made


async def change_number(
    conn: AsyncConnection, tenant_id: int, number_id: int, values: Mapping[str, Any]
) -> bool:
    """Write columns of a number; False: there is none."""
    changed = await conn.execute(
        update(inbound_number).where(_N.tenant_id == tenant_id, _N.id == number_id).values(**values)
    )
    return changed.rowcount == 1


async def remove_number(conn: AsyncConnection, tenant_id: int, number_id: int) -> bool:
    """Forget a number; False: there is none. One that has been called breaks a reference."""
    gone = await conn.execute(delete(inbound_number).where(_N.tenant_id == tenant_id, _N.id == number_id))
    return gone.rowcount == 1
