"""Has callers wait for an agent: the verb `enqueue`.

A queue may not let a caller in, and has them for as long as its rules say; then they go to another queue, or
back to the flow. Each stay is written down (`queues/stays.py`). While the database is away for some seconds,
who comes waits for it, and who waits goes on waiting.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.fastagi import AgiCall
from dialer.calls import store as calls_store
from dialer.calls.model import Call, Dequeued, HungUpBy, Queued, Result, Served
from dialer.calls.switchboard import HANGUP, LEFT, TIMEOUT, Switchboard
from dialer.calls.table import CallTable, Wish
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import AsteriskUnavailable, DatabaseUnavailable
from dialer.inbound import phrases, playing, store
from dialer.inbound.company import Company
from dialer.inbound.keeping import Keeping, Voices
from dialer.inbound.leading import Bridged, Stood, Visit, tell
from dialer.inbound.model import USUAL_WAIT_S
from dialer.inbound.patience import patiently
from dialer.queues import leaving, outlook, places, stays, waits
from dialer.queues import store as queues_store
from dialer.queues.announcing import Announcement, Told, announcement
from dialer.queues.leaving import Cause, Goes
from dialer.queues.model import USUAL_PRIORITY, Announce, End, Need, Overflow, Queue, needs_of
from ivr_flows.model import Came, Enqueue, Event

log = structlog.get_logger(__name__)

#: Where nothing is announced: there is no queue of that name.
_SILENT = Announce(first_after_s=None, every_s=None)


@dataclass(slots=True)
class Wait:
    """A caller's wait, through one queue or several."""

    action: Enqueue
    #: the name by which the queue is asked for
    name: str
    since: datetime
    #: when the flow goes on, monotonic seconds
    until_s: float
    #: those of the tenant, as they were at the beginning
    queues: Mapping[int, Queue]
    #: where nobody says which skill is needed
    skill: str | None
    #: who talked with the caller last
    last_agent_id: int | None = None
    #: that of a place which was kept for them; the higher holds
    kept_priority: int = 0
    #: the present one; None: there is none of that name
    rules: Queue | None = None
    entered_at: datetime | None = None
    been_in: set[int] = field(default_factory=set)
    told: Told = field(default_factory=Told)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What an agent must be able to do."""
        more = tuple(Need(skill, level) for skill, level in self.action.skills.items())
        if self.rules is not None:
            return needs_of(self.rules, more)
        return more or ((Need(self.skill),) if self.skill else ())

    @property
    def priority(self) -> int:
        """That of the flow, else of the queue."""
        asked = self.action.priority or (self.rules.priority if self.rules else USUAL_PRIORITY)
        return max(asked, self.kept_priority)

    def wish(self) -> Wish:
        """What the switchboard goes by."""
        until_s = self.until_s
        if self.rules is not None and self.entered_at is not None:
            over_at = leaving.stays_until(self.rules, self.entered_at)
            if over_at is not None:
                until_s = min(until_s, time.monotonic() + (over_at - utc_now()).total_seconds())
        name = self.rules.name if self.rules else self.name
        rules, last = self.rules, self.last_agent_id
        return Wish(name, until_s, self.priority, self.needs, rules, last, self.since)


@dataclass(slots=True)
class Waiting:
    """The callers of one engine who wait."""

    database: Database
    calls: CallTable
    switchboard: Switchboard
    voices: Voices
    keeping: Keeping

    async def enqueue(self, agi: AgiCall, visit: Visit, action: Enqueue) -> Event:
        """Wait for an agent, and end the flow's part with a talk. Raises Bridged, AgiHangup, and
        DatabaseUnavailable where the database is away for long."""
        line, came_at = visit.line, utc_now()
        line.told = {**line.told, "reason": action.reason, "path": [*visit.way]}
        wait, called, event = await patiently(agi, lambda: self._come(visit, action, came_at))
        if called is not None:  # we are calling them, they are calling us
            with contextlib.suppress(AsteriskUnavailable):
                await self.switchboard.hang_up(called, HungUpBy.SERVER)
        if event is not None:
            return event
        self.calls.apply(line.call.attempt_id, Queued(wait.since))
        return await self._wait(agi, visit, wait)

    async def _come(
        self, visit: Visit, action: Enqueue, came_at: datetime
    ) -> tuple[Wait, UUID | None, Came | None]:
        """The caller's wait; the attempt that is calling them, if one is; what the flow goes on from where
        they were not let in."""
        way = visit.unwritten
        async with way.turn:
            async with self.database.tenant(visit.line.call.tenant_id) as conn:
                written = await way.write(conn)
                came = await self._come_in(conn, visit, action, came_at)
            del way.pieces[:written]
        return came

    async def _come_in(
        self, conn: AsyncConnection, visit: Visit, action: Enqueue, came_at: datetime
    ) -> tuple[Wait, UUID | None, Came | None]:
        """As `_come`, in the transaction of `conn`."""
        line, call, name = visit.line, visit.line.call, action.queue or visit.queue
        queues = await queues_store.queues(conn, call.tenant_id)
        rules = next((each for each in queues.values() if each.name == name), None)
        if rules is None:
            log.warning("no_such_queue", queue=name, call=str(call.attempt_id))
        wait = Wait(
            action,
            name,
            came_at,
            self._until_s(action, rules),
            queues,
            name or line.terms.skill,
            await calls_store.last_agent(conn, call.tenant_id, visit.contact_id),
        )
        called = await self._take_over(conn, visit, wait, rules)
        return wait, called, await self._enter(conn, visit, wait, rules)

    @staticmethod
    async def _take_over(conn: AsyncConnection, visit: Visit, wait: Wait, rules: Queue | None) -> UUID | None:
        """Who has kept a place in the queue has it again. The attempt that is calling them, if one is."""
        if rules is None:
            return None
        call = visit.line.call
        kept = await places.take_over(conn, call.tenant_id, visit.line.e164, rules.id, utc_now())
        if kept is None:
            return None
        log.info("place_taken_over", call=str(call.attempt_id), place=str(kept.call_id))
        wait.since, wait.kept_priority = min(wait.since, kept.since), kept.priority
        return kept.attempt_id

    @staticmethod
    def _until_s(action: Enqueue, rules: Queue | None) -> float:
        """When the flow goes on whatever the queue says, monotonic seconds."""
        if action.max_wait_s is not None:
            return time.monotonic() + action.max_wait_s
        return math.inf if rules is not None else time.monotonic() + USUAL_WAIT_S

    # -- in and out ------------------------------------------------------------------------------------

    async def _enter(
        self, conn: AsyncConnection, visit: Visit, wait: Wait, rules: Queue | None
    ) -> Came | None:
        """Let the caller into the queue, or to where it sends them; None: they wait."""
        call = visit.line.call
        while True:
            goes = None if rules is None else await self._refused(conn, visit, wait, rules)
            wait.rules, wait.entered_at = rules, utc_now()
            name = rules.name if rules else wait.name
            reason = wait.action.reason or None
            await store.tell(conn, call.tenant_id, call.attempt_id, {}, queue=name or None, reason=reason)
            await stays.enter(
                conn,
                call.tenant_id,
                call.attempt_id,
                queue_id=rules.id if rules else None,
                queue=name,
                priority=wait.priority,
                at=wait.entered_at,
                since=wait.since,
                refused=leaving.end_of(goes) if goes else None,
            )
            if rules is not None:
                visit.stood = Stood(rules, wait.since, wait.priority, wait.action.skills)
            if goes is None or rules is None:
                visit.line.told = {**visit.line.told, "queue": name}
                return None
            wait.been_in.add(rules.id)
            if goes.queue_id is None:
                return _event(visit, goes)
            rules = wait.queues[goes.queue_id]

    async def _refused(self, conn: AsyncConnection, visit: Visit, wait: Wait, rules: Queue) -> Goes | None:
        """Where the caller goes whom the queue does not take."""
        call, waiting, at_work = visit.line.call, 0, 0
        if rules.max_waiting is not None:
            waiting = await stays.waiting(conn, call.tenant_id, rules.id)
        if rules.needs_agents:
            needs, node = needs_of(rules), visit.line.node
            at_work = await outlook.at_work(conn, call.tenant_id, needs, rules, node=node)
        return leaving.entry(
            rules, waiting=waiting, at_work=at_work, queues=wait.queues, been_in=wait.been_in
        )

    async def _on(self, visit: Visit, wait: Wait) -> Came | None:
        """The time in this queue is over: on to where it sends the caller; None: they wait there."""
        goes, now = Goes(Overflow.FLOW, Cause.TIMEOUT), utc_now()
        if wait.rules is not None and wait.entered_at is not None and time.monotonic() < wait.until_s:
            said = leaving.over(wait.rules, wait.entered_at, now, queues=wait.queues, been_in=wait.been_in)
            goes = said or goes
        call = visit.line.call
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                over = stays.Over(call.attempt_id, now, leaving.end_of(goes))
                await stays.settle(conn, call.tenant_id, [over])
                if goes.queue_id is None or wait.rules is None:
                    return _event(visit, goes)
                wait.been_in.add(wait.rules.id)
                return await self._enter(conn, visit, wait, wait.queues[goes.queue_id])
        except DatabaseUnavailable as error:
            _not_ended(call, error)
            return _event(visit, goes)

    async def _left(self, visit: Visit, ended: End) -> Came:
        """The caller has left by a key."""
        call = visit.line.call
        try:
            async with self.database.tenant(call.tenant_id) as conn:
                await stays.settle(conn, call.tenant_id, [stays.Over(call.attempt_id, utc_now(), ended)])
        except DatabaseUnavailable as error:
            _not_ended(call, error)
        return Came("callback" if ended is End.CALLBACK else "left_by_key")

    # -- meanwhile -------------------------------------------------------------------------------------

    async def _wait(self, agi: AgiCall, visit: Visit, wait: Wait, bridge_result: str = "") -> Event:
        """Until there is an agent, or no sense in waiting. Raises Bridged, AgiHangup."""

        async def back(agi: AgiCall, bridge_result: str) -> Event:
            return await self._wait(agi, visit, wait, bridge_result)

        line = visit.line
        visit.back = back
        while True:
            line.wish = wait.wish()
            company = self._company(agi, visit, wait)
            decision = await self.switchboard.caller(agi, line, bridge_result, company)
            wait.told, bridge_result = company.told, ""
            if decision not in (TIMEOUT, LEFT):
                await tell(agi, line, decision)
                raise Bridged
            event: Came | None
            if decision == LEFT and company.left is End.CALLBACK and not self._knows_callback(visit):
                await self._keep(agi, visit)
                continue
            if decision == LEFT:
                event = await self._left(visit, company.left or End.KEY)
            else:
                event = await self._on(visit, wait)
            if event is not None:
                visit.back = None
                self.calls.apply(line.call.attempt_id, Dequeued(utc_now()))
                return event

    @staticmethod
    def _knows_callback(visit: Visit) -> bool:
        """Whether the flow has a way of its own for who wants to be called."""
        return "callback" in visit.flow.states[visit.position.state].transitions

    async def _keep(self, agi: AgiCall, visit: Visit) -> None:
        """Keep the caller's place and let them go, or have them wait on. Raises Bridged, AgiHangup."""
        call_id = visit.line.call.attempt_id
        try:
            kept = visit.stood is not None and await self.keeping.by_key(agi, visit, visit.stood)
        except DatabaseUnavailable as error:
            log.warning("place_not_kept", call=str(call_id), reason=str(error))
            kept = False
        if not kept:
            return
        self.calls.apply(call_id, Dequeued(utc_now()))
        self.calls.apply(call_id, Served(utc_now(), outcome=Result.CALLBACK))
        await tell(agi, visit.line, HANGUP)
        raise Bridged

    def _company(self, agi: AgiCall, visit: Visit, wait: Wait) -> Company:
        rules = wait.rules

        async def saying(told: Told) -> tuple[Announcement, Sequence[str]] | None:
            return None if rules is None else await self._saying(visit, wait, rules, announce, told)

        announce = rules.announce if rules else _SILENT
        music = rules.music if rules else "default"
        line = visit.line
        link = self.switchboard.nodes.link(line.node)

        async def cut() -> None:
            await playing.cut_sound(link, line.call.channel_id)

        return Company(agi, saying, wait.since, wait.told, announce, music, wait.action.leave_on, cut)

    async def _saying(
        self, visit: Visit, wait: Wait, rules: Queue, announce: Announce, told: Told
    ) -> tuple[Announcement, Sequence[str]] | None:
        """What the caller is told now, with its sounds."""
        call, now = visit.line.call, utc_now()
        async with self.database.tenant(call.tenant_id) as conn:
            before = await stays.ahead(
                conn, call.tenant_id, rules.id, call.attempt_id, wait.priority, wait.since
            )
            seen = await self.keeping.outlooks.of(conn, call.tenant_id, wait.needs, rules, before, now)
            said = announcement(
                announce, wait.since, told, position=before + 1, wait=waits.expected(seen), now=now
            )
            if said is None:
                return None
            if said.offer_callback:
                await stays.offered(conn, call.tenant_id, call.attempt_id)
        language = visit.position.language
        own = await self.voices.known(call.tenant_id, language)
        heard = phrases.of(said, language, own, callback_key=announce.offer_callback_key)
        return said, await self.voices.resolve(call.tenant_id, heard)


def _not_ended(call: Call, error: DatabaseUnavailable) -> None:
    """The stay has no end before that of the call."""
    log.warning("stay_not_ended", call=str(call.attempt_id), reason=str(error))


def _event(visit: Visit, goes: Goes) -> Came:
    """What the flow goes on from: to voicemail where it knows that, else by the cause."""
    transitions = visit.flow.states[visit.position.state].transitions
    voicemail = goes.to is Overflow.VOICEMAIL and "voicemail" in transitions
    return Came("voicemail" if voicemail else goes.cause)
