"""Promised calls in the pacing loop: what is due, and whose agent is free for it.

A personal callback is one call for one agent: while it is due nothing else is dialled for that agent, and as
soon as the agent is ready, and those calls are over that were dialled with the agent in mind, it is placed
like a call that the agent has started. So nobody who answers another call meets an agent who was taken away,
in predictive campaigns too. Callbacks that any agent may have are claimed with the next leads, before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.calls.matching import waits_for_agent
from dialer.calls.placing import Placed, Placer
from dialer.calls.table import CallTable
from dialer.calls.terms import CallTerms
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import WrongState
from dialer.pacing.model import DialMode
from scheduler import hopper, promised
from scheduler.hopper import ClaimedLead
from scheduler.promised import Soon

log = structlog.get_logger(__name__)

#: What is due in the next `AHEAD` is known; it is read so often, and when callbacks have changed.
READ_EVERY_S = 15.0
AHEAD = timedelta(seconds=60)
#: One that could not be dialled (no line is free, its number is in another call) is tried again after this;
#: its agent works for the others until then.
AGAIN_S = 15.0
#: An agent is kept free for a promise that another server is to keep, and no longer than this.
OTHERS_S = 30.0


@dataclass(slots=True)
class Promises:
    """What the engine knows of callbacks that are due."""

    database: Database
    calls: CallTable
    placer: Placer
    #: by tenant: what was read, and the monotonic time at which it was
    _soon: dict[int, tuple[float, list[Soon]]] = field(default_factory=dict)
    #: (tenant, agent): the monotonic time from which on nothing else is dialled for the agent
    _kept_free: dict[tuple[int, int], float] = field(default_factory=dict)
    #: (tenant, campaign, agent): not before this monotonic time
    _not_before: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def changed(self, tenant_id: int) -> None:
        """Callbacks of the tenant were made or changed."""
        self._soon.pop(tenant_id, None)

    async def refresh(self, tenants: Iterable[int]) -> None:
        """Read what is due soon, where that is not known any more. Raises DatabaseUnavailable."""
        now_s = asyncio.get_running_loop().time()
        for tenant_id in tenants:
            known = self._soon.get(tenant_id)
            if known is None or known[0] + READ_EVERY_S <= now_s:
                async with self.database.tenant(tenant_id) as conn:
                    self._soon[tenant_id] = now_s, await promised.soon(conn, tenant_id, utc_now() + AHEAD)

    def due(self, tenant_id: int, campaign_id: int) -> bool:
        """Whether the campaign owes a call that any agent may have."""
        now = utc_now()
        return any(
            one.campaign_id == campaign_id and one.open_at is not None and one.open_at <= now
            for one in self._of(tenant_id)
        )

    async def keep(
        self,
        tenant_id: int,
        shifts: Sequence[Shift],
        terms: Mapping[int, CallTerms],
        ours: Collection[int],
        node: str,
    ) -> list[Shift]:
        """Have the agents at a node call those whom they have promised to; the shifts of all other agents.

        `terms`: of the running campaigns, `ours` among them. Raises DatabaseUnavailable, AsteriskUnavailable.
        """
        owed = self._owed(tenant_id, terms, utc_now())
        for key in [key for key in self._kept_free if key[0] == tenant_id and key[1] not in owed]:
            del self._kept_free[key]
        if not owed:
            return list(shifts)
        return [
            shift
            for shift in shifts
            if not await self._keeps(shift, [terms[one] for one in owed.get(shift.agent_id, ())], ours, node)
        ]

    async def _keeps(self, shift: Shift, owed: Sequence[CallTerms], ours: Collection[int], node: str) -> bool:
        """Whether the agent is kept for a promised call, or was just given one."""
        able = [each for each in owed if each.skill is None or each.skill in shift.skills]
        if not able or shift.next_state is not None:
            return False
        since_s = self._kept_free.setdefault((shift.tenant_id, shift.agent_id), _now_s())
        if shift.state is not AgentState.READY or self._counted_on(shift, since_s, node):
            return True
        if not self.placer.tracker.hears(shift.leg):
            return False
        first = able[0]
        if first.campaign_id not in ours:
            return _now_s() - since_s < OTHERS_S  # its owner dials it
        self.changed(shift.tenant_id)
        try:
            done = await self._call(first, shift)
        except WrongState as error:  # the agent has gone into a pause, or was given a customer
            log.info("promise_waits", agent=shift.agent_id, reason=str(error))
            return True
        if not done.dialled:
            again_s = _now_s() + AGAIN_S
            self._not_before[shift.tenant_id, first.campaign_id, shift.agent_id] = again_s
            log.info("promise_not_dialled", agent=shift.agent_id, reason=done.why_not)
        return bool(done.dialled)

    async def _call(self, terms: CallTerms, shift: Shift) -> Placed:
        if terms.mode is not DialMode.PREVIEW:
            return await self.placer.promised(terms, shift)
        now = utc_now()
        async with self.database.tenant(terms.tenant_id) as conn:
            lead = await hopper.claim_promised(conn, terms.tenant_id, terms.campaign_id, shift.agent_id, now)
            if lead is None or not await show(conn, terms, lead, shift.id, shift.agent_id, now):
                return Placed(0, "no_leads")
        return Placed(1)

    def _counted_on(self, shift: Shift, since_s: float, node: str) -> bool:
        """Whether a call is in the air that was dialled while the agent was there for all."""
        return any(
            waits_for_agent(line)
            and line.placed_s < since_s
            and line.node == node
            and line.terms.tenant_id == shift.tenant_id
            and (line.terms.skill is None or line.terms.skill in shift.skills)
            for line in self.calls
        )

    def _owed(self, tenant_id: int, terms: Mapping[int, CallTerms], now: datetime) -> dict[int, list[int]]:
        """The campaigns in which each agent owes a call, what is due longest first."""
        owed: dict[int, list[int]] = {}
        now_s = _now_s()
        for one in sorted(self._of(tenant_id), key=lambda each: each.due_at):
            if one.agent_id is None or one.due_at > now or one.campaign_id not in terms:
                continue
            if terms[one.campaign_id].mode is DialMode.MANUAL:
                continue  # the agent dials it
            if self._not_before.get((tenant_id, one.campaign_id, one.agent_id), 0.0) > now_s:
                continue
            owed.setdefault(one.agent_id, []).append(one.campaign_id)
        return owed

    def _of(self, tenant_id: int) -> Sequence[Soon]:
        return self._soon.get(tenant_id, (0.0, []))[1]


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def show(
    conn: AsyncConnection,
    terms: CallTerms,
    lead: ClaimedLead,
    session_id: UUID,
    agent_id: int | None,
    now: datetime,
) -> bool:
    """Preview: show a lead that was claimed to an agent, who dials it or passes on; False: the agent is not
    ready any more."""
    tenant_id = terms.tenant_id
    if not await agents.reserve(conn, tenant_id, session_id, now, lead_id=lead.id):
        return False
    await hopper.offered(conn, tenant_id, lead.id)
    await events.emit(
        conn,
        "lead.offered",
        {"lead_id": lead.id, "campaign_id": terms.campaign_id},
        tenant_id=tenant_id,
        campaign_id=terms.campaign_id,
        agent_id=agent_id,
    )
    return True
