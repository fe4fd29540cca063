"""One real run: a contact centre of its own, its agents and customers by a seed, and what its rows say."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from statistics import fmean
from typing import Final

from sqlalchemy import func, select

from dialer.bench.live import rows
from dialer.bench.live.customers import Customers
from dialer.bench.live.model import Real, Setting
from dialer.bench.model import Say
from dialer.bench.site import Site, patience
from dialer.bench.site_parts import until
from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.demo.phones import Kind
from dialer.demo.setup import TENANT

#: Leads on the list for each minute of an agent, and at least: more than are dialled.
_LEADS, _LEAST_LEADS = 10, 200
#: No agent ends a talk: customers do.
_NEVER_S: Final = 86_400.0
#: How long an agent may wrap up: longer than any does.
_WRAP_UP_LIMIT_S: Final = 600
#: How often the machine's load is looked at, and whether agents are still there.
_LOOK_S: Final = 5.0
#: Who answered in the last moment has an agent or is abandoned so soon.
_SETTLED_S: Final = 10.0


async def run(
    setting: Setting, seed: int, opening: asyncio.Semaphore, say: Say, phones: Kind | None = None
) -> Real:
    """Set a centre up, run the campaign as long as the setting says, count.

    `opening`: centres are set up one after another. `phones`: see `Site.open`.
    Raises what `Site.open` raises, NotInTime, DatabaseUnavailable.
    """
    world = setting.world
    async with AsyncExitStack() as stack:
        async with opening:
            say(f"seed {seed}: setting up a contact centre of {setting.agents} agents")
            site = await stack.enter_async_context(
                Site.open(agents=setting.agents, seed=seed, talk_s=_NEVER_S, phones=phones)
            )
        for robot in site.robots.robots:
            robot.draw_wrap_up = world.wrap.draw
        site.numbers = Customers(world, seed)
        mark = site.mark()
        # All are ready: what is counted begins with the campaign.
        await site.keep_dialling(
            "predictive",
            leads=max(_LEAST_LEADS, round(_LEADS * setting.agents * setting.minutes)),
            ring_timeout_s=setting.ring_timeout_s,
            wrap_up_limit_s=_WRAP_UP_LIMIT_S,
        )
        since = await _started_at(site)
        ends = since + timedelta(minutes=setting.minutes)
        say(f"seed {seed}: dialling until {ends:%H:%M:%S} UTC")
        loads = await _wait(site, ends)
        await _settled(site, ends)
        wrap_ups = {
            attempt: drawn_s for robot in site.robots.robots for attempt, drawn_s in robot.wrap_ups.items()
        }
        found = await rows.read(site.database, since, ends, wrap_ups)
        tally = await site.tally(mark)
    broken = rows.wrong(found)
    if tally.double_dials or tally.without_row:
        broken.append(f"{tally.double_dials} numbers were dialled twice, {tally.without_row} without a row")
    more = {"load_mean": fmean(loads), "load_max": max(loads)}
    return Real(
        setting,
        seed,
        rows.counted(found),
        rows.delays(found),
        rows.figures(found) | more,
        "; ".join(broken),
    )


async def _started_at(site: Site) -> datetime:
    """When the campaign was started."""
    query = select(t.campaign.c.started_at).where(t.campaign.c.id == site.campaign_id)
    async with site.database.tenant(TENANT) as conn:
        started_at = await conn.scalar(query)
    assert isinstance(started_at, datetime)
    return started_at


async def _wait(site: Site, ends: datetime) -> list[float]:
    """Wait until the run is over; the machine's load meanwhile (the mean of a minute, by its looks)."""
    loads = [os.getloadavg()[0]]
    while (left_s := (ends - utc_now()).total_seconds()) > 0:
        await asyncio.sleep(min(left_s, _LOOK_S))  # the run's own length
        site.robots.check()
        loads.append(os.getloadavg()[0])
    return loads


async def _settled(site: Site, ends: datetime) -> None:
    """Wait until everyone who answered before the end has an agent or was abandoned. Raises NotInTime."""
    open_ones = select(func.count()).where(t.attempt.c.answered_at < ends, t.attempt.c.result.is_(None))

    async def none_left() -> bool:
        async with site.database.tenant(TENANT) as conn:
            return await conn.scalar(open_ones) == 0

    await asyncio.sleep(1.0)  # nothing tells that the journal has written what came before a time
    await until("all who answered are settled", none_left, patience(_SETTLED_S))
