"""Who takes whom."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.queues.choosing import changes_at, choose, kept_for, level_asked, order
from dialer.queues.model import Free, Need, Queue, Rule, Waiting, needs_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SALES = Queue(1, "sales", skill="sales")
SKILLS = ("sales", "service", "english")


def ago(seconds: float) -> datetime:
    """So many seconds before NOW."""
    return NOW - timedelta(seconds=seconds)


def caller(n: int, waited_s: float = 10, **more: object) -> Waiting:
    """The caller of this number, who waits for sales."""
    values: dict[str, object] = {"queue_id": 1, "since": ago(waited_s), "needs": (Need("sales"),)}
    return Waiting(call_id=UUID(int=n), **values | more)  # type: ignore[arg-type]


def agent(n: int, idle_s: float = 60, **more: object) -> Free:
    """The agent of this number, who sells at the usual level."""
    values: dict[str, object] = {"idle_since": ago(idle_s), "levels": {"sales": 5}}
    return Free(agent_id=n, session_id=UUID(int=n), **values | more)  # type: ignore[arg-type]


def who_takes_whom(
    waiting: Sequence[Waiting], free: Sequence[Free], queue: Queue = SALES, at_work: set[int] | None = None
) -> dict[int, int]:
    """Caller -> agent, by their numbers."""
    pairs = choose(waiting, free, {queue.id: queue}, NOW, at_work=at_work or {one.agent_id for one in free})
    return {pair.call_id.int: pair.agent_id for pair in pairs}


# -- the order of callers ------------------------------------------------------------------------------------


def test_longest_wait_is_served_first() -> None:
    """Of callers alike, the one who came first."""
    assert who_takes_whom([caller(1, 10), caller(2, 30), caller(3, 20)], [agent(7)]) == {2: 7}


def test_priority_goes_before_the_wait() -> None:
    """A higher priority is served before a longer wait."""
    assert who_takes_whom([caller(1, 90, priority=5), caller(2, 1, priority=6)], [agent(7)]) == {2: 7}


def test_a_kept_place_may_have_an_agent_at_any_server() -> None:
    """Nobody is on a line yet; a caller on the line needs one at the same Asterisk."""
    far = agent(7, node="far")
    assert who_takes_whom([caller(1, node="near")], [far]) == {}
    assert who_takes_whom([caller(1, anywhere=True)], [far]) == {1: 7}
    both = [caller(1, 90, node="near"), caller(2, 10, anywhere=True)]
    assert who_takes_whom(both, [far, agent(8, node="near")]) == {1: 8, 2: 7}


def test_inbound_goes_before_outbound() -> None:
    """Who calls is served before whom we have called, whatever the priority."""
    called = caller(1, 90, inbound=False, queue_id=None, priority=9)
    assert who_takes_whom([called, caller(2, 1, priority=1)], [agent(7)]) == {2: 7}
    assert who_takes_whom([called], [agent(7)]) == {1: 7}


def test_dedicated_agents_take_their_kind_alone() -> None:
    """An agent for callers gets no outbound call, and the other way round."""
    called = caller(1, inbound=False, queue_id=None)
    assert who_takes_whom([called], [agent(7, outbound=False)]) == {}
    assert who_takes_whom([caller(2)], [agent(7, inbound=False)]) == {}
    assert who_takes_whom([called, caller(2)], [agent(7, inbound=False), agent(8, outbound=False)]) == {
        1: 7,
        2: 8,
    }


def test_a_call_stays_at_its_node() -> None:
    """An agent whose phone is at another Asterisk server takes nobody of this one."""
    assert who_takes_whom([caller(1, node="a")], [agent(7, node="b")]) == {}
    assert who_takes_whom([caller(1, node="a")], [agent(7, node="b"), agent(8, node="a")]) == {1: 8}


# -- which agent ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "taken"),
    [(Rule.LONGEST_IDLE, 8), (Rule.LEAST_BUSY, 7), (Rule.HIGHEST_LEVEL, 9)],
)
def test_the_rule_of_the_queue_decides(rule: Rule, taken: int) -> None:
    """Of those who are free and able: idle for longest, fewest talks today, highest level."""
    free = [
        agent(7, idle_s=10, talks_today=1, levels={"sales": 5}),
        agent(8, idle_s=300, talks_today=9, levels={"sales": 4}),
        agent(9, idle_s=20, talks_today=5, levels={"sales": 8}),
    ]
    assert who_takes_whom([caller(1)], free, Queue(1, "sales", skill="sales", rule=rule)) == {1: taken}


@pytest.mark.parametrize("rule", [Rule.LONGEST_IDLE, Rule.LEAST_BUSY])
def test_the_higher_rank_goes_before_the_rule(rule: Rule) -> None:
    """An agent of a higher rank takes the caller though another is idle for longer and has done less."""
    free = [agent(7, idle_s=5, rank=6, talks_today=9), agent(8, idle_s=900, talks_today=0)]
    assert who_takes_whom([caller(1)], free, Queue(1, "sales", rule=rule)) == {1: 7}


def test_the_lowest_of_several_levels_counts() -> None:
    """With several skills asked for, highest level means the one in which the agent is weakest."""
    wanted = caller(1, needs=(Need("sales"), Need("english")))
    free = [agent(7, levels={"sales": 9, "english": 2}), agent(8, levels={"sales": 5, "english": 5})]
    assert who_takes_whom([wanted], free, Queue(1, "sales", rule=Rule.HIGHEST_LEVEL)) == {1: 8}


def test_skills_that_others_need_are_spared() -> None:
    """Of equals rather an agent without the skill that a call in the air may need."""
    free = [agent(7, idle_s=90, levels={"sales": 5, "service": 5}), agent(8, idle_s=10)]
    assert who_takes_whom([caller(1, spare=frozenset({"service"}))], free) == {1: 8}
    assert who_takes_whom([caller(1)], free) == {1: 7}


def test_a_universal_agent_is_left_for_whoever_has_no_other() -> None:
    """The first caller gets the second-best agent where the best is the only one for the caller after."""
    free = [agent(7, idle_s=900, levels={"sales": 9, "service": 9}), agent(8, idle_s=1)]
    waiting = [caller(1, 60), caller(2, 5, needs=(Need("service"),))]
    assert who_takes_whom(waiting, free) == {1: 8, 2: 7}


def test_nobody_gives_way_to_whoever_comes_later() -> None:
    """With one universal agent free, the first caller is served though the second could be served by nobody
    else."""
    waiting = [caller(1, 60), caller(2, 5, needs=(Need("service"),))]
    assert who_takes_whom(waiting, [agent(7, levels={"sales": 5, "service": 5})]) == {1: 7}


def test_whoever_cannot_be_served_closes_nothing_to_others() -> None:
    """A caller whom nobody can help stands between two who can be served by exchange of their agents."""
    free = [agent(7, 900, levels={"sales": 5, "service": 5}), agent(8, 1)]
    needs = {1: "sales", 2: "english", 3: "service"}
    waiting = [caller(n, 60 - n, needs=(Need(skill),)) for n, skill in needs.items()]
    assert who_takes_whom(waiting, free) == {1: 8, 3: 7}


def test_the_best_agent_of_who_came_first_is_not_taken_back() -> None:
    """The second caller would rather have the agent of the third, who then had to push the first away."""
    free = [
        agent(1, 900, levels={"sales": 5, "english": 5}),
        agent(2, 500, levels={"sales": 5, "english": 5, "service": 5}),
        agent(3, 1, levels={"sales": 5}),
        agent(4, 1, levels={"service": 5}),
    ]
    needs = {1: "sales", 2: "service", 3: "english"}
    waiting = [caller(n, 60 - n, needs=(Need(skill),)) for n, skill in needs.items()]
    assert who_takes_whom(waiting, free) == {1: 1, 2: 4, 3: 2}


# -- levels --------------------------------------------------------------------------------------------------

RELAXING = Queue(1, "sales", skill="sales", least_level=6, relax_every_s=30, lowest_level=4)


@pytest.mark.parametrize(
    ("waited_s", "asked"), [(0, 6), (29.9, 6), (30, 5), (59, 5), (60, 4), (90, 4), (100_000, 4)]
)
def test_levels_are_relaxed_with_the_wait(waited_s: float, asked: int) -> None:
    """Every 30 s one level less, down to the lowest that the queue admits."""
    assert level_asked(Need("sales", 6), RELAXING, timedelta(seconds=waited_s)) == asked


def test_relaxing_never_asks_for_more() -> None:
    """A need below the queue's lowest level stays as it is."""
    assert level_asked(Need("english", 2), RELAXING, timedelta(seconds=300)) == 2


