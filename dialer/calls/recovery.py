"""What is true after we could not see: after our own start, after a lost link, after a restart of Asterisk.

Nothing said while the link was down is known, so Asterisk is asked what it has, and every call on our books
is held against that:

- its channel is there: the call is followed on, from the state that its channel shows;
- its channel is gone: it ends with what is known (`Vanished`), as `unknown` where nothing is;
- a channel of ours that is on no books (its attempt was given up, its shift closed) is ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.calls import store
from dialer.calls.model import (
    Answered,
    Assignee,
    CallState,
    Connected,
    GaveUp,
    NotPlaced,
    Rang,
    Result,
    Vanished,
)
from dialer.calls.placing import Placer
from dialer.calls.switchboard import hang_up_channel
from dialer.calls.table import CallTable, Line
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import Leg, Tracker
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import ActionFailed

log = structlog.get_logger(__name__)

#: What no line answers for after so long was left behind; less is a transaction that is being finished.
LEFT = timedelta(seconds=5)


class TermsBook(Protocol):
    """Where the terms of a campaign's calls are found; the campaigns' own."""

    async def terms(self, tenant_id: int, campaign_id: int) -> CallTerms:
        """The campaign's terms, running or not."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A channel that Asterisk has."""

    id: UUID
    #: `Up`, `Ringing`, `Ring`, `Down`
    state: str
    bridge: str | None
    context: str
    #: the dialplan application that it is in
    application: str


async def channels(link: AmiLink) -> dict[UUID, Seen]:
    """The channels whose ids could be ours. Raises AsteriskUnavailable."""
    found: dict[UUID, Seen] = {}
    for item in await link.send_list({"Action": "CoreShowChannels"}):
        seen = _seen(item)
        if seen is not None:
            found[seen.id] = seen
    return found


async def reachable(link: AmiLink, endpoint: str) -> bool:
    """Whether a trunk's carrier answers, as far as Asterisk asks it. Raises AsteriskUnavailable.

    By the contacts' status, not by the endpoint's state: that is also unavailable where nobody is asked.
    """
    try:
        items = await link.send_list({"Action": "PJSIPShowEndpoint", "Endpoint": endpoint})
    except ActionFailed:
        return True  # no such endpoint: the call itself will say so
    told = [item.get("Status") for item in items if item.name == "ContactStatusDetail"]
    return not told or any(status != "Unreachable" for status in told)


def _seen(item: AmiEvent) -> Seen | None:
    try:
        channel = UUID(item.get("Uniqueid"))
    except ValueError:
        return None  # somebody else's
    return Seen(
        channel,
        item.get("ChannelStateDesc"),
        item.get("BridgeId") or None,
        item.get("Context"),
        item.get("Application"),
    )


