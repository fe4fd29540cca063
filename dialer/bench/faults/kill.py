"""kill -9 of the server: at a random moment, and where a call could be lost or made twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from dialer.bench.engine_with_fault import AFTER, BEFORE, POINTS
from dialer.bench.model import Run, Say, case_of
from dialer.bench.site import RECOVER_S, TENANT, Mark, NotInTime, Site, busy, patience
from dialer.bench.site_after import not_free
from dialer.bench.site_runs import Settling
from dialer.db import tables as t

RANDOM, WHOLE = "random", "whole_server"
AGENTS = 5
#: Dialling goes on for so long before the next kill, seconds.
CALM_S = (0.2, 2.0)
#: A server that is not back after so long is given up, seconds.
LOST_S = 30.0


@dataclass(frozen=True, slots=True)
class Kill:
    """The row."""

    name: str = "kill"
    title: str = (
        "kill -9 of the server at random points, exactly between commit and Originate, and between Originate "
        "and its reply"
    )
    must_hold: str = (
        "nothing dialled twice; every attempt has an end 60 s after the restart; no saved disposition lost; "
        "agents back in 5 s"
    )
    cases: tuple[str, ...] = (RANDOM, BEFORE, AFTER, WHOLE)
    long_runs: int = 500
    short_runs: int = 4
    limit_s: float = RECOVER_S

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Kill once a seed in one living centre."""
        cases = [case_of(self.cases, seed) for seed in seeds]
        async with Site.open(agents=AGENTS, seed=seeds[0], say=say) as site:
            note = site.folder / "attempt"
            await site.engine.stop()
            await site.engine.start(_program(cases[0], note))
            await site.keep_dialling()
            await site.until_working(patience(LOST_S))
            following = dict(zip(seeds, [*cases[1:], RANDOM], strict=True))

            async def fault(seed: int) -> Run:
                case = case_of(self.cases, seed)
                say(f"seed {seed}: {case}")
                return await _kill(site, seed, case, _program(following[seed], note), note)

            async for run in Settling(site).each(seeds, fault):
                yield run


def _program(case: str, note: Path) -> tuple[str, ...]:
    """The engine that dies at the exact point of this case; none: the server's own."""
    return ("-m", "dialer.bench.engine_with_fault", case, str(note)) if case in POINTS else ()


async def _kill(site: Site, seed: int, case: str, following: Sequence[str], note: Path) -> Run:
    """Kill, start again at once as the server's watcher does, and wait until all goes on.

    `following` is the engine's program of the next run.
    """
    rng = random.Random(f"{seed} kill")  # noqa: S311
    await asyncio.sleep(rng.uniform(*CALM_S))
    run, loop = Run("kill", seed, case), asyncio.get_running_loop()
    last: str | None = None
    if case in POINTS:
        site.engine.signal(signal.SIGUSR1)
        await site.engine.gone(patience(LOST_S))
        last = await asyncio.to_thread(note.read_text, encoding="ascii")
    elif case == WHOLE:
        await site.kill_server()
    else:
        await site.engine.kill()
    began, killed = loop.time(), site.mark()
    await (site.start_server(following) if case == WHOLE else site.engine.start(following))
    try:
        await site.until_working(patience(LOST_S))
    except NotInTime as error:
        run = replace(run, broken=str(error))
        await site.engine.stop()
        await site.engine.start(following)
        await site.until_working(patience(LOST_S))
    took_s, allowed_s = loop.time() - began, RECOVER_S * busy()
    broken = run.broken
    if not broken and took_s > allowed_s:
        broken = f"agents were back after {took_s:.1f} s; {allowed_s:.1f} s are allowed"
    if not broken:
        broken = await not_free(site, killed)
    if not broken and last is not None:
        broken = await _point_missed(site, case, UUID(last), killed)
    figures = {"load_max": os.getloadavg()[0]}
    return replace(run, recover_s=took_s, broken=broken, figures=figures)


async def _point_missed(site: Site, case: str, attempt_id: UUID, killed: Mark) -> str:
    """Whether the engine did not die where it was to: what is wrong, or nothing."""
    async with site.database.tenant(TENANT) as conn:
        row = (await conn.execute(select(t.attempt).where(t.attempt.c.id == attempt_id))).one_or_none()
    if row is None:
        return f"attempt {attempt_id} was to be sent and has no row"
    dialled = len(site.carrier.invites().get(row.e164, ()))
    if dialled != (1 if case == AFTER else 0):
        return f"attempt {attempt_id}: {dialled} INVITEs after a death {case}"
    if row.created_at > killed.at:
        return f"attempt {attempt_id} was made after the death"
    return ""


ROW = Kill()
