"""Draws calls to be scored, in the process for long work: of each week when it is over."""

from __future__ import annotations

import asyncio
from random import Random, SystemRandom
from zoneinfo import ZoneInfo

import structlog

from dialer.clock import utc_now
from dialer.db import tenants
from dialer.db.session import Database
from dialer.errors import DatabaseUnavailable
from dialer.reviews import forms_store as store
from dialer.reviews.model import draw, last_week

log = structlog.get_logger(__name__)

EVERY_S = 600.0


class Drawing:
    """The drawing of one installation; of several servers one draws a plan."""

    def __init__(self, database: Database, dice: Random | None = None) -> None:
        self._database = database
        self._dice = dice or SystemRandom()

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again ten minutes later."""
        while True:
            try:
                if drawn := await self.draw():
                    log.info("calls_drawn", calls=drawn)
            except DatabaseUnavailable as error:
                log.warning("drawing_waits", reason=str(error))
            await asyncio.sleep(EVERY_S)  # time itself is the event

    async def draw(self) -> int:
        """Draw from the last week that is over, where that was not done yet; how many calls.

        What is recorded of a week does not change any more, but for what is erased: every talk of it is as
        likely as any other of the agent's.
        """
        count = 0
        for tenant_id in await self._database.tenants():
            async with self._database.tenant(tenant_id) as conn:
                zone = ZoneInfo(await tenants.timezone(conn, tenant_id))
                week, begun, ended = last_week(utc_now(), zone)
                for plan in await store.due(conn, tenant_id, week):
                    talks = await store.talks(conn, tenant_id, plan, begun, ended)
                    chosen = draw({agent: list(own) for agent, own in talks.items()}, plan.calls, self._dice)
                    for agent_id, calls in chosen.items():
                        for call_id in calls:
                            inbound = talks[agent_id][call_id]
                            await store.add_task(
                                conn, tenant_id, plan.id, call_id, agent_id, week, inbound=inbound
                            )
                            count += 1
                    await store.drawn(conn, tenant_id, plan.id, week)
        return count
