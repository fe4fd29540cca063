"""Keeps places in queues for callers who hang up: confirms the number by keys, and writes the place down.

A place is kept where it can come to its turn: a number that the rules let us call soon, in a queue that
somebody is at work for. Elsewhere the caller stays in the queue, and a flow promises a call at another time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.fastagi import AgiCall
from dialer.calls import admission
from dialer.calls import store as calls_store
from dialer.calls.targets import Target
from dialer.clock import utc_now
from dialer.contacts.numbers import PhoneNumber
from dialer.db.session import Database
from dialer.errors import ActionFailed
from dialer.inbound import callers, phrases, playing
from dialer.inbound.leading import Stood, Visit
from dialer.inbound.playing import Sounds
from dialer.queues import outlook, places, stays, waits
from dialer.queues.model import End, Need, Queue, needs_of
from dialer.queues.outlook import Outlooks
from dialer.queues.places import NewPlace
from ivr_flows.model import Ask, Pressed, Prompt

log = structlog.get_logger(__name__)

#: Times that a number is asked for, and the longest that is taken.
ASKED: Final = 3
LONGEST: Final = 15
YES: Final = "1"
#: What a rule puts off for longer is promised for another time.
SOON: Final = timedelta(hours=1)


class Names(Protocol):
    """Which prompts there are; the prompts' room."""

    async def known(self, tenant_id: int, language: str) -> frozenset[str]:
        """Their names in a language."""


class Voices(Sounds, Names, Protocol):
    """What is heard."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A place that is kept."""

    #: how long it may be until the call; None: nobody can tell
    in_s: float | None


@dataclass(slots=True)
class Keeping:
    """Where places are asked for."""

    database: Database
    voices: Voices
    #: the country of numbers that are given without one
    region: str
    outlooks: Outlooks = field(default_factory=Outlooks)

    async def by_key(self, agi: AgiCall, visit: Visit, stood: Stood) -> bool:
        """Confirm the number of a caller who wants to be called in turn, and keep their place; False: they go
        on waiting. Raises AgiHangup."""
        number = await self._confirmed(agi, visit)
        if number is None:
            return False
        call = visit.line.call
        async with self.database.tenant(call.tenant_id) as conn:
            turn = await self.keep(conn, visit, number, stood)
            if turn is not None:
                over = stays.Over(call.attempt_id, utc_now(), End.CALLBACK)
                await stays.settle(conn, call.tenant_id, [over])
        await self._say(agi, visit, "queue/callback-kept" if turn else "queue/callback-refused")
        return turn is not None

    async def keep(
        self, conn: AsyncConnection, visit: Visit, number: PhoneNumber, stood: Stood, reason: str = ""
    ) -> Turn | None:
        """Keep the place; None: the number cannot be called soon, nobody is at work for the queue, or the
        campaign does not run."""
        call, terms, now = visit.line.call, visit.line.terms, utc_now()
        queue, more = stood.queue, tuple(Need(skill, level) for skill, level in stood.skills.items())
        contact_id = visit.contact_id if number.e164 == visit.line.e164 else None
        if contact_id is None:
            contact_id = (await callers.find(conn, call.tenant_id, number)).contact_id
        if contact_id is None:  # somebody who asked to be forgotten has it
            return None
        target = Target(number.e164, number.timezones, contact_id=contact_id)
        (judged,) = await admission.judge(conn, terms, [target], now)
        if judged.answer is not None and judged.answer.denied is not None:
            until = judged.answer.denied.until
            if until is None or until - now > SOON:
                log.info("place_refused", call=str(call.attempt_id), reason=judged.answer.denied.reason)
                return None
        needs = needs_of(queue, more)
        if not await calls_store.campaign_is_running(conn, call.tenant_id, call.campaign_id):
            log.info("place_refused", call=str(call.attempt_id), reason="campaign_not_running")
            return None
        if await outlook.at_work(conn, call.tenant_id, needs, queue) == 0:
            log.info("place_refused", call=str(call.attempt_id), reason="nobody_at_work")
            return None
        new = NewPlace(
            call.attempt_id,
            queue,
            call.campaign_id,
            contact_id,
            number.e164,
            number.timezones,
            stood.since,
            stood.priority,
            stood.skills,
            reason or str(visit.line.told.get("reason") or ""),
        )
        kept = await places.keep(conn, call.tenant_id, new, now)
        log.info("place_kept", call=str(call.attempt_id), queue=queue.name, new=kept)
        return Turn(await self._in_s(conn, call.tenant_id, new, needs, now))

    async def _in_s(
        self, conn: AsyncConnection, tenant_id: int, new: NewPlace, needs: tuple[Need, ...], now: datetime
    ) -> float | None:
        before = await stays.ahead(conn, tenant_id, new.queue.id, new.call_id, new.priority, new.since)
        likely = waits.expected(await self.outlooks.of(conn, tenant_id, needs, new.queue, before, now))
        return likely.mean_s if isinstance(likely, waits.Expected) else None

    # -- the number ------------------------------------------------------------------------------------

    async def _confirmed(self, agi: AgiCall, visit: Visit) -> PhoneNumber | None:
        """The number that is to be called: the caller's own, or one that they key in; None: none was."""
        number = callers.number_of(visit.line.e164, self.region)
        for _ in range(ASKED):
            if number is not None:
                said = phrases.confirming(number.e164, *await self._own(visit))
                if await self._ask(agi, visit, said, 1) in (YES, ""):  # who asked for it has said yes before
                    return number
            said = phrases.one("queue/callback-enter", *await self._own(visit))
            number = callers.number_of(await self._ask(agi, visit, said, LONGEST, until="#"), self.region)
            if number is None:
                await self._say(agi, visit, "queue/callback-wrong")
        return None

    async def _own(self, visit: Visit) -> tuple[str, frozenset[str]]:
        language = visit.position.language
        return language, await self.voices.known(visit.line.call.tenant_id, language)

    async def _ask(
        self, agi: AgiCall, visit: Visit, said: tuple[Prompt, ...], digits: int, until: str = ""
    ) -> str:
        sounds = await self.voices.resolve(visit.line.call.tenant_id, said)
        answer = await playing.ask(agi, sounds, Ask(said, digits, until, first_s=6.0, between_s=4.0))
        return answer.digits if isinstance(answer, Pressed) else ""

    async def _say(self, agi: AgiCall, visit: Visit, name: str) -> None:
        said = phrases.one(name, *await self._own(visit))
        for sound in await self.voices.resolve(visit.line.call.tenant_id, said):
            try:
                await playing.stream(agi, sound, "")
            except ActionFailed as error:
                log.warning("place_not_told", sound=sound, reason=str(error))


def stood_in(queue: Queue, now: datetime) -> Stood:
    """The place of somebody who has not waited yet: the last one."""
    return Stood(queue, now, queue.priority)
