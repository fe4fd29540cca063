"""Has callers wait for an agent: the verb `enqueue`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Call, Queued
from dialer.calls.switchboard import TIMEOUT, Switchboard
from dialer.calls.table import CallTable, Wish
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.inbound import store
from dialer.inbound.leading import Bridged, Visit, tell
from dialer.inbound.model import USUAL_WAIT_S
from dialer.queues import stays
from dialer.queues.model import End
from ivr_flows.model import Came, Enqueue, Event

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Waiting:
    """The callers of one engine who wait."""

    database: Database
    calls: CallTable
    switchboard: Switchboard

    async def enqueue(self, agi: AgiCall, visit: Visit, action: Enqueue) -> Event:
        """Wait for an agent, and end the flow's part with a talk. Raises Bridged, AgiHangup."""
        line, queue = visit.line, action.queue or visit.queue
        wait_s = USUAL_WAIT_S if action.max_wait_s is None else action.max_wait_s
        skill = next(iter(action.skills), queue) or line.terms.skill
        line.wish = Wish(queue, skill, action.priority, time.monotonic() + wait_s)
        line.told = {
            **line.told,
            "queue": queue,
            "reason": action.reason,
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
            await stays.enter(
                conn,
                line.call.tenant_id,
                line.call.attempt_id,
                queue_id=None,
                queue=queue,
                priority=action.priority,
                at=utc_now(),
            )
        self.calls.apply(line.call.attempt_id, Queued(utc_now()))
        decision = await self.switchboard.caller(agi, line)
        if decision == TIMEOUT:
            await self._leave(line.call, End.TIMEOUT)
            return Came("timeout")
        await tell(agi, line, decision)
        raise Bridged

    async def _leave(self, call: Call, ended: End) -> None:
        """The caller's stay is over. While the database is away it has no end before that of the call."""
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                await stays.settle(conn, call.tenant_id, [stays.Over(call.attempt_id, utc_now(), ended)])
        except DatabaseUnavailable as error:
            log.warning("stay_not_ended", call=str(call.attempt_id), reason=str(error))

    async def _path(self, call: Call) -> list[str]:
        async with self.database.tenant(call.tenant_id) as conn:
            return [each.state for each in await store.steps(conn, call.tenant_id, call.attempt_id)]
