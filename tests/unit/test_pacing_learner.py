"""What a campaign teaches its pacing rule."""

from __future__ import annotations

import random
from dataclasses import replace
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.pacing.answering import FIRST_DIALS, FIRST_DOUBT, Answering, chance_of, log_odds, traits
from dialer.pacing.laws import USUAL
from dialer.pacing.learner import RENEW_AFTER, Learner, Observation, Seen
from dialer.pacing.stretches import STEP


def dial(learner: Learner, chance: float, count: int, rng: random.Random) -> None:
    """So many dials that are answered with that chance."""
    for _ in range(count):
        answered = rng.random() < chance
        learner.see(Observation(Seen.ANSWERED if answered else Seen.UNANSWERED, 12.0 if answered else 26.5))


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
    for number in range(3000):
        what = Seen.ANSWERED if number % 4 == 0 else Seen.UNANSWERED
        learner.see(Observation(what, 12.0))
    known = learner.knowledge()
    # The last few dials weigh most: within one dial of a memory of some hundreds.
    assert known.answer_probability == pytest.approx(0.25, abs=0.01)
    assert known.prior < 0.001
    assert learner.answer_probability(traits(hour=12)) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("agents", [5, 200])
@pytest.mark.parametrize(("before", "after"), [(0.2, 0.4), (0.4, 0.2), (0.6, 0.3)])
def test_a_change_is_known_within_150_dials(agents: int, before: float, after: float) -> None:
    """The answer rate halves or doubles: on average over runs it is known, for a team of any size."""
    found = []
    for seed in range(16):
        learner, rng = Learner(agents=agents), random.Random(seed)
        dial(learner, before, 700, rng)
        dial(learner, after, 150, rng)
        found.append(learner.knowledge().answer_probability)
    # A memory of 200 dials alone would leave 0.6 of the way.
    assert abs(sum(found) / len(found) - after) < 0.3 * abs(before - after)


def test_chance_is_not_taken_for_a_change() -> None:
    """While nothing changes the estimate strays as far as its memory lets it, hardly more."""
    learner, rng = Learner(agents=5), random.Random(1)
    dial(learner, 0.3, 500, rng)
    squares = 0.0
    for _ in range(6000):
        dial(learner, 0.3, 1, rng)
        squares += (learner.answer_probability() - 0.3) ** 2
    # An exponential memory of 200 / ln 2 = 289 dials has the noise of 577 that count alike; changes that are
    # only thought to be some add to it.
    assert (squares / 6000) ** 0.5 < 1.6 * (0.3 * 0.7 / 577) ** 0.5


@pytest.mark.parametrize("what", [Seen.ANSWERED, Seen.UNANSWERED])
def test_no_run_of_luck_makes_it_certain(what: Seen) -> None:
    """All dials come to the same, for hours: the other stays possible, and is learned again as fast."""
    learner = Learner()
    for _ in range(6000):
        learner.see(Observation(what, 10.0))
    assert 0 < learner.knowledge().answer_probability < 1
    for number in range(200):
        learner.see(Observation(Seen.ANSWERED if number % 2 else Seen.UNANSWERED, 10.0))
    assert learner.knowledge().answer_probability == pytest.approx(0.5, abs=0.12)


def test_laws_are_what_was_seen() -> None:
    """Talks that all last 40 to 41 s: the law says so, and that hardly any of it is assumed."""
    learner, rng = Learner(talk_s=200), random.Random(1)
    for _ in range(3000):
        learner.see(Observation(Seen.TALKED, rng.uniform(40, 41)))
    talk = learner.knowledge().laws.talk
    assert talk.mean_s == pytest.approx(40.5, abs=2)
    assert talk.survival(30) > 0.97
    assert talk.survival(50) < 0.03
    assert talk.prior < 0.02


def test_the_laws_stay_the_same_object_until_enough_is_new() -> None:
    """Tables are made of laws: not a new one for each event."""
    learner = Learner()
    first = learner.knowledge().laws
    for _ in range(RENEW_AFTER - 1):
        learner.see(Observation(Seen.TALKED, 30.0))
        assert learner.knowledge().laws is first
    learner.see(Observation(Seen.TALKED, 30.0))
    assert learner.knowledge().laws is not first


