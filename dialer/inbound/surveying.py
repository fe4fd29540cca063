"""Leads customers through the survey after their talk: the agent has ended it, and wraps up already.

What the call came to is settled before: nothing that is pressed, and no hang-up, changes it. The dialplan
hangs up whenever this ends, also where the server is lost (`dozvon-survey` in extensions_dozvon.conf).
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.table import CallTable, Line, channel_uuid
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.inbound.flows import Flows
from dialer.inbound.leading import Leader, Visit, start
from dialer.surveys import store

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Surveying:
    """The surveys of one engine."""

    database: Database
    calls: CallTable
    leader: Leader
    flows: Flows

    async def answer(self, agi: AgiCall) -> None:
        """Answer `AGI(agi://.../survey,CALL)`. Raises AgiHangup."""
        call_id = channel_uuid(agi.args[0]) if agi.args else None
        line = self.calls.get(call_id) if call_id is not None else None
        if line is None or line.call.let_go_at is None:
            log.warning("survey_of_no_call", channel=agi.channel_id)
            return
        try:
            visit = await self._visit(line)
        except DatabaseUnavailable as error:
            log.warning("survey_not_begun", call=str(call_id), reason=str(error))
            return
        if visit is not None:
            await self.leader.begin(agi, visit)

    async def _visit(self, line: Line) -> Visit | None:
        """The customer before the first question; None: the flow is gone. Raises DatabaseUnavailable."""
        call, name = line.call, line.survey
        async with self.database.tenant(call.tenant_id) as conn:
            live = await store.live(conn, call.tenant_id, name)
            flow = None
            if live is not None:
                of = (call.tenant_id, live.flow_id, name, live.version)
                flow = self.flows.read(*of, live.document)
            if live is None or flow is None or call.talked_by is None:
                log.error("survey_missing", campaign=call.campaign_id, flow=name)
                return None
            known = await store.talked(conn, call.tenant_id, call.attempt_id)
            whose = (call.tenant_id, call.attempt_id, call.talked_by)
            await store.begin(conn, *whose, name, live.version, utc_now())
        line.told = {**line.told, "contact_id": known.contact_id}
        about = {"caller": line.e164, "dialled": known.dialled, "campaign": call.campaign_id}
        position = await start(self.database, flow, line, about)
        return Visit(line, None, flow, position, list(known.been), survey=True)
