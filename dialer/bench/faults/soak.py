"""One campaign for hours: whatever grows with time, and not with work, is a leak."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select, text

from dialer.bench.model import Row, Run, Say
from dialer.bench.site import TENANT, Mark, Site, busy, patience
from dialer.bench.site_after import not_free
from dialer.bench.site_parts import until
from dialer.db import tables as t
from dialer.errors import DatabaseUnavailable

#: So many agents with talks so short make a little more than five calls a second.
AGENTS, TALK_S, WRAP_UP_S, RING_S = 12, 1.4, 0.2, 0.3
#: Fewer calls a second, on a machine at rest, are not what the row is about.
RATE = 5.0
LONG_S, SHORT_S = 7200.0, 12.0
#: Memory is judged of runs that last so long: before, caches fill.
JUDGED_S = 600.0
DRIFT = 0.05
#: The share of a run in which caches fill.
WARM_UP = 0.1
SAMPLES = 240
#: What may be open at rest at the end beyond what was open at rest before the first call, and beyond what the
#: pools of connections have filled up to meanwhile.
SPARE = 3
LOST_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held at one point in time."""

    #: seconds since the dialling began
    at_s: float
    engine_bytes: int
    web_bytes: int
    engine_files: int
    web_files: int
    #: of the engine's event loop
    tasks: int
    #: of the site's Asterisk
    channels: int
    #: to the database, by whomever
    connections: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a run has held: at work, and at rest before its first call and after its last."""

    samples: Sequence[Sample]
    before: Sample
    after: Sample


@dataclass(frozen=True, slots=True)
class Soak:
    """The row."""

    name: str = "soak"
    title: str = "one campaign for 2 h at 5 calls a second"
    must_hold: str = "memory drifts less than 5 %; no channel, task, connection or file is leaked"
    cases: tuple[str, ...] = ()
    long_runs: int = 1
    short_runs: int = 1
    lasts_s: float = LONG_S

    def sized(self, *, short: bool, minutes: float | None) -> Row:
        """With a run of so many minutes, or the short one."""
        return replace(self, lasts_s=minutes * 60 if minutes is not None else SHORT_S if short else LONG_S)

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """A centre of its own for each seed: a leak must not be found in the next."""
        for seed in seeds:
            yield await self._run(seed, say)

    async def _run(self, seed: int, say: Say) -> Run:
        async with Site.open(
            agents=AGENTS,
            seed=seed,
            talk_s=TALK_S,
            wrap_up_s=WRAP_UP_S,
            ring_s=RING_S,
            phones="carrier",
            say=say,
        ) as site:
            before = await Watch(site).at_rest()
            since = site.mark()
            await site.keep_dialling()
            await site.until_dialling(patience(LOST_S))
            watch = Watch(site)
            await watch.through(self.lasts_s, say)
            await site.pause_dialling()
            await site.until_ended(since, patience(LOST_S))
            held = await not_free(site, site.mark())
            after = await watch.at_rest()
            say(f"at rest: {_told(before)} before the first call, {_told(after)} after the last")
            return await _judged(site, seed, since, Held(watch.samples, before, after), self.lasts_s, held)


@dataclass(slots=True)
class Watch:
    """Takes samples."""

    site: Site
    samples: list[Sample] = field(default_factory=list)
    _began: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    async def through(self, seconds: float, say: Say) -> None:
        """So many seconds; samples stand in `samples`."""
        loop = asyncio.get_running_loop()
        every_s = max(1.0, seconds / SAMPLES)
        while (left := self._began + seconds - loop.time()) > 0:
            await asyncio.sleep(min(left, every_s))
            self.samples.append(now := await self.sample())
            memory = f"engine {now.engine_bytes / 1e6:.1f} MB, web {now.web_bytes / 1e6:.1f} MB"
            say(f"{now.at_s:.0f} of {seconds:.0f} s: {memory}, {now.tasks} tasks, {now.channels} channels")

    async def at_rest(self) -> Sample:
        """What is held now that nothing is done: the engine tells it of itself now and then, so the next time
        is waited for. Raises NotInTime, and what `sample` does."""
        asked = self.site.mark()

        async def told() -> bool:
            query = select(t.process_status.c.seen_at).where(t.process_status.c.name == "engine")
            async with self.site.database.tenant(TENANT) as conn:
                seen = await conn.scalar(query)
            return seen is not None and seen > asked.at

        await until("the engine tells of itself", told, patience(LOST_S))
        return await self.sample()

    async def sample(self) -> Sample:
        """What is held now. Raises DatabaseUnavailable, AsteriskUnavailable, FileNotFoundError."""
        site = self.site
        async with site.database.tenant(TENANT) as conn:
            status: Any = await conn.scalar(
                select(t.process_status.c.status).where(t.process_status.c.name == "engine")
            )
            connections = await conn.scalar(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")
            )
        if status is None:
            raise DatabaseUnavailable(reason="the engine has said nothing of itself")
        return Sample(
            at_s=asyncio.get_running_loop().time() - self._began,
            engine_bytes=site.engine.rss_bytes(),
            web_bytes=site.web.rss_bytes(),
            engine_files=site.engine.files(),
            web_files=site.web.files(),
            tasks=int(status["tasks"]),
            channels=await site.channels(),
            connections=connections or 0,
        )


def drift(values: Sequence[tuple[float, float]], lasts_s: float) -> float:
    """How much more a run holds at its end than after its warm-up, as a share of the latter, by the straight
    line that fits all samples between best (least squares).

    `values` are (seconds since the begin, what is held).
    """
    warm_s = WARM_UP * lasts_s
    judged = [(at, value) for at, value in values if at >= warm_s]
    if len(judged) < 2:
        return 0.0
    slope, base = statistics.linear_regression(*zip(*judged, strict=True))
    return slope * (lasts_s - warm_s) / (base + slope * warm_s)


def leaks(before: Sample, after: Sample, pool: int) -> list[str]:
    """What is held at rest after all calls that was not at rest before them.

    `pool` is how many connections each of both processes may keep: those that work has opened stay open.
    """
    found = []
    if after.channels != before.channels:
        found.append(f"{after.channels} channels after the last call, {before.channels} before the first")
    for name, what, more in (
        ("tasks", "tasks of the engine", SPARE),
        ("connections", "connections to the database", SPARE + 2 * pool),
        ("engine_files", "files of the engine", SPARE + pool),
        ("web_files", "files of web", SPARE + pool),
    ):
        had, has = getattr(before, name), getattr(after, name)
        if has > had + more:
            found.append(f"{has} {what} at rest after the last call, {had} before the first")
    return found


def _told(held: Sample) -> str:
    return (
        f"{held.channels} channels, {held.tasks} tasks, {held.connections} connections, "
        f"{held.engine_files} and {held.web_files} files"
    )


async def _judged(
    site: Site,
    seed: int,
    since: Mark,
    seen: Held,
    lasts_s: float,
    held: str,
) -> Run:
    samples = seen.samples
    tally = await site.tally(since)
    engine = drift([(sample.at_s, sample.engine_bytes) for sample in samples], lasts_s)
    web = drift([(sample.at_s, sample.web_bytes) for sample in samples], lasts_s)
    broken = leaks(seen.before, seen.after, site.settings.database_pool)
    if held:
        broken.append(held)
    if lasts_s >= JUDGED_S:
        broken += [
            f"the memory of {name} has grown by {100 * share:.1f} %"
            for name, share in (("engine", engine), ("web", web))
            if share >= DRIFT
        ]
        if tally.calls / lasts_s < RATE / busy():
            broken.append(f"{tally.calls / lasts_s:.2f} calls a second; {RATE / busy():.2f} are wanted")
    if tally.without_row:
        broken.append(f"{tally.without_row} numbers were dialled without an attempt")
    async with site.database.tenant(TENANT) as conn:
        numbers = await conn.scalar(select(func.count()).select_from(t.active_number))
    if numbers:
        broken.append(f"{numbers} numbers are still held")
    return Run(
        "soak",
        seed,
        calls=tally.calls,
        double_dials=tally.double_dials,
        unfinished_attempts=tally.unfinished_attempts,
        lost_dispositions=tally.lost_dispositions,
        unknown=tally.unknown,
        figures={
            "lasted_s": lasts_s,
            "calls_per_s": tally.calls / lasts_s,
            "dispositions": tally.dispositions,
            "drift_engine_share": engine,
            "drift_web_share": web,
            "engine_mb_max": max(sample.engine_bytes for sample in samples) / 1e6,
            "web_mb_max": max(sample.web_bytes for sample in samples) / 1e6,
            "channels_max": max(sample.channels for sample in samples),
            "tasks_max": max(sample.tasks for sample in samples),
            "connections_max": max(sample.connections for sample in samples),
            "tasks_at_rest_max": seen.after.tasks,
            "connections_at_rest_max": seen.after.connections,
        },
        broken="; ".join(broken),
    )


ROW = Soak()
