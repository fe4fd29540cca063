"""Leads that differ by what is known of them before they are dialled.

Three things are known, each without regard to the others: the kind of the number, how often the lead was
dialled before, and the hour where it is (the list spans the zones of a large country, so at any time all
hours of a working day are on it). What each does to the odds of an answer is assumed; the mean over the list
is the world's answer rate.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache
from itertools import product
from typing import Final, NamedTuple

from dialer.pacing.answering import Traits, chance_of

_HOURS: Final = range(9, 21)


class Value(NamedTuple):
    """A value of a trait."""

    name: str
    #: of the list, 0 to 1
    share: float
    #: what it does to the logarithm of the odds
    shift: float


#: Mobile numbers answer more than others, fresh leads more than tried ones, evenings more than mornings: the
#: best are answered some hundred times as often, by the odds, as the worst.
TRAITS: Final = {
    "kind": (Value("mobile", 0.6, 0.5), Value("fixed_line", 0.4, -0.75)),
    "attempts": (
        Value("0", 0.4, 0.8),
        Value("1", 0.25, 0.1),
        Value("2", 0.15, -0.5),
        Value("3", 0.1, -0.9),
        Value("4", 0.1, -1.2),
    ),
    "hour": tuple(
        Value(str(hour), 1 / len(_HOURS), -0.7 * math.cos(math.pi * (hour - _HOURS[0]) / (len(_HOURS) - 1)))
        for hour in _HOURS
    ),
}


def draw(rng: random.Random, answer_rate: float, strength: float) -> tuple[Traits, float]:
    """A lead's traits, and that a person answers it; `strength` multiplies all shifts."""
    chosen = [rng.choices(values, [one.share for one in values])[0] for values in TRAITS.values()]
    shift = strength * sum(one.shift for one in chosen)
    known = tuple((name, one.name) for name, one in zip(TRAITS, chosen, strict=True))
    return known, chance_of(_level(answer_rate, strength) + shift)


@lru_cache
def _level(answer_rate: float, strength: float) -> float:
    """The log-odds that, with all shifts, have the mean that is wanted. By halves."""
    leads = [
        (math.prod(one.share for one in each), strength * sum(one.shift for one in each))
        for each in product(*TRAITS.values())
    ]
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = sum(share * chance_of(middle + shift) for share, shift in leads)
        low, high = (middle, high) if mean < answer_rate else (low, middle)
    return low
