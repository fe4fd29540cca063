"""What can be done with the list of hosts that flows may ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.db.session import Database
from dialer.db.uses import Uses, check_unused, unused
from dialer.errors import Conflict, Invalid, NotFound
from dialer.hosts import store
from dialer.hosts.model import OWN, VALUE, Host, host_fault
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from ivr_flows.naming import Named


class HostService:
    """The allowed hosts of a tenant."""

    def __init__(self, database: Database, uses: Uses = unused) -> None:
        self._database = database
        self._uses = uses

    async def hosts(self, actor: Actor) -> list[Host]:
        """All, by name."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.hosts(conn, actor.tenant_id)

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> Host:
        """Let flows ask a host. Raises Invalid, Conflict where it is in the list."""
        actor.require(Right.HOSTS_EDIT)
        if (fault := host_fault(values["host"])) is not None:
            raise Invalid(field="host", reason=fault)
        _check_header(values["header"], values["secret"])
        async with self._database.tenant(actor.tenant_id) as conn:
            try:
                host_id = await store.add(conn, actor.tenant_id, values)
            except IntegrityError:
                raise Conflict(reason=Said("{host} is in the list already", host=values["host"])) from None
            return await self._told(conn, actor, "host.add", host_id, values)

    async def change(self, actor: Actor, host_id: int, values: Mapping[str, Any]) -> Host:
        """Change an entry, but for its name. Raises NotFound, Invalid."""
        actor.require(Right.HOSTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, host_id)
            header, secret = values.get("header", now.header), values.get("secret", now.secret)
            if not header:
                secret = ""
            _check_header(header, secret)
            await store.change(conn, actor.tenant_id, host_id, {**values, "header": header, "secret": secret})
            return await self._told(conn, actor, "host.change", host_id, values)

    async def remove(self, actor: Actor, host_id: int, *, even_if_used: bool = False) -> None:
        """Let flows ask a host no more. Raises NotFound, InUse where flows do."""
        actor.require(Right.HOSTS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, host_id)
            if not even_if_used:
                await check_unused(conn, self._uses, actor.tenant_id, Named.HOST, now.host)
            await store.remove(conn, actor.tenant_id, host_id)
            await audit.record(conn, actor, "host.remove", f"host:{host_id}")

    @staticmethod
    async def _told(
        conn: AsyncConnection, actor: Actor, action: str, host_id: int, values: Mapping[str, Any]
    ) -> Host:
        await audit.record(conn, actor, action, f"host:{host_id}", fields=sorted(values))
        return await _found(conn, actor, host_id)


async def _found(conn: AsyncConnection, actor: Actor, host_id: int) -> Host:
    for one in await store.hosts(conn, actor.tenant_id):
        if one.id == host_id:
            return one
    raise NotFound(what="host", key=host_id)


def _check_header(header: str, secret: str) -> None:
    if header.lower() in OWN:
        raise Invalid(field="header", reason="is one of the connection's own")
    if bool(header) != bool(secret):
        raise Invalid(field="secret" if header else "header", reason="is missing: a header has a value")
    if secret and not re.fullmatch(VALUE, secret):
        raise Invalid(field="secret", reason="must be Latin letters, digits and signs on one line")
