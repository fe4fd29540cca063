"""The SQL of fields and of the typed values of contacts. Each function works in the transaction of `conn`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, case, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import people_store, store
from dialer.contacts.fields import Field, FieldSpec, FieldType, Misfit, Misfits, Reader, Typed
from dialer.contacts.rejects import MAX_REJECT_VALUE
from dialer.db import tables as t
from dialer.db.events import wake
from dialer.db.prepared import Prepared

_FIELD = t.custom_field.c
_MISFIT = t.contact_misfit.c


# -- fields ------------------------------------------------------------------------------------------------


def _values(spec: FieldSpec) -> dict[str, Any]:
    return {
        "key": spec.key,
        "label_ru": spec.label_ru,
        "label_en": spec.label_en,
        "type": spec.type.value,
        "names": list(spec.names),
        "choices": list(spec.choices),
        "required": spec.required,
        "pattern": spec.pattern,
        "minimum": spec.minimum,
        "maximum": spec.maximum,
    }


def _field(row: Any) -> Field:
    spec = FieldSpec(
        key=row.key,
        label_ru=row.label_ru,
        label_en=row.label_en,
        type=FieldType(row.type),
        names=tuple(row.names),
        choices=tuple(row.choices),
        required=row.required,
        pattern=row.pattern,
        minimum=row.minimum,
        maximum=row.maximum,
    )
    return Field(row.id, spec, row.position, row.archived, row.typed_upto, row.type_until)


_ALL_FIELDS = Prepared(
    select(t.custom_field)
    .where(_FIELD.tenant_id == bindparam("tenant_id"))
    .order_by(_FIELD.position, _FIELD.id)
)


async def fields(conn: AsyncConnection, tenant_id: int) -> list[Field]:
    """The tenant's fields in the order in which they are shown, archived ones too."""
    return [_field(row) for row in await _ALL_FIELDS.rows(conn, tenant_id=tenant_id)]


async def shown(conn: AsyncConnection, tenant_id: int) -> list[Field]:
    """The tenant's fields that a card shows, in their order."""
    return [one for one in await fields(conn, tenant_id) if not one.archived]


async def reader(conn: AsyncConnection, tenant_id: int) -> Reader:
    """What reads the values of contacts; false where the tenant has no fields."""
    return Reader(await fields(conn, tenant_id))


async def lock_fields(conn: AsyncConnection, tenant_id: int) -> None:
    """Let nobody change fields or bring contacts in until the transaction ends.

    With contacts out of the way a change knows which of them were read before it: all up to the last id.
    """
    await store.lock_people(conn, tenant_id)


async def add_field(conn: AsyncConnection, tenant_id: int, spec: FieldSpec) -> int:
    """A new field, behind the others; its values are still to be read. Call `lock_fields` before."""
    position = select(func.coalesce(func.max(_FIELD.position), 0) + 1).where(_FIELD.tenant_id == tenant_id)
    found = await conn.scalar(
        insert(t.custom_field)
        .values(
            tenant_id=tenant_id,
            **_values(spec),
            position=position.scalar_subquery(),
            type_until=await _newest(conn, tenant_id),
        )
        .returning(_FIELD.id)
    )
    assert found is not None
    return int(found)


async def change_field(
    conn: AsyncConnection, tenant_id: int, field_id: int, spec: FieldSpec, *, archived: bool, retype: bool
) -> None:
    """Write a field; with `retype` all values are to be read anew. Call `lock_fields` before."""
    values = _values(spec) | {"archived": archived}
    if retype:
        values |= {"typed_upto": 0, "type_until": await _newest(conn, tenant_id)}
    await conn.execute(
        update(t.custom_field).where(_FIELD.tenant_id == tenant_id, _FIELD.id == field_id).values(**values)
    )


