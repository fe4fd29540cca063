"""Figures of surveys after talks."""

from __future__ import annotations

from dialer.surveys.model import Count, Totals, figures


def test_a_scale_has_a_mean_and_words_have_none() -> None:
    """The most frequent answer comes first; a number that is no mark is a word; who was asked is there."""
    one, other = ("rating", 1, "Anna"), ("rating", 2, "Boris")
    counts = [
        Count(*one, question="a", answer="1", customers=1),
        Count(*one, question="a", answer="5", customers=3),
        Count(*one, question="b", answer="yes", customers=2),
        Count(*one, question="c", answer="79161112233", customers=1),
    ]
    totals = [
        Totals(*one, surveys=5, answered=4, finished=2),
        Totals(*other, surveys=1, answered=0, finished=0),
    ]
    first, second = figures(totals, counts)
    assert (first.questions["a"].mean, list(first.questions["a"].given)) == (4.0, ["5", "1"])
    assert (first.questions["b"].mean, first.questions["b"].customers) == (None, 2)
    assert first.questions["c"].mean is None
    assert (second.surveys, second.questions) == (1, {})
