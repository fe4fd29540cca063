"""What can be done with hours. A change holds from the next look of a flow on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.db.uses import Uses, check_unused, unused
from dialer.errors import Conflict, Invalid, NotFound
from dialer.hours import store
from dialer.hours.model import Opening, by_day, fault, grouped
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from ivr_flows.naming import Named


@dataclass(frozen=True, slots=True)
class OpeningView:
    """Hours, and what they say now."""

    opening: Opening
    #: open, closed or holiday
    now: str

    @property
    def week(self) -> Mapping[str, str]:
        """The week in order: `mon-fri` -> its hours; closed days are not in it."""
        return grouped(by_day(self.opening.week))


class HoursService:
    """The hours of a tenant."""

    def __init__(self, database: Database, uses: Uses = unused) -> None:
        self._database = database
        self._uses = uses

    async def hours(self, actor: Actor) -> list[OpeningView]:
        """All, by name."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            zone, now = await tenants.zone(conn, actor.tenant_id), utc_now()
            found = await store.openings(conn, actor.tenant_id)
            return [OpeningView(one, one.state(now, zone)) for one in found]

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> OpeningView:
        """Keep hours under a name. Raises Invalid, Conflict where it is taken."""
        actor.require(Right.CAMPAIGNS_EDIT)
        _check(values)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                hours_id = await store.add(conn, actor.tenant_id, values)
                return await _told(conn, actor, "hours.add", hours_id)
        except IntegrityError:
            raise _taken(values) from None

    async def change(
        self, actor: Actor, hours_id: int, values: Mapping[str, Any], *, even_if_used: bool = False
    ) -> OpeningView:
        """Write hours anew. Raises Invalid, NotFound, Conflict, and InUse where flows go by the old name."""
        actor.require(Right.CAMPAIGNS_EDIT)
        _check(values)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                now = await _found(conn, actor, hours_id)
                if values["name"] != now.name and not even_if_used:
                    await check_unused(conn, self._uses, actor.tenant_id, Named.HOURS, now.name)
                await store.change(conn, actor.tenant_id, hours_id, values)
                return await _told(conn, actor, "hours.change", hours_id)
        except IntegrityError:
            raise _taken(values) from None

    async def remove(self, actor: Actor, hours_id: int, *, even_if_used: bool = False) -> None:
        """Forget hours. Raises NotFound, InUse where flows name them: they would go on from `failed`."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            now = await _found(conn, actor, hours_id)
            if not even_if_used:
                await check_unused(conn, self._uses, actor.tenant_id, Named.HOURS, now.name)
            await store.remove(conn, actor.tenant_id, hours_id)
            await audit.record(conn, actor, "hours.remove", f"hours:{hours_id}")


def _check(values: Mapping[str, Any]) -> None:
    found = fault(values["week"], values["exceptions"], values["holidays"], values["zone"])
    if found is not None:
        raise Invalid(field=found[0], reason=found[1])


async def _told(conn: AsyncConnection, actor: Actor, action: str, hours_id: int) -> OpeningView:
    await audit.record(conn, actor, action, f"hours:{hours_id}")
    zone, found = await tenants.zone(conn, actor.tenant_id), await _found(conn, actor, hours_id)
    return OpeningView(found, found.state(utc_now(), zone))


async def _found(conn: AsyncConnection, actor: Actor, hours_id: int) -> Opening:
    for one in await store.openings(conn, actor.tenant_id):
        if one.id == hours_id:
            return one
    raise NotFound(what="hours", key=hours_id)


def _taken(values: Mapping[str, Any]) -> Conflict:
    return Conflict(reason=Said("there are hours {name} already", name=values["name"]))
