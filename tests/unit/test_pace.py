"""What a predictive campaign is told of its calls and agents, live and from its past; who is at hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dialer.agents.model import AgentState, Shift, Takes
from dialer.calls.model import (
    TAKEN_BACK,
    Answered,
    Assignee,
    Call,
    CallState,
    CancelAsked,
    Connected,
    Direction,
    GaveUp,
    HungUp,
    Rang,
    Result,
    Screened,
    Sent,
    Signal,
    Vanished,
)
from dialer.calls.steps import advance
from dialer.calls.table import Line, Wish
from dialer.calls.terms import CallTerms
from dialer.campaigns import pool
from dialer.campaigns.facts import Kind, facts
from dialer.campaigns.pace import Basis, Pace, Past, PastCall, slack_s, traits_of_lead
from dialer.compliance.model import POLICIES, Hours, Timetable
from dialer.ids import new_id
from dialer.pacing.answering import Traits, traits_of, words_of
from dialer.pacing.learner import Observation, Seen
from dialer.pacing.model import AgentInPool, DialMode, Plan, Snapshot
from dialer.queues.model import Need, Queue
from dialer.queues.places import Kept, Owed
from dialer.queues.turns import Place
from scheduler.hopper import ClaimedLead

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AGENT = Assignee(UUID(int=1), 1, UUID(int=2))
#: Another shift, another agent.
SLOW = Assignee(UUID(int=3), 2, UUID(int=4))
TERMS = CallTerms(
    tenant_id=1,
    campaign_id=1,
    mode=DialMode.PREDICTIVE,
    ratio=1.0,
    priority=0,
    policy=POLICIES["us-tsr"],
    skill=None,
    ring_timeout_s=25,
    screens=False,
    amd={},
    record=False,
    wrap_up_limit_s=60,
    abandon_sound="message",
    window=Timetable.alike(Hours(0, 24 * 60)),
    trunks=[],
)
BASIS = Basis.of(TERMS)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def dialled(at_s: float = 0.0, **changes: Any) -> Call:
    """A call that was just committed."""
    return replace(Call(new_id(), 1, 1, False, 2.0, at(at_s)), **changes)


def talk(begin_s: float, ring_s: float = 8.0, talk_s: float = 60.0, agent: Assignee = AGENT) -> list[Signal]:
    """The way of a call that an agent takes at once."""
    answered = begin_s + ring_s
    return [
        Sent(at(begin_s)),
        Rang(at(begin_s + 1)),
        Answered(at(answered)),
        Screened(at(answered)),
        Connected(at(answered), agent=agent),
        HungUp(at(answered + talk_s), result=Result.FAILED, cause=16),
    ]


def ends(call: Call, *signals: Signal) -> Call:
    """The call after the signals."""
    for signal in signals:
        call = advance(call, signal)
    return call


def seen(call: Call) -> list[tuple[Kind, str, float]]:
    """What the learner is told of a call: what, and after how many seconds."""
    return [(fact.kind, fact.seen.what, fact.seen.age_s) for fact in facts(call) if fact.seen is not None]


def abandoned(call: Call) -> bool | None:
    """Whether the budget counts it as abandoned; None: not at all."""
    return next((fact.abandoned for fact in facts(call) if fact.kind is Kind.SETTLED), None)


RANG = (Sent(at(0)), Rang(at(1)))
UP = (*RANG, Answered(at(9)))


@pytest.mark.parametrize(
    ("call", "told", "settled"),
    [
        (ends(dialled(), *talk(0)), [("dial", "answered", 8.0), ("talk", "talked", 60.0)], False),
        (ends(dialled(), *RANG, HungUp(at(4), result=Result.BUSY)), [("dial", "unanswered", 4.0)], None),
        (
            ends(dialled(screens=True), *UP, Screened(at(11), status="MACHINE")),
            [("dial", "machine", 11.0)],
            None,
        ),
        (ends(dialled(), *UP, Screened(at(9)), GaveUp(at(11))), [("dial", "answered", 9.0)], True),
        (
            ends(dialled(screens=True), *UP, HungUp(at(10), result=Result.FAILED)),
            [("dial", "answered", 9.0)],
            False,
        ),
        (ends(dialled(), *UP, Vanished(at(10), detail="lost")), [("dial", "answered", 9.0)], True),
        (
            ends(dialled(), *RANG, CancelAsked(at(16), TAKEN_BACK), HungUp(at(17), result=Result.NO_ANSWER)),
            [("dial", "taken_back", 17.0)],
            None,
        ),
        # It teaches nothing of people: nobody knows how it ended; the carrier failed it; it never left us.
        (ends(dialled(), *RANG, Vanished(at(10), detail="lost")), [], None),
        (ends(dialled(), *RANG, HungUp(at(2), result=Result.CONGESTION, sip_code=503)), [], None),
        (ends(dialled(), CancelAsked(at(0)), HungUp(at(1), result=Result.FAILED)), [], None),
        # Not known yet: who has picked up, and whether an agent comes in time.
        (ends(dialled(screens=True), *UP), [], None),
        (ends(dialled(), *UP, Screened(at(9))), [("dial", "answered", 9.0)], None),
    ],
)
def test_what_a_call_tells(call: Call, told: list[tuple[str, str, float]], settled: bool | None) -> None:
    """Ages go from the dial to the answer or the end; abandoned is what the reports call so."""
    assert seen(call) == told
    assert abandoned(call) is settled


def lives(count: int, seed: int) -> list[tuple[Call, Traits, list[Signal], float]]:
    """Calls with their signals, and how long their agents wrap up, one call after another."""
    dice, made = random.Random(seed), []
    for n in range(count):
        begin = n * 300.0
        ring = dice.uniform(2, 20)
        rang: list[Signal] = [Sent(at(begin)), Rang(at(begin + 1))]
        up = [*rang, Answered(at(begin + ring)), Screened(at(begin + ring))]
        way: list[Signal] = dice.choice(
            [
                talk(begin, ring, dice.uniform(5, 100)),
                talk(begin, ring, dice.uniform(5, 200), SLOW),
                [*rang, HungUp(at(begin + 24.0), result=Result.NO_ANSWER)],
                [*rang, CancelAsked(at(begin + 16)), HungUp(at(begin + 16.1), result=Result.NO_ANSWER)],
                [*up, GaveUp(at(begin + ring + 2)), HungUp(at(begin + ring + 9), result=Result.FAILED)],
                [*up, HungUp(at(begin + ring + 1), result=Result.FAILED)],
            ]
        )
        of: Traits = (("hour", str(dice.randint(9, 11))), ("kind", dice.choice(["mobile", "fixed_line"])))
        made.append((dialled(begin), of, way, dice.uniform(3, 40)))
    return made


def shift(state: AgentState, since: datetime, attempt_id: UUID | None, **changes: Any) -> Shift:
    """The agent's shift as its row stands."""
    made = Shift(
        AGENT.session_id, 1, 1, "A", "a", frozenset(), state, since, since, AGENT.leg, "main", attempt_id,
        None, None, None, None,
    )  # fmt: skip
    return replace(made, **changes)


