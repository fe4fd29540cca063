"""A promise of a call: whether it can be kept, when at the earliest, and how it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.callbacks import store
from dialer.callbacks.store import CallbackRow, LeadRow
from dialer.compliance.calendar import Denied, Reason
from dialer.compliance.filters import Filter
from dialer.compliance.model import zone_of
from dialer.compliance.policy import good_day
from dialer.compliance.refusals import WHY
from dialer.donotcall import store as donotcall
from dialer.errors import Invalid, NotAllowed, NotFound, WrongState
from dialer.policies import store as policies
from scheduler import promised
from scheduler.callbacks import WITHIN, Away, cautious, local, open_at, skipped

#: Leads that were closed for these are called by nobody, whatever was promised.
NEVER = {
    "do_not_call": "closed by a refusal of calls",
    "erased": "erased",
    "dead_number": "closed because the number leads to nobody",
    "duplicate": "closed as a duplicate",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish as people say it: by the clock of the called person, or as a moment."""

    #: a moment, or a clock's reading without a zone: then that of `zone`
    at: datetime
    until: datetime | None = None
    #: IANA name; empty: the person's, the one by which the reading is latest where that is not sure
    zone: str = ""
    agent_id: int | None = None
    away: Away | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person was promised."""

    #: a moment, or the beginning of a window
    from_at: datetime
    #: the end of the window; None: it is for that moment
    until_at: datetime | None = None
    #: in whose clock it was said; empty: the person's, as far as that is known
    zone: str = ""
    #: who calls; None: any agent
    agent_id: int | None = None
    #: None: as the campaign says
    away: Away | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A promise that can be kept."""

    wish: Wish
    lead: LeadRow
    zone: str
    #: when it may be dialled at the earliest
    due_at: datetime
    #: what has put it off from the time that was named
    moved: Filter | None


def zones_of(lead: LeadRow) -> Sequence[str]:
    """Where the person may be."""
    return [lead.timezone] if lead.timezone else list(lead.timezones)


def wish_of(said: Asked, zones: Sequence[str], now: datetime) -> Wish:
    """A wish in moments. Raises Invalid of a zone that is none, and of a reading that its clock skips."""
    zone = said.zone or cautious(zones, said.at if said.at.tzinfo else now)
    try:
        at = said.at if said.at.tzinfo else local(said.at, zone)
        until = said.until if said.until is None or said.until.tzinfo else local(said.until, zone)
    except (ValueError, OSError, LookupError):
        raise Invalid(field="zone", reason="there is no such time zone") from None
    for field, reading in (("at", said.at), ("until", said.until)):
        if reading is not None and reading.tzinfo is None and skipped(reading, zone):
            raise Invalid(field=field, reason="this time is skipped there that night: clocks are put forward")
    return Wish(at, until, zone, said.agent_id, said.away, said.note)


async def plan(conn: AsyncConnection, tenant_id: int, lead: LeadRow, wish: Wish, now: datetime) -> Plan:
    """Hold a wish against the rules that are known beforehand: the hours of campaign, policy and phone in all
    zones where the person may be, and the list of those who are not called. A time out of hours is moved to
    the next that is open, and said so. Raises Invalid, NotAllowed, NotFound, WrongState.
    """
    _check_times(wish, now)
    if lead.closed_reason == "do_not_call":
        raise _refusal(Reason.DO_NOT_CALL)
    if lead.closed_reason in NEVER:
        raise WrongState(what="The lead", state=NEVER[lead.closed_reason], allowed="one that may be called")
    if lead.campaign_status == "stopped":
        raise WrongState(what="The campaign", state="stopped", allowed="running or paused")
    if wish.agent_id is not None:
        await check_agent(conn, tenant_id, wish.agent_id)
    if wish.zone and zone_of(wish.zone) is None:
        raise Invalid(field="zone", reason="there is no such time zone")
    covered = await donotcall.covering(conn, tenant_id, [lead.e164], lead.campaign_id, now)
    said = covered.get(lead.e164)
    if said is not None and said.until is None:
        raise _refusal(Reason.DO_NOT_CALL)
    due_at = max(wish.from_at, now)
    found = (await policies.rules(conn, tenant_id, [lead.campaign_id])).get(lead.campaign_id)
    if found is None:
        raise WrongState(what="The campaign", state="without known rules", allowed="under known rules")
    good = good_day(lead.good_from, lead.good_until)
    window = found.calendar.window(lead.timezones, due_at, good)
    if isinstance(window, Denied):
        raise _refusal(window.reason)
    moved = Filter.HOURS if window.opens > due_at else None
    return Plan(
        wish,
        lead,
        wish.zone or cautious(zones_of(lead), wish.from_at),
        max(window.opens, due_at),
        moved,
    )