def test_agents_have_tempos_of_their_own() -> None:
    """One talks a quarter as long as the other and wraps up four times as long: the laws keep the shape that
    both have, the agents' tempos are apart by that; where nobody is named the law is of both."""
    learner, rng = Learner(agents=2), random.Random(1)
    both = Learner(agents=2)
    for _ in range(500):
        for agent, factor in ((1, 0.5), (2, 2.0)):
            # Half of the talks are 20 s, half are 200: a mixture.
            talk = factor * rng.choice((20.0, 200.0)) * rng.uniform(0.9, 1.1)
            named = [Observation(Seen.TALKED, talk, agent=agent)]
            named.append(Observation(Seen.WRAPPED_UP, 20.0 / factor, agent=agent))
            for seen in named:
                learner.see(seen)
                both.see(replace(seen, agent=None))
    known = learner.knowledge()
    one, other = (known.laws.tempos[known.agents[agent]] for agent in (1, 2))
    # Two halves of a step by rounding, the pull of few talks.
    assert (other.talk - one.talk) * log(STEP) == pytest.approx(log(4), abs=log(STEP) + 0.15)
    assert (one.wrap_up - other.wrap_up) * log(STEP) == pytest.approx(log(4), abs=log(STEP) + 0.15)
    assert known.laws.talk.survival(60) == pytest.approx(0.5, abs=0.1)
    assert known.laws.talk.survival(400) < 0.02
    assert known.laws.tempos[0] == USUAL
    alike = both.knowledge()
    assert not alike.agents
    assert alike.laws.tempos == (USUAL,)
    # A quarter of all talks are 400 s.
    assert alike.laws.talk.survival(300) == pytest.approx(0.25, abs=0.05)


def test_calls_that_were_taken_back_do_not_lower_the_answer_probability() -> None:
    """Half of the calls are taken back at 12 s: what the others came to tells what they would have."""
    learner, rng = Learner(answer_probability=0.3), random.Random(3)
    for _ in range(6000):
        answered = rng.random() < 0.5
        age = rng.uniform(4, 20) if answered else 26.5
        if rng.random() < 0.5 and age > 12:
            learner.see(Observation(Seen.TAKEN_BACK, 12.0))
        else:
            learner.see(Observation(Seen.ANSWERED if answered else Seen.UNANSWERED, age))
    known = learner.knowledge()
    assert known.answer_probability == pytest.approx(0.5, abs=0.06)
    # Half of the answers come before 12 s.
    assert known.laws.answer.survival(12.0) == pytest.approx(0.5, abs=0.06)


def test_machines_are_no_persons() -> None:
    """Every other call is picked up, four of five times by a machine."""
    learner = Learner()
    for number in range(2000):
        what = {0: Seen.ANSWERED, 5: Seen.UNANSWERED}.get(number % 10)
        learner.see(Observation(what or (Seen.MACHINE if number % 2 else Seen.UNANSWERED), 10.0))
    known = learner.knowledge()
    assert known.answer_probability == pytest.approx(0.1, abs=0.02)
    assert known.person_probability == pytest.approx(1 / 5, abs=0.03)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Observation,
            st.sampled_from(Seen),
            st.floats(-100, 1e6),
            st.sampled_from([(), traits(hour=1), traits(hour=2, list="a")]),
        ),
        max_size=120,
    ),
    st.integers(1, 300),
)
def test_nothing_breaks_what_is_known(seen: list[Observation], agents: int) -> None:
    """Any facts in any order, also from a clock that was set back: laws sum to 1, chances stay chances."""
    learner = Learner(agents=agents)
    for one in seen:
        learner.see(one)
    known = learner.knowledge()
    assert 0 < known.answer_probability < 1
    assert 0 <= known.person_probability <= 1
    assert 0 <= known.prior <= 1
    assert 0 < learner.answer_probability(traits(hour=1)) < 1
    for law in (known.laws.answer, known.laws.failure, known.laws.talk, known.laws.wrap_up):
        assert sum(law.shares) == pytest.approx(1)
        assert min(law.shares) >= 0