def tempos(pace: Pace) -> dict[int, tuple[int, int]]:
    """By how many steps each agent is known to differ."""
    knowledge = pace.learner.knowledge()
    return {agent: knowledge.laws.tempos[which] for agent, which in knowledge.agents.items()}


def known(pace: Pace, now: datetime) -> tuple[list[float], list[float]]:
    """All that a pace would tell the rule: what was learned, and how the budget stands."""
    knowledge, budget = pace.learner.knowledge(), pace.budget.state(now)
    laws = (knowledge.laws.answer, knowledge.laws.failure, knowledge.laws.talk, knowledge.laws.wrap_up)
    learned = [share for law in laws for share in law.shares]
    learned += [knowledge.answer_probability, knowledge.person_probability, knowledge.prior]
    learned += [pace.chance((("kind", kind), ("hour", "9"))) for kind in ("mobile", "fixed_line")]
    stands = [figure for w in budget.windows for figure in (w.answered, w.abandoned, w.credit)]
    return learned, [budget.price, *stands]


def assert_same(one: Pace, other: Pace, now: datetime) -> None:
    """Both know the same and may spend the same."""
    for mine, theirs in zip(known(one, now), known(other, now), strict=True):
        assert mine == pytest.approx(theirs, abs=1e-12)
    assert tempos(one) == tempos(other)


