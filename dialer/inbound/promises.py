"""Promises callers a call: the verb `request_callback`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from dialer.asterisk.fastagi import AgiCall
from dialer.callbacks import phoned
from dialer.callbacks.phoned import Phoned
from dialer.clock import utc_now
from dialer.contacts.numbers import PhoneNumber
from dialer.db.session import Database
from dialer.errors import Invalid, NotAllowed, NotFound, WrongState
from dialer.inbound import callers
from dialer.inbound.leading import Visit
from ivr_flows.model import Came, Event, Failed, RequestCallback

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Promises:
    """Makes promises by the rules of the callbacks."""

    database: Database
    #: the country of numbers that are given without one
    region: str

    async def promise(self, _agi: AgiCall, visit: Visit, action: RequestCallback) -> Event:
        """Refused: what cannot be called, or may not. Who asks twice is promised one call."""
        number = callers.number_of(action.number, self.region)
        if number is None:
            return Came("refused")
        try:
            at = datetime.fromisoformat(action.when) if action.when else None
        except ValueError:
            return Failed(f"{action.when} is no time")
        return await self._promise(visit, action, number, at)

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
        return Came("done", {"at": made.due_at.isoformat(), "in_s": _seconds_until(made.due_at)})


def _seconds_until(at: datetime) -> int:
    return max(0, round((at - utc_now()).total_seconds()))
