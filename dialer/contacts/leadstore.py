"""The SQL that makes leads of contacts, each with its place in the campaign and the hours in which it may be
dialled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.db.sort_key import sort_key
from dialer.policies.windows import Opening, openings

# A file may have a column of priorities. `c` is the contact, `k` the campaign.
_GIVEN = "coalesce({})".format(
    ", ".join(f"c.custom->>'{name}'" for name in ("priority", "Priority", "приоритет", "Приоритет"))
)
_PRIORITY = f"coalesce(CAST(substring({_GIVEN} FROM '^[+-]?[0-9]{{1,3}}$') AS integer), 0)"
_PLACE = sort_key(
    "k.lead_order",
    priority="r.priority",
    added_at="now()",
    attempts="0",
    contact_id="c.id",
    campaign_id="k.id",
)
_LEAD = """
    INSERT INTO lead (
        tenant_id, campaign_id, list_id, contact_id, e164, timezones, status, closed_reason, priority,
        sort_key, open_from, open_until, hold
    )
"""
# A second person with the same number gets no lead by it.
_ONCE = "ON CONFLICT (tenant_id, campaign_id, e164) DO NOTHING"

# -- of contacts of a list ---------------------------------------------------------------------------------

# The first number that lives; where none does the first one, whose lead is closed until it is found alive.
_FIRST = """
    CROSS JOIN LATERAL (
        SELECT e164, timezones, good_from, dead_since IS NOT NULL AS dead FROM contact_phone
        WHERE tenant_id = c.tenant_id AND contact_id = c.id
        ORDER BY dead_since IS NOT NULL, position LIMIT 1
    ) p
"""
# The zone of the record wins over the candidates of the number.
_ZONES = "CASE WHEN c.timezone IS NULL THEN p.timezones ELSE ARRAY[c.timezone] END"
_OF_CONTACTS = " AND m.contact_id = ANY(CAST(:contact_ids AS bigint[]))"
_PLACES = f"""
    SELECT DISTINCT array_to_string({_ZONES}, ',') AS zones
    FROM list_contact m
    JOIN contact c ON c.tenant_id = m.tenant_id AND c.id = m.contact_id
    {_FIRST}
    WHERE m.tenant_id = :tenant_id AND m.list_id = :list_id
"""  # noqa: S608 - texts of ours
# A person whom the campaign has already, be it by another number, gets no second lead.
_ADD = f"""
    WITH made AS (
    {_LEAD}
    SELECT c.tenant_id, k.id, m.list_id, c.id, p.e164, {_ZONES},
        CASE WHEN p.dead THEN 'closed' ELSE 'new' END, CASE WHEN p.dead THEN 'dead_number' END,
        r.priority, {_PLACE}, coalesce(w.open_from, now()), coalesce(w.open_until, now()),
        CASE WHEN NOT p.dead THEN w.hold END
    FROM campaign k
    JOIN list_contact m ON m.tenant_id = k.tenant_id AND m.list_id = :list_id
    JOIN contact c ON c.tenant_id = m.tenant_id AND c.id = m.contact_id
    CROSS JOIN LATERAL (SELECT {_PRIORITY} AS priority) r
    {_FIRST}
    LEFT JOIN unnest(
        CAST(:zones AS text[]), CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]),
        CAST(:holds AS text[])
    ) AS w (zones, open_from, open_until, hold)
        ON w.zones = array_to_string({_ZONES}, ',') AND p.good_from IS NULL
    WHERE k.tenant_id = :tenant_id AND k.id = :campaign_id{{which}}
      AND NOT EXISTS (
        SELECT FROM lead l
        WHERE l.tenant_id = c.tenant_id AND l.contact_id = c.id AND l.campaign_id = k.id
      )
    ORDER BY c.id
    {_ONCE}
    RETURNING status
    ) SELECT count(*) FROM made WHERE status = 'new'
