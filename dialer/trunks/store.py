"""The SQL of trunks. The secret is written here and read by nobody but the renderer of Asterisk's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Date, Select, bindparam, case, cast, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import SILENT_S
from dialer.db.prepared import Prepared
from dialer.db.tables import (
    campaign_trunk,
    process_status,
    tenant,
    tenant_cap,
    tenant_load,
    trunk,
    trunk_load,
    trunk_rate,
)  # fmt: skip
from dialer.trunks.model import Trunk

_COLUMNS = (
    trunk.c.id,
    trunk.c.name,
    trunk.c.endpoint,
    trunk.c.caller_id,
    trunk.c.max_channels,
    trunk.c.max_cps,
    trunk.c.allowed_prefixes,
    trunk.c.dial_format,
    trunk.c.codecs,
    trunk.c.enabled,
    trunk.c.sip_host,
    trunk.c.max_spend_per_day,
)
#: Why a trunk is bad whose carrier does not answer the OPTIONS of any Asterisk.
UNREACHABLE = "unreachable"
_CAPS = ("max_channels", "max_cps", "max_spend_per_day", "max_typed_per_hour")


def from_row(row: Any) -> Trunk:
    """The value of a row that has the columns of `trunk`."""
    return Trunk(
        id=row.id,
        name=row.name,
        endpoint=row.endpoint,
        caller_id=row.caller_id,
        max_channels=row.max_channels,
        max_cps=row.max_cps,
        allowed_prefixes=tuple(row.allowed_prefixes),
        dial_format=row.dial_format,
        codecs=tuple(row.codecs),
        enabled=row.enabled,
        sip_host=row.sip_host,
        max_spend_per_day=row.max_spend_per_day,
    )


async def trunks(conn: AsyncConnection, tenant_id: int) -> list[Trunk]:
    """All trunks by name."""
    rows = await conn.execute(select(*_COLUMNS).where(trunk.c.tenant_id == tenant_id).order_by(trunk.c.name))
    return [from_row(row) for row in rows]


_OF_CAMPAIGN = Prepared(
    select(*_COLUMNS)
    .join(
        campaign_trunk,
        (campaign_trunk.c.tenant_id == trunk.c.tenant_id) & (campaign_trunk.c.trunk_id == trunk.c.id),
    )
    .where(
        campaign_trunk.c.tenant_id == bindparam("tenant_id"),
        campaign_trunk.c.campaign_id == bindparam("campaign_id"),
    )
    .order_by(campaign_trunk.c.position)
)


async def trunks_of(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Trunk]:
    """The trunks of a campaign in the order they are tried."""
    rows = await _OF_CAMPAIGN.rows(conn, tenant_id=tenant_id, campaign_id=campaign_id)
    return [from_row(row) for row in rows]


def _fields(tenant_id: int) -> Select[Any]:
    """Every column of trunks but their secrets, and what they carry."""
    today = cast(func.timezone(tenant.c.timezone, func.clock_timestamp()), Date)
    spent = case((trunk_load.c.spend_day == today, trunk_load.c.spent), else_=0)
    return (
        select(
            *_COLUMNS,
            trunk.c.sip_port,
            trunk.c.sip_user,
            trunk.c.sip_secret.is_not(None).label("has_secret"),
            trunk.c.created_at,
            func.coalesce(trunk_load.c.channels, 0).label("channels"),
            func.coalesce(spent, 0).label("spent_today"),
            func.coalesce(trunk_load.c.health, "good").label("health_state"),
            trunk_load.c.health_since,
            trunk_load.c.health_why,
        )
        .join(tenant, tenant.c.id == trunk.c.tenant_id)
        .outerjoin(
            trunk_load,
            (trunk_load.c.tenant_id == trunk.c.tenant_id) & (trunk_load.c.trunk_id == trunk.c.id),
        )
        .where(trunk.c.tenant_id == tenant_id)
    )


async def _told(conn: AsyncConnection, tenant_id: int, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows as they are shown: with their tariffs, and their health as one thing."""
    tariffs: dict[int, list[dict[str, Any]]] = {row.id: [] for row in rows}
    rates = select(trunk_rate.c.trunk_id, trunk_rate.c.prefix, trunk_rate.c.per_minute, trunk_rate.c.per_call)
    mine = (trunk_rate.c.tenant_id == tenant_id) & trunk_rate.c.trunk_id.in_(tariffs)
    for rate in await conn.execute(rates.where(mine).order_by(trunk_rate.c.prefix)):
        one = {"prefix": rate.prefix, "per_minute": rate.per_minute, "per_call": rate.per_call}
        tariffs[rate.trunk_id].append(one)
    quiet = await silent(conn)
    told = []
    for row in rows:
        values = dict(row._mapping)
        health = {"state": values.pop("health_state"), "since": values.pop("health_since")}
        health["why"] = values.pop("health_why")
        if health["state"] == "good" and row.endpoint in quiet:
            health = {"state": "bad", "since": quiet[row.endpoint], "why": UNREACHABLE}
        told.append(values | {"health": health, "rates": tariffs[row.id]})
    return told


