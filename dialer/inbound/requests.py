"""Asks servers of the tenant's for a flow: the verb `http_request`."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.db.session import Database
from dialer.hosts import asking, store
from dialer.inbound.leading import Visit
from ivr_flows import hosts
from ivr_flows.model import Came, Event, Failed, Request

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Requests:
    """Asks, within the tenant's list of hosts."""

    database: Database

    async def ask(self, _agi: AgiCall, visit: Visit, action: Request) -> Event:
        """What the server said, or that it refused; Failed where there is no reply."""
        tenant_id = visit.line.call.tenant_id
        async with self.database.tenant(tenant_id) as conn:
            entries = await store.hosts(conn, tenant_id)
        try:
            reply = await asking.ask(entries, action.method, action.url, action.body, action.timeout_s)
        except asking.NotAsked as error:
            log.warning("flow_request_failed", call=str(visit.line.call.attempt_id), reason=str(error))
            return Failed(str(error))
        if reply.status >= 400:
            return Came("refused")
        return Came("done", hosts.taken(action.into, reply.document))
