"""What the rule looks up, against the same chances reckoned by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest

from dialer.pacing.laws import USUAL, Law, Laws, Tempo, law_of
from dialer.pacing.stretches import STEP as TEMPO_STEP
from dialer.pacing.tables import AGES, tables

STEP = 0.5
MEAN_TALK = 60.0
SLACK = 2.0


def uniform(low: float, high: float, *, until: float = 40.0) -> Law:
    """Any duration between the two."""
    edges = [i * STEP for i in range(int(until / STEP) + 1)]
    return law_of(edges, [float(low <= edge < high) for edge in edges[:-1]])


def exponential(mean: float) -> Law:
    """No memory: an agent who has talked for long is as near to the end as one who has just begun."""
    edges = [float(i) for i in range(0, 1200, 2)]
    return law_of(edges, [exp(-low / mean) - exp(-(low + 2) / mean) for low in edges[:-1]])


#: Answered between 5 and 10 s after the dial, or ended between 20 and 25 s; hardly any wrap-up.
LAWS = Laws(uniform(5, 10), uniform(20, 25), exponential(MEAN_TALK), uniform(0, 0.5))


def test_an_agent_without_memory_is_as_likely_busy_at_any_age() -> None:
    """Talks without memory: the chance to talk on is e^(-t / mean), whatever the age."""
    table = tables(LAWS, SLACK)
    wanted = np.exp(-(table.moments_s + SLACK) / MEAN_TALK)
    for row, age in zip(table.talk[0], AGES, strict=True):
        if age < 300:
            # The wrap-up's quarter of a second, and bins of two seconds.
            assert row == pytest.approx(wanted, abs=0.01)
    assert table.busy_any_age[0] == pytest.approx(wanted, abs=0.01)


def test_a_wrap_up_lasts_on() -> None:
    """An agent is busy after the talk until the wrap-up is over: 20 to 30 s, of which 24 have passed."""
    laws = Laws(uniform(5, 30), uniform(20, 25), exponential(MEAN_TALK), uniform(20, 30))
    table = tables(laws, SLACK)
    row = table.wrap_up[0][list(AGES).index(24.0)]
    wanted = np.clip((30 - 24 - table.moments_s - SLACK) / (30 - 24), 0, 1)
    assert row == pytest.approx(wanted, abs=0.01)


def test_an_agent_of_another_tempo_has_the_law_stretched() -> None:
    """Three steps longer talks: the same chances at a stretched age after a stretched time, then the wrap-up,
    which may have a tempo of its own; the usual tempo is as without the others."""
    wrapping = Laws(
        uniform(5, 30),
        uniform(20, 25),
        exponential(MEAN_TALK),
        uniform(20, 30),
        (USUAL, Tempo(3), Tempo(0, 2)),
    )
    table = tables(wrapping, SLACK)
    assert (table.talk[0] == tables(replace(wrapping, tempos=(USUAL,)), SLACK).talk[0]).all()
    # A wrap-up of 20 to 30 s lasts 31.25 to 46.875 s; 36 s of it have passed.
    longest = 30 * TEMPO_STEP**2
    row = table.wrap_up[2][list(AGES).index(36.0)]
    assert row == pytest.approx(
        np.clip((longest - 36 - table.moments_s - SLACK) / (longest - 36), 0, 1), abs=0.01
    )
    assert (table.wrap_up[1] == table.wrap_up[0]).all()

    table = tables(replace(LAWS, tempos=(USUAL, Tempo(3))), SLACK)
    wanted = np.exp(-(table.moments_s + SLACK) / (MEAN_TALK * TEMPO_STEP**3))
    for row, age in zip(table.talk[1], AGES, strict=True):
        if age < 300:
            assert row == pytest.approx(wanted, abs=0.01)
    assert table.busy_any_age[1] == pytest.approx(wanted, abs=0.01)


def test_the_end_of_a_talk_is_followed_by_the_agents_own_wrap_up() -> None:
    """Who has talked 120 of 130 s and wraps up for three steps more than 10 s is busy for 30 s, not 20."""
    edges = [float(i) for i in range(133)]
    talk = law_of(edges, [float(130 <= edge < 131) for edge in edges[:-1]])
    tempos = (USUAL, Tempo(0, 3))
    laws = Laws(uniform(5, 40, until=60), uniform(20, 25, until=60), talk, uniform(10, 10.5), tempos)
    table = tables(laws, SLACK)
    usual, slow = (rows[list(AGES).index(120.0)] for rows in table.talk)
    busy = table.moments_s + SLACK
    between = (busy > 22.0) & (busy < 29.0)
    assert between.any()
    assert (usual[between] < 0.001).all()
    assert (slow[between] > 0.999).all()


def test_a_talk_is_followed_by_its_wrap_up() -> None:
    """Who has talked 120 of 130 s and then wraps up for 20 to 20.5 s is busy for 30 s more and not for 32."""
    edges = [float(i) for i in range(133)]
    talk = law_of(edges, [float(130 <= edge < 131) for edge in edges[:-1]])
    laws = Laws(uniform(5, 40, until=60), uniform(20, 25, until=60), talk, uniform(20, 20.5))
    table = tables(laws, SLACK)
    row = table.talk[0][list(AGES).index(120.0)]
    busy = table.moments_s + SLACK
    assert (row[busy < 29.5] > 0.999).all()
    assert (row[busy > 32.0] < 0.001).all()
    assert (busy > 32.0).any()


@pytest.mark.parametrize("age", [0.0, 3.0, 7.0])
def test_a_call_takes_an_agent_once_it_is_answered(age: float) -> None:
    """A call of that age which will be answered: the mean over its answer's time of the talk's survival."""
    table = tables(LAWS, SLACK)
    b = int(age / table.step_s)
    left = (10 - max(age, 5)) / 5
    assert table.answer_left[b] == pytest.approx(left)
    for k, moment in enumerate(table.moments_s):
        times = np.linspace(max(age, 5), 10, 2001)
        held = np.where(times <= age + moment, np.exp(-(age + moment + SLACK - times) / MEAN_TALK), 0.0)
        assert table.call[b, k] / left == pytest.approx(held.mean(), abs=0.03)


def test_weights_are_where_the_answer_lies() -> None:
    """A fresh dial's answer lies among the moments as its law has it; an old call's lies soon."""
    table = tables(LAWS, SLACK)
    width = table.moments_s[1] - table.moments_s[0]
    assert table.weights.sum(axis=1) == pytest.approx(np.ones(len(table.weights)))
    assert table.weights[0] @ table.moments_s == pytest.approx(7.5, abs=width / 2)
    nine = table.weights[int(9 / table.step_s)] @ table.moments_s
    assert nine == pytest.approx(0.5, abs=width / 2)
    assert table.weights[-1][0] == 1.0


def test_tables_of_the_same_laws_are_made_once() -> None:
    """The same laws and slack give the same object."""
    assert tables(LAWS, SLACK) is tables(LAWS, SLACK)


def test_who_talks_longer_than_any_is_not_taken_for_free() -> None:
    """Talks of 40 to 60 s were seen: an agent who talks for ten minutes goes on as one after 59 s, not as
    one who is free this moment."""
    edges = [float(i) for i in range(0, 1201)]
    talk = law_of(edges, [float(40 <= edge < 60) for edge in edges[:-1]])
    table = tables(Laws(uniform(5, 10), uniform(20, 25), talk, uniform(20, 21)), SLACK)
    row = table.talk[0][list(AGES).index(AGES[-1])]
    # After 54 of 60 s at the most, and then 20 s of wrap-up.
    assert (row[table.moments_s + SLACK < 20] > 0.999).all()
    assert (table.moments_s + SLACK < 20).any()


def test_a_short_talk_holds_its_agent_through_the_wrap_up() -> None:
    """Answered between 5 and 10 s, talks under 2 s, wrap-ups over 30 s: who was answered is still held."""
    talk = law_of([0.0, 2.0, 40.0], [1.0, 0.0])
    table = tables(Laws(uniform(5, 10), uniform(20, 25), talk, uniform(30, 31)), SLACK)
    answered = np.clip((table.moments_s - 5) / 5, 0, 1)
    assert table.call[0] == pytest.approx(answered, abs=0.02)