async def order_fields(conn: AsyncConnection, tenant_id: int, ids: Sequence[int]) -> None:
    """Show fields in this order."""
    if ids:
        place = case({one: position for position, one in enumerate(ids, start=1)}, value=_FIELD.id)
        await conn.execute(
            update(t.custom_field)
            .where(_FIELD.tenant_id == tenant_id, _FIELD.id.in_(ids))
            .values(position=place)
        )


async def _newest(conn: AsyncConnection, tenant_id: int) -> int:
    c = t.contact.c
    return await conn.scalar(select(func.max(c.id)).where(c.tenant_id == tenant_id)) or 0


# -- values ------------------------------------------------------------------------------------------------

_ADD_VALUES = text("""
    INSERT INTO contact_value (tenant_id, contact_id, field_id, number, day, text)
    SELECT :tenant_id, contact_id, field_id, number, day, value
    FROM unnest(
        CAST(:contact_id AS bigint[]), CAST(:field_id AS bigint[]), CAST(:number AS float8[]),
        CAST(:day AS date[]), CAST(:value AS text[])
    ) AS r (contact_id, field_id, number, day, value)
""")
_ADD_MISFITS = text("""
    INSERT INTO contact_misfit (tenant_id, contact_id, field_id, code, value)
    SELECT :tenant_id, contact_id, field_id, code, value
    FROM unnest(
        CAST(:contact_id AS bigint[]), CAST(:field_id AS bigint[]), CAST(:code AS text[]),
        CAST(:value AS text[])
    ) AS r (contact_id, field_id, code, value)
""")
_DROP = text("""
    WITH misfits AS (
        DELETE FROM contact_misfit
         WHERE tenant_id = :tenant_id AND contact_id = ANY(CAST(:contact_ids AS bigint[]))
           AND (CAST(:field_id AS bigint) IS NULL OR field_id = :field_id)
    )
    DELETE FROM contact_value
     WHERE tenant_id = :tenant_id AND contact_id = ANY(CAST(:contact_ids AS bigint[]))
       AND (CAST(:field_id AS bigint) IS NULL OR field_id = :field_id)
""")


async def add_values(
    conn: AsyncConnection, tenant_id: int, read: Reader, people: Iterable[tuple[int, Mapping[str, str]]]
) -> dict[int, list[Misfit]]:
    """Write the values of contacts that have none yet: (contact, custom); what does not fit, by contact.

    For who brings many contacts in, after they are written and in the same transaction, under `lock_people`:

        misfits = await fields_store.add_values(conn, tenant_id, read, zip(ids, customs))
    """
    values: list[tuple[int, Typed]] = []
    misfits: dict[int, list[Misfit]] = {}
    if not read:
        return misfits
    for contact_id, custom in people:
        found, wrong = read.read(custom)
        values.extend((contact_id, one) for one in found)
        if wrong:
            misfits[contact_id] = wrong
    await _insert(conn, tenant_id, values, misfits)
    return misfits


_HAS_QUOTAS = Prepared("SELECT EXISTS (SELECT FROM campaign_quota WHERE tenant_id = :tenant_id)")


async def rewrite_values(
    conn: AsyncConnection, tenant_id: int, contact_ids: Sequence[int], field: Field | None = None
) -> dict[int, list[Misfit]]:
    """Read `contact.custom` of these contacts anew: after an edit, a merge; what does not fit, by contact.
    Leads that rest for a quota are asked about anew: the quota may be of people of another kind now.

    `field`: of this field only, as it has changed itself.
    """
    read = Reader([field]) if field is not None else await reader(conn, tenant_id)
    c = t.contact.c
    rows = await conn.execute(
        select(c.id, c.custom)
        .where(c.tenant_id == tenant_id, c.id.in_(contact_ids))
        .order_by(c.id)
        .with_for_update(key_share=True)
    )
    people = [(row.id, row.custom) for row in rows]
    only = {"tenant_id": tenant_id, "contact_ids": [one for one, _ in people]}
    await conn.execute(_DROP, {**only, "field_id": field.id if field is not None else None})
    if (
        field is None
        and await _HAS_QUOTAS.value(conn, tenant_id=tenant_id)
        and await people_store.look_again(conn, tenant_id, contact_ids, "quota", utc_now())
    ):
        await wake(conn, "campaigns", tenant_id=tenant_id)
    return await add_values(conn, tenant_id, read, people)


