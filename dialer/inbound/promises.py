"""Promises callers a call: the verb `request_callback`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.callbacks import phoned
from dialer.callbacks.phoned import Phoned
from dialer.clock import utc_now
from dialer.contacts.numbers import PhoneNumber
from dialer.db.session import Database
from dialer.errors import Invalid, NotAllowed, NotFound, WrongState
from dialer.inbound import callers
from dialer.inbound.keeping import Keeping, stood_in
from dialer.inbound.leading import Visit
from dialer.queues import store as queues_store
from ivr_flows.model import Came, Event, Failed, RequestCallback, Value

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Promises:
    """Makes promises by the rules of the callbacks."""

    database: Database
    #: the country of numbers that are given without one
    region: str
    keeping: Keeping

    async def promise(self, _agi: AgiCall, visit: Visit, action: RequestCallback) -> Event:
        """Refused: what cannot be called, or may not. Who asks twice is promised one call."""
        number = callers.number_of(action.number, self.region)
        if number is None:
            return Came("refused")
        if not action.when and (action.queue or action.keep_place):
            turn = await self._keep(visit, action, number)
            if turn is not None:
                return turn
        try:
            at = datetime.fromisoformat(action.when) if action.when else None
        except ValueError:
            return Failed(f"{action.when} is no time")
        return await self._promise(visit, action, number, at)

    async def _keep(self, visit: Visit, action: RequestCallback, number: PhoneNumber) -> Event | None:
        """Keep a place in the queue: the one that the caller has just left, or the last one. None: there is
        no such queue, or it cannot be: a call is promised then."""
        call, now, stood = visit.line.call, utc_now(), visit.stood
        name = action.queue or (stood.queue.name if stood else "")
        async with self.database.tenant(call.tenant_id) as conn:
            queues = await queues_store.queues(conn, call.tenant_id)
            queue = next((each for each in queues.values() if each.name == name), None)
            if queue is None:
                return None
            if stood is None or stood.queue.id != queue.id or not action.keep_place:
                stood = stood_in(queue, now)
            turn = await self.keeping.keep(conn, visit, number, stood, action.reason)
        if turn is None:
            return None
        told = {} if turn.in_s is None else _at(now + timedelta(seconds=turn.in_s))
        return Came("done", {"kept": True, **told})

    async def _promise(
        self, visit: Visit, action: RequestCallback, number: PhoneNumber, at: datetime | None
    ) -> Event:
        call = visit.line.call
        contact_id = visit.contact_id if number.e164 == visit.line.e164 else None
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                if contact_id is None:
                    contact_id = (await callers.find(conn, call.tenant_id, number)).contact_id
                if contact_id is None:  # somebody who asked to be forgotten has it
                    return Came("refused")
                who = Phoned(call.campaign_id, contact_id, number.e164, call.attempt_id)
                made = await phoned.promise(conn, call.tenant_id, who, at=at, note=action.reason)
        except (Invalid, NotAllowed, NotFound, WrongState) as error:
            log.info("callback_refused", call=str(call.attempt_id), reason=error.id)
            return Came("refused")
        return Came("done", _at(made.due_at))


def _at(at: datetime) -> dict[str, Value]:
    """When it will be, as a flow is told."""
    return {"at": at.isoformat(), "in_s": max(0, round((at - utc_now()).total_seconds()))}
