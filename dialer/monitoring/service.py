"""Health and metrics, looked up when somebody asks."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from time import monotonic
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer import __version__
from dialer.clock import SILENT_S, utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.db.tables import AGENT_STATES, CALL_STATES, IMPORT_STATUSES
from dialer.errors import DatabaseUnavailable
from dialer.monitoring import store
from dialer.monitoring.model import Sample
from dialer.reports import figures_store
from dialer.reports.figures import Group, ratio

LEADS_EVERY_S = 60.0
#: Told as 0 where there are none: a gap is no news of an alert.
_OPEN_STATES = tuple(state for state in CALL_STATES if state != "ended")
_SHIFT_STATES = tuple(state for state in AGENT_STATES if state != "offline")
_IMPORTS = tuple(status for status in IMPORT_STATUSES if status in ("queued", "running"))


class MonitoringService:
    """What a machine that watches over the server is told. `seconds` and `clock` are for tests."""

    def __init__(
        self,
        database: Database,
        seconds: Callable[[], float] = monotonic,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock
        #: leads left by tenant: when counted, and by campaign
        self._leads: dict[int, tuple[float, Mapping[int, int]]] = {}

    async def health(self) -> Mapping[str, str]:
        """The parts by name: `ok`, or `down`."""
        try:
            async with self._database.system() as conn:
                engine = await store.engine_status(conn)
        except DatabaseUnavailable:
            return {"database": "down", "engine": "down", "asterisk": "down"}
        up = engine is not None and engine.silent_s < SILENT_S
        linked = up and engine is not None and bool(engine.said.get("asterisk"))
        return {"database": "ok", "engine": _word(good=up), "asterisk": _word(good=linked)}

    async def samples(self, tenant_id: int | None) -> Mapping[str, Sequence[Sample]]:
        """All metrics but those of HTTP; of one tenant, or of all (None)."""
        found: dict[str, list[Sample]] = defaultdict(list)
        found["dozvon_info"].append(((__version__,), 1))
        try:
            await self._collect(found, tenant_id)
            found["dozvon_database_up"].append(((), 1))
        except DatabaseUnavailable:
            found = defaultdict(list, dozvon_info=found["dozvon_info"], dozvon_database_up=[((), 0)])
        return found

    async def _collect(self, found: dict[str, list[Sample]], tenant_id: int | None) -> None:
        now = self._clock()
        async with self._database.system() as conn:
            engine = await store.engine_status(conn)
        up = engine is not None and engine.silent_s < SILENT_S
        said = engine.said if engine is not None and up else {}
        found["dozvon_engine_up"].append(((), up))
        found["dozvon_asterisk_up"].append(((), bool(said.get("asterisk"))))
        if engine is not None:
            found["dozvon_engine_start_time_seconds"].append(((), engine.started_at.timestamp()))
        for name, key in {
            "dozvon_asterisk_events_total": "events",
            "dozvon_journal_behind": "journal_behind",
            "dozvon_phones_up": "phones",
        }.items():
            if key in said:
                found[name].append(((), said[key]))
        totals = _Totals()
        for one in [tenant_id] if tenant_id is not None else await self._database.tenants():
            async with self._database.tenant(one) as conn:
                alive = await store.campaigns(conn, one)
                for campaign, left in (await self._leads_left(conn, one, {row[0] for row in alive})).items():
                    found["dozvon_leads_left"].append(((str(campaign),), left))
                await _of_tenant(found, totals, conn, one, alive, engine.started_at if engine else now, now)
        found["dozvon_agents"] += [((state,), totals.agents[state]) for state in _SHIFT_STATES]
        found["dozvon_imports"] += [((status,), totals.imports[status]) for status in _IMPORTS]
        found["dozvon_commands_waiting"].append(((), totals.commands))
        found["dozvon_events_waiting"].append(((), totals.events))

    async def _leads_left(self, conn: AsyncConnection, tenant_id: int, alive: set[int]) -> Mapping[int, int]:
        """Leads left of these campaigns. To count a million takes most of a second, so that is not done at
        each scrape."""
        counted_at, left = self._leads.get(tenant_id, (-math.inf, {}))
        if self._seconds() - counted_at >= LEADS_EVERY_S or left.keys() != alive:
            left = dict.fromkeys(alive, 0) | await store.leads_left(conn, tenant_id)
            self._leads[tenant_id] = (self._seconds(), left)
        return left


class _Totals:
    """What is told of all tenants together."""

    def __init__(self) -> None:
        self.agents: Counter[str] = Counter()
        self.imports: Counter[str] = Counter()
        self.commands = 0
        self.events = 0


async def _of_tenant(
    found: dict[str, list[Sample]],
    totals: _Totals,
    conn: AsyncConnection,
    tenant_id: int,
    alive: Sequence[store.Campaign],
    started_at: datetime,
    now: datetime,
) -> None:
    found["dozvon_campaign_info"] += [
        ((str(campaign), title, mode, status), 1) for campaign, title, mode, status in alive
    ]
    none_yet = {(campaign, state): 0 for campaign, *_ in alive for state in _OPEN_STATES}
    calls = none_yet | await store.open_calls(conn, tenant_id)
    found["dozvon_calls"] += [((str(campaign), state), many) for (campaign, state), many in calls.items()]
    attempts = await store.attempts_since(conn, tenant_id, started_at)
    found["dozvon_attempts_total"] += [
        ((str(campaign), result), many) for (campaign, result), many in attempts.items()
    ]
    zone = await tenants.timezone(conn, tenant_id)
    day = now.astimezone(ZoneInfo(zone)).date()
    midnight = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
    _total, today = await figures_store.counts(
        conn, figures_store.Scope(tenant_id, midnight, now), Group.CAMPAIGN, zone
    )
    for campaign, counts in today.items():
        for name, share in {
            "dozvon_abandon_ratio": ratio(counts.by_result["abandoned"], counts.answered_live),
            "dozvon_connect_ratio": ratio(counts.answered_live, counts.attempts),
        }.items():
            if share is not None:
                found[name].append(((str(campaign),), share))
    for trunk_id, channels, bad, spent in await store.trunks(conn, tenant_id, day):
        for name, value in {
            "dozvon_trunk_channels": channels,
            "dozvon_trunk_bad": bad,
            "dozvon_trunk_spent_today": spent,
        }.items():
            found[name].append(((str(trunk_id),), value))
    totals.agents.update(await store.agents(conn, tenant_id))
    totals.imports.update(await store.imports(conn, tenant_id))
    commands, events = await store.waiting(conn, tenant_id)
    totals.commands += commands
    totals.events += events


def _word(*, good: bool) -> str:
    return "ok" if good else "down"
