"""What a campaign teaches its pacing rule."""

from __future__ import annotations

import pytest

from dialer.pacing.answering import traits
from dialer.pacing.learner import Learner, Observation, Seen


def test_a_new_campaign_tells_that_it_assumes() -> None:
    """Before anything was seen all is the given assumption, and says so."""
    known = Learner(answer_probability=0.4, talk_s=90).knowledge()
    assert known.answer_probability == pytest.approx(0.4)
    assert known.prior == 1.0
    assert {law.prior for law in (known.laws.answer, known.laws.failure, known.laws.talk)} == {1.0}
    # Lognormal of mean 90; the histogram is cut at an hour and even inside its bins.
    assert known.laws.talk.mean_s == pytest.approx(90, rel=0.03)


def test_the_answer_probability_is_what_was_seen() -> None:
    """After many dials of which each fourth was answered it is a quarter, whatever was assumed."""
    learner = Learner(answer_probability=0.8)
    for dial in range(1200):
        what = Seen.ANSWERED if dial % 4 == 0 else Seen.UNANSWERED
        learner.see(Observation(what, 12.0))
    known = learner.knowledge()
    # The last few dials weigh most: within one dial of a memory of 100 / ln 2 = 144.
    assert known.answer_probability == pytest.approx(0.25, abs=0.01)
    assert known.prior < 0.001
    assert learner.answer_probability(traits(hour=12)) == pytest.approx(0.25, abs=0.01)
