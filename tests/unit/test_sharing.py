"""Who dials for which agents, where several campaigns share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing.model import AgentInPool
from dialer.pacing.sharing import Has, Turns, Usable, calls_for, fair_shares, share, takes, together

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def agents(*usable: set[int], busy: Sequence[int] = ()) -> list[Usable]:
    """Agents with the campaigns that may use them; those with the numbers `busy` talk."""
    return [
        (AgentInPool(UUID(int=n), "talking" if n in busy else "ready", NOW), frozenset(one))
        for n, one in enumerate(usable)
    ]


def ids(*numbers: int) -> frozenset[UUID]:
    return frozenset(UUID(int=n) for n in numbers)


@pytest.mark.parametrize(
    ("able", "priorities", "sizes"),
    [
        (agents({1}, {1}), {1: 0}, {1: 2}),
        (agents({1, 2}, {1, 2}, {1, 2}, {1, 2}), {1: 0, 2: 0}, {1: 2, 2: 2}),
        (agents({1, 2}, {1, 2}), {1: 0, 2: 5}, {1: 0, 2: 2}),
        (agents({1}, {1, 2}, {1, 2}, {2}), {1: 0, 2: 0}, {1: 2, 2: 2}),
        # Whoever comes first in the list: who has agents of its own leaves the others those of all.
        (agents({1, 2}, {1, 2}, {1}, {1}), {1: 0, 2: 0}, {1: 2, 2: 2}),
        (agents({3}, set()), {1: 0}, {1: 0}),
        ([], {1: 0}, {1: 0}),
    ],
)
def test_share(able: list[Usable], priorities: dict[int, int], sizes: dict[int, int]) -> None:
    """Agents go to the highest priority that can use them, evenly among equals."""
    assert {key: len(pool) for key, pool in share(able, priorities).items()} == sizes


CAMPAIGNS = st.integers(1, 4)


@given(
    st.lists(st.tuples(st.sets(CAMPAIGNS), st.booleans()), max_size=30),
    st.dictionaries(CAMPAIGNS, st.integers(-2, 2), max_size=4),
    st.dictionaries(CAMPAIGNS, st.integers(0, 9), max_size=4),
)
def test_no_agent_is_counted_twice(
    usable: list[tuple[set[int], bool]], priorities: dict[int, int], spoken_for: dict[int, int]
) -> None:
    """Every usable agent is in exactly one share, of a campaign that may use it."""
    able = agents(*(one for one, _ in usable), busy=[n for n, (_, busy) in enumerate(usable) if busy])
    shares = share(able, priorities, spoken_for)
    given_out = [agent.session_id for pool in shares.values() for agent in pool]
    assert len(given_out) == len(set(given_out)) == sum(bool(one & priorities.keys()) for one, _ in usable)
    for key, pool in shares.items():
        assert all(key in usable[agent.session_id.int][0] for agent in pool)


def test_nobody_dials_for_an_agent_whom_a_call_in_the_air_stands_for() -> None:
    """A free agent stays with the campaign that has dialled for it, whoever else begins to want agents."""
    one = agents({1, 2})
    assert share(one, {1: 0, 2: 0}, {2: 1})[1] == []
    assert [len(pool) for pool in share(one, {1: 9, 2: 0}, {2: 1}).values()] == [0, 1]
    # One who talks is nobody's yet, and one call needs one agent.
    assert len(share(agents({1, 2}, busy=[0]), {1: 0, 2: 0}, {2: 1})[1]) == 1
    assert {key: len(pool) for key, pool in share(agents({1, 2}, {1, 2}), {1: 0, 2: 0}, {2: 1}).items()} == {
        1: 1, 2: 1,
    }  # fmt: skip


def test_the_odd_agent_goes_to_who_has_not_dialled_for_longest() -> None:
    """One agent and two equal campaigns: they dial in turn."""
    one = agents({1, 2})
    assert len(share(one, {1: 0, 2: 0}, {}, {1: 5.0, 2: 4.0})[2]) == 1
    assert len(share(one, {1: 0, 2: 0}, {}, {1: 5.0, 2: 6.0})[1]) == 1


def test_predictive_campaigns_put_together_what_they_were_given() -> None:
    """Each may use the others' shares as far as it has the skill, and none that a third was given."""
    able = agents({1}, {2}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3})
    shares = share(able, {1: 0, 2: 0, 3: 0})
    pools = together(able, shares, [1, 2])
    thirds = {agent.session_id for agent in shares[3]}
    assert len(thirds) == 2
    assert {one.session_id for one in pools[1]} == {*ids(0, 2, 3, 4, 5)} - thirds
    assert {one.session_id for one in pools[2]} == {*ids(1, 2, 3, 4, 5)} - thirds


