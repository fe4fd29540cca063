"""What can be done with trunks. The engine hears of each change and renews a managed Asterisk's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db import events
from dialer.db.session import Database
from dialer.errors import Conflict, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.problems import invalid
from dialer.said import Said
from dialer.trunks import store
from dialer.trunks.fields import CapsIn, TrunkEdit, TrunkIn

#: Never in the log of changes.
_SECRET = "sip_secret"  # noqa: S105 - a column's name


class TrunkService:
    """Trunks of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trunks(self, actor: Actor) -> list[dict[str, Any]]:
        """All trunks by name, without their secrets."""
        actor.require(Right.TRUNKS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.all_fields(conn, actor.tenant_id)

    async def trunk(self, actor: Actor, trunk_id: int) -> dict[str, Any]:
        """One trunk, without its secret. Raises NotFound."""
        actor.require(Right.TRUNKS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _found(conn, actor, trunk_id)

    async def create(self, actor: Actor, wanted: TrunkIn) -> dict[str, Any]:
        """Make a trunk. Raises Conflict when the name is taken."""
        actor.require(Right.TRUNKS_EDIT)
        values = _values(wanted.model_dump())
        rates = values.pop("rates")
        async with self._database.tenant(actor.tenant_id) as conn:
            try:
                trunk_id = await store.add(
                    conn, actor.tenant_id, {**values, "endpoint": wanted.endpoint or ""}
                )
            except IntegrityError:
                raise _name_taken(wanted.name) from None
            if wanted.endpoint is None:
                name = own_endpoint(actor.tenant_id, trunk_id)
                await store.change(conn, actor.tenant_id, trunk_id, {"endpoint": name})
            await store.set_rates(conn, actor.tenant_id, trunk_id, rates)
            await _told(conn, actor, "trunk.create", trunk_id, values)
            return await _found(conn, actor, trunk_id)

    async def edit(self, actor: Actor, trunk_id: int, changes: TrunkEdit) -> dict[str, Any]:
        """Change a trunk. Raises NotFound, Invalid, Conflict."""
        actor.require(Right.TRUNKS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, trunk_id, lock=True)
            # The secret that is kept is neither read nor needed to check the rest.
            before = {name: now[name] for name in TrunkIn.model_fields if name != _SECRET}
            if now["sip_host"] is not None:
                before["endpoint"] = None
            given = {name: getattr(changes, name) for name in changes.model_fields_set}
            try:
                wanted = TrunkIn.model_validate(before | given)
            except ValidationError as error:
                raise invalid(error) from None
            values = _values(wanted.model_dump(include=set(given)))
            rates = values.pop("rates", None)
            values["endpoint"] = wanted.endpoint or own_endpoint(actor.tenant_id, trunk_id)
            if wanted.sip_host is None or wanted.sip_user is None:
                # The carrier's password goes with the carrier.
                values[_SECRET] = None
            try:
                await store.change(conn, actor.tenant_id, trunk_id, values)
            except IntegrityError:
                raise _name_taken(wanted.name) from None
            if rates is not None:
                await store.set_rates(conn, actor.tenant_id, trunk_id, rates)
            await _told(conn, actor, "trunk.edit", trunk_id, values | given)
            return await _found(conn, actor, trunk_id)

    async def caps(self, actor: Actor) -> dict[str, Any]:
        """The tenant's caps over all its trunks, and what these carry."""
        actor.require(Right.TRUNKS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.caps(conn, actor.tenant_id)

    async def set_caps(self, actor: Actor, changes: CapsIn) -> dict[str, Any]:
        """Change the tenant's caps. They hold for the next call on."""
        actor.require(Right.TRUNKS_EDIT)
        values = {name: getattr(changes, name) for name in changes.model_fields_set}
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.set_caps(conn, actor.tenant_id, values)
            shown = {name: None if value is None else str(value) for name, value in values.items()}
            await audit.record(conn, actor, "caps.edit", "caps", **shown)
            await events.emit(conn, "caps.changed", {}, tenant_id=actor.tenant_id)
            await events.wake(conn, "trunks", tenant_id=actor.tenant_id)
            return await store.caps(conn, actor.tenant_id)

    async def delete(self, actor: Actor, trunk_id: int) -> None:
        """Remove a trunk that no campaign and no call has used. Raises NotFound, Conflict."""
        actor.require(Right.TRUNKS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            await _found(conn, actor, trunk_id, lock=True)
            try:
                await store.remove(conn, actor.tenant_id, trunk_id)
            except IntegrityError:
                raise Conflict(
                    reason="the trunk is in a campaign or in the call log; switch it off"
                ) from None
            await _told(conn, actor, "trunk.delete", trunk_id, ())


def own_endpoint(tenant_id: int, trunk_id: int) -> str:
    """The name of an endpoint that a managed Asterisk is given: no two trunks share one."""
    return f"trunk-{tenant_id}-{trunk_id}"


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in fields.items()
    }


async def _found(conn: AsyncConnection, actor: Actor, trunk_id: int, *, lock: bool = False) -> dict[str, Any]:
    found = await store.fields(conn, actor.tenant_id, trunk_id, lock=lock)
    if found is None:
        raise NotFound(what="trunk", key=trunk_id)
    return found


async def _told(
    conn: AsyncConnection,
    actor: Actor,
    action: str,
    trunk_id: int,
    changed: Mapping[str, Any] | Iterable[str],
) -> None:
    """Note the change, tell whoever watches, and wake the engine: all when the transaction commits."""
    await audit.record(conn, actor, action, f"trunk:{trunk_id}", fields=sorted(changed))
    await events.emit(conn, "trunk.changed", {"trunk_id": trunk_id}, tenant_id=actor.tenant_id)
    await events.wake(conn, "trunks", tenant_id=actor.tenant_id)


def _name_taken(name: str) -> Conflict:
    return Conflict(reason=Said("there is a trunk {name} already", name=name))
