"""The SQL of lists and contacts. Each function works in the transaction of `conn`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    delete,
    exists,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts.model import Contact, ContactList, Owner, Phone
from dialer.db import tables as t
from dialer.db.prepared import Prepared

_LIST = t.contact_list.c
_CONTACT = t.contact.c
_PHONE = t.contact_phone.c
_MEMBER = t.list_contact.c


# -- lists ------------------------------------------------------------------------------------------------

_SIZE = (
    select(func.count())
    .where(_MEMBER.tenant_id == _LIST.tenant_id, _MEMBER.list_id == _LIST.id)
    .scalar_subquery()
)


async def add_list(conn: AsyncConnection, tenant_id: int, name: str) -> int | None:
    """The id of a new list; None when there is one of this name."""
    new = insert(t.contact_list).values(tenant_id=tenant_id, name=name)
    found: int | None = await conn.scalar(new.on_conflict_do_nothing().returning(_LIST.id))
    return found


async def rename_list(conn: AsyncConnection, tenant_id: int, list_id: int, name: str) -> bool:
    """Give a list another name; False when another list has it."""
    taken = await conn.scalar(
        select(_LIST.id).where(_LIST.tenant_id == tenant_id, _LIST.name == name, _LIST.id != list_id)
    )
    if taken is None:
        await conn.execute(
            update(t.contact_list).where(_LIST.tenant_id == tenant_id, _LIST.id == list_id).values(name=name)
        )
    return taken is None


async def remove_list(conn: AsyncConnection, tenant_id: int, list_id: int) -> bool:
    """Remove a list and the records of its imports; False while it has contacts or an import under way."""
    job = t.import_job.c
    mine = job.tenant_id == tenant_id, job.list_id == list_id
    used = await conn.scalar(
        select(
            exists().where(_MEMBER.tenant_id == tenant_id, _MEMBER.list_id == list_id)
            | exists().where(*mine, job.status.in_(["queued", "running"]))
        )
    )
    if used:
        return False
    await conn.execute(delete(t.import_job).where(*mine))
    await conn.execute(delete(t.contact_list).where(_LIST.tenant_id == tenant_id, _LIST.id == list_id))
    return True


async def lock_list(conn: AsyncConnection, tenant_id: int, list_id: int) -> bool:
    """Let no other transaction load into, rename or remove the list until this one ends; False: no such list.

    Weaker than FOR UPDATE, so that a new lead or contact may still refer to it.
    """
    query = select(_LIST.id).where(_LIST.tenant_id == tenant_id, _LIST.id == list_id, ~_LIST.of_segment)
    return await conn.scalar(query.with_for_update(key_share=True)) is not None


async def get_list(conn: AsyncConnection, tenant_id: int, list_id: int) -> ContactList | None:
    """A list with its size."""
    query = select(_LIST.id, _LIST.name, _LIST.created_at, _SIZE).where(
        _LIST.tenant_id == tenant_id, _LIST.id == list_id
    )
    row = (await conn.execute(query)).one_or_none()
    return ContactList(*row) if row else None


async def page_of_lists(
    conn: AsyncConnection, tenant_id: int, *, name: str = "", before: int | None, limit: int
) -> list[ContactList]:
    """Lists whose name has `name` in it, the newest first, from before the id `before`."""
    query = select(_LIST.id, _LIST.name, _LIST.created_at, _SIZE).where(
        _LIST.tenant_id == tenant_id, ~_LIST.of_segment
    )
    if name:
        query = query.where(_LIST.name.icontains(name, autoescape=True))
    if before is not None:
        query = query.where(_LIST.id < before)
    return [ContactList(*row) for row in await conn.execute(query.order_by(_LIST.id.desc()).limit(limit))]


async def campaign_exists(conn: AsyncConnection, tenant_id: int, campaign_id: int) -> bool:
    """Whether there is such a campaign."""
    c = t.campaign.c
    return await conn.scalar(select(c.id).where(c.tenant_id == tenant_id, c.id == campaign_id)) is not None


# -- contacts ---------------------------------------------------------------------------------------------


_LISTS: ColumnElement[Any] = literal_column(
    """ARRAY(SELECT m.list_id FROM list_contact m
              WHERE m.tenant_id = contact.tenant_id AND m.contact_id = contact.id ORDER BY m.list_id)"""
)
#: Each card asks this. A contact with its numbers in their order.
_ONE = Prepared(
    """
    SELECT c.id, c.external_id, c.last_name, c.first_name, c.middle_name, c.email, c.timezone,
           c.custom, c.created_at,
           ARRAY(SELECT m.list_id FROM list_contact m
                  WHERE m.tenant_id = c.tenant_id AND m.contact_id = c.id ORDER BY m.list_id) AS list_ids,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(p.position, p.e164, p.kind, p.timezones)
                                      ORDER BY p.position), '[]')
              FROM contact_phone p WHERE p.tenant_id = c.tenant_id AND p.contact_id = c.id) AS phones
      FROM contact c
     WHERE c.tenant_id = :tenant_id AND c.id = :contact_id
    """
)


async def get_contact(conn: AsyncConnection, tenant_id: int, contact_id: int) -> Contact | None:
    """A contact with its numbers."""
    row = await _ONE.row(conn, tenant_id=tenant_id, contact_id=contact_id)
    if row is None:
        return None
    return _contact(row, [Phone(place, e164, kind, tuple(zones)) for place, e164, kind, zones in row.phones])


async def page_of_contacts(
    conn: AsyncConnection,
    tenant_id: int,
    *,
    list_id: int | None = None,
    e164: str | None = None,
    after: int | None = None,
    limit: int,
) -> list[Contact]:
    """Contacts in the order they came, from after the id `after`; of a list, and with a number, if given."""
    query = select(t.contact, _LISTS.label("list_ids")).where(_CONTACT.tenant_id == tenant_id)
    if list_id is not None:
        # Joined, not looked up: the key of the list gives its contacts in their order.
        query = query.join(
            t.list_contact,
            and_(
                _MEMBER.tenant_id == tenant_id, _MEMBER.list_id == list_id, _MEMBER.contact_id == _CONTACT.id
            ),
        )
    if e164 is not None:
        owners = select(_PHONE.tenant_id, _PHONE.contact_id).where(
            _PHONE.tenant_id == tenant_id, _PHONE.e164 == e164
        )
        query = query.where(tuple_(_CONTACT.tenant_id, _CONTACT.id).in_(owners))
    if after is not None:
        query = query.where(_CONTACT.id > after)
    rows = list(await conn.execute(query.order_by(_CONTACT.id).limit(limit)))
    return await _with_phones(conn, tenant_id, rows)


async def _with_phones(conn: AsyncConnection, tenant_id: int, rows: Sequence[Row[Any]]) -> list[Contact]:
    if not rows:
        return []
    phones: dict[int, list[Phone]] = {row.id: [] for row in rows}
    query = (
        select(_PHONE.contact_id, _PHONE.position, _PHONE.e164, _PHONE.kind, _PHONE.timezones)
        .where(_PHONE.tenant_id == tenant_id, _PHONE.contact_id.in_(phones))
        .order_by(_PHONE.contact_id, _PHONE.position)
    )
    for contact_id, position, e164, kind, zones in await conn.execute(query):
        phones[contact_id].append(Phone(position, e164, kind, tuple(zones)))
    return [_contact(row, phones[row.id]) for row in rows]


def _contact(row: Any, phones: Sequence[Phone]) -> Contact:
    return Contact(
        id=row.id,
        list_ids=tuple(row.list_ids),
        external_id=row.external_id,
        last_name=row.last_name,
        first_name=row.first_name,
        middle_name=row.middle_name,
        email=row.email,
        timezone=row.timezone,
        custom=row.custom,
        created_at=row.created_at,
        phones=tuple(phones),
    )


# -- many contacts at once --------------------------------------------------------------------------------

# LATERAL with OFFSET 0 leaves the planner one way: a look into an index for each number. While a first big
# import runs there are no statistics yet, and its own choice was a scan of the list for each number: 12 s a
# batch against 10 ms. Of several persons with a number the one that the list has counts, else the oldest.
_OWNERS = """
    FROM unnest(CAST(:numbers AS text[])) AS n (e164)
    CROSS JOIN LATERAL (
        SELECT e164, contact_id FROM contact_phone
        WHERE tenant_id = :tenant_id AND e164 = n.e164 OFFSET 0
    ) AS p
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM list_contact
            WHERE tenant_id = :tenant_id AND list_id = :list_id AND contact_id = p.contact_id
        ) AS found OFFSET 0
    ) AS m