def test_levels_stay_without_relaxing() -> None:
    """A queue that says nothing of it, and an outbound call, ask for the same at any time."""
    assert level_asked(Need("sales", 6), SALES, timedelta(hours=1)) == 6
    assert level_asked(Need("sales", 6), None, timedelta(hours=1)) == 6


def test_a_lower_level_takes_the_caller_when_it_is_relaxed() -> None:
    """An agent of level 5 takes nobody at once, and the caller of half a minute ago."""
    needs = needs_of(RELAXING)
    assert needs == (Need("sales", 6),)
    assert who_takes_whom([caller(1, 29, needs=needs)], [agent(7)], RELAXING) == {}
    assert who_takes_whom([caller(1, 30, needs=needs)], [agent(7)], RELAXING) == {1: 7}


def test_no_wait_makes_up_for_a_skill_that_is_not_there() -> None:
    """However long they wait, nobody gets an agent without the skill."""
    relaxing = Queue(1, "sales", least_level=1, relax_every_s=1, lowest_level=1)
    assert who_takes_whom([caller(1, 100_000)], [agent(7, levels={"service": 9})], relaxing) == {}


def test_the_flow_adds_skills() -> None:
    """What the flow asks for comes beside the queue's skill; of the same skill the higher level counts."""
    more = (Need("english", 3), Need("sales", 8))
    assert set(needs_of(RELAXING, more)) == {Need("sales", 8), Need("english", 3)}
    assert needs_of(Queue(2, "any")) == ()


