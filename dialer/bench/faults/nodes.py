"""Several Asterisk servers under several servers: one is lost, drained, or goes with the server beside it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import func, select

from dialer.bench.model import Run, Say, case_of
from dialer.bench.site import TENANT, Mark, NotInTime, Site, patience
from dialer.bench.site_after import not_free
from dialer.bench.site_fleet import MAIN, MOVE_S, Fleet, power_off
from dialer.bench.site_parts import until
from dialer.bench.site_runs import Settling
from dialer.db import tables as t

LOST, DRAINED, SERVER_TOO = "node_killed", "node_drained", "node_and_server_killed"
AGENTS = 4
CALM_S = (0.3, 2.0)
#: Until the others dial on (a server that went with the node is given up after 5 s), and until the agents of
#: the lost node work at another: it is given up after 15 s, and a phone is called again after 2.
DIAL_S, BACK_S = 10.0, 40.0
LOST_S = 60.0


@dataclass(frozen=True, slots=True)
class NodesRow:
    """The row."""

    name: str = "nodes"
    title: str = (
        "three Asterisk servers and three servers: a node lost, drained, lost with the server beside it"
    )
    must_hold: str = (
        "its calls end, the others dial on within 10 s, its agents work at another node within 40 s; nothing "
        "dialled twice"
    )
    cases: tuple[str, ...] = (LOST, DRAINED, SERVER_TOO)
    long_runs: int = 60
    #: Not part of the short form: its setup alone takes most of a minute. tests/cluster runs it.
    short_runs: int = 0
    limit_s: float = BACK_S

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One fault a seed in one living centre."""
        async with (
            Site.open(agents=AGENTS, seed=seeds[0], say=say) as site,
            Fleet.open(site, nodes=("second", "third"), more_servers=("beta", "gamma")) as fleet,
        ):
            say("three Asterisk servers, three servers")
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))

            async def fault(seed: int) -> Run:
                case = case_of(self.cases, seed)
                say(f"seed {seed}: {case}")
                return await break_node(fleet, seed, case, self.name)

            async for run in Settling(site).each(seeds, fault):
                yield run


async def break_node(fleet: Fleet, seed: int, case: str, name: str) -> Run:
    """Lose or drain the node with the most agents' phones, and bring it back."""
    rng, loop, site = random.Random(f"{seed} nodes"), asyncio.get_running_loop(), fleet.site  # noqa: S311
    await asyncio.sleep(rng.uniform(*CALM_S))
    at = await fleet.phones_at()
    victim = max(at, key=lambda node: at[node])
    began = loop.time()
    broken: list[str] = []
    try:
        if case == DRAINED:
            await _drain(fleet, victim, broken)
        else:
            alone = sum(at.values()) == at[victim]
            await _lose(fleet, victim, broken, with_server=case == SERVER_TOO, alone=alone)
    except NotInTime as error:
        broken.append(str(error))
    recover_s = loop.time() - began
    if case != DRAINED:
        await fleet.nodes[victim].start()
    await fleet.set_draining(victim, draining=False)
    await fleet.start_servers()
    again = site.mark()
    try:
        await fleet.until_ready(list(fleet.nodes), patience(LOST_S))
        await site.until_working(patience(LOST_S))
    except NotInTime as error:
        broken.append(str(error))
    if held := await not_free(site, again):
        broken.append(held)
    figures = {"load_max": os.getloadavg()[0], "agents_there": float(at[victim])}
    return replace(Run(name, seed, case), recover_s=recover_s, figures=figures, broken="; ".join(broken))


async def _lose(fleet: Fleet, victim: str, broken: list[str], *, with_server: bool, alone: bool) -> None:
    """The node's power goes, and that of the server beside it: others dial on, its agents work elsewhere.

    `alone`: it had all agents, so that nobody can dial before they are elsewhere.
    """
    site, loop = fleet.site, asyncio.get_running_loop()
    began = loop.time()
    power_off(fleet.nodes[victim])
    if with_server:
        beside = {MAIN: site.settings.server_name, "second": "beta", "third": "gamma"}[victim]
        await fleet.servers[beside].kill()
    if not alone:
        await site.until_dialling(patience(DIAL_S))

    async def elsewhere() -> bool:
        return not (await fleet.phones_at())[victim]

    await until(f"nobody is said to work at the lost node {victim}", elsewhere, patience(BACK_S))
    await site.until_working(patience(BACK_S))
    took_s = loop.time() - began
    if took_s > patience(BACK_S):
        broken.append(f"agents worked at another node after {took_s:.1f} s")


async def _drain(fleet: Fleet, victim: str, broken: list[str]) -> None:
    """No new calls there; its agents move when they have no call; then it is empty."""
    site = fleet.site
    talks = await _talks_at(site, victim)
    await fleet.set_draining(victim, draining=True)
    await fleet.until_empty(victim, patience(MOVE_S))
    if cut := await _cut_of(site, talks):
        broken.append(f"{len(cut)} of {len(talks)} talks at the drained node were cut: {cut[0]}")
    empty = site.mark()
    await site.until_agents_back(patience(BACK_S))
    await site.until_dialling(patience(DIAL_S))
    if more := await _dialled_at(site, victim, empty):
        broken.append(f"{more} calls were made at the node {victim} that was drained")


async def _talks_at(site: Site, node: str) -> list[UUID]:
    """The talks that go on at the node."""
    a = t.attempt.c
    query = select(a.id).where(a.node == node, a.state == "connected", a.hung_up_at.is_(None))
    async with site.database.tenant(TENANT) as conn:
        return list(await conn.scalars(query.where(a.ended_at.is_(None))))


async def _cut_of(site: Site, talks: Sequence[UUID]) -> list[str]:
    """Those of the talks, in words, that were ended by neither of the two who talked."""
    a = t.attempt.c
    query = select(a.id, a.hung_up_by, a.detail, a.cause).where(a.id.in_(talks))
    async with site.database.tenant(TENANT) as conn:
        ended = list(await conn.execute(query))
    return [
        f"{row.id} by {row.hung_up_by} {row.detail or ''} cause {row.cause}"
        for row in ended
        if row.hung_up_by not in ("agent", "customer")
    ]


async def _dialled_at(site: Site, node: str, since: Mark) -> int:
    a = t.attempt.c
    async with site.database.tenant(TENANT) as conn:
        many = await conn.scalar(select(func.count()).where(a.node == node, a.created_at >= since.at))
    return many or 0


ROW = NodesRow()
