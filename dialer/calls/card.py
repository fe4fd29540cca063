"""The card of the person on the line: who they are, what was said before, what the talk may come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls import dispositions
from dialer.calls.about import About, about
from dialer.calls.call_log import CallRow
from dialer.calls.crm import CrmLink, filled, origin
from dialer.calls.dispositions import Choice
from dialer.calls.model import Direction
from dialer.contacts import fields_store
from dialer.contacts import store as contacts
from dialer.contacts.fields import Field
from dialer.db.prepared import Prepared
from dialer.db.tables import campaign, lead
from dialer.telemetry import mask_number

#: Earlier calls to and from the same person or number that a card shows.
EARLIER = 5


@dataclass(frozen=True, slots=True)
class CardPhone:
    """A number of the person, as the reader may see it."""

    number: str
    #: mobile, fixed_line, ...
    kind: str


@dataclass(frozen=True, slots=True)
class Person:
    """A contact, as the reader may see it."""

    id: int
    #: the lists that have them
    list_ids: Sequence[int]
    external_id: str | None
    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None
    #: other columns of the list, by their header
    custom: Mapping[str, str]
    phones: Sequence[CardPhone]
    #: the tenant's own fields, by which the other columns are called
    fields: Sequence[Field] = ()


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier call to or from the same person, or the same number."""

    #: of the attempt, or of the inbound call
    attempt_id: UUID
    direction: Direction
    at: datetime
    result: str | None
    agent: str | None
    disposition_ru: str | None
    disposition_en: str | None
    note: str | None
    #: inbound: why they called
    reason: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """What an agent sees of the present call, or of the lead that is shown."""

    campaign_id: int
    campaign: str
    #: the number that was dialled, or has called, as the reader may see it; empty: withheld
    number: str
    #: None: a number that no list has
    person: Person | None
    earlier: Sequence[Earlier]
    choices: Sequence[Choice]
    #: preview: the lead that is shown; of a call: the lead it was made for
    lead_id: int | None
    #: None: nothing is dialled yet
    call: CallRow | None
    #: the person in an outside CRM; None: the campaign names none
    crm: CrmLink | None = None
    #: what is known of the person besides; None: nobody knows who it is
    about: About | None = None
    #: there is somebody whom a call can be promised in the talk
    promises: bool = True


def shown_number(e164: str, *, whole: bool, current: bool = False) -> str:
    """A number as the reader may see it: `whole`; of a `current` call enough to say "your number in Moscow";
    else only enough to tell two apart."""
    if whole:
        return e164
    if current and len(e164) > 7:
        return e164[:5] + "*" * (len(e164) - 7) + e164[-2:]
    return mask_number(e164)


async def person(
    conn: AsyncConnection, tenant_id: int, contact_id: int | None, e164: str, *, whole: bool
) -> Person | None:
    """The contact, or, of a number typed by hand, the first contact that has it."""
    if contact_id is not None:
        found = await contacts.get_contact(conn, tenant_id, contact_id)
    elif not e164:
        return None
    else:
        page = await contacts.page_of_contacts(conn, tenant_id, e164=e164, limit=1)
        found = page[0] if page else None
    if found is None:
        return None
    return Person(
        id=found.id,
        list_ids=found.list_ids,
        external_id=found.external_id,
        last_name=found.last_name,
        first_name=found.first_name,
        middle_name=found.middle_name,
        email=found.email,
        timezone=found.timezone,
        custom=found.custom,
        phones=[
            CardPhone(shown_number(phone.e164, whole=whole, current=phone.e164 == e164), phone.kind)
            for phone in found.phones
        ],
        fields=await fields_store.shown(conn, tenant_id),
    )


_EARLIER_OF = " UNION ".join(
    f"""(SELECT tenant_id, id, '{direction}' AS direction, created_at, result, agent_id, disposition_id,
                disposition_note, {reason} AS reason
           FROM {table} WHERE tenant_id = :tenant_id AND {whose} ORDER BY created_at DESC LIMIT :limit)"""  # noqa: S608 - texts of ours
    for direction, table, reason in (
        ("outbound", "attempt", "CAST(NULL AS text)"),
        ("inbound", "inbound_call", "reason"),
    )
    # An index each; most calls are found by both.
    for whose in ("e164 = :e164 AND e164 <> ''", "contact_id = CAST(:contact_id AS bigint)")
)
_EARLIER = Prepared(
    f"""
    SELECT a.id, a.direction, a.created_at, a.result, g.name AS agent, d.label_ru, d.label_en,
           a.disposition_note, a.reason
      FROM (
{_EARLIER_OF}
      ) a
      LEFT JOIN agent g ON g.tenant_id = a.tenant_id AND g.id = a.agent_id
      LEFT JOIN disposition d ON d.tenant_id = a.tenant_id AND d.id = a.disposition_id
     ORDER BY a.created_at DESC, a.id DESC
     LIMIT :limit
    """  # noqa: S608 - texts of ours
)


