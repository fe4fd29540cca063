"""How likely a person answers, by what is known of a lead before it is dialled.

A logistic regression that learns from each dial: a level for the campaign and a shift for each value of each
trait (`hour=14`, `last_result=busy`, ...), each with its own doubt (assumed density filter with independent
normal beliefs). A value that was never seen shifts nothing, so a new campaign gives every lead the campaign's
mean; a value seen seldom shifts little. Doubt grows again with time, so what was learned is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, TypeAlias

#: What is known of a lead: pairs of a trait's name and its value, as `traits` makes them.
Traits: TypeAlias = tuple[tuple[str, str], ...]

#: Variance of a value's shift before it was seen, squared log-odds: two thirds of all values shift the odds
#: by less than a factor of two.
FIRST_DOUBT: Final = 0.5
#: Dials with a value until half of what was learned of its shift is forgotten, in the long run.
HALF_LIFE: Final = 2000.0
#: Values that are kept; further ones count as never seen.
MOST_VALUES: Final = 2000
#: What is assumed of the campaign's level weighs as many dials.
FIRST_DIALS: Final = 8.0
#: A lead's chance is never taken for certain.
LEAST: Final = 0.002


def traits(**known: object) -> Traits:
    """The traits of a lead: `traits(hour=14, weekday=0, attempts=2, last_result="no_answer", ...)`.

    Names as the caller likes; what is None is left out, so it counts as not known.
    """
    return tuple((name, str(value)) for name, value in sorted(known.items()) if value is not None)


def words_of(known: Traits) -> list[str]:
    """Traits as they are kept with an attempt: `hour=14`."""
    return [f"{name}={value}" for name, value in known]


def traits_of(words: Iterable[str] | None) -> Traits:
    """What `words_of` gave, back; none of None."""
    return tuple((name, value) for name, _, value in (word.partition("=") for word in words or ()))


def log_odds(chance: float) -> float:
    """The logarithm of the odds of a chance; certainty is cut at `LEAST`."""
    chance = min(max(chance, LEAST), 1.0 - LEAST)
    return math.log(chance / (1.0 - chance))


def chance_of(odds_log: float) -> float:
    """The chance with these log-odds, within `LEAST` of certainty at most."""
    return min(max(1.0 / (1.0 + math.exp(-odds_log)), LEAST), 1.0 - LEAST)


class Answering:
    """What a campaign's dials have taught about leads."""

    def __init__(self, answer_probability: float) -> None:
        """Begin with every lead at the same chance, 0 to 1."""
        self._level = log_odds(answer_probability)
        chance = chance_of(self._level)
        self._level_doubt = 1.0 / (FIRST_DIALS * chance * (1.0 - chance))
        #: the first value of each trait, and the traits of which there was another since
        self._first: dict[str, str] = {}
        self._differ: set[str] = set()
        #: mean and variance of each value's shift
        self._shifts: dict[tuple[str, str], tuple[float, float]] = {}

    def probability(self, of: Traits) -> float:
        """That a person answers a lead with these traits, 0 to 1."""
        known = self._shifts
        return chance_of(self._level + sum(known[one][0] for one in of if one in known))

    def see(self, of: Traits, answered: float, memory: float) -> None:
        """A dial has come to its end: `answered` 1, 0, or the chance that it would have been answered.

        `memory`: dials that the campaign's level remembers (mean of an exponential memory).
        """
        chance = self.probability(of)
        sure = chance * (1.0 - chance)
        of = self._telling(of)
        beliefs = [self._belief(one) for one in of]
        doubt = self._level_doubt + sum(variance for _, variance in beliefs)
        step = (answered - chance) / (1.0 + sure * doubt)
        shrink = sure / (1.0 + sure * doubt)
        self._level += self._level_doubt * step
        # What a level forgets at each dial is such that in the long run it remembers so many.
        drift = 1.0 / (memory * memory * sure)
        self._level_doubt += drift - self._level_doubt**2 * shrink
        for one, (mean, variance) in zip(of, beliefs, strict=True):
            if one in self._shifts or len(self._shifts) < MOST_VALUES:
                fade = min(math.log(2) ** 2 / (HALF_LIFE * HALF_LIFE * sure), FIRST_DOUBT)
                after = min(variance - variance * variance * shrink + fade, FIRST_DOUBT)
                self._shifts[one] = (mean + variance * step, after)

    def forget_level(self) -> None:
        """The campaign has changed: its level is as good as not known; what tells leads apart stays."""
        self._level_doubt = max(self._level_doubt, 1.0)

    def _telling(self, of: Traits) -> Traits:
        """Those that differ among leads. What all have in common tells nothing that the level does not tell:
        learned beside it, it would make the first few dials count for many."""
        self._differ |= {name for name, value in of if self._first.setdefault(name, value) != value}
        return tuple(one for one in of if one[0] in self._differ)

    def _belief(self, value: tuple[str, str]) -> tuple[float, float]:
        return self._shifts.get(value, (0.0, FIRST_DOUBT))