"""  # noqa: S608 - texts of ours


async def add_leads(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, list_id: int, contact_ids: Sequence[int]
) -> int:
    """Make a lead of the first living number of each of these contacts of a list, where the campaign has none
    of it; how many. Each gets the hours in which it may be dialled; what cannot be said of here, the
    calendar's writer adds. Who has dead numbers only gets a lead that is closed: it opens when one of them is
    found alive."""
    if not contact_ids:
        return 0
    whose = {"contact_ids": list(contact_ids)}
    return await _add(conn, tenant_id, campaign_id, list_id, _OF_CONTACTS, **whose)


async def add_leads_of_list(conn: AsyncConnection, tenant_id: int, campaign_id: int, list_id: int) -> int:
    """As `add_leads`, of every contact of a list."""
    return await _add(conn, tenant_id, campaign_id, list_id, "")


async def _add(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, list_id: int, which: str, **whose: object
) -> int:
    of = {"tenant_id": tenant_id, "list_id": list_id, **whose}
    sets = await conn.scalars(text(_PLACES + which), of)
    places = [tuple(filter(None, zones.split(","))) for zones in sets]
    found = await openings(conn, tenant_id, campaign_id, places, utc_now())
    windows = {"zones": [",".join(zones) for zones in found], **_times(found.values())}
    query = text(_ADD.replace("{which}", which))
    return await conn.scalar(query, {**of, **windows, "campaign_id": campaign_id}) or 0


def _times(found: Iterable[Opening | None]) -> Mapping[str, list[Any]]:
    every = list(found)
    return {
        "froms": [one and one.open_from for one in every],
        "untils": [one and one.open_until for one in every],
        "holds": [one.hold.value if one and one.hold else None for one in every],
    }


# -- of people who have just come in -----------------------------------------------------------------------

_OWN_ZONES = Prepared("SELECT DISTINCT timezone FROM pg_temp.import_row WHERE timezone IS NOT NULL")
# A lead of somebody's own zone is told by the zone, all others by the place of their zones among the sets.
_ADD_STAGED = Prepared(f"""
    {_LEAD}
    SELECT k.tenant_id, k.id, CAST(:list_id AS bigint), c.id, c.e164[1], w.zones, 'new', NULL, r.priority,
           {_PLACE}, coalesce(w.open_from, now()), coalesce(w.open_until, now()), w.hold
      FROM campaign k
     CROSS JOIN pg_temp.import_row c
     CROSS JOIN LATERAL (SELECT {_PRIORITY} AS priority) r
      JOIN (SELECT mark, string_to_array(names, ',') AS zones, open_from, open_until, hold
              FROM unnest(CAST(:marks AS text[]), CAST(:names AS text[]), CAST(:froms AS timestamptz[]),
                          CAST(:untils AS timestamptz[]), CAST(:holds AS text[]))
                   AS s (mark, names, open_from, open_until, hold) OFFSET 0) AS w
        ON w.mark = coalesce(c.timezone, CAST(c.zones[1] AS text))
     WHERE k.tenant_id = :tenant_id AND k.id = :campaign_id
     ORDER BY c.id
    {_ONCE}
""")  # noqa: S608 - texts of ours


async def add_leads_of_staged(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, list_id: int, zones: Sequence[str]
) -> int:
    """As `add_leads`, of the people whom `peoplestore.add_people` has just added: none of them can have a
    lead or a dead number. `zones` as there."""
    marked = {str(place): tuple(filter(None, names.split(","))) for place, names in enumerate(zones, start=1)}
    marked |= {zone: (zone,) for zone in await _OWN_ZONES.column(conn)}
    found = await openings(conn, tenant_id, campaign_id, marked.values(), utc_now())
    return await _ADD_STAGED.run(
        conn,
        tenant_id=tenant_id,
        campaign_id=campaign_id,
        list_id=list_id,
        marks=list(marked),
        names=[",".join(names) for names in marked.values()],
        **_times(found.get(names) for names in marked.values()),
    )
