"""Quotas: how many talks of a kind a campaign wants with people that have a value (`city` = `Moscow`).

A quota is full when so many talks were closed with a disposition of a kind that it counts. Who falls under a
full quota is not dialled any more: the filters before each attempt say so, and what is put off rests under
`quota` until the quota is raised or a talk is taken back (`scheduler.changes` opens the leads again).

What is promised: no call is begun for a quota that had been full before the decision to dial. Calls in the
air and talks that go on at that moment still count when they are closed, so a quota may be exceeded by as
many.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.prepared import Prepared
from dialer.db.tables import campaign_quota, contact, lead
from scheduler import changes
from scheduler.changes import UNDER_QUOTA, What

_Q = campaign_quota.c

#: The first full quota of the campaign that the person n.contact_id falls under, as text; null: none.
FULL = f"""
    (SELECT min(q.field || ' = ' || q.value)
       FROM contact c
       JOIN campaign_quota q ON q.tenant_id = c.tenant_id AND {UNDER_QUOTA}
      WHERE c.tenant_id = :tenant_id AND c.id = n.contact_id
        AND q.campaign_id = :campaign_id AND q.reached >= q.wanted)
"""  # noqa: S608 - texts of ours
_COUNT = Prepared(
    f"""
    UPDATE campaign_quota q
       SET reached = greatest(0, q.reached
               + CASE WHEN CAST(:now AS text) = ANY (q.counts) THEN 1 ELSE 0 END
               - CASE WHEN CAST(:was AS text) = ANY (q.counts) THEN 1 ELSE 0 END)
      FROM contact c
     WHERE q.tenant_id = :tenant_id AND q.campaign_id = :campaign_id
       AND c.tenant_id = q.tenant_id AND c.id = :contact_id AND {UNDER_QUOTA}
       AND (CAST(:now AS text) = ANY (q.counts)) IS DISTINCT FROM
           coalesce(CAST(:was AS text) = ANY (q.counts), false)
    RETURNING q.reached, q.wanted
    """  # noqa: S608 - texts of ours
)


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of a campaign."""

    id: int
    #: a field of contacts, as files name it
    field: str
    #: compared in small letters
    value: str
    #: talks that are wanted
    wanted: int
    #: kinds of dispositions that count
    counts: tuple[str, ...]
    #: talks so far
    reached: int

    @property
    def full(self) -> bool:
        """Whether nobody more is dialled for it."""
        return self.reached >= self.wanted


async def quotas(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> list[Quota]:
    """The campaign's quotas by field and value."""
    rows = await conn.execute(
        select(_Q.id, _Q.field, _Q.value, _Q.wanted, _Q.counts, _Q.reached)
        .where(_Q.tenant_id == tenant_id, _Q.campaign_id == campaign_id)
        .order_by(_Q.field, _Q.value)
    )
    return [Quota(row.id, row.field, row.value, row.wanted, tuple(row.counts), row.reached) for row in rows]


async def count(
    conn: AsyncConnection, tenant_id: int, campaign_id: int, contact_id: int, *, was: str | None, now: str
) -> None:
    """A talk is closed with a disposition of the kind `now`, in place of one of the kind `was`."""
    if was == now:
        return
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id, "contact_id": contact_id}
    found = await _COUNT.rows(conn, **whose, was=was, now=now)
    if any(row.reached in (row.wanted, row.wanted - 1) for row in found):  # it was filled, or opened again
        await changed(conn, tenant_id, campaign_id)


async def changed(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> None:
    """Have the leads of the campaign held against its quotas anew."""
    await changes.ask(conn, tenant_id, campaign_id, What.QUOTA)


_RECOUNT = Prepared(
    f"""
    UPDATE campaign_quota q SET reached = (
        SELECT count(*)
          FROM attempt a
          JOIN disposition d ON d.tenant_id = a.tenant_id AND d.id = a.disposition_id
          JOIN contact c ON c.tenant_id = a.tenant_id AND c.id = a.contact_id
         WHERE a.tenant_id = q.tenant_id AND a.campaign_id = q.campaign_id
           AND d.kind = ANY (q.counts) AND {UNDER_QUOTA})
     WHERE q.tenant_id = :tenant_id AND q.campaign_id = :campaign_id
       AND q.field = :field AND q.value = :value
    """  # noqa: S608 - texts of ours
)


async def has_field(conn: AsyncConnection, tenant_id: int, campaign_id: int, field: str) -> bool:
    """Whether a quota of the field can be meant: some lead's person has it, or there are no leads yet."""
    leads = select(lead.c.contact_id).where(lead.c.tenant_id == tenant_id, lead.c.campaign_id == campaign_id)
    person = and_(contact.c.tenant_id == lead.c.tenant_id, contact.c.id == lead.c.contact_id)
    having = leads.join(contact, person).where(contact.c.custom.has_key(field))
    return bool(await conn.scalar(select(exists(having) | ~exists(leads))))


async def recount(conn: AsyncConnection, tenant_id: int, campaign_id: int, field: str, value: str) -> None:
    """Count the talks that a new quota counts from all calls of the campaign."""
    whose = {"tenant_id": tenant_id, "campaign_id": campaign_id}
    await _RECOUNT.run(conn, **whose, field=field, value=value)