async def silent(conn: AsyncConnection) -> dict[str, datetime]:
    """The endpoints that answer no Asterisk, as the engines say: no call goes over them. Since when."""
    said = process_status.c.status["nodes"]
    fresh = process_status.c.seen_at > func.clock_timestamp() - timedelta(seconds=SILENT_S)
    query = select(said).where((process_status.c.name == "engine") & fresh & said.is_not(None))
    known = [
        node["silent_carriers"]
        for nodes in await conn.scalars(query)
        for node in nodes.values()
        if node["ready"] and "silent_carriers" in node
    ]
    everywhere = set.intersection(*map(set, known)) if known else set()
    return {one: max(datetime.fromisoformat(each[one]) for each in known) for one in everywhere}


async def fields(
    conn: AsyncConnection, tenant_id: int, trunk_id: int, *, lock: bool = False
) -> dict[str, Any] | None:
    """A trunk with its tariff, what it carries and how it is; not its secret: `has_secret` says whether there
    is one."""
    query = _fields(tenant_id).where(trunk.c.id == trunk_id)
    rows = (await conn.execute(query.with_for_update(of=trunk) if lock else query)).all()
    told = await _told(conn, tenant_id, rows)
    return told[0] if told else None


async def all_fields(conn: AsyncConnection, tenant_id: int) -> list[dict[str, Any]]:
    """`fields` of all trunks, by name."""
    rows = (await conn.execute(_fields(tenant_id).order_by(trunk.c.name))).all()
    return await _told(conn, tenant_id, rows)


async def set_rates(
    conn: AsyncConnection, tenant_id: int, trunk_id: int, rates: Sequence[Mapping[str, Any]]
) -> None:
    """Put a tariff in place of the old one."""
    mine = (trunk_rate.c.tenant_id == tenant_id) & (trunk_rate.c.trunk_id == trunk_id)
    await conn.execute(delete(trunk_rate).where(mine))
    if rates:
        key = {"tenant_id": tenant_id, "trunk_id": trunk_id}
        await conn.execute(insert(trunk_rate), [{**key, **rate} for rate in rates])


async def caps(conn: AsyncConnection, tenant_id: int) -> dict[str, Any]:
    """The tenant's caps, and what all its trunks carry."""
    today = cast(func.timezone(tenant.c.timezone, func.clock_timestamp()), Date)
    spent = case((tenant_load.c.spend_day == today, tenant_load.c.spent), else_=0)
    query = (
        select(
            *(tenant_cap.c[name] for name in _CAPS),
            func.coalesce(tenant_load.c.channels, 0).label("channels"),
            func.coalesce(spent, 0).label("spent_today"),
        )
        .select_from(tenant)
        .outerjoin(tenant_cap, tenant_cap.c.tenant_id == tenant.c.id)
        .outerjoin(tenant_load, tenant_load.c.tenant_id == tenant.c.id)
        .where(tenant.c.id == tenant_id)
    )
    return dict((await conn.execute(query)).one()._mapping)


async def set_caps(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> None:
    """Write changed caps."""
    if values:
        await conn.execute(
            upsert(tenant_cap)
            .values(tenant_id=tenant_id, **values)
            .on_conflict_do_update(index_elements=["tenant_id"], set_=dict(values))
        )


async def add(conn: AsyncConnection, tenant_id: int, values: Mapping[str, Any]) -> int:
    """Write a new trunk; its id."""
    made = await conn.execute(insert(trunk).values(tenant_id=tenant_id, **values).returning(trunk.c.id))
    return int(made.scalar_one())


async def change(conn: AsyncConnection, tenant_id: int, trunk_id: int, values: Mapping[str, Any]) -> None:
    """Write changed columns."""
    await conn.execute(
        update(trunk).where(trunk.c.tenant_id == tenant_id, trunk.c.id == trunk_id).values(**values)
    )


async def remove(conn: AsyncConnection, tenant_id: int, trunk_id: int) -> None:
    """Remove a trunk that nothing refers to (else IntegrityError)."""
    await conn.execute(delete(trunk).where(trunk.c.tenant_id == tenant_id, trunk.c.id == trunk_id))
