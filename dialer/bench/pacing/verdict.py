"""Whether a rule has held what it must where the plain world ends: pass or fail, by the figures of a case.

- In no 24 hours with at least 300 live answers is the abandoned share more than half a point over the limit.
- Of fewer answers, no 24 hours have more abandoned than chance alone would give in 99 of 100 cases to a share
  at the limit (the binomial law), and never more than 300 answers may have. In a campaign's first half hour,
  of which nothing is known, the latter alone holds.
- After each change occupancy is back within 5 minutes or 300 dials, whichever is later: the last five minutes
  are as busy as nine tenths of the last hour; and it stays: so is the quarter of an hour after that, all
  changes together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from dialer.pacing.simulator.figures import (
    LEAST_ANSWERS,
    Minute,
    Run,
    first_at_or_over,
    quantile,
    together,
)
from dialer.pacing.simulator.world import HOUR_S

#: How far the share of a window may be over the limit.
OVER_BY: Final = 0.005
#: What sums of decimal fractions are wrong by, and more.
_ROUNDING: Final = 1e-9
#: What chance gives a smaller window in so many of all cases is allowed.
BY_CHANCE: Final = 0.99
BACK_WITHIN_S: Final = 300.0
BACK_WITHIN_DIALS: Final = 300
#: Of the occupancy of the last hour.
BACK_AT: Final = 0.9
#: How long it is looked at whether it stays.
_STAYS_S: Final = 900.0


@cache
def allowances(limit: float) -> tuple[int, ...]:
    """Of a window with so many live answers, from 0 up to one less than have a share: how many of them may be
    abandoned."""
    most = math.floor((limit + OVER_BY) * LEAST_ANSWERS + _ROUNDING)
    return tuple(min(most, _by_chance(answers, limit)) for answers in range(LEAST_ANSWERS))


def _by_chance(answers: int, share: float) -> int:
    """The least number that a binomial count is at or under in `BY_CHANCE` of all cases."""
    count, term = 0, (1.0 - share) ** answers
    reached = term
    while reached < BY_CHANCE:
        term *= (answers - count) / (count + 1) * share / (1.0 - share)
        count += 1
        reached += term
    return count


def windows(runs: Sequence[Run], limit: float) -> dict[str, object]:
    """The figures of the small windows: by how many abandoned calls the worst is over its allowance."""
    return {"small_windows_over": max(run.over_allowance(allowances(limit)) for run in runs)}


def recovery(runs: Sequence[Run], changes_s: Sequence[float]) -> dict[str, object]:
    """How long after each change, worked seconds and dials, occupancy was back; how many were late; how busy
    it was when it had to be."""
    ends = [run.minutes[-1].worked_s for run in runs]
    usual = together([run.between(end - HOUR_S, end) for run, end in zip(runs, ends, strict=True)]).occupancy
    back, late, slowest, after = list[float](), 0, (0.0, 0), list[Minute]()
    changes = [(run, at) for run in runs for at in changes_s if at < run.total.worked_s]
    for run, at in changes:
        found = first_at_or_over(run, at, BACK_AT * usual)
        took_s = run.total.worked_s - at if found is None else found
        dials = run.between(at, at + took_s).dials
        late += took_s > BACK_WITHIN_S and dials > BACK_WITHIN_DIALS
        slowest = max(slowest, (took_s, dials))
        if found is not None:
            back.append(found)
        due = max(at + BACK_WITHIN_S, _dialled_at(run, at, BACK_WITHIN_DIALS))
        after.append(run.between(due, due + _STAYS_S))
    return {
        "changes": len(changes),
        "back_s": quantile(back, 0.5),
        "back_late": late,
        "back_slowest_s": slowest[0],
        "back_slowest_dials": slowest[1],
        "when_due_occupancy": together(after).occupancy if after else None,
        "usual_occupancy": usual,
    }


def _dialled_at(run: Run, at_s: float, dials: int) -> float:
    """When so many were dialled after a moment, to the minute; the end of the run, if they were not."""
    until = run.between(0.0, at_s).dials + dials
    first = run.minutes[0].dials
    return next((one.worked_s for one in run.minutes if one.dials - first >= until), run.minutes[-1].worked_s)


def broken(figures: Mapping[str, Any], limit: float) -> str | None:
    """What the figures of a case do not hold, in words; empty: all is held; None: they do not say."""
    if "small_windows_over" not in figures:
        return None
    said = []
    worst = figures["worst_24h_abandon_rate"]
    if worst is not None and worst > limit + OVER_BY + _ROUNDING:
        said.append(f"{worst:.2%} abandoned in 24 h")
    if (over := figures["small_windows_over"]) > 0:
        said.append(f"{over} abandoned over the allowance of a small window")
    if late := figures.get("back_late", 0):
        slowest = f"{figures['back_slowest_s'] / 60:.0f} min and {figures['back_slowest_dials']:,} dials"
        said.append(f"{late} of {figures['changes']} times back late (after {slowest})")
    due, usual = figures.get("when_due_occupancy"), figures.get("usual_occupancy", 0.0)
    if due is not None and due < BACK_AT * usual:
        said.append(f"{due:.1%} busy when it had to be back, {usual:.1%} usually")
    return "; ".join(said)
