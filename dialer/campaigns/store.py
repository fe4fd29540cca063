"""The SQL of campaigns, their trunks and dispositions, the counts of their leads, and pause codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.campaigns.model import (
    DEFAULT_PAUSE_CODES,
    Campaign,
    Disposition,
    PauseCode,
    Status,
)
from dialer.db.prepared import Prepared
from dialer.db.tables import (
    LEAD_STATUSES,
    attempt,
    campaign,
    campaign_trunk,
    contact,
    disposition,
    lead,
    pause_code,
    trunk,
)


def _campaign(row: Any) -> Campaign:
    fields = {name: getattr(row, name) for name in Campaign.__slots__}
    return Campaign(**fields | {"status": Status(row.status)})


def _columns(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are columns: trunks have a table of their own."""
    return {name: value for name, value in fields.items() if name != "trunks"}


async def add(conn: AsyncConnection, tenant_id: int, fields: Mapping[str, Any]) -> int:
    """Write a draft; its id. IntegrityError when the name is taken."""
    made = await conn.execute(
        insert(campaign).values(tenant_id=tenant_id, **_columns(fields)).returning(campaign.c.id)
    )
    return int(made.scalar_one())


async def change(conn: AsyncConnection, tenant_id: int, campaign_id: int, fields: Mapping[str, Any]) -> None:
    """Write changed columns. IntegrityError when the name is taken."""
    columns = _columns(fields)
    if columns:
        await conn.execute(
            update(campaign)
            .where(campaign.c.tenant_id == tenant_id, campaign.c.id == campaign_id)
            .values(**columns)
        )