def live(count: int, seed: int) -> tuple[Pace, list[PastCall]]:
    """A pace that was told step by step, and the rows that stand afterwards."""
    pace, rows = Pace(BASIS), []
    pace.recall(Past((), (), UTC, 0))
    for begun, of, way, wrap_s in lives(count, seed):
        call = begun
        for signal in way:
            call = advance(call, signal)
            pace.changed(call, of)
            pace.learner.knowledge()
        ended_at = call.ended_at
        if call.connected_at is not None:
            assert call.hung_up_at is not None
            ended_at = call.hung_up_at + timedelta(seconds=wrap_s)
            assert call.talked is not None
            wrapping = shift(AgentState.WRAP_UP, call.hung_up_at, call.attempt_id)
            pace.shifts_read({call.talked: wrapping})
            pace.shifts_read({call.talked: shift(AgentState.READY, ended_at, None)})
            pace.learner.knowledge()
        row = replace(call, ended_at=ended_at, agent=None, talked=None)
        rows.append(PastCall(row, traits_of(words_of(of)), call.talked, None))
    return pace, rows


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_past_tells_what_was_told_live(seed: int) -> None:
    """Told again from the rows, a campaign knows and may spend what it did before."""
    pace, rows = live(150, seed)
    again = Pace(BASIS)
    again.recall(Past(rows, (), UTC, 0))
    now = at(150 * 300.0)
    assert_same(pace, again, now)
    assert any(window.abandoned for window in again.budget.state(now).windows)
    by_agent = tempos(again)
    assert by_agent[AGENT.agent_id][0] < by_agent[SLOW.agent_id][0]


def test_what_is_long_ago_counts_in_its_windows() -> None:
    """Answers that are told by the minute stand in the policy's window and in their day, like single ones."""
    minutes = [(at(60.0 * n), 5, n % 2) for n in range(100)]
    by_minute, one_by_one = Pace(BASIS), Pace(BASIS)
    by_minute.recall(Past((), minutes, UTC, 0))
    for minute, answered, lost in minutes:
        for n in range(answered):
            one_by_one.budget.settle(minute, abandoned=n < lost)
    (one, two) = (pace.budget.state(at(7200)).windows for pace in (by_minute, one_by_one))
    assert [(w.name, w.answered, w.abandoned) for w in one] == [
        (w.name, w.answered, w.abandoned) for w in two
    ]
    assert {(w.answered, w.abandoned) for w in one} == {(500, 50)}


def test_what_happens_while_the_past_is_read_counts_once() -> None:
    """A change that stands in the rows already is not told a second time; one that does not is told."""
    call = dialled()
    way = [ends(call, *talk(0)[:n]) for n in range(1, 7)]
    pace = Pace(BASIS)
    # The rows know of the answer; the talk's end is in the changes alone.
    pace.recall(Past([PastCall(way[4], (), AGENT.session_id, None)], (), UTC, 1))
    pace.catch_up([(one, ()) for one in way], ())
    twin = Pace(BASIS)
    twin.recall(Past([PastCall(way[5], (), None, None)], (), UTC, 1))
    assert_same(pace, twin, at(100))


def test_a_wrap_up_ends_when_its_agent_is_ready() -> None:
    """A lost phone is none of it, nor a row that is behind; who logs out teaches nothing."""
    pace, told = Pace(BASIS), list[Observation]()
    pace.learner.see = lambda seen, call=None: told.append(seen)  # type: ignore[method-assign]
    call = ends(dialled(), *talk(0))
    pace.changed(call, ())
    for row in (
        shift(AgentState.TALKING, at(8), call.attempt_id),
        shift(AgentState.WRAP_UP, at(68), call.attempt_id),
        shift(AgentState.LOST, at(70), None),
    ):
        pace.shifts_read({AGENT.session_id: row})
    assert [one.what for one in told] == [Seen.ANSWERED, Seen.TALKED]
    for _ in range(2):
        pace.shifts_read({AGENT.session_id: shift(AgentState.PAUSED, at(80), None)})
    assert [(one.what, one.age_s) for one in told[2:]] == [(Seen.WRAPPED_UP, 12.0)]
    pace.changed(ends(dialled(), *talk(0)), ())
    pace.shifts_read({})
    assert len(told) == 5


def test_what_the_policy_says_of_time_and_drops() -> None:
    """The slack is the policy's, longer where its clock begins after a greeting that is listened to; ringing
    calls are taken back where the campaign says so, after the policy's shortest ringing."""
    assert slack_s(TERMS) == 2.0
    assert slack_s(replace(TERMS, screens=True)) > 2.0
    assert slack_s(replace(TERMS, screens=True, policy=POLICIES["default"])) == 2.0
    pace, empty = Pace(BASIS), Snapshot(DialMode.PREDICTIVE, 1.0, (), (), 1)
    assert pace.told(empty, TERMS, 3, START).drop_after_s is None
    assert pace.told(empty, replace(TERMS, take_back_ringing=True), 3, START).drop_after_s == 15.0


def test_the_target_never_passes_the_cap() -> None:
    """A campaign may hold less than its policy allows, never more."""
    assert Basis.of(TERMS).limit == 0.03
    assert Basis.of(replace(TERMS, abandon_target=0.01)).limit == 0.01
    assert Basis.of(replace(TERMS, abandon_target=0.5)).limit == 0.03