@dataclass(slots=True)
class Recovery:
    """Puts the books in order after each login to Asterisk."""

    database: Database
    link: AmiLink
    calls: CallTable
    tracker: Tracker
    placer: Placer
    terms: TermsBook

    async def adopt(self, tenant_id: int) -> int:
        """Take over the calls that an earlier engine left on the lines; how many."""
        async with self.database.tenant(tenant_id) as conn:
            left = await store.calls_on_lines(conn, tenant_id)
        for call, e164, trunk_id in left:
            if self.calls.get(call.attempt_id) is not None:
                continue
            terms = await self.terms.terms(tenant_id, call.campaign_id)
            line = Line(call=call, terms=terms, e164=e164, trunk_id=trunk_id)
            self.calls.add(line)
        return len(left)

    def expect(self, shifts: Sequence[Shift]) -> list[Leg]:
        """The phones that should be up; from now on what Asterisk says of them is heard."""
        legs = []
        for shift in shifts:
            if shift.leg is not None:
                leg = Leg(shift.leg, shift.tenant_id, shift.id, shift.agent_id, shift.endpoint)
                legs.append(self.tracker.legs.setdefault(shift.leg, leg))
        return legs

    def found(self, suspects: Sequence[Line], legs: Sequence[Leg], present: Mapping[UUID, Seen]) -> None:
        """Follow on what Asterisk has."""
        for leg in legs:
            if (seen := present.get(leg.id)) is not None:
                leg.bridge = seen.bridge
                if seen.state == "Up":
                    self.tracker.raise_leg(leg)
        for line in suspects:
            if (seen := present.get(line.call.attempt_id)) is not None:
                self._follow_on(line, seen)

    def _follow_on(self, line: Line, seen: Seen) -> None:
        attempt_id, now = line.call.attempt_id, utc_now()
        line.seen = True
        line.bridge = seen.bridge
        if seen.state == "Ringing":
            self.calls.apply(attempt_id, Rang(now))
        if seen.state != "Up":
            return
        self.calls.apply(attempt_id, Answered(now))
        leg = next((leg for leg in self.tracker.legs.values() if seen.bridge == leg.bridge), None)
        if seen.bridge and leg is not None:
            agent = Assignee(leg.session_id, leg.agent_id, leg.id)
            self.calls.apply(attempt_id, Connected(now, agent=agent))
        elif seen.application == "Playback":
            # Nobody answered the dialplan while we were away: the person hears the message.
            self.calls.apply(attempt_id, GaveUp(now))

    def missing(
        self,
        suspects: Sequence[Line],
        legs: Sequence[Leg],
        present: Mapping[UUID, Seen],
        *,
        asterisk_died: bool = False,
    ) -> None:
        """End what Asterisk no longer has. `present` must be newer than the answers to their Originates."""
        detail = "asterisk_restarted" if asterisk_died else "not_seen_to_end"
        for line in suspects:
            if line.call.attempt_id not in present:
                vanished = Vanished(utc_now(), detail=detail, asterisk_died=asterisk_died)
                self.calls.apply(line.call.attempt_id, vanished)
        # After the calls: an agent who had talked until then owes a disposition.
        for leg in legs:
            if leg.id not in present:
                self.tracker.lose(leg)

    async def left_behind(self, tenant_id: int) -> None:
        """Take up what no line answers for: attempts whose commit was in doubt, shifts whose release was.

        Only while the journal is written up: then a row that says otherwise than the lines is not just late.
        """
        now, known = utc_now(), set(self.calls.lines)
        async with self.database.tenant(tenant_id) as conn:
            left = await store.calls_on_lines(conn, tenant_id)
            shifts = await agents.open_shifts(conn, tenant_id)
        for call, e164, trunk_id in left:
            if (
                call.attempt_id in known
                or call.attempt_id in self.calls.lines
                or now - call.created_at < LEFT
            ):
                continue
            log.warning("attempt_left_behind", attempt=str(call.attempt_id), state=call.state)
            terms = await self.terms.terms(tenant_id, call.campaign_id)
            self.calls.add(Line(call=call, terms=terms, e164=e164, trunk_id=trunk_id))
            self.calls.apply(
                call.attempt_id,
                NotPlaced(now, result=Result.CANCELED, detail="commit_in_doubt")
                if call.sent_at is None and call.state is CallState.DIALLING
                else Vanished(now, detail="not_seen_to_end"),
            )
        for shift in shifts:
            if shift.attempt_id is None or shift.state not in (AgentState.RESERVED, AgentState.TALKING):
                continue
            if shift.attempt_id in known | self.calls.lines.keys() or now - shift.state_since < LEFT:
                continue
            log.warning("agent_left_behind", agent=shift.agent_id, state=shift.state)
            async with self.database.tenant(tenant_id) as conn:
                if await agents.owes_disposition(conn, tenant_id, shift.id) == shift.attempt_id:
                    await agents.move(
                        conn,
                        tenant_id,
                        shift.id,
                        AgentState.WRAP_UP,
                        now,
                        leaving=(AgentState.RESERVED, AgentState.TALKING),
                        attempt_id=shift.attempt_id,
                        only_attempt=shift.attempt_id,
                    )
                else:
                    await agents.release(conn, tenant_id, shift.id, shift.attempt_id, now)

    async def end_ghosts(self, present: Mapping[UUID, Seen]) -> None:
        """End the channels of ours that are on no books: they cost money, and a phone can be in one call."""
        for seen in present.values():
            ghost_call = seen.context == "dozvon-customer" and self.calls.get(seen.id) is None
            ghost_leg = seen.context == "dozvon-agent" and seen.id not in self.tracker.legs
            if ghost_call or ghost_leg:
                log.warning("ghost_ended", channel=str(seen.id), context=seen.context)
                await hang_up_channel(self.link, seen.id)
