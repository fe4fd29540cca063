"""Figures for people and programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dialer.clock import utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound
from dialer.httpkit.access import Actor, Right
from dialer.reports import figures_store as store
from dialer.reports import pacing_store
from dialer.reports import time_store as times
from dialer.reports.figures import NOTHING, Figures, Group
from dialer.reports.pacing import Point, Stretch, points, reasons, stretches
from dialer.reports.time_store import Time, agent_time

HOUR: Final = timedelta(hours=1)
#: The longest time whose decisions are shown at once.
LONGEST: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of a span of time, all together and by group."""

    #: None: from the beginning.
    since: datetime | None
    until: datetime
    total: Figures
    rows: Sequence[Figures]


class FigureService:
    """Figures of a tenant. `clock` is for tests."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def figures(
        self, actor: Actor, group: Group, *, since: datetime | None = None, until: datetime | None = None
    ) -> Report:
        """Figures by group; without `since` those of today at the tenant's place. Raises Invalid."""
        actor.require(Right.REPORTS_READ)
        now = self._clock()
        async with self._database.tenant(actor.tenant_id) as conn:
            zone = await tenants.timezone(conn, actor.tenant_id)
            if since is None:
                here = (until or now).astimezone(ZoneInfo(zone))
                since = datetime.combine(here.date(), time(), here.tzinfo).astimezone(UTC)
            scope = _scope(actor, since, until or now)
            total, counts = await store.counts(conn, scope, group, zone)
            spent = await times.by_agent(conn, scope, now)
            # An agent who was logged in and had no call has a row too.
            keys = sorted(
                {*counts, *(spent if group is Group.AGENT else ())}, key=lambda key: (key is None, key or 0)
            )
            names = await store.labels(conn, actor.tenant_id, group, [key for key in keys if key is not None])
        rows = [
            Figures(
                key,
                names.get(key, "") if key is not None else "",
                counts.get(key, NOTHING),
                agent_time(spent[key]) if group is Group.AGENT and key in spent else None,
            )
            for key in keys
        ]
        all_time = agent_time(sum(spent.values(), Time()))
        return Report(since, scope.until, Figures(None, "", total, all_time), rows)

    async def campaign_figures(
        self,
        actor: Actor,
        campaign_id: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Report:
        """Figures of one campaign; without `since` of its whole life. Raises NotFound, Invalid."""
        actor.require(Right.REPORTS_READ)
        now = self._clock()
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.campaign_exists(conn, actor.tenant_id, campaign_id):
                raise NotFound(what="campaign", key=campaign_id)
            scope = _scope(actor, since, until or now, campaign_id)
            total, _ = await store.counts(conn, scope, None, "")
            spent = await times.of_campaign(conn, scope, campaign_id, now)
        return Report(since, scope.until, Figures(None, "", total, agent_time(spent)), ())


@dataclass(frozen=True, slots=True)
class PaceReport:
    """Why a campaign was paced as it was."""

    since: datetime
    until: datetime
    #: calls placed by these decisions
    dialled: int
    #: how long each reason held, the longest first
    reasons: Sequence[Stretch]
    #: what was so when, oldest first
    stretches: Sequence[Stretch]
    points: Sequence[Point]


class PaceService:
    """Looks at kept decisions of pacing. `clock` is for tests."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    async def pace(
        self,
        actor: Actor,
        campaign_id: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> PaceReport:
        """One campaign's decisions; without `since` of the hour before `until`, which is now without it.
        Raises NotFound, Invalid."""
        actor.require(Right.CAMPAIGNS_READ)
        now = self._clock()
        until = min(until or now, now)
        since = since or until - HOUR
        if since >= until:
            raise Invalid(field="from", reason="must be before until")
        if until - since > LONGEST:
            raise Invalid(field="from", reason="must be within a day of until")
        async with self._database.tenant(actor.tenant_id) as conn:
            if not await store.campaign_exists(conn, actor.tenant_id, campaign_id):
                raise NotFound(what="campaign", key=campaign_id)
            ticks = await pacing_store.ticks(conn, actor.tenant_id, campaign_id, since, until)
        found = stretches(ticks, since, until)
        return PaceReport(
            since,
            until,
            sum(one.dialled for one in found),
            reasons(found),
            found,
            points(ticks, since, until),
        )


def _scope(
    actor: Actor, since: datetime | None, until: datetime, campaign_id: int | None = None
) -> store.Scope:
    if since is not None and since >= until:
        raise Invalid(field="from", reason="must be before until")
    return store.Scope(actor.tenant_id, since, until, campaign_id)
