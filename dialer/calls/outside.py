"""Lines over which somebody besides the customer is called: a row stands before each, within the trunk's
prefixes and caps, and its line is given back at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from dialer.calls.lines import TrunkLines
from dialer.calls.table import Line
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.ids import new_id
from dialer.servers.ownership import Leases
from dialer.trunks import forwards
from dialer.trunks.caps import Refusal
from dialer.trunks.forwards import NewForward
from dialer.trunks.model import Ask, Refused, Trunk

log = structlog.get_logger(__name__)

#: The longest talk that we keep up for a customer whom no agent of ours talks with, seconds.
TALK_S: Final = 4 * 3600


@dataclass(slots=True)
class Outside:
    """The outside numbers that one engine calls for its customers."""

    database: Database
    leases: Leases
    lines: TrunkLines

    async def take(self, line: Line, e164: str) -> Trunk | Refusal | None:
        """Take a line for the number: the trunk, or why none takes it; None: the call is another server's
        now. Raises DatabaseUnavailable."""
        call, now = line.call, utc_now()
        new = NewForward(new_id(), call.attempt_id, e164)
        async with self.database.tenant(call.tenant_id) as conn:
            if not await self.leases.still(conn, call.tenant_id, (call.campaign_id,)):
                return None
            look = await self.lines.look(conn, call.tenant_id, line.terms.trunks, line.node)
            (answer,) = await self.lines.take(conn, call.tenant_id, look, [Ask(e164)])
            if isinstance(answer, Refused):
                log.warning("forward_refused", call=str(call.attempt_id), reason=answer.reason)
                await self.lines.tell(conn, call.tenant_id, answer)
                return answer.reason
            choice, today = answer
            await forwards.begin(conn, call.tenant_id, new, choice, today, now)
        return choice.trunk

    async def answered(self, line: Line) -> None:
        """Somebody has picked up: it is paid from here."""
        call = line.call
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                await forwards.answered(conn, call.tenant_id, call.attempt_id, utc_now())
        except DatabaseUnavailable as error:  # the talk goes on; it is booked as not answered
            log.warning("forward_answer_not_kept", call=str(call.attempt_id), reason=str(error))

    async def over(self, line: Line, trunk: Trunk | None = None) -> None:
        """What was called for this customer has ended."""
        call = line.call
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                await forwards.end(conn, call.tenant_id, [call.attempt_id], utc_now())
        except DatabaseUnavailable as error:  # then with the end of the call
            log.warning("forward_end_not_kept", call=str(call.attempt_id), reason=str(error))
        if trunk is not None:
            self.lines.freed(trunk.id)


def heard(call_id: object, agi_address: str, *, music: bool, trunk: Trunk | None) -> str:
    """Options of Asterisk's Dial.

    i: a phone that forwards its calls sends nobody out over our trunks; S: no talk lasts for ever; U: the
    server hears of the answer.
    """
    shown = f"f({trunk.caller_id})" if trunk is not None else ""
    told = f"U(dozvon-answered^{agi_address}^{call_id})"
    return f"i{'m' if music else 'r'}S({TALK_S}){shown}{told}"
