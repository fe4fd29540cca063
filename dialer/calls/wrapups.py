"""Ends wrap-ups whose limit has passed.

The limit is counted by our own monotonic time from the hang-up that we have seen: a clock that is set ends no
wrap-up, nor does it prolong one. What began before our start goes by its row.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from dialer.agents import store as agents
from dialer.agents.model import PAUSE_WRAP_UP_OVER, AgentState
from dialer.calls import wrapup_store
from dialer.calls.model import CallState
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.wrapup_store import WrapUps
from dialer.clock import utc_now
from dialer.db.session import Database

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WrapUpLimits:
    """The limits of one engine's wrap-ups."""

    database: Database
    calls: CallTable
    #: of each tenant the wrap-ups that we have seen begin: when the limit passes, monotonic seconds
    _until_s: defaultdict[int, dict[UUID, float]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        self.calls.watchers.append(self._changed)

    async def end_overdue(self, tenant_id: int, campaign_ids: Collection[int]) -> None:
        """End those of these campaigns that are over their limit; their agents are paused, owing the
        disposition still. Raises DatabaseUnavailable."""
        now, now_s = utc_now(), time.monotonic()
        ours = self._until_s[tenant_id]
        over = {attempt_id for attempt_id, until_s in ours.items() if until_s <= now_s}
        timed = WrapUps(running=list(ours.keys() - over), over=list(over))
        async with self.database.tenant(tenant_id) as conn:
            await wrapup_store.end_overdue(conn, tenant_id, campaign_ids, now, timed)
            found = await wrapup_store.shifts_over(conn, tenant_id, campaign_ids, now, timed)
            for attempt_id, session_id in found:
                log.info("wrap_up_over", attempt=str(attempt_id))
                await agents.move(
                    conn,
                    tenant_id,
                    session_id,
                    AgentState.PAUSED,
                    now,
                    leaving=(AgentState.WRAP_UP,),
                    only_attempt=attempt_id,
                    pause_code=PAUSE_WRAP_UP_OVER,
                )
        for attempt_id in over:
            del ours[attempt_id]

    def _changed(self, line: Line, change: Change) -> None:
        before, after = change.before, change.after
        wraps_up = after.state is CallState.WRAP_UP and before.state is not CallState.WRAP_UP
        if wraps_up or (after.let_go_at is not None and before.let_go_at is None):
            self._until_s[after.tenant_id][after.attempt_id] = time.monotonic() + line.wrap_up_limit_s
