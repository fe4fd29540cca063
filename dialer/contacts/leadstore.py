"""The SQL that makes leads of contacts, each with its place in the campaign and the hours in which it may be
dialled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db.prepared import Prepared
from dialer.db.sort_key import sort_key
from dialer.policies.windows import Opening, openings

# A file may have a column of priorities. `c` is the contact, `k` the campaign.
PRIORITY = ("priority", "Priority", "приоритет", "Приоритет")
_GIVEN = "coalesce({})".format(", ".join(f"c.custom->>'{name}'" for name in PRIORITY))


def _priority(given: str) -> str:
    return f"coalesce(CAST(substring({given} FROM '^[+-]?[0-9]{{1,3}}$') AS integer), 0)"


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
    CROSS JOIN LATERAL (SELECT {_priority(_GIVEN)} AS priority) r
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


# Of most a file that is brought again has nothing to say.
_WITHOUT = Prepared("""
    SELECT array_agg(n.id)
      FROM unnest(CAST(:contact_ids AS bigint[])) AS n (id)
     CROSS JOIN LATERAL (
               SELECT EXISTS (SELECT FROM lead
                               WHERE tenant_id = :tenant_id AND contact_id = n.id
                                 AND campaign_id = :campaign_id) AS has OFFSET 0) AS l
     WHERE NOT l.has
""")


async def add_leads(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, list_id: int, contact_ids: Sequence[int]
) -> int:
    """Make a lead of the first living number of each of these contacts of a list, where the campaign has none
    of it; how many. Each gets the hours in which it may be dialled; what cannot be said of here, the
    calendar's writer adds. Who has dead numbers only gets a lead that is closed: it opens when one of them is
    found alive."""
    if not contact_ids:
        return 0
    without = await _WITHOUT.value(
        conn, tenant_id=tenant_id, campaign_id=campaign_id, contact_ids=list(contact_ids)
    )
    if not without:
        return 0
    whose = {"contact_ids": list(without)}
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

# Who is another version of themselves, or gone, was written by somebody else since: the others stay as they
# are until the transaction ends. In the order of ids, as everybody locks people.
_UNTOUCHED = Prepared("""
    SELECT coalesce(array_agg(c.id), '{}')
      FROM unnest(CAST(:ids AS bigint[])) AS n (id)
     CROSS JOIN LATERAL (
               SELECT id FROM contact
                WHERE tenant_id = :tenant_id AND id = n.id
                  AND xmin = CAST(CAST(:written_by AS text) AS xid)
               OFFSET 0 FOR SHARE) AS c
""")
# FULL JOIN is never a loop in a loop, which is what a plan for ten people would be. The number is looked up
# once more: whoever takes it from them, or finds it dead, locks the person first.
_ADD_NEW = Prepared(f"""
    {_LEAD}
    SELECT k.tenant_id, k.id, CAST(:list_id AS bigint), c.id, c.e164, c.zones, 'new', NULL, r.priority,
           {_PLACE}, coalesce(c.open_from, now()), coalesce(c.open_until, now()), c.hold
      FROM campaign k
     CROSS JOIN (
               SELECT n.id, n.e164, n.given, w.zones, w.open_from, w.open_until, w.hold
                 FROM unnest(CAST(:ids AS bigint[]), CAST(:e164 AS text[]), CAST(:mark AS text[]),
                             CAST(:given AS text[])) AS n (id, e164, mark, given)
                 FULL JOIN (
                          SELECT mark, string_to_array(names, ',') AS zones, open_from, open_until, hold
                            FROM unnest(CAST(:marks AS text[]), CAST(:names AS text[]),
                                        CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]),
                                        CAST(:holds AS text[]))
                                 AS s (mark, names, open_from, open_until, hold) OFFSET 0) AS w
                   ON w.mark = n.mark OFFSET 0) AS c
     CROSS JOIN LATERAL (
               SELECT FROM contact_phone
                WHERE tenant_id = :tenant_id AND contact_id = c.id AND e164 = c.e164
                  AND dead_since IS NULL AND good_from IS NULL OFFSET 0) AS p
     CROSS JOIN LATERAL (SELECT {_priority("c.given")} AS priority) r
     WHERE c.id IS NOT NULL AND k.tenant_id = :tenant_id AND k.id = :campaign_id
     ORDER BY c.id
    {_ONCE}
""")  # noqa: S608 - texts of ours


@dataclass(frozen=True, slots=True)
class Newcomers:
    """People whom one transaction has added to a list, one number of theirs each."""

    #: of that transaction, which is over
    written_by: str
    ids: Sequence[int]
    #: the first number of each
    numbers: Sequence[str]
    #: whose zone counts: the person's own, or the place of the number's among `zones`, counted from 1
    marks: Sequence[str]
    #: what the file has for a priority
    given: Sequence[str | None]
    #: sets of zones, each with commas
    zones: Sequence[str]


async def add_leads_of_newcomers(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, list_id: int, people: Newcomers
) -> int:
    """As `add_leads`, of people of whom nearly all are as they were added."""
    untouched = await _UNTOUCHED.value(
        conn, tenant_id=tenant_id, ids=list(people.ids), written_by=people.written_by
    )
    same = set(untouched)
    rows = [
        row
        for row in zip(people.ids, people.numbers, people.marks, people.given, strict=True)
        if row[0] in same
    ]
    made = 0
    if rows:
        ids, numbers, marks, given = zip(*rows, strict=True)
        sets = {str(place): tuple(filter(None, one.split(","))) for place, one in enumerate(people.zones, 1)}
        sets |= {zone: (zone,) for zone in set(marks) - sets.keys()}
        found = await openings(conn, tenant_id, campaign_id, sets.values(), utc_now())
        made = await _ADD_NEW.run(
            conn,
            tenant_id=tenant_id,
            campaign_id=campaign_id,
            list_id=list_id,
            ids=ids,
            e164=numbers,
            mark=marks,
            given=given,
            marks=list(sets),
            names=[",".join(names) for names in sets.values()],
            **_times(found.get(names) for names in sets.values()),
        )
    if made < len(people.ids):
        made += await add_leads(conn, tenant_id, campaign_id, list_id, people.ids)
    return made
