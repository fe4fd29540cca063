"""Runs whose calls still go on: each bears what is lost in its span, the last one what was found at last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from dialer.bench.model import Run
from dialer.bench.site import Mark
from dialer.bench.site_runs import Settling, told_together, untold
from dialer.bench.site_tally import Tally

FIRST, SECOND, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)


@dataclass
class Told:
    """In a site's place: tells what a test has it tell."""

    #: what each look finds, in turn; the last one of all is the look at everything
    looks: list[Tally]
    doubles: Mapping[str, int] = field(default_factory=dict)
    spans: list[tuple[Mark, Mark]] = field(default_factory=list)
    _marks: int = 0

    @property
    def carrier(self) -> Any:
        """Its carrier."""
        return SimpleNamespace(double_dials=lambda: dict(self.doubles))

    def mark(self) -> Mark:
        """A second later each time."""
        self._marks += 1
        return Mark(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._marks))

    async def tally(self, since: Mark, to: Mark) -> Tally:
        """The next look."""
        self.spans.append((since, to))
        return self.looks.pop(0)

    async def until_ended(self, _since: Mark, _within_s: float, _to: Mark) -> float:
        """At once."""
        return 0.0

    async def story(self, number: str) -> str:
        """The number."""
        return number


async def runs(site: Told, count: int) -> list[Run]:
    """So many runs of it."""
    it: Any = site

    async def fault(seed: int) -> Run:
        return Run("kill", seed)

    return [run async for run in Settling(it).each(range(1, count + 1), fault)]


GOOD = Tally(calls=3)


@pytest.mark.parametrize(
    ("at_last", "doubles", "losses", "words"),
    [
        (GOOD, {}, 0, ""),
        (GOOD, {"+79160000001": 1}, 1, "+79160000001"),
        (Tally(lost_dispositions=2), {}, 2, "2 dispositions are not there at last"),
        (Tally(unfinished_attempts=1, open=(FIRST,)), {}, 1, f"attempts without an end at last: {FIRST}"),
        (Tally(without_row=1), {}, 0, "1 numbers were dialled without an attempt"),
    ],
)
async def test_the_last_run_bears_what_the_look_at_everything_finds(
    at_last: Tally, doubles: Mapping[str, int], losses: int, words: str
) -> None:
    """Also where all runs are known at once: the look is always taken, from the first mark on."""
    site = Told([GOOD, GOOD, at_last], doubles)
    first, last = await runs(site, 2)
    assert (first.losses, first.broken) == (0, "")
    assert (last.losses, last.broken) == (losses, words)
    (began, first_end), (then, end), (since, until) = site.spans
    assert (since, then) == (began, first_end), "everything, not the last span"
    assert until.at > end.at


async def test_a_number_without_an_attempt_is_told_though_its_run_is_not_known_yet() -> None:
    """A look tells of it once; calls that go on make that look no run's."""
    site = Told([Tally(open=(FIRST,), unfinished_attempts=1, without_row=1), GOOD, GOOD])
    (run,) = await runs(site, 1)
    assert run.broken == "1 numbers were dialled without an attempt"


def test_what_was_told_is_not_told_again_and_makes_up_for_nothing() -> None:
    """An attempt that was told as open and has ended since hides no other."""
    told = told_together(
        Tally(double_dials=1, open=(FIRST,)), Tally(lost_dispositions=1, double_dials=1, open=(SECOND,))
    )
    late = untold(told, Tally(double_dials=2, lost_dispositions=1, open=(SECOND, THIRD)))
    assert late == Tally(unfinished_attempts=1, open=(THIRD,))
    assert untold(told, Tally(double_dials=5)) == Tally(double_dials=3)
