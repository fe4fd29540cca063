"""What the rule looks up: chances at some future moments, by the age of a call or of a talk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dialer.pacing.chances import Floats
from dialer.pacing.laws import OVERDUE, Law, Laws
from dialer.pacing.stretches import STEP

#: How many future moments are looked at, evenly over the time in which a fresh dial is answered.
MOMENTS: Final = 14
#: Part of all answers that come within the moments looked at.
COVERED: Final = 0.995
#: Where fewer of all durations last than this, the law has too little to tell: who is there goes on as those
#: who have just come so far.
TOLD: Final = 0.01
#: Ages of talks and wrap-ups, seconds; between them the lower one counts.
AGES: Final = np.concatenate(
    [np.arange(0.0, 30.0, 2.0), np.arange(30.0, 120.0, 6.0), np.geomspace(120.0, 1800.0, 20)]
)


@dataclass(frozen=True, eq=False, slots=True)
class Tables:
    """Chances at the moments `moments_s` from now; columns are those moments."""

    moments_s: Floats
    #: the moment by which half of all fresh dials' answers have come
    soon: int
    #: width of a bin of a call's age, seconds
    step_s: float
    #: (2 tempos, ages, moments): that an agent who has talked so long still talks or wraps up, the slack
    #: later; after all tempos of those who talk the same of those in wrap-up
    busy: Floats
    #: (2 tempos, moments): the same of an agent of whom the age is not known
    busy_any_age: Floats
    #: (age bins, moments): that a call which is answered some day is so between this age and that moment, and
    #: holds its agent then; divided by `answer_left` the chance of one that has rung so long
    call: Floats
    #: (age bins): that a call which is answered some day has not been so at that age
    answer_left: Floats
    #: (age bins): that a call which is never answered has not ended at that age
    failure_left: Floats
    #: (age bins, moments): where the answer of a call of that age lies; rows sum to 1
    weights: Floats

    @property
    def tempos(self) -> int:
        """How many tempos there are."""
        return len(self.busy) // 2

    @property
    def talk(self) -> Floats:
        """(tempos, ages, moments): of those who talk."""
        return self.busy[: self.tempos]

    @property
    def wrap_up(self) -> Floats:
        """(tempos, ages, moments): of those in wrap-up."""
        return self.busy[self.tempos :]

    def bins(self, ages_s: Floats) -> np.ndarray:
        """The age bins of calls. None is so old as to have none: the clock was set, or its end was not heard
        of. It counts as one just dialled."""
        bins = np.maximum(ages_s / self.step_s, 0.0).astype(int)
        bins[bins >= len(self.answer_left)] = 0
        return bins


def survival(law: Law, ages_s: Floats) -> Floats:
    """Share that lasts longer, for many ages at once."""
    return 1.0 - np.interp(ages_s, law.edges, law.cumulative)


@lru_cache(maxsize=256)
def tables(laws: Laws, slack_s: float) -> Tables:
    """The tables of laws, for agents who are in time so long after the answer (seconds)."""
    edges = laws.answer.edges
    step = edges[1] - edges[0]
    assert laws.failure.edges == edges
    bins = len(edges) - 1
    horizon = max(laws.answer.quantile_s(COVERED), MOMENTS * step)
    at = np.rint((np.arange(MOMENTS) + 0.5) * horizon / MOMENTS / step).astype(int)
    slack = round(slack_s / step)

    # The agent's side: busy then = still talking, or the talk has ended before and the wrap-up lasts.
    grid = np.arange(at[-1] + slack + 2) * step
    late = at + slack
    talk, wrap = _agents(laws, grid, late)

    # The call's side: answered in a bin, then held as a talk that began then, whoever takes it.
    wrap_left = survival(laws.wrap_up, grid)
    fresh_talk = survival(laws.talk, grid)
    held = fresh_talk.copy()
    held[1:] -= np.convolve(np.diff(fresh_talk), wrap_left)[: len(grid) - 1]
    answered = np.asarray(laws.answer.shares)
    ahead = sliding_window_view(np.concatenate([answered, np.zeros(at[-1])]), at[-1])
    since = at[None, :] - np.arange(at[-1])[:, None]
    holds_then = np.where(since > 0, held[np.clip(since + slack, 0, len(held) - 1)], 0.0)

    bounds = np.append(np.rint(np.arange(1, MOMENTS) * horizon / MOMENTS / step).astype(int), bins)
    done = np.asarray(laws.answer.cumulative)
    # One bin more than the law has: the age of all that is older.
    ends = done[np.minimum(np.arange(bins + 1)[:, None] + bounds[None, :], bins)]
    weights = np.diff(np.concatenate([done[:, None], ends], axis=1), axis=1)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(total > 1e-12, weights / np.maximum(total, 1e-12), np.eye(1, MOMENTS))
    return Tables(
        moments_s=at * step,
        soon=int(np.searchsorted(weights[0].cumsum(), 0.5)),
        step_s=step,
        busy=np.concatenate([talk, wrap]),
        busy_any_age=np.concatenate(
            [
                _any_age(laws.talk, talk, [STEP**one.talk for one in laws.tempos]),
                _any_age(laws.wrap_up, wrap, [STEP**one.wrap_up for one in laws.tempos]),
            ]
        ),
        call=ahead @ holds_then,
        answer_left=1.0 - done,
        failure_left=np.maximum(1.0 - np.asarray(laws.failure.cumulative), OVERDUE),
        weights=weights,
    )


def _agents(laws: Laws, grid: Floats, late: np.ndarray) -> tuple[Floats, Floats]:
    """Who talks or wraps up and who wraps up, of each tempo: at the grid's times `late`, by age."""
    gone = late[None, :] - 1 - np.arange(len(grid) - 1)[:, None]
    # By steps: that a wrap-up which began at a time goes on at the moments; and one of an age.
    wrap_then: dict[int, Floats] = {}
    wrap_rows: dict[int, Floats] = {}
    for steps in {one.wrap_up for one in laws.tempos}:
        left = survival(laws.wrap_up, grid / STEP**steps)
        wrap_then[steps] = np.where(gone >= 0, left[np.maximum(gone, 0)], 0.0)
        start = survival(laws.wrap_up, AGES / STEP**steps)
        rows = survival(laws.wrap_up, (AGES[:, None] + grid[None, late]) / STEP**steps)
        wrap_rows[steps] = _as_far_as_told(_given(rows, start), start)

    talk = np.empty((len(laws.tempos), len(AGES), len(late)))
    for steps in {one.talk for one in laws.tempos}:
        # All of these talks at once, whatever wrap-up follows.
        which = [i for i, one in enumerate(laws.tempos) if one.talk == steps]
        then = np.concatenate([wrap_then[laws.tempos[i].wrap_up] for i in which], axis=1)
        left = survival(laws.talk, (AGES[:, None] + grid[None, :]) / STEP**steps)
        rows = np.tile(left[:, late], len(which)) - np.diff(left, axis=1) @ then
        told = _as_far_as_told(_given(rows, left[:, 0]), left[:, 0])
        talk[which] = told.reshape(len(AGES), len(which), len(late)).swapaxes(0, 1)
    return talk, np.stack([wrap_rows[one.wrap_up] for one in laws.tempos])


def _given(rows: Floats, start: Floats) -> Floats:
    """Chances of those who have come so far."""
    return np.clip(rows / np.maximum(start, 1e-6)[:, None], 0.0, 1.0)


def _as_far_as_told(by_age: Floats, left: Floats) -> Floats:
    """Rows of ages that hardly any duration reaches: those of the last age that enough do."""
    last = int(np.flatnonzero(left >= TOLD).max())
    return by_age[np.minimum(np.arange(len(by_age)), last)]


def _any_age(law: Law, by_age: Floats, factors: Sequence[float]) -> Floats:
    """The mean over ages as one meets them: each as often as durations last at least so long."""
    often = survival(law, AGES[None, :] / np.array(factors)[:, None])
    often *= np.diff(np.append(AGES, AGES[-1] * 1.1))
    return np.asarray(np.einsum("ta,tam->tm", often, by_age) / often.sum(axis=1, keepdims=True))