async def remove(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> None:
    """Remove a campaign with its leads, trunks and dispositions. IntegrityError when it has attempts."""
    await conn.execute(
        delete(campaign).where(campaign.c.tenant_id == tenant_id, campaign.c.id == campaign_id)
    )


async def one(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, *, lock: bool = False
) -> Campaign | None:
    """A campaign. `lock`: nobody else starts, pauses or changes it, and no call of it is claimed, before the
    transaction ends (a claim holds the row FOR SHARE)."""
    query = select(campaign).where(campaign.c.tenant_id == tenant_id, campaign.c.id == campaign_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return _campaign(row) if row else None


async def page(
    conn: AsyncConnection, tenant_id: int, *, status: str | None, before: int | None, limit: int
) -> list[Campaign]:
    """Campaigns, newest first, with ids below `before`."""
    query = (
        select(campaign).where(campaign.c.tenant_id == tenant_id).order_by(campaign.c.id.desc()).limit(limit)
    )
    if status is not None:
        query = query.where(campaign.c.status == status)
    if before is not None:
        query = query.where(campaign.c.id < before)
    return [_campaign(row) for row in await conn.execute(query)]


# -- trunks ------------------------------------------------------------------------------------------------


async def trunk_ids(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[int]:
    """Ids of the campaign's trunks, in order."""
    return list(
        await conn.scalars(
            select(campaign_trunk.c.trunk_id)
            .where(campaign_trunk.c.tenant_id == tenant_id, campaign_trunk.c.campaign_id == campaign_id)
            .order_by(campaign_trunk.c.position)
        )
    )


async def unknown_trunks(conn: AsyncConnection, tenant_id: int, ids: Sequence[int]) -> set[int]:
    """Of these ids those that name no trunk of the tenant."""
    known = await conn.scalars(select(trunk.c.id).where(trunk.c.tenant_id == tenant_id, trunk.c.id.in_(ids)))
    return set(ids) - set(known)


async def set_trunks(conn: AsyncConnection, tenant_id: int, campaign_id: int, ids: Sequence[int]) -> None:
    """Give the campaign these trunks, in this order."""
    await conn.execute(
        delete(campaign_trunk).where(
            campaign_trunk.c.tenant_id == tenant_id, campaign_trunk.c.campaign_id == campaign_id
        )
    )
    if ids:
        await conn.execute(
            insert(campaign_trunk),
            [
                {
                    "tenant_id": tenant_id,
                    "campaign_id": campaign_id,
                    "position": position,
                    "trunk_id": trunk_id,
                }
                for position, trunk_id in enumerate(ids, 1)
            ],
        )


# -- dispositions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeptDisposition:
    """A disposition with its id."""

    id: int
    code: str
    label_ru: str
    label_en: str
    kind: str


async def dispositions(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[KeptDisposition]:
    """The campaign's dispositions in the order agents see them."""
    c = disposition.c
    rows = await conn.execute(
        select(c.id, c.code, c.label_ru, c.label_en, c.kind)
        .where(c.tenant_id == tenant_id, c.campaign_id == campaign_id)
        .order_by(c.position, c.id)
    )
    return [KeptDisposition(*row) for row in rows]


async def set_dispositions(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, wanted: Sequence[Disposition]
) -> list[str]:
    """Make these the campaign's dispositions, in this order. Codes that are no longer wanted but stand on
    talks are kept, and come back: then the caller rolls back."""
    c = disposition.c
    codes = [one.code for one in wanted]
    mine = (c.tenant_id == tenant_id, c.campaign_id == campaign_id)
    used = (
        select(attempt.c.id)
        .where(attempt.c.tenant_id == c.tenant_id, attempt.c.disposition_id == c.id)
        .exists()
    )
    kept = list(await conn.scalars(select(c.code).where(*mine, c.code.not_in(codes), used).order_by(c.code)))
    if kept:
        return kept
    await conn.execute(delete(disposition).where(*mine, c.code.not_in(codes)))
    if wanted:
        row = upsert(disposition).values(
            [
                {
                    "tenant_id": tenant_id,
                    "campaign_id": campaign_id,
                    "code": one.code,
                    "label_ru": one.label_ru,
                    "label_en": one.label_en,
                    "kind": one.kind,
                    "position": position,
                }
                for position, one in enumerate(wanted, 1)
            ]
        )
        await conn.execute(
            row.on_conflict_do_update(
                index_elements=["tenant_id", "campaign_id", "code"],
                set_={name: row.excluded[name] for name in ("label_ru", "label_en", "kind", "position")},
            )
        )
    return []


async def add_dispositions(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, wanted: Sequence[Disposition]
) -> None:
    """Add those whose codes the campaign does not have yet, behind its own."""
    own = await dispositions(conn, tenant_id, campaign_id)
    have = [Disposition(one.code, one.label_ru, one.label_en, one.kind) for one in own]
    codes = {one.code for one in own}
    await set_dispositions(
        conn, tenant_id, campaign_id, [*have, *(one for one in wanted if one.code not in codes)]
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """A disposition of a campaign, and how many of its calls came to it."""

    code: str
    label_ru: str
    label_en: str
    kind: str
    calls: int


#: Counted in the index alone; public for the test that asks the database how it goes about it.
OUTCOMES: Final = Prepared(
    """
    WITH counted AS (
        SELECT disposition_id, CAST(count(*) AS integer) AS calls FROM attempt
         WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id AND disposition_id IS NOT NULL
         GROUP BY disposition_id)
    SELECT d.code, d.label_ru, d.label_en, d.kind, coalesce(c.calls, 0) AS calls
      FROM disposition d LEFT JOIN counted c ON c.disposition_id = d.id
     WHERE d.tenant_id = :tenant_id AND d.campaign_id = :campaign_id
     ORDER BY d.position, d.id
    """
)


async def outcomes(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Outcome]:
    """The campaign's dispositions in the order agents see them, counted over the attempts of its life."""
    rows = await OUTCOMES.rows(conn, tenant_id=tenant_id, campaign_id=campaign_id)
    return [Outcome(**row) for row in rows]


# -- leads -------------------------------------------------------------------------------------------------


async def lead_counts(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> dict[str, int]:
    """How many leads of the campaign are in each status; every status is there."""
    rows = await conn.execute(
        select(lead.c.status, func.count().label("leads"))
        .where(lead.c.tenant_id == tenant_id, lead.c.campaign_id == campaign_id)
        .group_by(lead.c.status)
    )
    counts = {row.status: row.leads for row in rows}
    return {status: counts.get(status, 0) for status in LEAD_STATUSES}


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead as people look at it."""

    id: int
    contact_id: int
    list_id: int
    last_name: str
    first_name: str
    middle_name: str
    e164: str
    timezones: list[str]
    status: str
    attempts: int
    last_result: str | None
    last_attempt_at: datetime | None
    #: may be dialled from here ...
    open_from: datetime
    #: ... until here
    open_until: datetime
    closed_reason: str | None


async def leads(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    *,
    status: str | None,
    after: str | None,
    limit: int,
) -> list[LeadRow]:
    """Leads of the campaign in the order of their numbers (an index has them so), after a number."""
    c, who = lead.c, contact.c
    query = (
        select(
            c.id,
            c.contact_id,
            c.list_id,
            who.last_name,
            who.first_name,
            who.middle_name,
            c.e164,
            c.timezones,
            c.status,
            c.attempts,
            c.last_result,
            c.last_attempt_at,
            c.open_from,
            c.open_until,
            c.closed_reason,
        )
        .join(contact, (who.tenant_id == c.tenant_id) & (who.id == c.contact_id))
        .where(c.tenant_id == tenant_id, c.campaign_id == campaign_id)
        .order_by(c.e164)
        .limit(limit)
    )
    if status is not None:
        query = query.where(c.status == status)
    if after is not None:
        query = query.where(c.e164 > after)
    return [LeadRow(**row) for row in (await conn.execute(query)).mappings()]


# -- pause codes -------------------------------------------------------------------------------------------


async def pause_codes(conn: AsyncConnection, tenant_id: int) -> list[PauseCode]:
    """The tenant's pause codes in the order agents see them."""
    c = pause_code.c
    rows = await conn.execute(
        select(c.code, c.label_ru, c.label_en, c.limit_s)
        .where(c.tenant_id == tenant_id)
        .order_by(c.position, c.code)
    )
    return [PauseCode(*row) for row in rows]


async def set_pause_codes(conn: AsyncConnection, tenant_id: int, wanted: Sequence[PauseCode]) -> None:
    """Make these the tenant's pause codes, in this order."""
    await conn.execute(delete(pause_code).where(pause_code.c.tenant_id == tenant_id))
    await conn.execute(insert(pause_code), _pause_rows(tenant_id, wanted))


async def ensure_pause_codes(conn: AsyncConnection, tenant_id: int) -> None:
    """Give a tenant that has no pause codes the default ones."""
    if not await pause_codes(conn, tenant_id):
        # Two processes may begin at once.
        await conn.execute(
            upsert(pause_code).on_conflict_do_nothing(), _pause_rows(tenant_id, DEFAULT_PAUSE_CODES)
        )


def _pause_rows(tenant_id: int, codes: Sequence[PauseCode]) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": tenant_id,
            "code": one.code,
            "label_ru": one.label_ru,
            "label_en": one.label_en,
            "limit_s": one.limit_s,
            "position": position,
        }
        for position, one in enumerate(codes, 1)
    ]
