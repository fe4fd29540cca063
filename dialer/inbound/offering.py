"""Asks what to offer a caller, and tells what they said: the verb `offer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from dialer.asterisk.fastagi import AgiCall
from dialer.inbound.leading import Visit
from ivr_flows.model import Came, Event, Failed, Offer, OfferAnswer


class Decisions(Protocol):
    """The decision service: which offer is made to whom."""

    async def offer(
        self, tenant_id: int, place: str, call_id: UUID, contact_id: int | None, language: str
    ) -> tuple[str, str] | None:
        """What is offered to the person at the place, as (id, words); None: nothing."""

    async def answered(self, tenant_id: int, call_id: UUID, offer: str, answer: str) -> bool:
        """What the person said: accepted, declined or shown; False: nothing was offered."""


@dataclass(slots=True)
class Offering:
    """Offers to callers."""

    decisions: Decisions

    async def offer(self, _agi: AgiCall, visit: Visit, action: Offer) -> Event:
        """The offer's id and words, in the caller's language; or that there is none."""
        call, language = visit.line.call, visit.position.language
        found = await self.decisions.offer(
            call.tenant_id, action.place, call.attempt_id, visit.contact_id, language
        )
        return Came("none") if found is None else Came("offered", {"id": found[0], "text": found[1]})

    async def answer(self, _agi: AgiCall, visit: Visit, action: OfferAnswer) -> Event:
        """It is written down."""
        call = visit.line.call
        done = await self.decisions.answered(call.tenant_id, call.attempt_id, action.offer, action.answer)
        return Came("done") if done else Failed("nothing was offered")
