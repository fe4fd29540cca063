"""What is going on now: the wall board of a campaign, the health of the server, an agent's screen."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from dialer.agents import people
from dialer.agents import store as agents
from dialer.agents.model import Agent
from dialer.calls.card import Card
from dialer.calls.model import Direction
from dialer.campaigns.model import Campaign
from dialer.clock import SILENT_S, utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.errors import DatabaseFull
from dialer.httpkit.access import Actor, Right
from dialer.reports import live_store as store
from dialer.reports.live_store import ManualCampaign
from dialer.reports.present import HOLD, OnShift, Pace, WaitingCallers

#: How long a tenant's time zone is remembered, seconds.
ZONE_KEPT_S = 60.0
#: How long it is remembered that the database's disk is full, or not, seconds.
FULL_KEPT_S = 2.0

#: The order in which a wall board shows agents: first who costs the most attention.
_ORDER = ("lost", "talking", HOLD, "wrap_up", "reserved", "ready", "paused", "calling", "offline")


@dataclass(frozen=True, slots=True)
class Board:
    """One campaign at this moment."""

    #: agents of its skill who are logged in
    agents: Sequence[OnShift]
    #: agents by what they do, as pages say it; what nobody does is not there
    by_shown: Mapping[str, int]
    #: calls that have not ended, by state
    calls: Mapping[str, int]
    #: None: nothing was decided yet
    pace: Pace | None
    #: who waits in the tenant's queues: they come before those whom the campaign dials
    waiting: Sequence[WaitingCallers] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps the server from working."""

    #: engine_down, asterisk_down; of the pages themselves: database_down, disk_full
    code: str
    #: since when, as far as known
    since: datetime | None
    #: what the engine says, for people who mend it
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeskExtras:
    """What an agent's screen shows besides shift and card."""

    #: how long the wrap-up of the card's campaign may last, seconds; None without a card
    wrap_up_limit_s: int | None
    #: every zone in which the person on the card may be
    zones: Sequence[str]
    manual: Sequence[ManualCampaign]


class LiveService:
    """Looks at a tenant's present."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._zones: dict[int, tuple[float, str]] = {}
        #: when it was asked (monotonic), and what came of it
        self._full: tuple[float, bool] = (-math.inf, False)

    async def board(self, actor: Actor, campaign: Campaign) -> Board:
        """The wall board of a campaign."""
        actor.require(Right.AGENTS_READ)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            known = {agent.id: agent for agent in await people.agents(conn, tenant_id)}
            shifts = await agents.open_shifts(conn, tenant_id)
            whose = await store.whose(conn, tenant_id)
            calls = await store.calls_by_state(conn, tenant_id, campaign.id)
            pace = await store.last_pace(conn, tenant_id, campaign.id)
            waiting = await store.waiting_callers(conn, tenant_id)
        here = [
            OnShift(known[shift.agent_id], shift, whose[shift.id].held_at if shift.id in whose else None)
            for shift in shifts
            if shift.agent_id in known and (campaign.skill is None or campaign.skill in shift.skills)
        ]
        here.sort(key=lambda one: (_ORDER.index(one.shown), one.shift.state_since, one.agent.name))
        counts = Counter(one.shown for one in here)
        by_shown = {name: counts[name] for name in _ORDER if counts[name]}
        return Board(here, by_shown, calls, pace, waiting)

    async def on_hold(self, actor: Actor) -> dict[UUID, datetime]:
        """By shift: since when its customer hears music. Raises Forbidden."""
        actor.require(Right.AGENTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            whose = await store.whose(conn, actor.tenant_id)
        return {shift_id: one.held_at for shift_id, one in whose.items() if one.held_at is not None}

    async def troubles(self, now: datetime | None = None) -> list[Trouble]:
        """What keeps the server from calling; empty: nothing. Raises DatabaseUnavailable."""
        now = now or utc_now()
        async with self._database.system() as conn:
            rows = {row.name: row for row in await store.processes(conn)}
        engine = rows.get("engine")
        if engine is None:
            return [Trouble("engine_down", None)]
        if self._database.is_full or engine.status.get("disk_full"):
            return [Trouble("disk_full", None)]
        if now - engine.seen_at > timedelta(seconds=SILENT_S):
            # An engine that cannot write that it lives is not to blame.
            return [Trouble("disk_full" if await self._is_full() else "engine_down", engine.seen_at)]
        if not engine.status.get("asterisk"):
            return [Trouble("asterisk_down", None, str(engine.status.get("trouble") or ""))]
        return []

    async def _is_full(self) -> bool:
        """Whether the database's disk has no room for a row; asked once in `FULL_KEPT_S` for all who look."""
        asked_s, full = self._full
        if time.monotonic() - asked_s < FULL_KEPT_S:
            return full
        try:
            async with self._database.system() as conn:
                await store.write_nothing(conn)
            full = False
        except DatabaseFull:
            full = True
        self._full = (time.monotonic(), full)
        return full

    async def timezone(self, actor: Actor) -> str:
        """The time zone of the tenant's place."""
        kept = self._zones.get(actor.tenant_id)
        if kept is not None and time.monotonic() - kept[0] < ZONE_KEPT_S:
            return kept[1]
        async with self._database.tenant(actor.tenant_id) as conn:
            zone = await tenants.timezone(conn, actor.tenant_id)
        self._zones[actor.tenant_id] = (time.monotonic(), zone)
        return zone

    async def desk(self, actor: Actor, agent: Agent, card: Card | None) -> DeskExtras:
        """What the screen of an agent shows besides; `agent` is the actor's own."""
        actor.require(Right.WORK)
        async with self._database.tenant(actor.tenant_id) as conn:
            manual = await store.manual_campaigns(conn, actor.tenant_id, agent.skills)
            if card is None:
                return DeskExtras(None, (), manual)
            limit = await store.wrap_up_limit_s(conn, actor.tenant_id, card.campaign_id)
            zones: Sequence[str] = ()
            if card.person is not None and card.person.timezone:
                zones = (card.person.timezone,)
            elif card.lead_id is not None:
                zones = await store.zones_of_lead(conn, actor.tenant_id, card.lead_id)
            elif card.call is not None and card.call.direction is Direction.INBOUND:
                zones = await store.zones_of_caller(conn, actor.tenant_id, card.call.id)
        return DeskExtras(limit, zones, manual)