"""
_KNOWN = text(
    f"""
    SELECT DISTINCT ON (p.e164) p.e164, p.contact_id, m.found {_OWNERS}
    ORDER BY p.e164, m.found DESC, p.contact_id
    """
)
_KNOWN_NOW = Prepared(_KNOWN)
_ALL_OWNERS = text(f"SELECT p.e164, p.contact_id, m.found {_OWNERS}")

_JOIN_LIST = text("""
    INSERT INTO list_contact (tenant_id, list_id, contact_id)
    SELECT :tenant_id, :list_id, contact_id
    FROM unnest(CAST(:contact_ids AS bigint[])) AS c (contact_id)
    ORDER BY contact_id
    ON CONFLICT DO NOTHING
""")


async def lock_people(conn: AsyncConnection, tenant_id: int) -> None:
    """Let no other transaction add contacts until this one ends: two files brought in at once, into whichever
    lists, must not make one person twice."""
    await conn.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"dozvon.people:{tenant_id}", 0)))
    )


async def known_numbers(
    conn: AsyncConnection, tenant_id: int, list_id: int, numbers: Sequence[str]
) -> dict[str, Owner]:
    """Of these numbers those that somebody has, each with whom."""
    values = {"tenant_id": tenant_id, "list_id": list_id, "numbers": list(numbers)}
    return {e164: Owner(*owner) for e164, *owner in await _KNOWN_NOW.rows(conn, **values)}


async def owners(
    conn: AsyncConnection, tenant_id: int, list_id: int, numbers: Sequence[str]
) -> dict[str, list[Owner]]:
    """Of these numbers those that somebody has, each with everybody who has it."""
    values = {"tenant_id": tenant_id, "list_id": list_id, "numbers": list(numbers)}
    found: dict[str, list[Owner]] = {}
    for row in await conn.execute(_ALL_OWNERS, values):
        found.setdefault(row.e164, []).append(Owner(row.contact_id, row.found))
    return found


async def join_list(conn: AsyncConnection, tenant_id: int, list_id: int, contact_ids: Sequence[int]) -> None:
    """Put contacts into a list; those that it has stay in it."""
    values = {"tenant_id": tenant_id, "list_id": list_id, "contact_ids": list(contact_ids)}
    await conn.execute(_JOIN_LIST, values)
