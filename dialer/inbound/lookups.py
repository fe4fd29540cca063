"""Finds a customer for a flow: the verb `lookup`."""

from __future__ import annotations

from dataclasses import dataclass

from dialer.asterisk.fastagi import AgiCall
from dialer.contacts import known
from dialer.db.session import Database
from dialer.errors import NotFound
from dialer.inbound import seeking
from dialer.inbound.leading import Visit
from ivr_flows.model import Came, Event, Failed, Lookup


@dataclass(slots=True)
class Lookups:
    """Looks for people."""

    database: Database
    #: the country of numbers that are given without one
    region: str

    async def look_up(self, _agi: AgiCall, visit: Visit, action: Lookup) -> Event:
        """Their fields by name, or that nobody is known."""
        tenant_id = visit.line.call.tenant_id
        async with self.database.tenant(tenant_id) as conn:
            try:
                contact_id = await seeking.find(conn, tenant_id, action.by, action.value, self.region)
            except NotFound as error:  # of a field: of people it is `unknown`
                return Failed(str(error))
            fields = await known.card(conn, tenant_id, contact_id) if contact_id is not None else {}
        if not fields:
            return Came("unknown")
        wanted = action.fields or tuple(fields)
        return Came("found", {name: fields[name] for name in wanted if name in fields})
