"""Three Asterisk servers, three servers, PostgreSQL on three machines under Patroni: any of them is lost."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from dialer import settings
from dialer.bench.cluster.patroni import PatroniCluster
from dialer.bench.faults.nodes import AGENTS, CALM_S, DRAINED, LOST, LOST_S, SERVER_TOO, break_node
from dialer.bench.model import OVER_LIMIT, Run, Say, case_of
from dialer.bench.site import NotInTime, Site, patience
from dialer.bench.site_after import not_free
from dialer.bench.site_fleet import Fleet
from dialer.bench.site_runs import Settling

PRIMARY, SERVER = "primary_killed", "server_killed"
#: From the loss of PostgreSQL's primary, and of a server, until dialling is back.
RESUME_S, MOVED_S = 40.0, 10.0


@dataclass(frozen=True, slots=True)
class Together:
    """The row."""

    name: str = "together"
    title: str = (
        "three Asterisk servers, three servers and three machines of PostgreSQL (Patroni, synchronous): a "
        "node, a server, both, or the primary lost; a node drained"
    )
    must_hold: str = (
        "nothing dialled twice, every attempt ends, no disposition lost; all back 10 s after the loss of a "
        "server, 40 s after that of the primary or a node; the other nodes dial on within 10 s"
    )
    cases: tuple[str, ...] = (PRIMARY, SERVER, LOST, SERVER_TOO, DRAINED)
    long_runs: int = 50
    #: Not part of the short form: its setup alone takes a minute. tests/cluster runs it.
    short_runs: int = 0

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One loss a seed in one living centre."""
        async with AsyncExitStack() as stack:
            say("starting three machines with PostgreSQL, Patroni and etcd, and HAProxy")
            cluster = await stack.enter_async_context(PatroniCluster.open(settings.load().packages_dir, say))
            site = await stack.enter_async_context(
                Site.open(agents=AGENTS, seed=seeds[0], urls=cluster.urls, say=say)
            )
            fleet = await stack.enter_async_context(
                Fleet.open(site, nodes=("second", "third"), more_servers=("beta", "gamma"))
            )
            say("three of each")
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))

            async def fault(seed: int) -> Run:
                case = case_of(self.cases, seed)
                say(f"seed {seed}: {case}")
                return await self._lose(cluster, fleet, seed, case)

            async for run in Settling(site).each(seeds, fault):
                yield run

    async def _lose(self, cluster: PatroniCluster, fleet: Fleet, seed: int, case: str) -> Run:
        if case not in (PRIMARY, SERVER):
            return await break_node(fleet, seed, case, self.name)
        rng, loop, site = random.Random(f"{seed} together"), asyncio.get_running_loop(), fleet.site  # noqa: S311
        await asyncio.sleep(rng.uniform(*CALM_S))
        began, broken = loop.time(), list[str]()
        primary = next(one.name for one in (await cluster.members()).values() if one.role == "leader")
        owner = await fleet.owner()
        if case == PRIMARY:
            await cluster.kill(primary)
        else:
            assert owner is not None, "a campaign that is dialled has an owner"
            await fleet.servers[owner].kill()
        at_rest_s = RESUME_S if case == PRIMARY else MOVED_S
        allowed_s = patience(at_rest_s)
        try:
            await site.until_dialling(patience(LOST_S))
            await site.until_agents_back(patience(LOST_S))
        except NotInTime as error:
            broken.append(str(error))
        recover_s = loop.time() - began
        if recover_s > allowed_s:
            broken.append(f"dialling was back after {recover_s:.1f} s; {allowed_s:.1f} s are allowed")
        if case == PRIMARY:
            cluster.boot(primary)
            await cluster.until_whole(patience(LOST_S))
        await fleet.start_servers()
        again = site.mark()
        try:
            await fleet.until_ready(list(fleet.nodes), patience(LOST_S))
            await site.until_working(patience(LOST_S))
        except NotInTime as error:
            broken.append(str(error))
        if held := await not_free(site, again):
            broken.append(held)
        figures = {"load_max": os.getloadavg()[0], OVER_LIMIT: float(recover_s > at_rest_s)}
        run = Run(self.name, seed, case)
        return replace(run, recover_s=recover_s, figures=figures, broken="; ".join(broken))


ROW = Together()
