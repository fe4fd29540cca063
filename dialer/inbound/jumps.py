"""Takes a caller to another flow: the verb `goto_flow`."""

from __future__ import annotations

from dataclasses import dataclass

from dialer.asterisk.fastagi import AgiCall
from dialer.db import flows
from dialer.db.session import Database
from dialer.errors import BadFlow
from dialer.inbound import store
from dialer.inbound.leading import Visit
from ivr_flows import interpreter, loader
from ivr_flows.model import Began, Event, Failed, GoTo


@dataclass(slots=True)
class Jumps:
    """From flow to flow."""

    database: Database

    async def go_to(self, _agi: AgiCall, visit: Visit, action: GoTo) -> Event:
        """Go on in what the other flow says to callers now, with what is known of this one."""
        call = visit.line.call
        async with self.database.tenant(call.tenant_id) as conn:
            document = await flows.live_document(conn, call.tenant_id, action.flow)
        if document is None:
            return Failed(f"there is no flow {action.flow}")
        try:
            flow = loader.from_document(document)
        except BadFlow as error:
            return Failed(str(error))
        async with self.database.tenant(call.tenant_id) as conn:
            await store.left_state(conn, call.tenant_id, call.attempt_id, "done")
        visit.stands, visit.flow = None, flow
        visit.position = interpreter.go_on(flow, visit.position)
        return Began()
