"""What can be done with the fields that a tenant gives to its contacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import fields_store as store
from dialer.contacts.fields import MAX_FIELDS, TEMPLATES, Field, FieldSpec, changes_typing, spec_faults
from dialer.contacts.fields_store import KeptMisfit
from dialer.db.listen import JOBS
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right


@dataclass(frozen=True, slots=True)
class FieldView:
    """A field with how its contacts' values fit it."""

    field: Field
    #: contacts whose value does not
    misfits: int


class FieldService:
    """A tenant's own fields; who may change contacts may change them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fields(self, actor: Actor) -> list[FieldView]:
        """All fields in their order, archived ones too."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            misfits = await store.count_misfits(conn, actor.tenant_id)
            found = await store.fields(conn, actor.tenant_id)
        return [FieldView(one, misfits.get(one.id, 0)) for one in found]

    async def field(self, actor: Actor, field_id: int) -> FieldView:
        """A field. Raises NotFound."""
        for one in await self.fields(actor):
            if one.field.id == field_id:
                return one
        raise NotFound(what="field", key=field_id)

    async def add(self, actor: Actor, spec: FieldSpec) -> FieldView:
        """A new field; what contacts have under its names is read soon. Raises Invalid, Conflict."""
        added = await self.add_all(actor, [spec])
        return await self.field(actor, added[0])

    async def add_template(self, actor: Actor, name: str) -> list[int]:
        """The fields of a trade that the tenant does not have yet; their ids. Raises NotFound."""
        actor.require(Right.CONTACTS_EDIT)
        if name not in TEMPLATES:
            raise NotFound(what="template", key=name)
        known = {one.field.key for one in await self.fields(actor)}
        return await self.add_all(actor, [spec for spec in TEMPLATES[name] if spec.key not in known])

    async def add_all(self, actor: Actor, specs: Sequence[FieldSpec]) -> list[int]:
        """New fields, all or none; their ids. Raises Invalid, Conflict."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.lock_fields(conn, actor.tenant_id)
            others = [one.spec for one in await store.fields(conn, actor.tenant_id)]
            ids = []
            for spec in specs:
                _check(spec, others)
                others.append(spec)
                ids.append(await store.add_field(conn, actor.tenant_id, spec))
                await audit.record(
                    conn, actor, "field.create", f"field:{ids[-1]}", key=spec.key, type=spec.type.value
                )
            if len(others) > MAX_FIELDS:
                raise Conflict(reason="there are too many fields; archived ones count")
            await _notify(conn)
        return ids

    async def change(
        self,
        actor: Actor,
        field_id: int,
        edit: Callable[[FieldSpec], FieldSpec],
        *,
        archived: bool | None = None,
    ) -> FieldView:
        """Change a field; where its values are to be read otherwise that is done soon. The key stays.

        Raises NotFound, Invalid.
        """
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.lock_fields(conn, actor.tenant_id)
            everyone = await store.fields(conn, actor.tenant_id)
            old = next((one for one in everyone if one.id == field_id), None)
            if old is None:
                raise NotFound(what="field", key=field_id)
            spec = edit(old.spec)
            if spec.key != old.key:
                raise Invalid(field="key", reason="cannot be changed")
            _check(spec, [one.spec for one in everyone if one.id != field_id])
            kept = old.archived if archived is None else archived
            retype = changes_typing(old.spec, spec) or kept != old.archived
            await store.change_field(conn, actor.tenant_id, field_id, spec, archived=kept, retype=retype)
            await audit.record(
                conn, actor, "field.change", f"field:{field_id}", key=spec.key, type=spec.type.value,
                archived=kept,
            )  # fmt: skip
            await _notify(conn)
        return await self.field(actor, field_id)

    async def put_schema(self, actor: Actor, specs: Sequence[FieldSpec]) -> None:
        """Have exactly these fields, in this order: new ones are made, others are changed, those that are not
        named are archived. Raises Invalid, Conflict."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.lock_fields(conn, actor.tenant_id)
            known = {one.key: one for one in await store.fields(conn, actor.tenant_id)}
            named: list[FieldSpec] = []
            for spec in specs:
                _check(spec, named, where=f"properties.{spec.key}.")
                named.append(spec)
            if len({*known, *(spec.key for spec in specs)}) > MAX_FIELDS:
                raise Conflict(reason="there are too many fields; archived ones count")
            order = []
            for spec in specs:
                old = known.pop(spec.key, None)
                if old is None:
                    order.append(await store.add_field(conn, actor.tenant_id, spec))
                    continue
                order.append(old.id)
                retype = old.archived or changes_typing(old.spec, spec)
                await store.change_field(conn, actor.tenant_id, old.id, spec, archived=False, retype=retype)
            for old in known.values():
                order.append(old.id)
                if not old.archived:
                    await store.change_field(
                        conn, actor.tenant_id, old.id, old.spec, archived=True, retype=True
                    )
            await store.order_fields(conn, actor.tenant_id, order)
            await audit.record(conn, actor, "field.schema", "fields", keys=[spec.key for spec in specs])
            await _notify(conn)

    async def misfits(
        self, actor: Actor, field_id: int, *, after: int | None = None, limit: int = 50
    ) -> list[KeptMisfit]:
        """Contacts whose value does not fit a field, in their order. Raises NotFound."""
        await self.field(actor, field_id)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page_of_misfits(conn, actor.tenant_id, field_id, after=after, limit=limit)


def _check(spec: FieldSpec, others: Sequence[FieldSpec], where: str = "") -> None:
    found = [{"field": where + place, "reason": why} for place, why in spec_faults(spec, others)]
    if found:
        raise Invalid(field=found[0]["field"], reason=found[0]["reason"], errors=found)


async def _notify(conn: AsyncConnection) -> None:
    """Wake the jobs process when the transaction commits."""
    await conn.execute(select(func.pg_notify(JOBS, "")))
