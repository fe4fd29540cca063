"""What callers have written down by a key: that they want no calls, or agree to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.fastagi import AgiCall
from dialer.calls.model import Call
from dialer.clock import utc_now
from dialer.compliance.model import zone_of
from dialer.compliance.policy import Purpose
from dialer.contacts import consents, people_store
from dialer.contacts.agreed import NewConsent
from dialer.contacts.numbers import PhoneNumber
from dialer.db.events import wake
from dialer.db.session import Database
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.inbound import callers
from dialer.inbound.leading import Visit
from ivr_flows.model import Came, Event, Failed, OptOut, RecordConsent

#: What stands in the ledger of consents for where one was given.
SOURCE = "key pressed in a call"


@dataclass(slots=True)
class Deeds:
    """The verbs that write something down."""

    database: Database
    #: the country of numbers that are given without one
    region: str

    async def opt_out(self, _agi: AgiCall, visit: Visit, action: OptOut) -> Event:
        """See `opt_out`."""
        number = callers.number_of(action.number, self.region)
        async with self.database.tenant(visit.line.call.tenant_id) as conn:
            return await opt_out(conn, _speaker(visit), action, number)

    async def record_consent(self, _agi: AgiCall, visit: Visit, action: RecordConsent) -> Event:
        """See `record_consent`."""
        async with self.database.tenant(visit.line.call.tenant_id) as conn:
            return await record_consent(conn, _speaker(visit), action)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who is on the line."""

    call: Call
    contact_id: int | None
    #: IANA name: in whose days an end of a consent is counted
    zone: str


def _speaker(visit: Visit) -> Speaker:
    zone = str(visit.position.variables.get("zone") or "")
    return Speaker(visit.line.call, visit.contact_id, zone)


async def opt_out(conn: AsyncConnection, who: Speaker, wanted: OptOut, number: PhoneNumber | None) -> Event:
    """Have the number called no more: by no campaign, or by that of the called number."""
    if number is None:
        return Failed("there is no number that could be called")
    campaign_id = who.call.campaign_id if wanted.scope == "campaign" else None
    said = Refusal(
        Source.KEY_PRESS,
        campaign_id=campaign_id,
        reason="inbound call" if who.call.inbound else "key pressed in a call of ours",
        attempt_id=who.call.attempt_id,
    )
    await donotcall.add(conn, who.call.tenant_id, [number.e164], said, by=None, now=utc_now())
    return Came("done")


async def record_consent(conn: AsyncConnection, who: Speaker, wanted: RecordConsent) -> Event:
    """Write down that the caller agrees. That they do not is no consent, and is on the call's way."""
    if who.contact_id is None:
        return Failed("nobody knows who the caller is")
    if wanted.given:
        zone = ZoneInfo(who.zone) if zone_of(who.zone) is not None else None
        now = utc_now()
        until = None
        if wanted.until is not None:  # to the end of that day
            until = datetime.combine(wanted.until, time(23, 59, 59), tzinfo=zone or now.tzinfo)
        proof = f"call {who.call.attempt_id}"
        new = NewConsent(who.contact_id, Purpose(wanted.purpose), SOURCE, now, until, proof)
        tenant_id = who.call.tenant_id
        await consents.add_many(conn, tenant_id, [new], None)
        await people_store.look_again(conn, tenant_id, [who.contact_id], "consent", now)
        await wake(conn, "campaigns", tenant_id=tenant_id)
    return Came("done")