async def check_agent(conn: AsyncConnection, tenant_id: int, agent_id: int) -> None:
    """Whether that agent can be given calls. Raises NotFound; Invalid of one who works here no more."""
    if await people.find_agent(conn, tenant_id, agent_id) is None:
        raise NotFound(what="agent", key=agent_id)
    if agent_id not in {one.id for one in await people.at_work(conn, tenant_id)}:
        raise Invalid(field="agent_id", reason="this agent works here no more: let somebody else call")


def _refusal(reason: Reason) -> NotAllowed:
    return NotAllowed(reason=WHY[reason], code=reason.value)


def _check_times(wish: Wish, now: datetime) -> None:
    if wish.until_at is not None and not wish.from_at < wish.until_at <= wish.from_at + WITHIN:
        raise Invalid(field="until", reason="must be after the beginning")
    last = wish.until_at or wish.from_at
    if last <= now or wish.from_at > now + WITHIN:
        raise Invalid(field="at", reason="must be in the future, within a year")


def values_of(planned: Plan) -> dict[str, Any]:
    """The columns that a plan decides."""
    wish, terms = planned.wish, planned.lead.terms
    away = wish.away or terms.away
    return {
        "agent_id": wish.agent_id,
        "from_at": wish.from_at,
        "until_at": wish.until_at,
        "zone": planned.zone,
        "due_at": planned.due_at,
        "moved": planned.moved.value if planned.moved else None,
        "open_at": open_at(wish.agent_id, planned.due_at, away, terms.wait_s),
        "away": away.value,
        "note": wish.note,
    }


async def write(
    conn: AsyncConnection,
    tenant_id: int,
    planned: Plan,
    *,
    by: int | None,
    now: datetime,
    made_in: UUID | None = None,
) -> CallbackRow:
    """Write a promise down, in place of one that the lead had. Raises WrongState while that one is kept."""
    lead = planned.lead
    await promised.cancel_leads(conn, tenant_id, [lead.id], "replaced", now)
    if await store.open_of_lead(conn, tenant_id, lead.id) is not None:
        raise WrongState(what="The person", state="being called", allowed="not in a call")
    made = await store.add(
        conn,
        tenant_id,
        {
            "campaign_id": lead.campaign_id,
            "lead_id": lead.id,
            "contact_id": lead.contact_id,
            "made_in": made_in,
            "made_by": by,
            "made_at": now,
            **values_of(planned),
        },
    )
    found = await store.find(conn, tenant_id, made)
    assert found is not None
    return found


async def plan_in_talk(
    conn: AsyncConnection, tenant_id: int, lead_id: int, said: Asked, now: datetime
) -> Plan:
    """`plan` for the lead of a talk. Raises as that does, with the fields as a disposition names them."""
    lead = await store.lock_lead(conn, tenant_id, lead_id)
    if lead is None:
        raise NotFound(what="lead", key=lead_id)
    # What closed it was the talk itself, or is asked by the filters.
    try:
        wish = wish_of(said, zones_of(lead), now)
        return await plan(conn, tenant_id, replace(lead, closed_reason=None), wish, now)
    except Invalid as error:
        field, reason = error.details["field"], error.details["reason"]
        raise Invalid(field=f"callback_{field}", reason=reason) from None
