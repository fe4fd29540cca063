"""Two servers on one database: one fails, stops or stands still, the other carries on, and both may be alive
by mistake.

The worst point is a server that stands still when nothing is left to do but to write an Originate: no lease
can stop it, so the one that takes over has ended its session at Asterisk before.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from dialer.bench.engine_with_fault import FROZEN
from dialer.bench.model import Run, Say, case_of
from dialer.bench.site import TENANT, NotInTime, Site, patience
from dialer.bench.site_fleet import Fleet
from dialer.bench.site_parts import Part, until
from dialer.bench.site_runs import Settling
from dialer.db import tables as t
from dialer.errors import DatabaseUnavailable

KILLED, STOPPED, FROZEN_ANYWHERE = "owner_killed", "owner_stopped", "owner_frozen"
AGENTS = 4
CALM_S = (0.3, 2.0)
#: From the failure until the other dials.
MOVED_S = 10.0
LOST_S = 40.0
#: How long both go on after the frozen one is thawed, before anything is counted.
BOTH_S = 3.0
#: How long a call is waited for that the engine is to stand still at.
STANDS_S = 20.0


@dataclass(slots=True)
class Pair:
    """The two servers of a site, by name."""

    fleet: Fleet
    note: Path
    #: the program of each that runs, where it is not the server's own
    programs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """Where they work."""
        return self.fleet.site

    @property
    def parts(self) -> dict[str, Part]:
        """Their engines."""
        return self.fleet.servers

    @property
    def stands_still(self) -> tuple[str, ...]:
        """The program that can stand still at the exact point."""
        return ("-m", "dialer.bench.engine_with_fault", FROZEN, str(self.note))

    async def owner(self) -> str:
        """Who paces the campaign now. Raises NotInTime."""

        async def found() -> str | None:
            try:
                return await self.fleet.owner()
            except DatabaseUnavailable:
                return None

        owner: str = await until("somebody owns the campaign", found, patience(LOST_S))
        return owner

    async def start(self, name: str, argv: Sequence[str] = ()) -> None:
        """Start a server's engine, or a program in its place."""
        self.programs[name] = tuple(argv)
        await self.parts[name].start(argv)

    async def until_owner(self, name: str, within_s: float) -> None:
        """Wait until this one paces the campaign. Raises NotInTime."""

        async def has_it() -> bool:
            return await self.owner() == name

        await until(f"the campaign is {name}'s", has_it, within_s)


@dataclass(frozen=True, slots=True)
class Standby:
    """The row."""

    name: str = "standby"
    title: str = (
        "two servers on one database: the owner killed, stopped, frozen anywhere and exactly before it "
        "writes an Originate, and thawed when the other has taken over"
    )
    must_hold: str = "nothing dialled twice, every attempt ends, the campaign moves in 10 s, both live on"
    cases: tuple[str, ...] = (KILLED, FROZEN_ANYWHERE, FROZEN, STOPPED)
    long_runs: int = 200
    short_runs: int = 2
    limit_s: float = MOVED_S

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """One failure of the owner a seed, in one living centre with two engines."""
        async with (
            Site.open(agents=AGENTS, seed=seeds[0], say=say) as site,
            Fleet.open(site, more_servers=("second",)) as fleet,
        ):
            pair = Pair(fleet, site.folder / "attempt")
            if FROZEN in {case_of(self.cases, seed) for seed in seeds}:
                # While it owns nothing: no campaign has to be moved for it later.
                await fleet.servers["second"].stop()
                await pair.start("second", pair.stands_still)
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))

            async def fault(seed: int) -> Run:
                case = case_of(self.cases, seed)
                say(f"seed {seed}: {case}")
                return await _fail(pair, seed, case)

            async for run in Settling(site).each(seeds, fault):
                yield run


async def _fail(pair: Pair, seed: int, case: str) -> Run:
    """Have the owner fail, wait until the other dials, and bring the owner back as the one that stands by."""
    rng, loop, site = random.Random(f"{seed} standby"), asyncio.get_running_loop(), pair.site  # noqa: S311
    run = Run("standby", seed, case)
    owner = await pair.owner()
    other = next(name for name in pair.parts if name != owner)
    if case == FROZEN:
        await _replace_owner(pair, owner, other)
    await asyncio.sleep(rng.uniform(*CALM_S))
    part = pair.parts[owner]
    await _strike(pair, part, case)
    failed_s, broken = loop.time(), []
    try:
        await pair.until_owner(other, patience(LOST_S))
        await site.until_dialling(patience(LOST_S))
    except NotInTime as error:
        broken.append(str(error))
    moved_s = loop.time() - failed_s
    if moved_s > patience(MOVED_S):
        broken.append(f"the other dialled after {moved_s:.1f} s; {patience(MOVED_S):.1f} s are allowed")
    if case in (KILLED, STOPPED):
        await pair.start(owner, pair.programs.get(owner, ()))
    else:
        part.thaw()
    # Both live now, and the one that was frozen does not know yet that it has lost everything.
    await asyncio.sleep(BOTH_S)
    if case == FROZEN and (late := await _dialled_late(pair)):
        broken.append(late)
    if part.pid is None:
        # A program that stands still writes its Originate when it is thawed, and is no worse for it.
        broken.append(f"{owner} has fallen: {part.last_words(2)}")
        await pair.start(owner, pair.programs.get(owner, ()))
    try:
        await site.until_working(patience(LOST_S))
        if await pair.owner() != other:
            broken.append(f"{owner} has taken the campaign back")
    except NotInTime as error:
        broken.append(str(error))
    figures = {"load_max": os.getloadavg()[0]}
    return replace(run, recover_s=moved_s, figures=figures, broken="; ".join(broken))


async def _strike(pair: Pair, part: Part, case: str) -> None:
    """Have it fail as the case says; returns when it has."""
    match case:
        case "owner_killed":
            await part.kill()
        case "owner_stopped":
            await part.stop()
        case "owner_frozen":
            part.freeze()
        case _:
            pair.note.unlink(missing_ok=True)
            part.signal(signal.SIGUSR1)
            await until("the owner stands still", lambda: _written(pair.note), patience(STANDS_S))


async def _replace_owner(pair: Pair, owner: str, other: str) -> None:
    """Have the owner be the program that can stand still at the exact point: it is stopped, the other takes
    over, and gives the campaign back by stopping in its turn."""
    if pair.programs.get(owner):
        return
    await pair.parts[owner].stop()
    await pair.until_owner(other, patience(LOST_S))
    await pair.start(owner, pair.stands_still)
    await pair.parts[other].stop()
    await pair.until_owner(owner, patience(LOST_S))
    await pair.start(other)
    await pair.site.until_working(patience(LOST_S))


async def _dialled_late(pair: Pair) -> str:
    """Whether the call that the frozen one wrote when it was thawed has reached the carrier: in words, or
    nothing."""
    attempt_id = UUID(await asyncio.to_thread(pair.note.read_text, encoding="ascii"))
    async with pair.site.database.tenant(TENANT) as conn:
        number: str = (
            await conn.execute(select(t.attempt.c.e164).where(t.attempt.c.id == attempt_id))
        ).scalar_one()
    dialled = len(pair.site.carrier.invites().get(number, ()))
    return f"attempt {attempt_id} was dialled by the server that had lost it" if dialled else ""


async def _written(note: Path) -> bool:
    return await asyncio.to_thread(note.exists)


ROW = Standby()