# -- the last agent ------------------------------------------------------------------------------------------

KEEPING = Queue(1, "sales", skill="sales", last_agent_s=20)


def test_the_last_agent_is_taken_before_others() -> None:
    """Who talked with the caller last takes them though the rule would choose another."""
    waiting = [caller(1, 300, last_agent_id=8)]
    assert who_takes_whom(waiting, [agent(7, 900, rank=9), agent(8, 1)], KEEPING) == {1: 8}


def test_the_last_agent_is_waited_for() -> None:
    """While that agent is at work and the time lasts the caller is given to nobody else; then to anybody."""
    waiting = [caller(1, 19, last_agent_id=8)]
    assert who_takes_whom(waiting, [agent(7)], KEEPING, {7, 8}) == {}
    assert who_takes_whom([caller(1, 20, last_agent_id=8)], [agent(7)], KEEPING, {7, 8}) == {1: 7}


def test_nobody_waits_for_an_agent_who_is_not_at_work() -> None:
    """A last agent who has gone home holds nobody up."""
    assert who_takes_whom([caller(1, 1, last_agent_id=8)], [agent(7)], KEEPING, {7}) == {1: 7}


def test_whoever_is_kept_holds_up_nobody() -> None:
    """The agent who is not given to the first caller takes the second."""
    assert who_takes_whom([caller(1, 19, last_agent_id=8), caller(2, 3)], [agent(7)], KEEPING, {7, 8}) == {
        2: 7
    }


# -- when to choose again ------------------------------------------------------------------------------------


def test_the_next_change_is_told() -> None:
    """The end of a keeping and the next lower level are times to choose again; other waits are not."""
    kept = caller(1, 5, last_agent_id=8)
    both = {1: Queue(1, "sales", last_agent_s=20, relax_every_s=30, lowest_level=1)}
    high = caller(2, 10, needs=(Need("sales", 3),))
    assert changes_at([kept], both, NOW, at_work={8}) == NOW + timedelta(seconds=15)
    assert changes_at([kept], both, NOW, at_work=set()) is None
    assert changes_at([high], both, NOW) == NOW + timedelta(seconds=20)
    assert changes_at([caller(2, 60, needs=(Need("sales", 3),))], both, NOW) is None
    assert changes_at([caller(3, queue_id=None, inbound=False)], both, NOW) is None


# -- whatever comes ------------------------------------------------------------------------------------------

levels = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3), max_size=3)
QUEUES = {
    1: Queue(1, "plain"),
    2: Queue(2, "busy", rule=Rule.LEAST_BUSY, last_agent_s=30),
    3: Queue(3, "high", rule=Rule.HIGHEST_LEVEL, relax_every_s=20, lowest_level=1),
}


@st.composite
def callers(draw: st.DrawFn) -> list[Waiting]:
    """Up to six who wait."""
    return [
        Waiting(
            UUID(int=n + 1),
            draw(st.sampled_from([1, 2, 3, None])),
            ago(draw(st.integers(0, 60))),
            priority=draw(st.integers(4, 6)),
            needs=tuple(Need(skill, level) for skill, level in sorted(draw(levels).items())[:2]),
            last_agent_id=draw(st.sampled_from([None, 1, 2, 3])),
            inbound=draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 6)))
    ]