async def earlier(
    conn: AsyncConnection,
    tenant_id: int,
    e164: str,
    contact_id: int | None = None,
    *,
    but: UUID | None = None,
) -> list[Earlier]:
    """The latest calls to and from a number, and of the person by any of theirs, newest first. Of a number
    that is withheld nobody's are."""
    if not e164 and contact_id is None:
        return []
    rows = await _EARLIER.rows(conn, tenant_id=tenant_id, e164=e164, contact_id=contact_id, limit=EARLIER + 1)
    found = [Earlier(id_, Direction(direction), *rest) for id_, direction, *rest in rows if id_ != but]
    return found[:EARLIER]


_CRM = Prepared("SELECT crm_url, crm_frame FROM campaign WHERE tenant_id = :tenant_id AND id = :campaign_id")


async def crm_link(
    conn: AsyncConnection,
    tenant_id: int,
    campaign_id: int,
    person: Person | None,
    e164: str,
    **ids: object,
) -> CrmLink | None:
    """Where the campaign's CRM has who is on the line; `ids`: of the call and the lead."""
    row = await _CRM.row(conn, tenant_id=tenant_id, campaign_id=campaign_id)
    if row is None or not row.crm_url:
        return None
    values = {"phone": e164, "campaign_id": campaign_id, **ids}
    if person is not None:
        known = ("external_id", "first_name", "last_name", "email")
        values |= {name: getattr(person, name) for name in known} | {"contact_id": person.id}
    return CrmLink(filled(row.crm_url, values), row.crm_frame)


_FRAMES = Prepared(
    """
    SELECT DISTINCT crm_url FROM campaign
     WHERE tenant_id = :tenant_id AND crm_frame AND crm_url <> '' AND status <> 'stopped'
    """
)


async def crm_servers(conn: AsyncConnection, tenant_id: int) -> list[str]:
    """The servers of CRMs that cards show in frames (`https://crm.example.org`)."""
    rows = await _FRAMES.rows(conn, tenant_id=tenant_id)
    return sorted({server for row in rows if (server := origin(row.crm_url))})


async def of_call(
    conn: AsyncConnection,
    tenant_id: int,
    row: CallRow,
    *,
    whole: bool,
) -> Card:
    """The card of a call."""
    who = await person(conn, tenant_id, row.contact_id, row.e164, whole=whole)
    ids = {"call_id": row.id, "lead_id": row.lead_id}
    return Card(
        campaign_id=row.campaign_id,
        campaign=row.campaign,
        number=shown_number(row.e164, whole=whole, current=row.ended_at is None),
        person=who,
        earlier=await earlier(conn, tenant_id, row.e164, who.id if who else None, but=row.id),
        choices=await dispositions.choices(conn, tenant_id, row.campaign_id),
        lead_id=row.lead_id,
        call=row,
        crm=await crm_link(conn, tenant_id, row.campaign_id, who, row.e164, **ids),
        about=await about(conn, tenant_id, who.id, row.campaign_id, row.id) if who else None,
        promises=row.lead_id is not None
        or (row.direction is Direction.INBOUND and row.contact_id is not None and row.e164 != ""),
    )


async def of_lead(conn: AsyncConnection, tenant_id: int, lead_id: int, *, whole: bool) -> Card:
    """The card of a lead that is shown to an agent."""
    found = await conn.execute(
        select(lead.c.campaign_id, campaign.c.name, lead.c.contact_id, lead.c.e164)
        .join_from(
            lead,
            campaign,
            (campaign.c.tenant_id == lead.c.tenant_id) & (campaign.c.id == lead.c.campaign_id),
        )
        .where(lead.c.tenant_id == tenant_id, lead.c.id == lead_id)
    )
    row = found.one()
    who = await person(conn, tenant_id, row.contact_id, row.e164, whole=whole)
    return Card(
        campaign_id=row.campaign_id,
        campaign=row.name,
        number=shown_number(row.e164, whole=whole, current=True),
        person=who,
        earlier=await earlier(conn, tenant_id, row.e164, who.id if who else None),
        choices=await dispositions.choices(conn, tenant_id, row.campaign_id),
        lead_id=lead_id,
        call=None,
        crm=await crm_link(conn, tenant_id, row.campaign_id, who, row.e164, lead_id=lead_id),
        about=await about(conn, tenant_id, who.id, row.campaign_id, None) if who else None,
    )
