"""What can be done with the list of destinations: it says where calls may go on our money."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.db.uses import Uses, check_unused, unused
from dialer.destinations import store
from dialer.destinations.model import Destination, Kind, value_fault
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from ivr_flows.naming import Named


class DestinationService:
    """The destinations of a tenant."""

    def __init__(self, database: Database, uses: Uses = unused) -> None:
        self._database = database
        self._uses = uses

    async def destinations(self, actor: Actor) -> list[Destination]:
        """All, by name."""
        actor.require(Right.TRUNKS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.destinations(conn, actor.tenant_id)

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> Destination:
        """Let flows ring one more. Raises Invalid, Conflict where the name is taken."""
        actor.require(Right.TRUNKS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                await _check(conn, actor, values)
                destination_id = await store.add(conn, actor.tenant_id, values)
                return await _told(conn, actor, "destination.add", destination_id)
        except IntegrityError:
            raise _taken(values) from None

    async def change(
        self, actor: Actor, destination_id: int, values: Mapping[str, Any], *, even_if_used: bool = False
    ) -> Destination:
        """Write one anew. Raises Invalid, NotFound, Conflict, and InUse where flows go by the old name."""
        actor.require(Right.TRUNKS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                await _check(conn, actor, values)
                now = await _found(conn, actor, destination_id)
                if values["name"] != now.name and not even_if_used:
                    await check_unused(conn, self._uses, actor.tenant_id, Named.DESTINATION, now.name)
                await store.change(conn, actor.tenant_id, destination_id, values)
                return await _told(conn, actor, "destination.change", destination_id)
        except IntegrityError:
            raise _taken(values) from None

    async def remove(self, actor: Actor, destination_id: int, *, even_if_used: bool = False) -> None:
        """Let flows ring it no more. Raises NotFound, InUse where flows do, by its name or number."""
        actor.require(Right.TRUNKS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, destination_id)
            for name in () if even_if_used else (now.name, now.value):
                await check_unused(conn, self._uses, actor.tenant_id, Named.DESTINATION, name)
            await store.remove(conn, actor.tenant_id, destination_id)
            await audit.record(conn, actor, "destination.remove", f"destination:{destination_id}")


async def _check(conn: AsyncConnection, actor: Actor, values: Mapping[str, Any]) -> None:
    if (fault := value_fault(Kind(values["kind"]), values["value"])) is not None:
        raise Invalid(field="value", reason=fault)
    if values["kind"] == Kind.PHONE and await store.is_trunk(conn, actor.tenant_id, values["value"]):
        raise Invalid(field="value", reason="is a trunk: write the number, and it goes over the trunks")


async def _told(conn: AsyncConnection, actor: Actor, action: str, destination_id: int) -> Destination:
    await audit.record(conn, actor, action, f"destination:{destination_id}")
    return await _found(conn, actor, destination_id)


async def _found(conn: AsyncConnection, actor: Actor, destination_id: int) -> Destination:
    for one in await store.destinations(conn, actor.tenant_id):
        if one.id == destination_id:
            return one
    raise NotFound(what="destination", key=destination_id)


def _taken(values: Mapping[str, Any]) -> Conflict:
    return Conflict(reason=Said("there is a destination {name} already", name=values["name"]))
