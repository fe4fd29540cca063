"""Runs the campaigns: looks at agents and calls, asks the pacing rule, has the calls placed.

One loop for all campaigns of the engine, so that an agent of several campaigns is dialled for once: it is
given to one of them, and predictive ones put theirs together and dial in turns (`pacing/sharing.py`). It
looks on each change and at least every tick; a decision that differs from the last is kept with its reasons.

A call is joined where it was dialled, so each node (Asterisk server) is paced by the agents whose phones it
has. Campaigns that other servers pace are shared out with ours, by the same rule from the same rows, so that
no agent is counted twice; only ours are dialled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from dialer.agents import store as agents
from dialer.agents.model import AgentState, Shift
from dialer.agents.roster import Roster
from dialer.asterisk.nodes import Node, Nodes
from dialer.calls.channels import hang_up_channel
from dialer.calls.matching import waits_for_agent
from dialer.calls.model import CancelAsked
from dialer.calls.placing import Placer
from dialer.calls.table import CallTable
from dialer.calls.terms import CallTerms
from dialer.campaigns import decisions, pool
from dialer.campaigns.automatic import Begun
from dialer.campaigns.pace import Pace
from dialer.campaigns.paces import Paces
from dialer.campaigns.promises import Promises, show
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import AsteriskUnavailable, DatabaseUnavailable
from dialer.pacing.model import AgentInPool, CallInAir, DialMode, Plan, Snapshot, plan
from dialer.pacing.sharing import Turns, Usable, calls_for, share, takes, together
from dialer.queues.places import Kept
from dialer.servers import store as servers
from dialer.servers.model import LeaseKey, LeaseKind
from dialer.servers.ownership import Ownership
from scheduler import hopper
from scheduler.order import Order

log = structlog.get_logger(__name__)

#: Each call changes itself and its agent many times: all changes of such a time are looked at together, the
#: first after a silence at once. A look goes over every agent, so few agents are looked at more often than
#: many, of whom one that waits a moment longer is less of a loss: ten looks a second at 190 agents took a
#: third of the engine's CPU. At most less than the quarter of a second whose calls a trunk saves up.
LOOK_EVERY_S = (0.05, 0.2)
LOOK_EVERY_S_AN_AGENT = 0.001
#: A campaign whose list gave no lead is asked again after so long, or when its leads change.
DRY_S = 2.0


@dataclass(slots=True)
class _Running:
    """A running campaign, as the loop knows it."""

    terms: CallTerms
    #: monotonic time until which the list is taken to be empty
    dry_until_s: float = 0.0
    #: what was last decided, by node
    last: dict[str, Plan] = field(default_factory=dict)
    #: what the other servers were told: whether it asks for agents; None: not yet
    wants: bool | None = None
    #: predictive: how many agents are its own or its part of shared ones, by node
    agents: dict[str, int] = field(default_factory=dict)
    #: monotonic time at which it dialled last
    dialled_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Shared:
    """What a predictive campaign is told in a turn of those who share agents."""

    #: calls of others that may take its agents
    others: Sequence[CallInAir]
    #: how many agents' answers it may dial for; None: as many as its rule allows
    room: float | None
    #: how many agents would be its own if all were divided fairly
    fair: float


@dataclass(slots=True)
class Runner:
    """The pacing loop of one engine."""

    database: Database
    calls: CallTable
    placer: Placer
    terms: DatabaseTermsBook
    tick_s: float
    nodes: Nodes
    ownership: Ownership
    paces: Paces
    roster: Roster
    #: of a tenant: the places in queues that are to be called when an agent is free
    kept: Callable[[int, datetime], Sequence[Kept]] = lambda tenant_id, now: ()
    #: told each time the shifts of a tenant have been read
    shifts_read: Callable[[Sequence[Shift]], None] = lambda shifts: None
    _running: dict[tuple[int, int], _Running] = field(default_factory=dict)
    _shifts: dict[int, Sequence[Shift]] = field(default_factory=dict)
    #: campaigns whose owners have said that they ask for no agents, by tenant
    _sated: dict[int, frozenset[int]] = field(default_factory=dict)
    #: tenants whose campaigns have been read since the start
    _seen: set[int] = field(default_factory=set)
    _stale_campaigns: set[int] = field(default_factory=set)
    _stale_agents: set[int] = field(default_factory=set)
    _look: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: Begun = field(default_factory=Begun)
    promises: Promises = field(init=False)

    def __post_init__(self) -> None:
        self.promises = Promises(self.database, self.calls, self.placer)
        self.calls.watchers.append(lambda _line, _change: self._look.set())
        self.paces.ready = self._look.set

    def campaigns_changed(self, tenant_id: int) -> None:
        """A campaign, its leads or its trunks were changed."""
        self._stale_campaigns.add(tenant_id)
        self._look.set()

    def callbacks_changed(self, tenant_id: int) -> None:
        """Calls were promised, or are to be made at another time or by somebody else."""
        self.promises.changed(tenant_id)
        self._look.set()

    def taken_over(self, tenant_id: int) -> None:
        """Campaigns of the tenant have come to us: one that was paused meanwhile is found out."""
        self._seen.discard(tenant_id)
        self.campaigns_changed(tenant_id)

    def agents_changed(self, tenant_id: int) -> None:
        """An agent's state was changed."""
        self._stale_agents.add(tenant_id)
        self._look.set()

    async def run(self) -> None:
        """Pace until cancelled."""
        while True:
            # Not before we know what Asterisk has; not while we do not see what it does.
            await self.nodes.some_ready.wait()
            with contextlib.suppress(TimeoutError):
                # Not wait_for: on Python 3.11 that loses a cancellation that comes with the event.
                async with asyncio.timeout(self.tick_s):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._refresh()
                await self._decide()
                await asyncio.sleep(self._pause_s())
            except DatabaseUnavailable as error:
                log.warning("pacing_waits", reason=str(error))
                await asyncio.sleep(self.tick_s)
            except AsteriskUnavailable as error:
                log.warning("pacing_without_asterisk", reason=str(error))
                await asyncio.sleep(self.tick_s)

    def _pause_s(self) -> float:
        """How long changes are gathered before they are looked at."""
        least, most = LOOK_EVERY_S
        return min(most, max(least, LOOK_EVERY_S_AN_AGENT * sum(map(len, self._shifts.values()))))

    # -- what there is -----------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        while self._stale_campaigns:
            tenant_id = self._stale_campaigns.pop()
            try:
                await self._read_campaigns(tenant_id)
            except DatabaseUnavailable:
                self._stale_campaigns.add(tenant_id)
                raise
        while self._stale_agents:
            tenant_id = self._stale_agents.pop()
            try:
                self._shifts[tenant_id] = await self.roster.shifts(tenant_id)
                if self._shares(tenant_id):
                    async with self.database.tenant(tenant_id) as conn:
                        self._sated[tenant_id] = await servers.not_wanting(conn, tenant_id)
                self.shifts_read(self._shifts[tenant_id])
                self.paces.shifts_read(tenant_id, self._shifts[tenant_id])
            except DatabaseUnavailable:
                self._stale_agents.add(tenant_id)
                raise
        await self.promises.refresh({tenant_id for tenant_id, _ in self._running})

    def _shares(self, tenant_id: int) -> bool:
        """Whether another server paces some of the tenant's campaigns."""
        ours = self.ownership.campaigns(tenant_id)
        return any(key[0] == tenant_id and key[1] not in ours for key in self._running)

    async def _read_campaigns(self, tenant_id: int) -> None:
        now_running = {(tenant_id, terms.campaign_id): terms for terms in await self.terms.running(tenant_id)}
        if tenant_id not in self._seen:
            await self._stopped_while_away(tenant_id, {campaign_id for _, campaign_id in now_running})
            self._seen.add(tenant_id)
        for key in [key for key in self._running if key[0] == tenant_id and key not in now_running]:
            await self._stopped(self._running[key].terms)
            await self._keep_the_stop(self._running.pop(key))
            self.paces.drop(*key)
            self._begun.stopped(*key)
        for key, terms in now_running.items():
            before = self._running.get(key)
            self._running[key] = made = _Running(terms)
            if before is not None:
                made.last, made.dialled_s = before.last, before.dialled_s

    async def _stopped_while_away(self, tenant_id: int, running: set[int]) -> None:
        """What a pause does, for campaigns that were paused while no engine looked."""
        async with self.database.tenant(tenant_id) as conn:
            left = await hopper.showing(conn, tenant_id)
        left |= {line.terms.campaign_id for line in self.calls if line.terms.tenant_id == tenant_id}
        for campaign_id in sorted((left - running) & self.ownership.campaigns(tenant_id)):
            await self._stopped(await self.terms.terms(tenant_id, campaign_id))

    async def _stopped(self, terms: CallTerms) -> None:
        """A campaign was paused or stopped: the leads it shows are taken back, and its ringing calls if it
        says so."""
        await self._take_leads_back(terms)
        if not self.ownership.paces(terms.tenant_id, terms.campaign_id):
            return
        if not await self.terms.drops_ringing(terms.tenant_id, terms.campaign_id):
            return
        for line in list(self.calls):
            if line.terms.campaign_id == terms.campaign_id and line.call.answered_at is None:
                self.calls.apply(line.call.attempt_id, CancelAsked(utc_now(), detail="campaign_paused"))
                try:
                    await hang_up_channel(self.nodes.link(line.node), line.call.channel_id)
                except AsteriskUnavailable as error:
                    log.warning("ringing_not_dropped", attempt=str(line.call.attempt_id), reason=str(error))

    async def _take_leads_back(self, terms: CallTerms) -> None:
        async with self.database.tenant(terms.tenant_id) as conn:
            for lead_id in await hopper.offered_leads(conn, terms.tenant_id, terms.campaign_id):
                for shift in await agents.open_shifts(conn, terms.tenant_id):
                    if shift.lead_id == lead_id and shift.attempt_id is None:
                        leaving = (AgentState.RESERVED,)
                        await agents.move(
                            conn, terms.tenant_id, shift.id, AgentState.READY, utc_now(), leaving=leaving
                        )
                await hopper.give_back(conn, terms.tenant_id, lead_id)

    # -- what to do ----------------------------------------------------------------------------------------

    async def _decide(self) -> None:
        for node in self.nodes.dialling():
            await self._by_lines(node)
            for tenant_id, shifts in self._shifts.items():
                await self._share_out(tenant_id, pool.dialled_for(shifts, node.name), node)

    async def _by_lines(self, node: Node) -> None:
        """Have the campaigns without agents dial: nobody is shared out for them."""
        for each in list(self._running.values()):
            terms, now_s = each.terms, asyncio.get_running_loop().time()
            ours = self.ownership.paces(terms.tenant_id, terms.campaign_id)
            if terms.mode is not DialMode.FLOW or not ours or each.dry_until_s > now_s:
                continue
            lines_left = self.placer.lines_left(terms, node.name)
            snapshot = self._begun.snapshot(terms, self.calls, lines_left, now_s)
            if snapshot is None:
                continue
            decision = plan(snapshot, utc_now())
            if decision.dial:
                decision = await self._dial(each, decision, node, None)
                self._begun.begun(terms, decision.dial, now_s)
            await self._note(each, decision, node)

    async def _share_out(self, tenant_id: int, shifts: list[Shift], node: Node) -> None:
        """Give the node's agents to campaigns, and have ours dial for theirs."""
        now_s = asyncio.get_running_loop().time()
        running = {key[1]: each for key, each in self._running.items() if key[0] == tenant_id}
        ours = {campaign_id for campaign_id in running if self.ownership.paces(tenant_id, campaign_id)}
        terms = {campaign_id: each.terms for campaign_id, each in running.items()}
        shifts = await self.promises.keep(tenant_id, shifts, terms, ours, node.name)
        sated = self._sated.get(tenant_id, frozenset())
        wanting = {
            campaign_id: each.terms.priority
            for campaign_id, each in running.items()
            if (each.dry_until_s <= now_s if campaign_id in ours else campaign_id not in sated)
            and each.terms.mode not in (DialMode.MANUAL, DialMode.FLOW)
        }
        found = pool.at_hand(shifts, self.calls, self.placer.tracker.hears)
        kept = self.kept(tenant_id, utc_now())
        free = pool.spare_for_calls(found, self.calls, tenant_id, wanting, node.name, kept)
        usable = [pool.usable(each, terms) for each in free]
        ahead = {one for one in wanting.keys() & ours if self._may_dial_ahead(running[one])}
        spoken_for = pool.spoken_for(self.calls, tenant_id, node.name)
        for campaign_id in ahead:
            spoken_for.pop(campaign_id, None)
        # Who shares them out too does not know when ours have dialled.
        alone = wanting.keys() <= ours
        dialled = {campaign_id: running[campaign_id].dialled_s for campaign_id in wanting} if alone else {}
        shares = share(usable, wanting, spoken_for, dialled)
        for campaign_id in wanting.keys() & ours - ahead:
            each = running[campaign_id]
            if each.terms.mode is DialMode.PREVIEW:
                await self._offer(each, shares[campaign_id])
            else:
                await self._pace(each, shares[campaign_id], node)
        for priority in sorted({wanting[campaign_id] for campaign_id in ahead}, reverse=True):
            team = [campaign_id for campaign_id in ahead if wanting[campaign_id] == priority]
            pools = together(usable, shares, team)
            await self._take_turns({one: running[one] for one in ahead}, pools, usable, node)
        for campaign_id in wanting.keys() & ours:
            await self._say_wants(running[campaign_id], now_s)

    def _may_dial_ahead(self, each: _Running) -> bool:
        """Whether the campaign dials for agents who are not free yet."""
        pace = self.paces.of(each.terms) if each.terms.mode is DialMode.PREDICTIVE else None
        return pace is not None and not pace.budget.state(utc_now()).spent

    async def _take_turns(
        self,
        ahead: Mapping[int, _Running],
        pools: Mapping[int, list[AgentInPool]],
        usable: Sequence[Usable],
        node: Node,
    ) -> None:
        """Have the campaigns of `pools`, each with whom it may use, dial in turns; `ahead`: all that dial
        ahead, of other priorities too."""
        ids = {one: frozenset(agent.session_id for agent in theirs) for one, theirs in pools.items()}
        able = {one: ids.get(one) or pool.able(usable, one) for one in ahead}
        tenant_id = next(iter(ahead.values())).terms.tenant_id
        turns = Turns(
            ids, pool.has(self.calls, tenant_id, node.name), {one: ahead[one].dialled_s for one in ids}
        )
        while (campaign_id := turns.next()) is not None:
            each, others = ahead[campaign_id], list[CallInAir]()
            for one, other in ahead.items():
                part = takes(ids[campaign_id], able[one]) if one != campaign_id else 0.0
                if part:
                    chance = self._chance(other)
                    others += pool.in_air(self.calls, one, node.name, chance=chance, takes=part)
            told = _Shared(others, turns.room(campaign_id), turns.shares[campaign_id])
            dialled, cut, held = await self._pace(each, pools[campaign_id], node, told)
            turns.had(campaign_id, dialled * self._chance(each), cut=cut, held=held)

    def _chance(self, each: _Running) -> float:
        """That a person answers a call of the campaign, on average."""
        pace = self.paces.of(each.terms)
        return pool.USUAL_CHANCE if pace is None else pace.learner.answer_probability()

    async def _say_wants(self, each: _Running, now_s: float) -> None:
        """Tell the other servers, who share the agents with the campaign, whether it asks for any."""
        terms = each.terms
        # Its last calls may still need the agents that it no longer asks for.
        wants = each.dry_until_s <= now_s or any(
            waits_for_agent(line) for line in self.calls if line.terms.campaign_id == terms.campaign_id
        )
        if wants is not each.wants:
            of = LeaseKey(terms.tenant_id, LeaseKind.CAMPAIGN, terms.campaign_id)
            async with self.database.tenant(terms.tenant_id) as conn:
                if await servers.say_wants(conn, of, self.ownership.name, wants=wants):
                    await events.wake(conn, "agents", tenant_id=terms.tenant_id)
            each.wants = wants

    async def _pace(
        self, each: _Running, agents: list[AgentInPool], node: Node, shared: _Shared | None = None
    ) -> tuple[int, bool, bool]:
        """Dial as the campaign's rule says: how many, whether its room allowed fewer than the rule, and
        whether it was the price that allowed no more."""
        terms, predictive = each.terms, each.terms.mode is DialMode.PREDICTIVE
        pace = self.paces.of(terms) if predictive else None
        if pace is not None:
            trunks = self.placer.lines.likely(terms.trunks, node.name)
            await self.paces.look_ahead(pace, terms, len(agents), trunks)
        now = utc_now()
        snapshot = Snapshot(
            # What is still being taken up is paced one call an agent.
            mode=DialMode.PROGRESSIVE if predictive and pace is None else terms.mode,
            ratio=terms.ratio,
            agents=agents,
            calls=pool.in_air(self.calls, terms.campaign_id, node.name),
            lines_left=self.placer.lines_left(terms, node.name),
        )
        if pace is not None:
            each.agents[node.name] = len(agents) if shared is None else round(shared.fair)
            snapshot = pace.told(snapshot, terms, sum(each.agents.values()), now)
        if shared is not None:
            snapshot = replace(snapshot, others=shared.others)
        decision = plan(snapshot, now)
        price, allowed = (decision.inputs.get(name, 0.0) for name in ("price", "allowed"))
        most = decision.dial
        if shared is not None:
            most = calls_for(shared.room, self._chance(each), most)
        cut = most < decision.dial
        if cut:
            decision = replace(decision, dial=most, why=decision.why if most else "others_turn")
        self.placer.take_back(decision.cancel)
        if decision.dial:
            decision = await self._dial(each, decision, node, pace)
        if pace is not None:
            decision = pace.decided(decision, snapshot)
        did = predictive and bool(decision.dial or decision.cancel)
        await self._note(each, decision, node, always=did)
        return decision.dial, cut, price > allowed and not cut

    async def _note(self, each: _Running, decision: Plan, node: Node, *, always: bool = False) -> None:
        """Keep a decision that differs from the last."""
        last = each.last.get(node.name)
        if always or last is None or (decision.dial, decision.why) != (last.dial, last.why):
            await decisions.keep(self.database, each.terms, decision, node.name)
        each.last[node.name] = decision

    async def _dial(self, each: _Running, decision: Plan, node: Node, pace: Pace | None) -> Plan:
        """Have the calls placed; the decision as it could be carried out."""
        learned, near = pace, None
        if each.terms.lead_order is Order.BEST_HOUR:
            learned = self.paces.of(each.terms)  # the other modes learn too, for that
            near = learned.nearness(each.terms.window.span) if learned is not None else None
        teller = self.paces.teller(learned, each.terms) if learned is not None else None
        owes = self.promises.due(each.terms.tenant_id, each.terms.campaign_id)
        placed = await self.placer.next_leads(
            each.terms, decision.dial, node.name, teller, near, callbacks=owes
        )
        if pace is not None:
            del pace.next_leads[: placed.dialled]
        if placed.dialled:
            each.dialled_s = asyncio.get_running_loop().time()
        if placed.why_not == "no_leads":
            each.dry_until_s = asyncio.get_running_loop().time() + DRY_S
        if placed.why_not == "not_ours":
            self.ownership.look_soon()
        if placed.why_not:
            return replace(decision, dial=0, why=placed.why_not)
        exact = pace is not None or each.terms.mode is DialMode.FLOW
        return replace(decision, dial=placed.dialled) if exact else decision

    async def _offer(self, each: _Running, theirs: list[AgentInPool]) -> None:
        """Preview: show each free agent the next lead; the agent dials it or passes on."""
        terms = each.terms
        for agent in theirs:
            if agent.state != AgentState.READY:
                continue
            now = utc_now()
            async with self.database.tenant(terms.tenant_id) as conn:
                leads = await hopper.claim(
                    conn,
                    terms.tenant_id,
                    terms.campaign_id,
                    1,
                    now,
                    mixed=terms.mixed,
                    callbacks=self.promises.due(terms.tenant_id, terms.campaign_id),
                )
                if not leads:
                    each.dry_until_s = asyncio.get_running_loop().time() + DRY_S
                    return
                await show(conn, terms, leads[0], agent.session_id, agent.agent_id, now)

    async def _keep_the_stop(self, each: _Running) -> None:
        """The last decision of a campaign that was paused or stopped does not hold any longer."""
        if self.ownership.paces(each.terms.tenant_id, each.terms.campaign_id):
            for node in each.last:
                await decisions.keep(self.database, each.terms, Plan(0, why="not_running"), node)
