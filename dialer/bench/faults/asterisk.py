"""kill -9 of Asterisk with calls in every state, and its restart: everything that was on the line is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import sqlalchemy

from dialer.asterisk.runtime import AsteriskServer
from dialer.bench.model import UNFINISHED_AFTER_S, Run, Say, case_of
from dialer.bench.site import TENANT, Mark, Site, patience
from dialer.bench.site_after import not_free, open_attempts
from dialer.bench.site_mend import until_working
from dialer.bench.site_parts import until
from dialer.bench.site_runs import Settling
from dialer.db import tables as t
from dialer.errors import AsteriskUnavailable

IN_TALK, RINGING, IN_AGI, TWICE = "in_talk", "ringing", "in_agi", "twice"
#: The state that a call must be in when Asterisk is killed.
STATES: Mapping[str, str] = MappingProxyType(
    {IN_TALK: "connected", RINGING: "ringing", IN_AGI: "waiting", TWICE: "connected"}
)
AGENTS = 4
#: More calls than agents: some of those who answer wait for one.
RATIO = 2.5
CALM_S = (0.2, 1.5)
#: How long after its start it is killed again.
AGAIN_S = (0.0, 2.0)
#: A centre that is not back after so long is given up, seconds.
LOST_S = 60.0


@dataclass(frozen=True, slots=True)
class AsteriskDies:
    """The row."""

    name: str = "asterisk"
    title: str = "kill -9 of Asterisk in mid-call, and again while it comes up; restart"
    must_hold: str = "all attempts ended in 60 s; agents free; dialling goes on"
    cases: tuple[str, ...] = (IN_TALK, RINGING, IN_AGI, TWICE)
    long_runs: int = 50
    short_runs: int = 3

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Kill it once a seed in one living centre."""
        async with Site.open(agents=AGENTS, seed=seeds[0], ring_s=0.8, say=say) as site:
            await site.keep_dialling("power", ratio=RATIO)
            await site.until_working(patience(LOST_S))
            settling = Settling(site)
            async for run in settling.each(
                seeds, lambda seed: _kill(site, seed, case_of(self.cases, seed), settling.since)
            ):
                yield run


async def _kill(site: Site, seed: int, case: str, since: Mark) -> Run:
    rng, loop = random.Random(f"{seed} asterisk"), asyncio.get_running_loop()  # noqa: S311
    await asyncio.sleep(rng.uniform(*CALM_S))
    states: Counter[str] = await until(
        f"a call is {STATES[case]}", lambda: _with(site, STATES[case]), patience(LOST_S), look_s=0.02
    )
    await killed(site.asterisk)
    died, died_s = site.mark(), loop.time()
    began = died_s
    if case == TWICE:
        await _begin_and_kill(site.asterisk, rng.uniform(*AGAIN_S))
        began = loop.time()
    await site.asterisk.start()
    broken = await until_working(site, patience(LOST_S))
    recover_s = loop.time() - began
    # What was on the line when it died; the talk's agent still says what it came to.
    await site.until_ended(since, UNFINISHED_AFTER_S - (loop.time() - died_s), died)
    ended_s = loop.time() - died_s
    async with site.database.tenant(TENANT) as conn:
        left = await open_attempts(conn, since.at, died.at)
    wrong = [broken] if broken else []
    if left:
        wrong.append(f"without an end {ended_s:.1f} s after the death: {', '.join(map(str, left[:3]))}")
    if held := await not_free(site, died):
        wrong.append(held)
    figures = {
        "ended_s": ended_s,
        "open": len(left),
        "talking": states["connected"],
        "ringing": states["ringing"],
        "waiting": states["waiting"],
        "load_max": os.getloadavg()[0],
    }
    return replace(Run("asterisk", seed, case), recover_s=recover_s, figures=figures, broken="; ".join(wrong))


async def _with(site: Site, state: str) -> Counter[str] | None:
    """The calls on the line by state, if one is in this state."""
    async with site.database.tenant(TENANT) as conn:
        open_calls = sqlalchemy.select(t.attempt.c.state).where(t.attempt.c.ended_at.is_(None))
        found = Counter(await conn.scalars(open_calls))
    return found if found[state] else None


async def killed(asterisk: AsteriskServer) -> None:
    """kill -9, and the end of the process. One that does not run: nothing."""
    pid = asterisk.pid
    if pid is None:
        return
    # By its pidfd: a process whose first thread has ended holds its ports until the last one has.
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        await asyncio.to_thread(select.select, [process], [], [], 10)
    finally:
        os.close(process)


async def _begin_and_kill(asterisk: AsteriskServer, after_s: float) -> None:
    """Start it, and kill it so many seconds later, wherever it is by then."""
    starting = asyncio.create_task(asterisk.start())

    async def exists() -> bool:
        return asterisk.pid is not None

    await until("Asterisk starts", exists, patience(LOST_S))
    await asyncio.sleep(after_s)
    await killed(asterisk)
    with contextlib.suppress(AsteriskUnavailable):  # it ended as it came up: so it was meant
        await starting


ROW = AsteriskDies()
