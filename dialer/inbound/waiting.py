"""Has callers wait for an agent: the verb `enqueue`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Call, Queued
from dialer.calls.switchboard import TIMEOUT, Switchboard
from dialer.calls.table import CallTable, Wish
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.inbound import store
from dialer.inbound.leading import Bridged, Visit, tell
from dialer.inbound.model import USUAL_WAIT_S
from ivr_flows.model import Came, Enqueue, Event


@dataclass(slots=True)
class Waiting:
    """The callers of one engine who wait."""

    database: Database
    calls: CallTable
    switchboard: Switchboard

    async def enqueue(self, agi: AgiCall, visit: Visit, action: Enqueue) -> Event:
        """Wait for an agent, and end the flow's part with a talk. Raises Bridged, AgiHangup."""
        line, queue = visit.line, action.queue or visit.called.queue
        wait_s = USUAL_WAIT_S if action.max_wait_s is None else action.max_wait_s
        skill = next(iter(action.skills), queue) or line.terms.skill
        line.wish = Wish(queue, skill, action.priority, time.monotonic() + wait_s)
        line.told = {
            **line.told,
            "queue": queue,
            "reason": action.reason,
            "collected": len(visit.collected),
            "path": await self._path(line.call),
        }
        async with self.database.tenant(line.call.tenant_id) as conn:
            await store.tell(
                conn,
                line.call.tenant_id,
                line.call.attempt_id,
                {},
                queue=queue or None,
                reason=action.reason or None,
            )
        self.calls.apply(line.call.attempt_id, Queued(utc_now()))
        decision = await self.switchboard.caller(agi, line)
        if decision == TIMEOUT:
            return Came("timeout")
        await tell(agi, line, decision)
        raise Bridged

    async def _path(self, call: Call) -> list[str]:
        async with self.database.tenant(call.tenant_id) as conn:
            return [each.state for each in await store.steps(conn, call.tenant_id, call.attempt_id)]
