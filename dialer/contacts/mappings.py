"""What can be done with saved mappings: which columns of files of one kind are what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import mappingstore
from dialer.contacts.model import SavedMapping
from dialer.contacts.reading import check_mapping, fits
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said

#: How many, the last used first, are held against the headers of a file.
LOOKED_AT = 200


class MappingService:
    """Saved mappings of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, actor: Actor, name: str, columns: Mapping[str, str]) -> SavedMapping:
        """Save a mapping. Raises Invalid, Conflict when the name is taken."""
        actor.require(Right.CONTACTS_EDIT)
        _check(columns)
        async with self._database.tenant(actor.tenant_id) as conn:
            mapping_id = await mappingstore.add(conn, actor.tenant_id, name, columns, actor.user_id)
            if mapping_id is None:
                raise _name_taken(name)
            await audit.record(conn, actor, "mapping.create", f"mapping:{mapping_id}", name=name)
            return await get_mapping(conn, actor, mapping_id)

    async def get(self, actor: Actor, mapping_id: int) -> SavedMapping:
        """A mapping. Raises NotFound."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await get_mapping(conn, actor, mapping_id)

    async def mappings(
        self, actor: Actor, *, before: int | None = None, limit: int = 50
    ) -> list[SavedMapping]:
        """Mappings, the newest first."""
        actor.require(Right.CONTACTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await mappingstore.page(conn, actor.tenant_id, before=before, limit=limit)

    async def change(
        self,
        actor: Actor,
        mapping_id: int,
        *,
        name: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> SavedMapping:
        """Give it another name, other columns or both. Raises NotFound, Invalid, Conflict."""
        actor.require(Right.CONTACTS_EDIT)
        if columns is not None:
            _check(columns)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                now = await get_mapping(conn, actor, mapping_id)
                name = now.name if name is None else name
                columns = now.columns if columns is None else columns
                if not await mappingstore.change(
                    conn, actor.tenant_id, mapping_id, name=name, columns=columns
                ):
                    raise _name_taken(name)
                await audit.record(conn, actor, "mapping.change", f"mapping:{mapping_id}", name=name)
                return await get_mapping(conn, actor, mapping_id)
        except IntegrityError:  # two mappings took the name at the same moment
            raise _name_taken(name or "") from None

    async def remove(self, actor: Actor, mapping_id: int) -> None:
        """Remove a mapping; imports that were read by it keep what it said. Raises NotFound."""
        actor.require(Right.CONTACTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await get_mapping(conn, actor, mapping_id)
            await mappingstore.remove(conn, actor.tenant_id, mapping_id)
            await audit.record(conn, actor, "mapping.remove", f"mapping:{mapping_id}", name=now.name)


async def fitting(conn: AsyncConnection, tenant_id: int, headers: Sequence[str]) -> list[SavedMapping]:
    """Mappings for files with these headers, the last used first."""
    found = await mappingstore.last_used(conn, tenant_id, limit=LOOKED_AT)
    return [one for one in found if fits(one.columns, headers)]


async def get_mapping(conn: AsyncConnection, actor: Actor, mapping_id: int) -> SavedMapping:
    """A mapping of the actor's tenant. Raises NotFound."""
    found = await mappingstore.get(conn, actor.tenant_id, mapping_id)
    if found is None:
        raise NotFound(what="mapping", key=mapping_id)
    return found


def _check(columns: Mapping[str, str]) -> None:
    if not columns:
        raise Invalid(field="columns", reason="is missing")
    check_mapping(columns, "columns")


def _name_taken(name: str) -> Conflict:
    return Conflict(reason=Said("there is a mapping {name} already", name=name))
