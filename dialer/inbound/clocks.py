"""Looks at hours that the tenant keeps by name: the verb `schedule` with `hours`."""

from __future__ import annotations

from dataclasses import dataclass

from dialer.asterisk.fastagi import AgiCall
from dialer.clock import utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.hours import store
from dialer.inbound.leading import Visit
from ivr_flows.model import Came, CheckHours, Event, Failed


@dataclass(slots=True)
class Clocks:
    """The hours of tenants."""

    database: Database

    async def check(self, _agi: AgiCall, visit: Visit, action: CheckHours) -> Event:
        """Open, closed or a holiday, now."""
        tenant_id = visit.line.call.tenant_id
        async with self.database.tenant(tenant_id) as conn:
            opening = await store.named(conn, tenant_id, action.schedule)
            zone = await tenants.zone(conn, tenant_id)
        if opening is None:
            return Failed(f"there are no hours {action.schedule}")
        return Came(opening.state(utc_now(), zone))
