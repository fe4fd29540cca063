"""What is true after we could not see: after our own start, after a lost link, after a restart of Asterisk.

Nothing said while the link was down is known, so Asterisk is asked what it has, and every call on our books
is held against that:

- its channel is there: the call is followed on, from the state that its channel shows;
- its channel is gone: it ends with what is known (`Vanished`), as `unknown` where nothing is;
- a channel of ours that is on no books (its attempt was given up, its shift closed) is ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from dialer.agents.model import Shift
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.calls import store
from dialer.calls.model import Answered, Assignee, Connected, GaveUp, Rang, Vanished
from dialer.calls.placing import Placer
from dialer.calls.switchboard import hang_up_channel
from dialer.calls.table import CallTable, Line
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import Leg, Tracker
from dialer.clock import utc_now
from dialer.db.session import Database

log = structlog.get_logger(__name__)


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
            self.placer.adopt(line)
        return len(left)

    def resync_legs(self, shifts: Sequence[Shift], present: dict[UUID, Seen]) -> None:
        """Hold the agents' phones against what Asterisk has."""
        for shift in shifts:
            if shift.leg is None:
                continue
            seen = present.get(shift.leg)
            leg = self.tracker.legs.get(shift.leg) or Leg(
                shift.leg, shift.tenant_id, shift.id, shift.agent_id, shift.endpoint
            )
            if seen is None:
                self.tracker.legs.pop(shift.leg, None)
                self.tracker.leg_gone(leg)
            else:
                self.tracker.legs[shift.leg] = leg
                leg.bridge = seen.bridge
                if seen.state == "Up" and not leg.up:
                    leg.up = True
                    self.tracker.leg_up(leg)

    async def resync_calls(
        self, suspects: Sequence[Line], present: dict[UUID, Seen], *, asterisk_died: bool = False
    ) -> None:
        """Hold calls against what Asterisk has. `present` must be newer than the answers to their
        Originates."""
        for line in suspects:
            attempt_id, now = line.call.attempt_id, utc_now()
            seen = present.get(attempt_id)
            if seen is None:
                detail = "asterisk_restarted" if asterisk_died else "not_seen_to_end"
                self.calls.apply(attempt_id, Vanished(now, detail=detail, asterisk_died=asterisk_died))
                continue
            line.seen = True
            line.bridge = seen.bridge
            if seen.state == "Ringing":
                self.calls.apply(attempt_id, Rang(now))
            if seen.state != "Up":
                continue
            self.calls.apply(attempt_id, Answered(now))
            leg = next((leg for leg in self.tracker.legs.values() if seen.bridge == leg.bridge), None)
            if seen.bridge and leg is not None:
                agent = Assignee(leg.session_id, leg.agent_id, leg.id)
                self.calls.apply(attempt_id, Connected(now, agent=agent))
            elif seen.application == "Playback":
                # Nobody answered the dialplan while we were away: the person hears the message.
                self.calls.apply(attempt_id, GaveUp(now))
        await self._end_ghosts(present)

    async def _end_ghosts(self, present: dict[UUID, Seen]) -> None:
        """End the channels of ours that are on no books: they cost money, and a phone can be in one call."""
        for seen in present.values():
            ghost_call = seen.context == "dozvon-customer" and self.calls.get(seen.id) is None
            ghost_leg = seen.context == "dozvon-agent" and seen.id not in self.tracker.legs
            if ghost_call or ghost_leg:
                log.warning("ghost_ended", channel=str(seen.id), context=seen.context)
                await hang_up_channel(self.link, seen.id)
