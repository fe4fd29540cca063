"""PostgreSQL on three machines under Patroni loses its primary: dialling goes on within forty seconds,
nothing that was acknowledged is lost, and nobody is dialled twice.

The server knows one address, HAProxy's. `recover_s` is from the loss, not from the repair.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import MappingProxyType

from sqlalchemy import select

from dialer import settings
from dialer.bench.cluster.patroni import PatroniCluster
from dialer.bench.cluster.writer import Writer
from dialer.bench.model import Run, Say, case_of
from dialer.bench.site import TENANT, NotInTime, Site, patience
from dialer.bench.site_numbers import Numbers
from dialer.bench.site_parts import until
from dialer.bench.site_runs import Settling
from dialer.db import tables as t
from dialer.db.cluster import ADMIN_ROLE
from dialer.demo.numbers import Behaviour

PRIMARY_KILLED, PRIMARY_FROZEN = "primary_killed", "primary_frozen"
POSTGRES_KILLED, STANDBY_FROZEN = "postgres_killed", "standby_frozen"
AGENTS = 4
CALM_S = (0.5, 2.0)
#: What the issue of a lost primary may take: Patroni's least is 20 s until the primary is known to be gone.
RESUME_S = 40.0
#: A centre that is not back after so long is given up, seconds.
LOST_S = 90.0
#: Commands that were accepted before the loss are done by then, and calls are looked at again after so long:
#: the database is still away.
SETTLED_S, LATER_S = 2.0, 12.0
#: Nobody hangs up but our agents: a talk that ends while the database is away was cut.
SHARES: Mapping[Behaviour, float] = MappingProxyType(
    {Behaviour.HUMAN: 0.8, Behaviour.BUSY: 0.1, Behaviour.NO_ANSWER: 0.1}
)


@dataclass(frozen=True, slots=True)
class PrimaryLost:
    """The row."""

    name: str = "cluster"
    title: str = (
        "PostgreSQL on 3 machines (Patroni, synchronous): the primary's power cut, the primary frozen "
        "and thawed, its process killed, the standby frozen"
    )
    must_hold: str = "dialling resumes in 40 s, talks go on meanwhile; no acknowledged write lost"
    cases: tuple[str, ...] = (PRIMARY_KILLED, PRIMARY_FROZEN, POSTGRES_KILLED, STANDBY_FROZEN)
    long_runs: int = 20
    #: Not part of the short form: it needs 80 s for one run. tests/cluster runs it.
    short_runs: int = 0
    limit_s: float = RESUME_S

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One loss a seed in one living centre on one living cluster."""
        async with AsyncExitStack() as stack:
            say("starting three machines with PostgreSQL, Patroni and etcd, and HAProxy")
            cluster = await stack.enter_async_context(PatroniCluster.open(settings.load().packages_dir, say))
            site = await stack.enter_async_context(
                Site.open(agents=AGENTS, seed=seeds[0], talk_s=4.0, urls=cluster.urls, say=say)
            )
            site.numbers = Numbers(seeds[0], shares=SHARES)
            writer = await stack.enter_async_context(Writer.open(cluster.url(ADMIN_ROLE, "postgres")))
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))
            async for run in Settling(site).each(
                seeds, lambda seed: _lose(cluster, site, writer, seed, case_of(self.cases, seed))
            ):
                yield run


async def _lose(cluster: PatroniCluster, site: Site, writer: Writer, seed: int, case: str) -> Run:
    rng, loop = random.Random(f"{seed} cluster"), asyncio.get_running_loop()  # noqa: S311
    await asyncio.sleep(rng.uniform(*CALM_S))
    members = await cluster.members()
    role = "sync_standby" if case == STANDBY_FROZEN else "leader"
    name = next(one.name for one in members.values() if one.role == role)
    writer.longest_gap()
    broken = []
    talks: set[str] = await until("a talk goes on", lambda: _talks(site), patience(30))
    lost_s = loop.time()
    match case:
        case "primary_killed":
            await cluster.kill(name)
        case "postgres_killed":
            await cluster.kill_postgres(name)
        case _:
            cluster.freeze(name)
    figures = {"talks": 0.0, "talks_cut": 0.0}
    if case in (PRIMARY_KILLED, PRIMARY_FROZEN):
        await asyncio.sleep(SETTLED_S)
        # Who has just answered and waits for an agent hears the message and is gone: that is no cut.
        talking = talks & await _on_the_line(site)
        await asyncio.sleep(LATER_S - SETTLED_S)
        cut = talking - await _on_the_line(site)
        figures |= {"talks": len(talking), "talks_cut": len(cut)}
        if cut:
            broken.append(f"{len(cut)} of {len(talking)} talks were cut while the database was away")
    try:
        await site.until_working(patience(LOST_S))
    except NotInTime as error:
        broken.append(str(error))
    recover_s = loop.time() - lost_s
    if recover_s > patience(RESUME_S):
        broken.append(f"dialling resumed after {recover_s:.1f} s")
    writes_away_s = writer.longest_gap()
    healing_s = loop.time()
    if case == PRIMARY_KILLED:
        cluster.boot(name)
    elif case != POSTGRES_KILLED:
        cluster.thaw(name)
    await cluster.until_whole(patience(LOST_S))
    await site.until_working(patience(LOST_S))
    # Of this run alone: figures of runs are added up.
    acknowledged, lost_writes = await writer.news()
    if lost_writes:
        broken.append(f"{lost_writes} acknowledged writes are not there")
    figures |= {
        "writes_away_s": writes_away_s,
        "whole_s": loop.time() - healing_s,
        "acknowledged": acknowledged,
        "lost_writes": lost_writes,
        "load_max": os.getloadavg()[0],
    }
    return replace(Run("cluster", seed, case), recover_s=recover_s, figures=figures, broken="; ".join(broken))


async def _talks(site: Site) -> set[str]:
    """The ids of the calls that are in a talk."""
    async with site.database.tenant(TENANT) as conn:
        query = select(t.attempt.c.id).where(t.attempt.c.state == "connected", t.attempt.c.ended_at.is_(None))
        return {str(found) for found in await conn.scalars(query)}


async def _on_the_line(site: Site) -> set[str]:
    """The ids of the channels that are up: the customers' and the agents'."""
    said = await site.asterisk.cli("core show channels concise")
    return {line.split("!")[-1] for line in said.splitlines() if line.count("!") > 10 and "!Up!" in line}


ROW = PrimaryLost()