def test_only_what_the_price_held_back_moves_it_up() -> None:
    """Answers that are served while the lines are full leave the price where it is."""
    calls = [(dialled(300.0 * n), talk(300.0 * n)) for n in range(20)]
    prices = []
    for why in ("price_over", "no_lines"):
        pace = Pace(BASIS)
        pace.decided(Plan(0, why=why), Snapshot(DialMode.PREDICTIVE, 1.0, (), (), 0))
        for call, way in calls:
            for n in range(1, len(way) + 1):
                pace.changed(ends(call, *way[:n]), ())
        prices.append(pace.budget.state(at(6000)).price)
    assert prices[0] > prices[1]
    for why, price in zip(("price_over", "no_lines"), prices, strict=True):
        again = Pace(BASIS)
        again.recall(Past([PastCall(ends(call, *way), (), None, why) for call, way in calls], (), UTC, 0))
        assert again.budget.state(at(6000)).price == pytest.approx(price)


def test_a_lead_has_the_hour_of_its_place() -> None:
    """What is known of a lead: the hour there, what was tried, its number and list."""
    lead = ClaimedLead(1, 7, 1, "+79160000000", ("Asia/Vladivostok",), 9, "busy", "mobile")
    assert dict(traits_of_lead(lead, START)) == {
        "hour": "19", "weekday": "0", "attempts": "5", "last_result": "busy", "kind": "mobile", "list": "7",
    }  # fmt: skip
    nowhere = replace(lead, timezones=(), last_result=None)
    assert {"hour", "weekday", "last_result"}.isdisjoint(dict(traits_of_lead(nowhere, START)))


def test_trunks_that_people_answer_otherwise_are_told_apart() -> None:
    """One whose number nobody knows is answered seldom: the same lead has another chance over it, live and
    when the campaign is taken up again from the rows."""
    dice, pace, rows = random.Random(5), Pace(BASIS), []
    pace.recall(Past((), (), UTC, 0))
    lead = ClaimedLead(1, 7, 1, "+79160000000", ("Europe/Moscow",), 0, None, "mobile")
    for n in range(600):
        trunk = dice.choice((1, 2))
        begin_s = 4.0 * n
        call, of = dialled(begin_s), traits_of_lead(lead, START, trunk)
        if dice.random() < {1: 0.6, 2: 0.15}[trunk]:
            call = ends(call, *talk(begin_s))
        else:
            call = ends(call, Sent(at(begin_s)), HungUp(at(begin_s + 9), result=Result.BUSY))
        pace.changed(call, of)
        rows.append(PastCall(replace(call, ended_at=call.hung_up_at), traits_of(words_of(of)), None, None))
    again = Pace(BASIS)
    again.recall(Past(rows, (), UTC, 0))
    for known in (pace, again):
        over = [known.chance(traits_of_lead(lead, START, trunk)) for trunk in (1, 2)]
        assert over == [pytest.approx(0.6, abs=0.12), pytest.approx(0.15, abs=0.1)]
        # A third trunk that was never used has the campaign's mean.
        assert over[1] < known.chance(traits_of_lead(lead, START, 3)) < over[0]


# -- who is at hand ----------------------------------------------------------------------------------------


def line(call: Call, terms: CallTerms = TERMS, **changes: Any) -> Line:
    """A call on the lines."""
    return Line(call=call, terms=terms, e164="", trunk_id=1, node="main", **changes)


def states(found: Sequence[tuple[AgentInPool, Shift]]) -> list[str]:
    return [agent.state for agent, _ in found]


def test_who_talks_is_at_hand_and_comes_last() -> None:
    """Calls know who talks before the rows do; free agents come first; one that nobody hears is not there."""
    free = shift(AgentState.READY, at(0), None, id=new_id())
    behind = shift(AgentState.READY, at(0), None)
    talking = ends(dialled(), *talk(0)[:5])
    found = pool.at_hand([behind, free], [line(talking)], lambda _leg: True)
    assert states(found) == ["ready", "talking"]
    assert found[1][0].since == at(8)
    # By whom pacing knows how long the talk will last.
    assert found[1][0].agent_id == behind.agent_id
    assert pool.at_hand([free], [], lambda _leg: False) == []


@pytest.mark.parametrize("state", [AgentState.TALKING, AgentState.WRAP_UP])
def test_who_leaves_after_the_call_is_not_waited_for(state: AgentState) -> None:
    """An agent who has asked for a break during a talk is not counted as one who comes free."""
    leaving = shift(state, at(0), None, next_state=AgentState.PAUSED)
    assert pool.at_hand([leaving], [], lambda _leg: True) == []
    staying = shift(state, at(0), None, next_state=AgentState.READY)
    assert len(pool.at_hand([staying], [], lambda _leg: True)) == 1


