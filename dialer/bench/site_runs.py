"""Runs whose calls still go on: the next fault does not wait for them.

A run is known when every attempt of its span has an end, or when it is `UNFINISHED_AFTER_S` old.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from dialer.bench.model import UNFINISHED_AFTER_S, Run
from dialer.bench.site import Mark, Site
from dialer.bench.site_parts import LOOK_S
from dialer.bench.site_tally import Tally


@dataclass(frozen=True, slots=True)
class Due:
    """A run, and the span of the attempts that are its."""

    run: Run
    since: Mark
    to: Mark
    #: when it is known at the latest, in the time of the event loop
    deadline: float


@dataclass(slots=True)
class Settling:
    """Holds the runs of a site until they are known."""

    site: Site
    #: where the span of the next run begins
    since: Mark = field(init=False)
    _due: list[Due] = field(default_factory=list)
    _doubles: int = 0

    def __post_init__(self) -> None:
        self.since = self.site.mark()

    async def each(self, seeds: Sequence[int], fault: Callable[[int], Awaitable[Run]]) -> AsyncIterator[Run]:
        """Make a fault of each seed, the next one while calls of the last still go on; each run as soon as it
        is known. Raises DatabaseUnavailable."""
        for seed in seeds:
            self.add(await fault(seed))
            for known in await self.known():
                yield known
        async for known in self.rest():
            yield known

    def add(self, run: Run) -> None:
        """The fault of `run` is over since now; the attempts that were made since the last one's are its."""
        now, to = asyncio.get_running_loop().time(), self.site.mark()
        self._due.append(Due(run, self.since, to, now + UNFINISHED_AFTER_S))
        self.since = to

    async def known(self) -> list[Run]:
        """Those that are known by now, with what was lost. Raises DatabaseUnavailable."""
        found = []
        for due in list(self._due):
            tally = await self.site.tally(due.since, due.to)
            if not tally.open or asyncio.get_running_loop().time() > due.deadline:
                self._due.remove(due)
                found.append(await self._told(due.run, tally))
        return found

    async def rest(self) -> AsyncIterator[Run]:
        """Wait for the others. The last one also bears numbers that were dialled again after their run, or
        before the first."""
        while self._due:
            known = await self.known()
            if known and not self._due:
                known[-1] = await self._with_late(known[-1])
            for run in known:
                yield run
            await asyncio.sleep(10 * LOOK_S)  # nothing tells that the last call has ended

    async def _with_late(self, run: Run) -> Run:
        doubles = self.site.carrier.double_dials()
        late = sum(doubles.values()) - self._doubles
        if not late:
            return run
        stories = [await self.site.story(number) for number in list(doubles)[:3]]
        return replace(run, double_dials=run.double_dials + late, broken="; ".join([run.broken, *stories]))

    async def _told(self, run: Run, tally: Tally) -> Run:
        self._doubles += tally.double_dials
        broken = [run.broken] if run.broken else []
        broken += [await self.site.story(number) for number in tally.doubles[:3]]
        if tally.without_row:
            broken.append(f"{tally.without_row} numbers were dialled without an attempt")
        if tally.open:
            broken.append(f"attempts without an end: {', '.join(map(str, tally.open[:3]))}")
        return replace(
            run,
            calls=tally.calls,
            double_dials=tally.double_dials,
            unfinished_attempts=tally.unfinished_attempts,
            lost_dispositions=tally.lost_dispositions,
            unknown=tally.unknown,
            figures={**run.figures, "dispositions": tally.dispositions},
            broken="; ".join(broken),
        )