@st.composite
def agents(draw: st.DrawFn) -> list[Free]:
    """Up to five who are free."""
    return [
        Free(
            n + 1,
            UUID(int=100 + n),
            ago(draw(st.integers(0, 60))),
            levels=draw(levels),
            rank=draw(st.integers(4, 6)),
            talks_today=draw(st.integers(0, 3)),
            inbound=draw(st.sampled_from([True, True, False])),
            outbound=draw(st.sampled_from([True, True, False])),
        )
        for n in range(draw(st.integers(0, 5)))
    ]


def can_take(one: Free, each: Waiting, at_work: set[int]) -> bool:
    """Whether the agent may be given the caller now: the rules in a row."""
    queue = QUEUES.get(each.queue_id or 0)
    return (
        kept_for(each, queue, NOW, at_work) in (None, one.agent_id)
        and (each.anywhere or one.node == each.node)
        and (one.inbound if each.inbound else one.outbound)
        and all(
            one.levels.get(need.skill, 0) >= level_asked(need, queue, NOW - each.since) for need in each.needs
        )
    )


def all_served(waiting: Sequence[Waiting], free: Sequence[Free], at_work: set[int]) -> bool:
    """Whether all of these can be served at once: by trying every way."""
    if len(waiting) > len(free):
        return False
    return any(
        all(can_take(one, each, at_work) for each, one in zip(waiting, way, strict=False))
        for way in permutations(free, len(waiting))
    )


@given(waiting=callers(), free=agents(), more=st.sets(st.integers(1, 3)), seed=st.integers(0, 99))
def test_every_choice_is_right(waiting: list[Waiting], free: list[Free], more: set[int], seed: int) -> None:
    """Each caller and agent once, nobody without the skill, nobody before their turn, nobody waits without
    need, and the order in which the values come decides nothing."""
    at_work = {one.agent_id for one in free} | more
    pairs = choose(waiting, free, QUEUES, NOW, at_work=at_work)
    who = {each.call_id: each for each in waiting}
    of = {one.session_id: one for one in free}
    served, taken = [who[p.call_id] for p in pairs], [of[p.session_id] for p in pairs]
    assert len(set(served)) == len(pairs) == len({one.session_id for one in taken})
    assert served == sorted(served, key=order)
    for each, one in zip(served, taken, strict=True):
        assert {need.skill for need in each.needs} <= one.levels.keys()
        assert one.inbound if each.inbound else one.outbound
        if each.queue_id != 3:
            assert all(one.levels[need.skill] >= need.least_level for need in each.needs)
        assert kept_for(each, QUEUES.get(each.queue_id or 0), NOW, at_work) in (None, one.agent_id)
    # Whoever is not served cannot be, together with those served who come before.
    for each in set(waiting) - set(served):
        first = [one for one in served if order(one) < order(each)]
        assert not all_served([*first, each], free, at_work)
        for one in free:
            if one not in taken:
                assert not can_take(one, each, at_work)
    mixed = random.Random(seed)
    again = choose(
        mixed.sample(waiting, len(waiting)), mixed.sample(free, len(free)), QUEUES, NOW, at_work=at_work
    )
    assert again == pairs


@given(waiting=callers(), free=agents())
def test_no_two_agents_would_rather_be_changed(waiting: list[Waiting], free: list[Free]) -> None:
    """A caller served has no agent left idle who suits better by rank: who is free and able is not better."""
    at_work = {one.agent_id for one in free}
    pairs = choose(waiting, free, QUEUES, NOW, at_work=at_work)
    taken = {pair.session_id for pair in pairs}
    of, who = {one.session_id: one for one in free}, {each.call_id: each for each in waiting}
    for pair in pairs:
        each, mine = who[pair.call_id], of[pair.session_id]
        for one in free:
            left = one.session_id not in taken
            if left and each.queue_id == 1 and can_take(one, each, at_work):
                if each.last_agent_id not in (one.agent_id, mine.agent_id):
                    assert (-mine.rank, mine.idle_since) <= (-one.rank, one.idle_since)
                assert one.agent_id != each.last_agent_id


def test_hundreds_are_chosen_at_once() -> None:
    """A crowd with many skills is brought together in one go, everybody who can be."""
    drawn = random.Random(5)
    skills = [f"s{n}" for n in range(20)]
    free = [
        agent(n, drawn.random() * 600, levels={s: drawn.randint(1, 9) for s in drawn.sample(skills, 3)})
        for n in range(1, 101)
    ]
    waiting = [
        caller(n, drawn.random() * 600, needs=(Need(drawn.choice(skills), drawn.randint(1, 5)),))
        for n in range(1, 301)
    ]
    assert len(who_takes_whom(waiting, free)) == len(free)
