"""How the latest dials, calls in the air among them, differ from what was learned, and what doubt is left.

Each call in the air tells something by its age alone: one that has outlived the wrong numbers is likelier to
be answered, one that has rung for long less likely. The shift of the log-odds of an answer, the same for all
leads, is where the likelihood of all of that is highest (a logistic law with the learned mean as so many
dials; calls in the air are censored observations of a mixture of two laws).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dialer.pacing.answering import LEAST, chance_of, log_odds
from dialer.pacing.chances import Floats
from dialer.pacing.laws import Knowledge
from dialer.pacing.tables import Tables

#: Steps towards the likeliest shift; each takes most of what is left of the way.
_STEPS: Final = 4
#: No shift is larger, log-odds.
_MOST: Final = 3.0
#: A doubt below this is held by the feedback on the price; above it the price is reckoned at several levels.
DOUBT_MATTERS: Final = 0.3


class Level(NamedTuple):
    """Of the log-odds of an answer, for all leads alike."""

    #: what is added to those that were learned
    shift: float
    #: standard deviation of what that leaves open
    doubt: float

    def nodes(self) -> list[tuple[float, float]]:
        """Levels to reckon at, as (shift, weight); weights sum to 1, the first is the likeliest level."""
        if self.doubt < DOUBT_MATTERS:
            return [(self.shift, 1.0)]
        # Gauss and Hermite's three: exact for a normal doubt and a price that is a curve of the fifth degree.
        away = math.sqrt(3.0) * self.doubt
        return [(self.shift, 2 / 3), (self.shift - away, 1 / 6), (self.shift + away, 1 / 6)]


def chances(odds_log: Floats) -> Floats:
    """The chances with these log-odds, within `LEAST` of certainty at most."""
    return _within(1.0 / (1.0 + np.exp(-odds_log)))


def shifted(known: Floats, by: float) -> Floats:
    """Chances whose log-odds are moved."""
    if not by:
        return known
    known = _within(known)
    odds = known / (1.0 - known) * math.exp(by)
    return _within(odds / (1.0 + odds))


def _within(chance: Floats) -> Floats:
    # What np.clip does, in a third of its time where there are few.
    return np.minimum(np.maximum(chance, LEAST), 1.0 - LEAST)


def level(known: Knowledge, table: Tables, now_s: float) -> Level:
    """What the latest dials say at `now_s`, seconds since 1970."""
    recent, mean = known.recent, known.answer_probability
    own, add = log_odds(mean), np.add.reduce
    dialled = np.array([*recent.in_air.values()], dtype=float).reshape(-1, 2)
    ended = len(recent.over)
    # Those that are over, then those in the air.
    chance = first = chances(own + np.concatenate([np.asarray(recent.over, dtype=float), dialled[:, 1]]))
    odds = first / (1.0 - first)
    bins = table.bins(now_s - dialled[:, 0])
    answer_left, failure_left = table.answer_left[bins], table.failure_left[bins]
    sooner = answer_left - failure_left
    shift = 0.0
    for step in range(_STEPS):
        if step:
            moved = odds * math.exp(shift)
            chance = _within(moved / (1.0 + moved))
        here = chance_of(own + shift)
        ringing = chance[ended:]
        likely = ringing * answer_left / (failure_left + ringing * sooner)
        # What would be expected of all of them against what was seen, or is likely to be.
        missing = known.dials * (mean - here) + recent.answered + float(add(likely)) - float(add(chance))
        information = known.dials * here * (1.0 - here) + float(add(chance * (1.0 - chance)))
        shift = min(max(shift + missing / information, -_MOST), _MOST)
    # What is not known yet of the calls in the air is no information.
    unknown = min(float(add(likely * (1.0 - likely))), float(add(ringing * (1.0 - ringing))))
    return Level(shift, 1.0 / math.sqrt(max(information - unknown, 1e-9)))
