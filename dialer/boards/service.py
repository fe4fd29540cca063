"""The board: the whole centre at one moment, read once for all who look."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.agents import people
from dialer.agents import store as agents
from dialer.agents.model import Shift
from dialer.boards import store
from dialer.boards.model import (
    STATES,
    AtWork,
    CampaignCounted,
    CampaignNow,
    Counted,
    Now,
    QueueCounted,
    Talks,
)
from dialer.boards.sharing import Shared
from dialer.boards.store import CampaignRow
from dialer.clock import utc_now
from dialer.compliance.policies import CAREFUL
from dialer.db import tenants
from dialer.db.session import Database
from dialer.db.tables import queue
from dialer.httpkit.access import Actor, Right
from dialer.policies import store as policies
from dialer.queues.figures import count_stays
from dialer.queues.service_level import Counts, Interval, service_level
from dialer.reports import live_store
from dialer.reports.figures import Figures, Group
from dialer.reports.service import FigureService

#: How often the present is read at most, and the sums of the day, for all who look; seconds.
NOW_EVERY_S: Final = 0.1
COUNTED_EVERY_S: Final = 0.5
#: How long it is remembered how many leads are left, seconds: a list of a million is not counted more often.
LEFT_KEPT_S: Final = 60.0


class BoardService:
    """Looks at all of a tenant's campaigns, agents, queues and trunks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._figures = FigureService(database)
        self._now = Shared(NOW_EVERY_S, self._read_now)
        self._counted = Shared(COUNTED_EVERY_S, self._read_counted)
        #: by (tenant, campaign): when it was counted (monotonic), leads left, how long they last
        self._left: dict[tuple[int, int], tuple[float, int, float | None]] = {}

    async def now(self, actor: Actor) -> Now:
        """The present. Raises Forbidden."""
        actor.require(Right.AGENTS_READ)
        actor.require(Right.CAMPAIGNS_READ)
        return await self._now.get(actor.tenant_id)

    async def counted(self, actor: Actor) -> Counted:
        """The day so far. Raises Forbidden."""
        actor.require(Right.REPORTS_READ)
        return await self._counted.get(actor.tenant_id)

    # -- the present -------------------------------------------------------------------------------------

    async def _read_now(self, tenant_id: int) -> Now:
        async with self._database.tenant(tenant_id) as conn:
            return await read_now(conn, tenant_id, utc_now())

    # -- the day -----------------------------------------------------------------------------------------

    async def _read_counted(self, tenant_id: int) -> Counted:
        server, now = Actor.server(tenant_id), utc_now()
        today = await self._figures.figures(server, Group.CAMPAIGN, until=now)
        of_day = {row.key: row for row in today.rows}
        async with self._database.tenant(tenant_id) as conn:
            zone = ZoneInfo(await tenants.timezone(conn, tenant_id))
            midnight = datetime.combine(now.astimezone(zone).date(), clock_time(), zone).astimezone(UTC)
            rows = await store.campaigns(conn, tenant_id)
            talks = await store.talks(conn, tenant_id, midnight)
            left = {row.id: await self._list_left(conn, tenant_id, row.id, now) for row in rows}
            limits = {row.id: await _limit(conn, tenant_id, row) for row in rows}
            queues, level = await _queues(conn, tenant_id, midnight, now, zone)
        found = {}
        for row in rows:
            cap, window_s = limits[row.id]
            window = await self._figures.campaign_figures(
                server, row.id, since=now - timedelta(seconds=window_s), until=now
            )
            day = of_day.get(row.id)
            found[row.id] = _counted(
                day, window.total, cap, window_s, talks.get(row.id, Talks()), left[row.id]
            )
        return Counted(
            now,
            found,
            queues,
            today.total.connect_rate,
            today.total.abandon_rate,
            level,
            sum(talks.values(), Talks()),
        )

    async def _list_left(
        self, conn: AsyncConnection, tenant_id: int, campaign_id: int, now: datetime
    ) -> tuple[int, float | None]:
        at_s, left, lasts_s = self._left.get((tenant_id, campaign_id), (-LEFT_KEPT_S, 0, None))
        if time.monotonic() - at_s >= LEFT_KEPT_S:
            left, lasts_s = await store.list_left(conn, tenant_id, campaign_id, now)
            self._left[tenant_id, campaign_id] = (time.monotonic(), left, lasts_s)
        return left, lasts_s


