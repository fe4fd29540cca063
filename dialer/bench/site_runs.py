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
    _first: Mark = field(init=False)
    _due: list[Due] = field(default_factory=list)
    #: what the runs that are known have told, together
    _told: Tally = field(default_factory=Tally)
    #: numbers without an attempt, of which a look tells once, that no run has told yet
    _rowless: int = 0

    def __post_init__(self) -> None:
        self.since = self._first = self.site.mark()

    async def each(self, seeds: Sequence[int], fault: Callable[[int], Awaitable[Run]]) -> AsyncIterator[Run]:
        """Make a fault of each seed, the next one while calls of the last still go on; each run as soon as it
        is known. Raises DatabaseUnavailable."""
        for seed in seeds[:-1]:
            self.add(await fault(seed))
            for known in await self.known():
                yield known
        for seed in seeds[-1:]:
            self.add(await fault(seed))
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
            self._rowless += tally.without_row
            if not tally.open or asyncio.get_running_loop().time() > due.deadline:
                self._due.remove(due)
                tally = replace(tally, without_row=self._rowless)
                self._rowless, self._told = 0, told_together(self._told, tally)
                found.append(await self._with(due.run, tally))
        return found

    async def rest(self) -> AsyncIterator[Run]:
        """Wait for the others. The last one also bears what one more look at everything finds that no run has
        told: numbers dialled again after their run or before the first, dispositions lost since, attempts of
        after the last mark."""
        while self._due:
            known = await self.known()
            if known and not self._due:
                known[-1] = await self._with_late(known[-1])
            for run in known:
                yield run
            await asyncio.sleep(10 * LOOK_S)  # nothing tells that the last call has ended

    async def _with_late(self, run: Run) -> Run:
        """The run with what was found by the last look, from the first mark over everything."""
        now = self.site.mark()
        await self.site.until_ended(self._first, UNFINISHED_AFTER_S, now)
        tally = await self.site.tally(self._first, now)
        doubles = self.site.carrier.double_dials()
        late = untold(self._told, replace(tally, double_dials=sum(doubles.values())))
        broken = [run.broken] if run.broken else []
        if late.double_dials:
            broken += [await self.site.story(number) for number in list(doubles)[:3]]
        if rowless := self._rowless + late.without_row:
            broken.append(f"{rowless} numbers were dialled without an attempt")
        if late.open:
            broken.append(f"attempts without an end at last: {', '.join(map(str, late.open[:3]))}")
        if late.lost_dispositions:
            broken.append(f"{late.lost_dispositions} dispositions are not there at last")
        return replace(
            run,
            double_dials=run.double_dials + late.double_dials,
            unfinished_attempts=run.unfinished_attempts + late.unfinished_attempts,
            lost_dispositions=run.lost_dispositions + late.lost_dispositions,
            broken="; ".join(broken),
        )

    async def _with(self, run: Run, tally: Tally) -> Run:
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


def told_together(told: Tally, tally: Tally) -> Tally:
    """What the last look is held against: what is lost in both spans."""
    return Tally(
        double_dials=told.double_dials + tally.double_dials,
        lost_dispositions=told.lost_dispositions + tally.lost_dispositions,
        open=told.open + tally.open,
    )


def untold(told: Tally, all_of_it: Tally) -> Tally:
    """What a look at everything has found beyond what its parts have told; never less than nothing.

    An attempt that was told as unfinished may have ended since: it makes up for no other.
    """
    left = tuple(one for one in all_of_it.open if one not in told.open)
    return Tally(
        double_dials=max(0, all_of_it.double_dials - told.double_dials),
        unfinished_attempts=len(left),
        lost_dispositions=max(0, all_of_it.lost_dispositions - told.lost_dispositions),
        without_row=all_of_it.without_row,
        open=left,
    )
