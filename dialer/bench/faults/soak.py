"""One campaign for hours: whatever grows with time, and not with work, is a leak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import func, select, text

from dialer.bench.model import Row, Run, Say
from dialer.bench.site import TENANT, Mark, Site, busy, patience
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
#: What may be open at the end beyond what was open early in the run: a connection of a pool, its socket.
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
            at_rest = await site.channels()
            await site.keep_dialling()
            await site.until_dialling(patience(LOST_S))
            watch = Watch(site)
            since = site.mark()
            await watch.through(self.lasts_s, say)
            await site.pause_dialling()
            await site.until_ended(since, patience(LOST_S))
            rest = await watch.sample()
            return await _judged(site, seed, since, watch.samples, rest, at_rest, self.lasts_s)


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
    """How much more the last half of a run holds than its first quarter after the warm-up, as a share.

    `values` are (seconds since the begin, what is held).
    """
    warm_s = WARM_UP * lasts_s
    early = [value for at, value in values if warm_s <= at < warm_s + (lasts_s - warm_s) / 4]
    late = [value for at, value in values if at >= lasts_s / 2]
    if not early or not late:
        return 0.0
    before = sum(early) / len(early)
    return sum(late) / len(late) / before - 1


def leaks(samples: Sequence[Sample], rest: Sample, at_rest: int) -> list[str]:
    """What is held after all calls have ended that should not be; `at_rest` are the channels before them."""
    early = samples[: max(1, len(samples) // 4)]
    found = []
    if rest.channels != at_rest:
        found.append(f"{rest.channels} channels after the last call, {at_rest} before the first")
    for name, what in (
        ("tasks", "tasks of the engine"),
        ("connections", "connections to the database"),
        ("engine_files", "files of the engine"),
        ("web_files", "files of web"),
    ):
        had, has = max(getattr(sample, name) for sample in early), getattr(rest, name)
        if has > had + SPARE:
            found.append(f"{has} {what} at rest, {had} at work early in the run")
    return found


async def _judged(
    site: Site,
    seed: int,
    since: Mark,
    samples: Sequence[Sample],
    rest: Sample,
    at_rest: int,
    lasts_s: float,
) -> Run:
    tally = await site.tally(since)
    engine = drift([(sample.at_s, sample.engine_bytes) for sample in samples], lasts_s)
    web = drift([(sample.at_s, sample.web_bytes) for sample in samples], lasts_s)
    broken = leaks(samples, rest, at_rest)
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
        held = await conn.scalar(select(func.count()).select_from(t.active_number))
    if held:
        broken.append(f"{held} numbers are still held")
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
        },
        broken="; ".join(broken),
    )


ROW = Soak()