async def read_now(conn: AsyncConnection, tenant_id: int, now: datetime) -> Now:
    """The tenant's present."""
    known = {agent.id: agent for agent in await people.agents(conn, tenant_id)}
    shifts = [one for one in await agents.open_shifts(conn, tenant_id) if one.agent_id in known]
    whose = await live_store.whose(conn, tenant_id)
    limits = await store.pause_limits(conn, tenant_id)
    rows = await store.campaigns(conn, tenant_id)
    calls = await store.calls(conn, tenant_id)
    at_work = []
    for shift in shifts:
        if shift.state not in STATES:
            continue
        mine = whose.get(shift.id)
        limit = limits.get(shift.pause_code) if shift.pause_code else None
        at_work.append(
            AtWork(
                known[shift.agent_id],
                shift,
                mine.held_at if mine else None,
                mine.campaign_id if mine else None,
                mine.campaign if mine else None,
                mine.queue if mine else None,
                limit,
            )
        )
    at_work.sort(key=lambda one: (STATES.index(one.shift.state), one.shift.state_since, one.agent.name))
    return Now(
        now,
        at_work,
        [_campaign(row, calls.get(row.id, {}), shifts) for row in rows],
        await live_store.waiting_callers(conn, tenant_id),
        await store.trunks(conn, tenant_id),
    )


def _campaign(row: CampaignRow, calls: dict[str, int], shifts: Sequence[Shift]) -> CampaignNow:
    able = [one.state for one in shifts if row.skill is None or row.skill in one.skills]
    states = {state: able.count(state) for state in STATES}
    return CampaignNow(
        row.id, row.name, row.status, row.mode, calls, {one: n for one, n in states.items() if n}, row.pace
    )


def _counted(
    day: Figures | None,
    window: Figures,
    cap: float,
    window_s: int,
    talks: Talks,
    left: tuple[int, float | None],
) -> CampaignCounted:
    return CampaignCounted(
        day.counts.attempts if day else 0,
        day.connect_rate if day else None,
        window.abandon_rate,
        window.abandoned,
        window.counts.answered_live,
        cap,
        window_s,
        talks,
        *left,
    )


async def _limit(conn: AsyncConnection, tenant_id: int, row: CampaignRow) -> tuple[float, int]:
    """The share of abandoned calls that the campaign's policy allows, and within how long."""
    policy = await policies.find(conn, tenant_id, row.policy, row.policy_version) or CAREFUL
    return policy.abandon_cap, policy.abandon_window_s


@dataclass(frozen=True, slots=True)
class _Target:
    share: float
    within_s: int


async def _queues(
    conn: AsyncConnection, tenant_id: int, since: datetime, now: datetime, zone: ZoneInfo
) -> tuple[dict[str, QueueCounted], float | None]:
    """By name, of the tenant's queues; and the service level of all."""
    rows = await conn.execute(
        select(queue.c.name, queue.c.target_share, queue.c.target_s).where(queue.c.tenant_id == tenant_id)
    )
    targets = {row.name: _Target(row.target_share, row.target_s) for row in rows}
    counts: dict[str, Counts] = {name: Counts() for name in targets}
    for (name, _), one in (await count_stays(conn, tenant_id, since, now, now, Interval.DAY, zone)).items():
        if name in counts:
            counts[name] += one
    found = {
        name: QueueCounted(
            counts[name].offered,
            counts[name].answered,
            counts[name].abandoned,
            service_level(counts[name]),
            target.share,
            target.within_s,
        )
        for name, target in sorted(targets.items())
    }
    return found, service_level(sum(counts.values(), Counts()))
