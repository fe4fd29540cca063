"""PostgreSQL is killed, restarted, frozen, cut off or full while calls are made and people save things."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import asyncpg

from dialer import telemetry
from dialer.bench.engine_with_fault import NOTED
from dialer.bench.faults.database_witness import Told, Witnesses
from dialer.bench.model import Row, Run, Say, case_of, from_line, to_line
from dialer.bench.site import Site, patience
from dialer.bench.site_mend import until_working
from dialer.bench.site_parts import stopped
from dialer.bench.site_reaper import folder_of_its_own
from dialer.bench.site_runs import Settling
from dialer.db.embedded import EmbeddedPostgres
from dialer.errors import DatabaseUnavailable, DozvonError, ProcessFell

RESTARTED, KILLED, FROZEN, CUT, FULL = "restarted", "killed", "frozen_20s", "connections_cut", "disk_full"
AGENTS = 4
CALM_S = (0.2, 1.5)
#: How long it is away between its end and its start, seconds.
DOWN_S = (0.5, 4.0)
FROZEN_S, FROZEN_SHORT_S = 20.0, 6.0
#: How long its disk is full, and what is left on it, bytes.
FULL_S, LEFT = (8.0, 14.0), (0, 20_000)
#: All of its disk: a new cluster, its log for going back, the programs where they are copied, and some room.
DISK = 256 * 1024 * 1024
#: No answer may take longer than this while it is away, seconds: three of silence, and a look.
ANSWER_S = 8.0
#: From here on something must have been said of it on pages, seconds.
NOTICED_S = 6.0
#: A call that its commit has held up for longer is not dialled any more: the server's rule, and what the look
#: at a clock may take.
SEND_WITHIN_S, LOOK_TAKES_S = 1.0, 0.1
LOST_S = 60.0


@dataclass(frozen=True, slots=True)
class DatabaseFalls:
    """The row."""

    name: str = "database"
    title: str = "PostgreSQL restarted, killed, frozen for 20 s, its connections cut, its disk full"
    must_hold: str = (
        "no acknowledged write lost; no call without its attempt's row; pages and API say in time what is "
        "away; recovery by itself"
    )
    cases: tuple[str, ...] = (FULL, KILLED, FROZEN, CUT, RESTARTED)
    long_runs: int = 50
    short_runs: int = 2
    frozen_s: float = FROZEN_S

    def sized(self, *, short: bool, minutes: float | None) -> Row:
        """The short form freezes it for a shorter time."""
        return replace(self, frozen_s=FROZEN_SHORT_S) if short else self

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """Each fault in one living centre; a full disk in another, whose PostgreSQL has a small disk."""
        full = [seed for seed in seeds if case_of(self.cases, seed) == FULL]
        others = [seed for seed in seeds if seed not in full]
        if others:
            async with Site.open(agents=AGENTS, seed=others[0], say=say) as site:
                await _noted(site)
                async for run in self._in(site, others):
                    yield run
        if full:
            async for run in _on_a_small_disk(full, say):
                yield run

    async def _in(self, site: Site, seeds: Sequence[int]) -> AsyncIterator[Run]:
        await site.keep_dialling()
        await site.until_working(patience(LOST_S))
        people = Witnesses(site)
        await people.begin()
        async for run in Settling(site).each(
            seeds, lambda seed: self._one(site, people, seed, case_of(self.cases, seed))
        ):
            yield run

    async def _one(self, site: Site, people: Witnesses, seed: int, case: str) -> Run:
        rng, loop = random.Random(f"{seed} database"), asyncio.get_running_loop()  # noqa: S311
        noted = len(_notes(site))
        async with people.at_work() as told:
            await asyncio.sleep(rng.uniform(*CALM_S))
            began = loop.time()
            await self._fault(case)(site, rng)
            ended = loop.time()
            away_s = ended - began
            wrong = await until_working(site, patience(LOST_S))
            recover_s = loop.time() - ended
        broken = [wrong] if wrong else []
        try:
            broken += [f"lost: {what}" for what in await people.lost()]
        except DatabaseUnavailable as error:
            broken.append(f"it did not come back: {error}")
        sent = _notes(site)[noted:]
        late = sent_late(sent)
        if late:
            broken.append(f"{len(late)} calls were sent too late after their commit: {', '.join(late[:3])}")
        if not sent:
            broken.append("nothing is known of when calls were sent")
        broken += told.unclear[:3]
        if told.slowest_s > patience(ANSWER_S):
            broken.append(f"an answer took {told.slowest_s:.1f} s")
        if said := unsaid(told, case, away_s):
            broken.append(said)
        figures = {
            "away_s": away_s,
            "slowest_answer_s": told.slowest_s,
            "told_away": float(told.away),
            "sent": float(len(sent)),
            "sent_late": float(len(late)),
            "clear": float(told.clear),
            "writes": float(len(told.lists)),
            "refused": float(told.statuses.get(503, 0)),
            "load_max": os.getloadavg()[0],
        }
        run = Run("database", seed, case)
        return replace(run, recover_s=recover_s, figures=figures, broken="; ".join(broken))

    def _fault(self, case: str) -> Callable[[Site, random.Random], Awaitable[None]]:
        faults: Mapping[str, Callable[[Site, random.Random], Awaitable[None]]] = MappingProxyType(
            {RESTARTED: _restart, KILLED: _kill, FROZEN: self._freeze, CUT: _cut, FULL: _fill}
        )
        return faults[case]

    async def _freeze(self, site: Site, _rng: random.Random) -> None:
        with stopped(site.postgres.pids):
            await asyncio.sleep(self.frozen_s)


async def _noted(site: Site) -> None:
    """Have the engine note of each call how long after its commit it is sent."""
    await site.engine.stop()
    await site.engine.start(("-m", "dialer.bench.engine_with_fault", NOTED, str(site.folder / "sent")))


def _notes(site: Site) -> list[str]:
    notes = site.folder / "sent"
    return notes.read_text(encoding="ascii").splitlines() if notes.exists() else []


def sent_late(notes: Sequence[str]) -> list[str]:
    """The notes (`attempt seconds`) of calls that were sent later after their commit than may be."""
    return [note for note in notes if float(note.split()[1]) > SEND_WITHIN_S + LOOK_TAKES_S]


def unsaid(told: Told, case: str, away_s: float) -> str:
    """Whether somebody was refused and nobody was told what is away, in words, or nothing.

    Connections that are cut are made anew at once, and a full disk can be read: pages need not notice those.
    """
    if not told.statuses.get(503):
        return ""
    if not told.away + told.clear:
        return "nobody was told clearly what is away"
    if case not in (CUT, FULL) and away_s > NOTICED_S and not told.away:
        return "no page said that the database was away"
    return ""


# -- the faults ----------------------------------------------------------------------------------------------


async def _restart(site: Site, rng: random.Random) -> None:
    await site.postgres.stop()
    await asyncio.sleep(rng.uniform(*DOWN_S))
    await site.postgres.start()


async def _kill(site: Site, rng: random.Random) -> None:
    pid = site.postgres.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await site.postgres.gone()
    await asyncio.sleep(rng.uniform(*DOWN_S))
    await site.postgres.start()


async def _cut(site: Site, rng: random.Random) -> None:
    """End all connections, some times at random moments."""
    admin = await asyncpg.connect(site.postgres.url())
    try:
        for _ in range(rng.randint(3, 6)):
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await asyncio.sleep(rng.uniform(0.0, 1.5))
    finally:
        await admin.close()


async def _fill(site: Site, rng: random.Random) -> None:
    """Fill its disk but for a little, for a while; every second time its log for going back needs room at
    once, for want of which PostgreSQL ends. Then there is room again, and nobody does anything else."""
    ballast = site.folder / "postgres" / "ballast"
    try:
        with ballast.open("wb") as file:
            disk = os.statvfs(ballast)
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - rng.randint(*LEFT))
            if rng.random() < 0.5:
                with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await _switch_log(site.postgres)
            await asyncio.sleep(rng.uniform(*FULL_S))
    finally:
        ballast.unlink()


async def _switch_log(postgres: EmbeddedPostgres) -> None:
    admin = await asyncpg.connect(postgres.url())
    try:
        for _ in range(8):  # until none is left that was made before
            await admin.execute("CREATE TABLE IF NOT EXISTS filler (n integer)")
            await admin.execute("INSERT INTO filler VALUES (1)")
            await admin.execute("SELECT pg_switch_wal()")
    finally:
        admin.terminate()


async def _start_again(postgres: EmbeddedPostgres) -> None:
    """What `dozvon serve` does with its PostgreSQL, which a site has nobody for."""
    while True:
        await postgres.gone()
        try:
            await postgres.start()
        except DozvonError:
            await asyncio.sleep(0.5)  # nothing tells when there is room


# -- a disk of its own ---------------------------------------------------------------------------------------


async def _on_a_small_disk(seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
    """The runs of a process that has a small disk where PostgreSQL keeps its files; see `small_disk`."""
    with folder_of_its_own() as folder:
        base = folder / "postgres"
        base.mkdir(mode=0o711)
        say("a contact centre whose PostgreSQL has a small disk")
        words = [sys.executable, "-m", __name__, str(folder), *map(str, seeds)]
        argv = [sys.executable, "-m", "dialer.bench.small_disk", str(base), str(DISK), *words]
        process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE)
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                yield from_line(json.loads(line))
            if code := await process.wait():
                raise ProcessFell(name="small_disk", code=code)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _alone(folder: Path, seeds: Sequence[int]) -> None:
    """That process: its runs as lines on stdout."""
    telemetry.configure("error", "console", "bench", sys.stderr)
    row = DatabaseFalls()
    async with Site.open(folder, agents=AGENTS, seed=seeds[0]) as site:
        await _noted(site)
        watching = asyncio.create_task(_start_again(site.postgres))
        try:
            async for run in row._in(site, seeds):
                print(json.dumps(to_line(run)), flush=True)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


ROW = DatabaseFalls()

if __name__ == "__main__":
    asyncio.run(_alone(Path(sys.argv[1]), [int(seed) for seed in sys.argv[2:]]))
