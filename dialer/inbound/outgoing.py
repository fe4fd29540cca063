"""Answers the dialplan of customers whom we have called: an agent is chosen for them or, in a campaign
without agents, a flow speaks with them.

The version of the flow that is live at the answer is written on the attempt, and the call keeps it. Whatever
ends this, the dialplan goes on by itself: the person hears the campaign's message, which says who has called.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Result, Screened
from dialer.calls.switchboard import HANGUP, MESSAGE, Switchboard
from dialer.calls.table import CallTable, Line
from dialer.clock import wall
from dialer.db.prepared import Prepared
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.inbound.flows import Flows
from dialer.inbound.handing_over import HandingOver
from dialer.inbound.leading import Leader, Visit, start, tell

log = structlog.get_logger(__name__)

#: What the dialplan does for an answering machine: it waits for silence and plays the message.
LEAVE = "leave"

_TAKE = Prepared(
    """
    UPDATE attempt a SET flow_id = f.id, flow_version = v.version
      FROM flow f
      JOIN flow_version v ON v.tenant_id = f.tenant_id AND v.flow_id = f.id AND v.version = f.live_version
     WHERE a.tenant_id = :tenant_id AND a.id = :attempt_id AND f.tenant_id = :tenant_id AND f.name = :flow
    RETURNING f.id AS flow_id, f.name, v.version, v.document, a.caller_id
    """
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What speaks with the customer of an attempt."""

    flow_id: int
    name: str
    version: int
    document: Mapping[str, Any]
    #: the number that we call from
    caller_id: str


async def take(conn: AsyncConnection, line: Line) -> Taken | None:
    """What the campaign's flow says now, written on the attempt; None: nothing is live."""
    call = line.call
    row = await _TAKE.row(conn, tenant_id=call.tenant_id, attempt_id=call.attempt_id, flow=line.terms.flow)
    return Taken(**row) if row else None


@dataclass(slots=True)
class Outgoing:
    """The customers of one engine whom it has called."""

    database: Database
    calls: CallTable
    switchboard: Switchboard
    leader: Leader
    flows: Flows
    handing_over: HandingOver

    async def answer(self, agi: AgiCall) -> None:
        """Answer `AGI(agi://.../customer,AMDSTATUS,AMDCAUSE,BRIDGERESULT)`: see extensions_dozvon.conf."""
        asked_s = time.monotonic()
        line = await self.switchboard.asking(agi)
        if line is None:
            return
        status, cause, bridge_result = (*agi.args, "", "", "")[:3]
        try:
            if await self.handing_over.to_queue(agi, line):
                return
            if not line.call.automatic:
                await self.switchboard.decide(agi, line, asked_s)
            elif bridge_result:
                await self.leader.back(agi, line, self.switchboard, bridge_result)
            else:
                await self._begin(agi, line, Screened(wall(asked_s), status=status, cause=cause), asked_s)
        except DatabaseUnavailable as error:
            log.error("flow_not_begun", attempt=str(line.call.attempt_id), reason=str(error))  # noqa: TRY400
            await tell(agi, line, MESSAGE)

    async def _begin(self, agi: AgiCall, line: Line, screened: Screened, asked_s: float) -> None:
        attempt_id = line.call.attempt_id
        call = self.calls.apply(attempt_id, screened, seen_s=asked_s)
        if call is None or call.result is not None:
            machine = call is not None and call.result is Result.MACHINE
            await tell(agi, line, LEAVE if machine and line.terms.message_to_machines else HANGUP)
            return
        async with self.database.tenant(call.tenant_id) as conn:
            taken = await take(conn, line)
        flow = None
        if taken is not None:
            flow = self.flows.read(call.tenant_id, taken.flow_id, taken.name, taken.version, taken.document)
        if taken is None or flow is None:
            log.error("flow_missing", campaign=call.campaign_id, flow=line.terms.flow)
            await tell(agi, line, MESSAGE)
            return
        known = {"caller": line.e164, "dialled": taken.caller_id, "campaign": call.campaign_id}
        position = await start(self.database, flow, line, known)
        await self.leader.begin(agi, Visit(line, None, flow, position))
