"""All agents vanish at once: by their phones, by the network, by what they or their supervisor press."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from dialer.bench.model import Run, Say, case_of
from dialer.bench.site import TENANT, Site, patience
from dialer.bench.site_after import talked
from dialer.bench.site_mend import until_working
from dialer.bench.site_parts import until
from dialer.bench.site_runs import Settling
from dialer.clock import utc_now
from dialer.db import tables as t

PAUSE, LOG_OUT, UNREGISTER, DIE, NETWORK = "pause_all", "log_out_all", "unregister", "phones_die", "network"
AGENTS = 4
#: After so long nothing may be dialled any more, seconds.
GRACE_S = 1.0
CALM_S = (0.2, 2.0)
#: How long they stay away: long enough for a call to be made that should not be.
AWAY_S = (3.0, 5.0)
#: A centre that is not back after so long is given up, seconds.
LOST_S = 60.0


@dataclass(frozen=True, slots=True)
class Vanish:
    """The row."""

    name: str = "agents"
    title: str = (
        "all agents vanish at once: paused, logged out, phones unregistered, phones dead, network away"
    )
    must_hold: str = "no Originate later than 1 s after the last agent was gone; full pace when they are back"
    cases: tuple[str, ...] = (PAUSE, NETWORK, LOG_OUT, DIE, UNREGISTER)
    long_runs: int = 100
    short_runs: int = 2

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Have them vanish once a seed in one living centre."""
        async with Site.open(agents=AGENTS, seed=seeds[0], talk_s=1.5, say=say) as site:
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))
            async for run in Settling(site).each(
                seeds, lambda seed: _vanish(site, seed, case_of(self.cases, seed))
            ):
                yield run


async def _vanish(site: Site, seed: int, case: str) -> Run:
    rng, loop = random.Random(f"{seed} agents"), asyncio.get_running_loop()  # noqa: S311
    await asyncio.sleep(rng.uniform(*CALM_S))
    for robot in site.robots.robots:
        robot.willing = case not in (PAUSE, LOG_OUT)
    await _away(site, case)
    gone = utc_now()
    await asyncio.sleep(patience(GRACE_S))
    before = _calls(site)
    await asyncio.sleep(rng.uniform(*AWAY_S))
    late, last_s = await _late(site, gone)
    late_calls = _calls(site) - before
    back, began = utc_now(), loop.time()
    await _back(site, case)
    broken = await until_working(site, patience(LOST_S))
    recover_s = loop.time() - began
    await until("every agent has had a new call", lambda: _all_have_talked(site, back), patience(LOST_S))
    if last_s > patience(GRACE_S):
        broken = f"{late} calls were placed later than {GRACE_S:g} s, the last {last_s:.2f} s after; {broken}"
    if late_calls:
        broken = f"the carrier was asked for {late_calls} calls later than {GRACE_S:g} s; {broken}"
    figures = {
        "originates_after_1s": late,
        "last_originate_s": last_s,
        "full_pace_s": loop.time() - began,
        "called_late": float(late_calls),
        "load_max": os.getloadavg()[0],
    }
    return replace(Run("agents", seed, case), recover_s=recover_s, figures=figures, broken=broken)


# -- what happens to them ---------------------------------------------------------------------------------


async def _away(site: Site, case: str) -> None:
    """All are away when it returns, in the same moment as far as can be made."""
    users = [robot.login for robot in site.robots.robots]
    if case == UNREGISTER:
        for user in users:
            await site.phones.unregister(user)
    elif case == DIE:
        await asyncio.gather(*(site.phones.die(user) for user in users))
    elif case == NETWORK:
        # Stopped they neither send nor answer a packet, as behind a cable that was pulled.
        for pid in site.phones.pids:
            os.kill(pid, signal.SIGSTOP)
    elif case == PAUSE:
        await _press(site, "pause", {"code": "break"})
    else:
        await _press(site, "logout")


async def _back(site: Site, case: str) -> None:
    """They may come back; what the server has to do for that, it does by itself."""
    if case == UNREGISTER:
        for robot in site.robots.robots:
            await site.phones.register(robot.login)
    elif case == DIE:
        await site.phones.start()
        await site.phones.wait_registered(patience(LOST_S))
    elif case == NETWORK:
        for pid in site.phones.pids:
            os.kill(pid, signal.SIGCONT)
    else:
        for robot in site.robots.robots:
            robot.willing = True
        await _press(site, "ready" if case == PAUSE else "login")


async def _press(site: Site, what: str, body: object = None) -> None:
    """The supervisor does it to every agent, all at once."""
    async with site.api() as api:
        await api.log_in(*site.supervisor)
        agents = await api.call("GET", "/agents")
        await asyncio.gather(*(api.call("POST", f"/agents/{one['id']}/{what}", body) for one in agents))


# -- what came of it -----------------------------------------------------------------------------------------


def _calls(site: Site) -> int:
    """Calls that the carrier has seen, by its own log."""
    return sum(len(ids) for ids in site.carrier.invites().values())


async def _late(site: Site, gone: datetime) -> tuple[int, float]:
    """Attempts made or sent later than the grace, and when the last one of all was, seconds after `gone`."""
    # PostgreSQL's greatest passes over what is null: one that was not sent.
    made = func.greatest(t.attempt.c.created_at, t.attempt.c.sent_at)
    query = select(func.count().filter(made > gone + timedelta(seconds=GRACE_S)), func.max(made)).where(
        made >= gone
    )
    async with site.database.tenant(TENANT) as conn:
        late, last = (await conn.execute(query)).one()
    return late, (last - gone).total_seconds() if last else 0.0


async def _all_have_talked(site: Site, since: datetime) -> bool:
    async with site.database.tenant(TENANT) as conn:
        return await talked(conn, since) == len(site.robots.robots)


ROW = Vanish()