# -- leads -------------------------------------------------------------------------------------------------

GOOD, BAD = traits(list="good", phone="mobile"), traits(list="bad", phone="mobile")


def taught(chances: dict[tuple[tuple[str, str], ...], float], dials: int, seed: int = 1) -> Answering:
    """Taught by leads of each kind in turn."""
    model, rng = Answering(0.3), random.Random(seed)
    for _ in range(dials):
        for kind, chance in chances.items():
            model.see(kind, float(rng.random() < chance), 144.0)
    return model


def test_a_lead_of_which_nothing_is_known_has_the_mean() -> None:
    """Values that were never seen shift nothing."""
    assert Answering(0.3).probability(GOOD) == pytest.approx(0.3)
    model = taught({GOOD: 0.5}, 500)
    assert model.probability(traits(list="new")) < model.probability(GOOD) + 0.01


def test_leads_are_told_apart() -> None:
    """Lists of which one is answered at 0.9 and one at 0.1 are known as such after 300 dials of each."""
    model = taught({GOOD: 0.9, BAD: 0.1}, 300)
    assert model.probability(GOOD) == pytest.approx(0.9, abs=0.07)
    assert model.probability(BAD) == pytest.approx(0.1, abs=0.07)


def test_traits_add_up_for_leads_never_seen_together() -> None:
    """What an hour and a list do to the odds is known apart, so a pair that was never dialled is known."""
    effect = {"a": -1.0, "b": 1.0, "9": -0.7, "18": 0.7}
    kinds = {
        traits(list=of, hour=hour): chance_of(-0.5 + effect[of] + effect[hour])
        for of, hour in (("a", "9"), ("a", "18"), ("b", "9"))
    }
    model = taught(kinds, 1500)
    wanted = chance_of(-0.5 + effect["b"] + effect["18"])
    assert model.probability(traits(list="b", hour="18")) == pytest.approx(wanted, abs=0.1)


def test_what_all_leads_have_in_common_is_not_learned_twice() -> None:
    """A new list on one morning: its traits say of the first dials no more than the dials say without them,
    and what is assumed weighs as much as twenty dials."""
    shared = traits(hour=9, weekday=0, attempts=0, kind="mobile", list=1)
    plain, told = Answering(0.3), Answering(0.3)
    for _ in range(20):
        plain.see((), 0.0, 288.0)
        told.see(shared, 0.0, 288.0)
    assert told.probability(shared) == pytest.approx(plain.probability(()))
    assert plain.probability(()) == pytest.approx(0.3 * FIRST_DIALS / (FIRST_DIALS + 20), rel=0.35)


def test_two_answers_prove_little() -> None:
    """A value that was seen twice shifts the chance by less than one that was seen often."""
    twice = Answering(0.3)
    for _ in range(2):
        twice.see(GOOD, 1.0, 144.0)
    assert 0.3 < twice.probability(GOOD) < 0.7
    # The shift of one value is within two thirds of what was thought likely before.
    assert log_odds(twice.probability(traits(list="good"))) - log_odds(0.3) < 3 * FIRST_DOUBT**0.5


def test_after_a_change_of_the_campaign_leads_are_still_told_apart() -> None:
    """All are answered half as often as before: the level follows within 150 dials, the difference stays."""
    model, rng = taught({GOOD: 0.8, BAD: 0.2}, 1000), random.Random(5)
    for _ in range(150):
        for kind, chance in ((GOOD, chance_of(log_odds(0.8) - 1)), (BAD, chance_of(log_odds(0.2) - 1))):
            model.see(kind, float(rng.random() < chance), 144.0)
    assert model.probability(GOOD) == pytest.approx(0.595, abs=0.1)
    assert model.probability(BAD) == pytest.approx(0.084, abs=0.06)


def test_traits_leave_out_what_is_not_known() -> None:
    """None is no value; the order of names does not matter."""
    assert traits(b=1, a=None) == traits(b="1") == (("b", "1"),)
    assert traits(b=1, a=2) == traits(a=2, b=1)