async def _insert(
    conn: AsyncConnection,
    tenant_id: int,
    values: Sequence[tuple[int, Typed]],
    misfits: Mapping[int, Sequence[Misfit]],
) -> None:
    if values:
        await conn.execute(
            _ADD_VALUES,
            {
                "tenant_id": tenant_id,
                "contact_id": [contact_id for contact_id, _ in values],
                "field_id": [one.field_id for _, one in values],
                "number": [one.number for _, one in values],
                "day": [one.day for _, one in values],
                "value": [one.text for _, one in values],
            },
        )
    if misfits:
        wrong = [(contact_id, one) for contact_id, some in misfits.items() for one in some]
        await conn.execute(
            _ADD_MISFITS,
            {
                "tenant_id": tenant_id,
                "contact_id": [contact_id for contact_id, _ in wrong],
                "field_id": [one.field_id for _, one in wrong],
                "code": [one.code.value for _, one in wrong],
                "value": [one.value[:MAX_REJECT_VALUE] for _, one in wrong],
            },
        )


# -- after a change of a field -----------------------------------------------------------------------------


async def next_untyped(conn: AsyncConnection, tenant_id: int) -> Field | None:
    """A field whose values are still to be read, locked; None: there is none, or another process has it."""
    query = (
        select(t.custom_field)
        .where(_FIELD.tenant_id == tenant_id, _FIELD.typed_upto < _FIELD.type_until)
        .order_by(_FIELD.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await conn.execute(query)).one_or_none()
    return _field(row) if row else None


async def type_next(conn: AsyncConnection, tenant_id: int, field: Field, size: int) -> None:
    """Read the next `size` contacts' values of a field that `next_untyped` has given."""
    c = t.contact.c
    ids = list(
        await conn.scalars(
            select(c.id)
            .where(c.tenant_id == tenant_id, c.id > field.typed_upto, c.id <= field.type_until)
            .order_by(c.id)
            .limit(size)
        )
    )
    if ids:
        await rewrite_values(conn, tenant_id, ids, field)
    upto = ids[-1] if len(ids) == size else field.type_until
    await conn.execute(
        update(t.custom_field)
        .where(_FIELD.tenant_id == tenant_id, _FIELD.id == field.id)
        .values(typed_upto=upto)
    )


@dataclass(frozen=True, slots=True)
class KeptMisfit:
    """A contact's value that does not fit a field."""

    contact_id: int
    code: Misfits
    value: str


async def count_misfits(conn: AsyncConnection, tenant_id: int) -> dict[int, int]:
    """How many contacts' values do not fit, by field."""
    rows = await conn.execute(
        select(_MISFIT.field_id, func.count().label("many"))
        .where(_MISFIT.tenant_id == tenant_id)
        .group_by(_MISFIT.field_id)
    )
    return {row.field_id: row.many for row in rows}


async def page_of_misfits(
    conn: AsyncConnection, tenant_id: int, field_id: int, *, after: int | None, limit: int
) -> list[KeptMisfit]:
    """What does not fit a field, in the order of the contacts, from after that contact."""
    query = select(_MISFIT.contact_id, _MISFIT.code, _MISFIT.value).where(
        _MISFIT.tenant_id == tenant_id, _MISFIT.field_id == field_id
    )
    if after is not None:
        query = query.where(_MISFIT.contact_id > after)
    rows = await conn.execute(query.order_by(_MISFIT.contact_id).limit(limit))
    return [KeptMisfit(row.contact_id, Misfits(row.code), row.value) for row in rows]