@pytest.mark.parametrize(
    ("pools", "fair"),
    [
        ({1: ids(0, 1, 2), 2: ids(0, 1, 2)}, {1: 1.5, 2: 1.5}),
        ({1: ids(0, 1, 2, 3), 2: ids(3, 4)}, {1: 3, 2: 2}),
        ({1: ids(0, 1, 2, 3), 2: ids(2, 3), 3: ids(4)}, {1: 2, 2: 2, 3: 1}),
        ({1: ids(0), 2: ids(0), 3: ids(0)}, {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}),
        ({1: ids(0), 2: ids()}, {1: 1, 2: 0}),
    ],
)
def test_fair_shares(pools: Mapping[int, frozenset[UUID]], fair: Mapping[int, float]) -> None:
    """Who has agents of its own gets the fewer of those whom several may use; parts of one are divided."""
    assert fair_shares(pools) == pytest.approx(fair)


@given(st.dictionaries(CAMPAIGNS, st.frozensets(st.integers(0, 20).map(lambda n: UUID(int=n)), max_size=15)))
def test_fair_shares_divide_all_agents(pools: dict[int, frozenset[UUID]]) -> None:
    """All together is every agent once, and nobody's share is more than it may use."""
    fair = fair_shares(pools)
    assert sum(fair.values()) == pytest.approx(len(frozenset[UUID]().union(*pools.values())))
    assert all(-1e-9 <= fair[one] <= len(pools[one]) + 1e-9 for one in pools)


def test_a_call_takes_one_of_those_whom_it_may_use() -> None:
    """As likely as they are many among all whom its campaign may use."""
    assert takes(ids(0, 1), ids(0, 1)) == 1
    assert takes(ids(0, 1, 2), ids(2, 3)) == 0.5
    assert takes(ids(0), ids(1)) == 0
    assert takes(ids(0), ids()) == 0


ALL = {1: ids(0, 1, 2, 3), 2: ids(0, 1, 2, 3)}


def test_who_has_the_least_comes_first_and_dials_up_to_its_share() -> None:
    """Of four agents for two campaigns the one that has half an agent dials for one and a half more answers,
    then the other up to its own share; after that each goes on as its rule allows."""
    turns = Turns(ALL, {1: Has(1.0, 0.5), 2: Has(0.0, 0.5)})
    assert (turns.next(), turns.room(2)) == (2, 1.5)
    turns.had(2, 1.5, cut=True, held=False)
    assert (turns.next(), turns.room(1)) == (1, 0.5)
    turns.had(1, 0.5, cut=True, held=False)
    for _ in range(2):
        campaign = turns.next()
        assert campaign is not None
        assert turns.room(campaign) is None
        turns.had(campaign, 0.3, cut=False, held=True)
    assert turns.next() is None


@pytest.mark.parametrize(
    ("held", "works", "room"),
    [(True, 1.6, 0.0), (True, 1.5, None), (False, 1.6, None)],
)
def test_who_is_more_than_an_agent_ahead_waits_for_who_is_held_by_the_price(
    held: bool, works: float, room: float | None
) -> None:
    """Else the one with the higher price would take all agents for good. Who is not held (it has no leads, no
    lines) is not waited for, and nobody waits who is ahead by an agent or less."""
    turns = Turns(ALL, {1: Has(works, 1.0), 2: Has(0.5)})
    assert turns.next() == 2
    turns.had(2, 0.0, cut=False, held=held)
    assert (turns.next(), turns.room(1)) == (1, room)


def test_who_shares_no_agents_waits_for_nobody() -> None:
    """Dedicated agents are dialled for as if there were no other campaign."""
    turns = Turns({1: ids(0, 1), 2: ids(2, 3)}, {1: Has(2.0, 0.5), 2: Has(0.5)})
    turns.had(2, 0.0, cut=False, held=True)
    assert turns.room(1) is None


def test_of_equals_the_one_that_has_not_dialled_for_longest_comes_first() -> None:
    """Nobody is always first."""
    assert Turns(ALL, {}, {1: 7.0, 2: 3.0}).next() == 2
    assert Turns(ALL, {}, {1: 7.0, 2: 8.0}).next() == 1


@given(
    st.dictionaries(CAMPAIGNS, st.frozensets(st.integers(0, 6).map(lambda n: UUID(int=n)), max_size=6)),
    st.dictionaries(CAMPAIGNS, st.builds(Has, st.floats(0, 9), st.floats(0, 9)), max_size=4),
    st.data(),
)
def test_a_look_ends(pools: dict[int, frozenset[UUID]], has: dict[int, Has], data: st.DataObject) -> None:
    """Whatever the turns come to, each campaign has one or two of them."""
    turns, had = Turns(pools, has), list[int]()
    while (campaign := turns.next()) is not None:
        had.append(campaign)
        turns.had(
            campaign, data.draw(st.floats(0, 2)), cut=data.draw(st.booleans()), held=data.draw(st.booleans())
        )
    assert set(had) == set(pools)
    assert all(had.count(campaign) <= 2 for campaign in pools)


@pytest.mark.parametrize(
    ("room", "chance", "most", "calls"),
    [
        (None, 0.3, 7, 7),
        (0.0, 0.3, 7, 0),
        (0.6, 0.3, 7, 2),
        (0.61, 0.3, 7, 3),
        (5.0, 0.3, 7, 7),
        (1.0, 0.0, 7, 7),
    ],
)
def test_calls_for(room: float | None, chance: float, most: int, calls: int) -> None:
    """As many calls as bring the answers that there is room for, never more than the rule allows."""
    assert calls_for(room, chance, most) == calls
