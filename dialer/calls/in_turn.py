"""Calls those back who have kept a place in a queue, each when an agent has been chosen for it.

The switchboard brings kept places and free agents together with all who wait on a line, by one rule. A chosen
agent is reserved in the transaction that commits the call, as for a call of one's own; who answers is joined
at once. An agent for whom a call was dialled before is left to it: its person may be about to answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from dialer.agents.model import Shift, Takes
from dialer.calls.matching import waits_for_agent
from dialer.calls.placing import Placer
from dialer.calls.recovery import TermsBook
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.targets import ByHand, Target
from dialer.clock import utc_now
from dialer.compliance.calendar import Reason
from dialer.db.session import Database
from dialer.errors import AsteriskUnavailable, NotAllowed, NotFound, NumberBusy, WrongState
from dialer.queues import places, store, turns
from dialer.queues.outlook import serves
from dialer.queues.places import Kept
from dialer.queues.turns import Stage, Why

log = structlog.get_logger(__name__)

#: Places are read again after so long, and when they have changed.
READ_EVERY_S: Final = 15.0
#: One that could not be called (no line, its number is in a call, the campaign pauses) is tried again after
#: this, and is given up when it could not for so long.
AGAIN_S: Final = 2.0
GIVEN_UP_AFTER_S: Final = 900.0
#: A rule that forbids the call for longer makes a promised call of it, which waits for the right time.
PATIENCE: Final = timedelta(hours=1)
#: The queue has closed when nobody has been logged in for so long who could serve it.
CLOSED_AFTER_S: Final = 300.0


@dataclass(slots=True)
class InTurn:
    """The kept places that one engine answers for."""

    database: Database
    calls: CallTable
    placer: Placer
    terms: TermsBook
    #: whether the tenant's campaign is ours to dial
    ours: Callable[[int, int], bool]
    #: there is something to look at
    look: Callable[[], None] = lambda: None
    #: by tenant: when it was read (monotonic seconds), and what
    _kept: dict[int, tuple[float, Sequence[Kept]]] = field(default_factory=dict)
    #: by place: the monotonic time from which on no other call counts on its agent
    _wanted_s: dict[UUID, float] = field(default_factory=dict)
    #: not before this monotonic time
    _again_s: dict[UUID, float] = field(default_factory=dict)
    #: since when nobody has been logged in who could serve it; since when it could not be called
    _alone_s: dict[UUID, float] = field(default_factory=dict)
    _failing_s: dict[UUID, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    def changed(self, tenant_id: int) -> None:
        """Places of the tenant were kept, or came to something."""
        self._kept[tenant_id] = -READ_EVERY_S, self.known(tenant_id)
        self.look()

    def known(self, tenant_id: int) -> Sequence[Kept]:
        """The tenant's places, as they were read last."""
        return self._kept.get(tenant_id, (0.0, ()))[1]

    @property
    def tenants(self) -> set[int]:
        """Those who may have places."""
        now_s = time.monotonic()
        return {one for one, (read_s, kept) in self._kept.items() if kept or read_s + READ_EVERY_S <= now_s}

    @property
    def looks_s(self) -> float | None:
        """Seconds until a look is worth it though nothing happens; None: never."""
        now_s, now = time.monotonic(), utc_now()
        moments = [again_s for again_s in self._again_s.values() if again_s > now_s]
        for read_s, kept in self._kept.values():
            if kept:
                moments.append(read_s + READ_EVERY_S)
            rests = [one.place.not_before for one in kept if one.place.not_before is not None]
            moments += [now_s + (until - now).total_seconds() for until in rests if until > now]
        return max(0.0, min(moments) - now_s) if moments else None

    def standing(self, tenant_id: int, now: datetime) -> list[Kept]:
        """The places that are to be called when an agent is free for them."""
        now_s = time.monotonic()
        return [
            one
            for one in self.known(tenant_id)
            if turns.due(one.place, now)
            and one.queue is not None
            and self.calls.get(one.place.call_id) is None  # they are still on the line
            and self._again_s.get(one.place.call_id, 0.0) <= now_s
        ]

    async def read(self, tenant_id: int, shifts: Sequence[Shift]) -> None:
        """Look at the tenant's places, and give up those that nobody is to be called for. `shifts`: the
        agents who are logged in. Raises DatabaseUnavailable."""
        now_s = time.monotonic()
        read_s, _ = self._kept.get(tenant_id, (-READ_EVERY_S, ()))
        if read_s + READ_EVERY_S > now_s:
            return
        async with self.database.tenant(tenant_id) as conn:
            found = await places.waiting(conn, tenant_id, await store.queues(conn, tenant_id))
            mine = [one for one in found if self.ours(tenant_id, one.campaign_id)]
            served = [one.place.call_id for one in mine if one.served]
            given_up = [one.place.call_id for one in mine if self._is_closed(one, shifts, now_s)]
            if served:
                await places.end(conn, tenant_id, served, Stage.DROPPED, utc_now(), Why.CAME_BACK)
            if given_up:
                await places.end(conn, tenant_id, given_up, Stage.TASK, utc_now())
        gone = {*served, *given_up}
        self._kept[tenant_id] = now_s, [one for one in mine if one.place.call_id not in gone]
        self._forget_others()

    def _is_closed(self, kept: Kept, shifts: Sequence[Shift], now_s: float) -> bool:
        queue = kept.queue
        if queue is None:
            return True
        call_id = kept.place.call_id
        if any(serves(shift, kept.needs, queue) for shift in shifts):
            self._alone_s.pop(call_id, None)
            return False
        return now_s - self._alone_s.setdefault(call_id, now_s) >= CLOSED_AFTER_S

    def _forget_others(self) -> None:
        here = {one.place.call_id for _, kept in self._kept.values() for one in kept}
        for told in (self._wanted_s, self._again_s, self._alone_s, self._failing_s):
            for call_id in told.keys() - here:
                del told[call_id]

    def counted_on(self, kept: Kept, shift: Shift) -> bool:
        """Whether a call is in the air that was dialled while the agent was there for it."""
        since_s = self._wanted_s.setdefault(kept.place.call_id, time.monotonic())
        return shift.takes is not Takes.INBOUND and any(
            waits_for_agent(line)
            and line.placed_s < since_s
            and line.node == shift.node
            and line.terms.tenant_id == shift.tenant_id
            and (line.terms.skill is None or line.terms.skill in shift.skills)
            for line in self.calls
        )

    async def call(self, kept: Kept, shift: Shift) -> bool:
        """Have the agent call who has kept the place; False: it was not to be. Raises DatabaseUnavailable."""
        call_id, tenant_id = kept.place.call_id, shift.tenant_id
        target = Target(kept.e164, kept.timezones, contact_id=kept.contact_id)
        try:
            terms = await self.terms.terms(tenant_id, kept.campaign_id)
            attempt_id = await self.placer.one(terms, target, ByHand(None, shift, place=kept.owed))
        except NotAllowed as error:
            await self._forbidden(tenant_id, call_id, error.details)
            return False
        except (AsteriskUnavailable, NotFound, NumberBusy, WrongState) as error:
            log.info("place_not_called", call=str(call_id), reason=str(error))
            await self._failed(tenant_id, call_id)
            return False
        log.info("place_called", call=str(call_id), attempt=str(attempt_id))
        read_s, known = self._kept[tenant_id]
        self._kept[tenant_id] = read_s, [one for one in known if one.place.call_id != call_id]
        return True

    async def _failed(self, tenant_id: int, call_id: UUID) -> None:
        """The call could not be placed, for a reason that passes by itself as a rule."""
        now_s = time.monotonic()
        self._again_s[call_id] = now_s + AGAIN_S
        if now_s - self._failing_s.setdefault(call_id, now_s) >= GIVEN_UP_AFTER_S:
            async with self.database.tenant(tenant_id) as conn:
                await places.end(conn, tenant_id, [call_id], Stage.TASK, utc_now())
        self.changed(tenant_id)

    async def _forbidden(self, tenant_id: int, call_id: UUID, told: Mapping[str, object]) -> None:
        """A rule forbids the call: it rests for a little, or is somebody's task for later; never, where the
        person is not to be called at all."""
        now, code, until = utc_now(), told.get("code"), told.get("until")
        log.info("place_forbidden", call=str(call_id), code=code, until=until)
        if code is None:  # a trunk's cap
            await self._failed(tenant_id, call_id)
            return
        opens = datetime.fromisoformat(until) if isinstance(until, str) else None
        async with self.database.tenant(tenant_id) as conn:
            if code == Reason.DO_NOT_CALL:
                await places.end(conn, tenant_id, [call_id], Stage.DROPPED, now, Why.FORBIDDEN)
            elif opens is not None and opens - now <= PATIENCE:
                await places.rest(conn, tenant_id, call_id, opens)
            else:
                await places.end(conn, tenant_id, [call_id], Stage.TASK, now)
        self.changed(tenant_id)

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        freed = not after.live or (before.agent, before.result) != (after.agent, after.result)
        if freed and self.known(line.terms.tenant_id):
            self.look()
