"""The SQL of a list's funnel."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.model import Funnel, FunnelOfCampaign

_SIZES = text("""
    SELECT
        (SELECT count(*) FROM list_contact
          WHERE tenant_id = :tenant_id AND list_id = :list_id) AS contacts,
        (SELECT count(*) FROM list_contact m
           JOIN contact_phone p ON p.tenant_id = m.tenant_id AND p.contact_id = m.contact_id
          WHERE m.tenant_id = :tenant_id AND m.list_id = :list_id) AS phones
""")
_LEADS = text("""
    SELECT c.id, c.name, l.status, l.many
    FROM (
        SELECT campaign_id, status, count(*) AS many FROM lead
        WHERE tenant_id = :tenant_id AND list_id = :list_id GROUP BY campaign_id, status
    ) AS l
    JOIN campaign c ON c.tenant_id = :tenant_id AND c.id = l.campaign_id
    ORDER BY c.id DESC, l.status
""")


async def funnel(conn: AsyncConnection, tenant_id: int, list_id: int) -> Funnel:
    """A list's funnel; a count of its rows, so it takes a second where there are a million."""
    key = {"tenant_id": tenant_id, "list_id": list_id}
    sizes = (await conn.execute(_SIZES, key)).one()
    campaigns: dict[int, tuple[str, dict[str, int]]] = {}
    for campaign_id, name, status, many in await conn.execute(_LEADS, key):
        campaigns.setdefault(campaign_id, (name, {}))[1][status] = many
    found = tuple(FunnelOfCampaign(one, name, leads) for one, (name, leads) in campaigns.items())
    return Funnel(sizes.contacts, sizes.phones, found)