def test_nobody_is_dialled_for_who_takes_callers_alone() -> None:
    """Nor at another node."""
    made = [
        shift(AgentState.READY, at(0), None, takes=takes, node=node)
        for takes in Takes
        for node in ("main", "other")
    ]
    assert [each.takes for each in pool.dialled_for(made, "main")] == [Takes.BOTH, Takes.OUTBOUND]


def test_calls_of_a_campaign_that_asks_for_no_more_keep_agents() -> None:
    """As many free agents as its calls will need on average: of predictive ones most are never answered."""
    free = [shift(AgentState.READY, at(0), None, id=new_id()) for _ in range(5)]
    found = pool.at_hand(free, [], lambda _leg: True)
    calls = [line(dialled(), answer_probability=0.5) for _ in range(4)]
    assert len(pool.spare_for_calls(found, calls, 1, {}, "main")) == 3
    assert len(pool.spare_for_calls(found, calls, 1, {1: 0}, "main")) == 5
    progressive = [line(dialled(), replace(TERMS, mode=DialMode.PROGRESSIVE)) for _ in range(4)]
    assert len(pool.spare_for_calls(found, progressive, 1, {}, "main")) == 1


@pytest.mark.parametrize(
    ("of_agent", "relaxed_to", "kept"),
    [
        ({"levels": {"sales": 5}}, None, 1),
        ({"levels": {"sales": 4}}, None, 0),
        ({"levels": {"sales": 4}}, 4, 1),
        ({"levels": {"service": 9}}, None, 0),
        ({"levels": {"sales": 9}, "takes": Takes.OUTBOUND}, None, 0),
    ],
)
def test_callers_who_wait_keep_the_agents_who_may_get_them(
    of_agent: dict[str, Any], relaxed_to: int | None, kept: int
) -> None:
    """One agent a caller, of those with the skill at a level that the queue may come to ask for."""
    free = [shift(AgentState.READY, at(0), None, id=new_id(), **of_agent) for _ in range(3)]
    found = pool.at_hand(free, [], lambda _leg: True)
    waits = replace(dialled(), direction=Direction.INBOUND, state=CallState.WAITING)
    rules = Queue(1, "sales", relax_every_s=relaxed_to and 30, lowest_level=relaxed_to or 1)
    caller = line(waits)
    caller.wish = Wish("sales", 0.0, needs=(Need("sales", 5),), rules=rules)
    assert len(pool.spare_for_calls(found, [caller], 1, {}, "main")) == 3 - kept


@pytest.mark.parametrize(
    ("of_agent", "spared"),
    [({"levels": {"sales": 5}}, 1), ({}, 0), ({"levels": {"sales": 5}, "takes": Takes.OUTBOUND}, 0)],
)
def test_kept_places_keep_the_agents_who_may_call_them(of_agent: dict[str, Any], spared: int) -> None:
    """One agent a place, of those who may get callers with its skill."""
    free = [shift(AgentState.READY, at(0), None, id=new_id(), **of_agent) for _ in range(3)]
    found = pool.at_hand(free, [], lambda _leg: True)
    queue, call_id = Queue(1, "sales", skill="sales"), new_id()
    kept = Kept(
        Place(call_id, 1, at(0)),
        Owed(call_id, "sales", at(0), ""),
        queue,
        1,
        None,
        "+79161112233",
        (),
        (Need("sales"),),
        served=False,
    )
    assert len(pool.spare_for_calls(found, [], 1, {}, "main", [kept])) == 3 - spared


def test_a_call_that_is_taken_back_is_in_the_air_no_more() -> None:
    """It is neither waited for nor taken back twice; a call of another node is that node's."""
    ringing = ends(dialled(), *RANG)
    gone = ends(dialled(), *RANG, CancelAsked(at(16), TAKEN_BACK))
    elsewhere = line(ends(dialled(), *RANG))
    elsewhere.node = "other"
    calls = [line(ringing, answer_probability=0.4), line(gone), elsewhere]
    (only,) = pool.in_air(calls, 1, "main")
    picked_up = line(ends(gone, Answered(at(16)), Screened(at(16))))
    assert [call.attempt_id for call in pool.in_air([picked_up], 1, "main")] == [gone.attempt_id]
    assert (only.attempt_id, only.answer_probability, only.ringing_at) == (ringing.attempt_id, 0.4, at(1))
