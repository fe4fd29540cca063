"""Predictive campaigns that share agents, in the simulated contact centre: as busy as one team of all."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import pytest

from dialer.bench.pacing.verdict import OVER_BY, allowances
from dialer.pacing.model import CallInAir, Plan, Snapshot, plan
from dialer.pacing.sharing import Has, Turns, calls_for, share, takes, together
from dialer.pacing.simulator.centre import Centre
from dialer.pacing.simulator.figures import LEAST_ANSWERS, Run
from dialer.pacing.simulator.pacer import Call, Decision, Pacer, Seat, View
from dialer.pacing.simulator.planned import Limits, Predictive
from dialer.pacing.simulator.world import HOUR_S, Drawn, Lead, World

#: By campaign, the numbers of the agents whom it may use.
Skills = Mapping[int, frozenset[int]]
#: Calls that are dialled in this look have no number yet.
_NEW = 1 << 96


@dataclass(frozen=True, slots=True)
class Part:
    """What one campaign sees of the centre."""

    view: View
    seats: Sequence[Seat]
    calls: Mapping[int, Call]
    #: its part of the agents
    staffed: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.view, name)


class Floor(Pacer):
    """Campaigns of equal priority, each with what it has learned; their looks go as the engine's do."""

    #: seldom for the sake of the test's time; it changes no figure by much
    tick_s = 1.0
    gather_s = 0.25

    def __init__(self, world: World, skills: Skills, limits: Mapping[int, Limits]) -> None:
        self.skills = skills
        # A first guess is that the agents are divided evenly.
        part = replace(world, agents=max(1, world.agents // len(skills)))
        self.rules = {campaign: Predictive(part, limits[campaign]) for campaign in skills}
        self.dialled = dict.fromkeys(skills, 0.0)
        self.chances: dict[int, float] = {}
        #: whose the next calls are, in their order
        self.next: deque[int] = deque()
        #: of which campaign each call is, and each agent's latest talk
        self.of_call: dict[int, int] = {}
        self.of_seat: dict[int, int] = {}
        #: of which campaign the call is that is being settled
        self.settling = 0
        self.live: Counter[int] = Counter()
        self.abandoned: Counter[int] = Counter()
        self.talk_s: dict[int, float] = dict.fromkeys(skills, 0.0)
        self.counted_from_s = world.warm_up_s

    # -- a look, as the runner's ------------------------------------------------------------------------

    def decide(self, view: View) -> Decision:
        calls = {campaign: dict[int, Call]() for campaign in self.skills}
        for number, call in view.calls.items():
            calls[self.of_call[number]][number] = call
        parts = {
            campaign: self.rules[campaign].snapshot(
                cast(View, Part(view, view.seats, calls[campaign], max(1, len(view.seats) // len(calls))))
            )
            for campaign in self.skills
        }
        self.chances = {
            campaign: rule.learner.knowledge().answer_probability for campaign, rule in self.rules.items()
        }
        agents = parts[min(parts)].agents
        usable = [
            (agent, frozenset(one for one, able in self.skills.items() if agent.session_id.int in able))
            for agent in agents
        ]
        ahead = [one for one in parts if parts[one].budget and not cast(Any, parts[one].budget).spent]
        spoken_for = {one: len(part.calls) for one, part in parts.items() if one not in ahead}
        shares = share(usable, dict.fromkeys(parts, 0), spoken_for, self.dialled)
        decided = Decided(self, view, parts)
        for one in parts.keys() - set(ahead):
            decided.take(one, replace(parts[one], agents=shares[one]), None)
        pools = together(usable, shares, ahead)
        ids = {one: frozenset(agent.session_id for agent in pool) for one, pool in pools.items()}
        turns = Turns(ids, self.has(view, calls), self.dialled)
        while (campaign := turns.next()) is not None:
            snapshot = replace(
                parts[campaign],
                agents=pools[campaign],
                others=[
                    replace(call, takes=part, answer_probability=self.chance(one))
                    for one in ahead
                    if one != campaign and (part := takes(ids[campaign], ids[one]))
                    for call in parts[one].calls
                ],
            )
            dialled, cut, held = decided.take(campaign, snapshot, turns.room(campaign))
            turns.had(campaign, dialled * self.chance(campaign), cut=cut, held=held)
        return Decision(len(self.next), decided.cancel)

    def chance(self, campaign: int) -> float:
        return self.chances[campaign]

    def has(self, view: View, calls: Mapping[int, Mapping[int, Call]]) -> dict[int, Has]:
        works = Counter(
            self.of_seat[seat.number] for seat in view.seats if seat.state in ("reserved", "talking")
        )
        return {
            one: Has(
                works[one],
                sum(self.chance(one) if call.state != "waiting" else 1 for call in theirs.values()),
            )
            for one, theirs in calls.items()
        }

    # -- what happens, told to whom it concerns ---------------------------------------------------------

    def person(self, view: View, call: Call) -> None:
        self.rules[self.of_call[call.number]].person(view, call)

    def unanswered(self, view: View, call: Call) -> None:
        self.rules[self.of_call[call.number]].unanswered(view, call)

    def cancelled(self, view: View, call: Call) -> None:
        self.rules[self.of_call[call.number]].cancelled(view, call)

    def settled(self, view: View, abandoned: bool) -> None:
        self.rules[self.settling].settled(view, abandoned)
        if view.now >= self.counted_from_s:
            self.live[self.settling] += 1
            self.abandoned[self.settling] += abandoned

    def talk_ended(self, view: View, seat: Seat, talk_s: float) -> None:
        self.rules[self.of_seat[seat.number]].talk_ended(view, seat, talk_s)
        if view.now >= self.counted_from_s:
            self.talk_s[self.of_seat[seat.number]] += talk_s

    def wrap_ended(self, view: View, seat: Seat, wrap_s: float) -> None:
        self.rules[self.of_seat[seat.number]].wrap_ended(view, seat, wrap_s)


class Decided:
    """What a look comes to: calls that are dialled in it count in its later turns."""

    def __init__(self, floor: Floor, view: View, parts: dict[int, Snapshot]) -> None:
        self._floor, self._view, self._parts = floor, view, parts
        self.cancel: list[int] = []

    def take(self, campaign: int, snapshot: Snapshot, room: float | None) -> tuple[int, bool, bool]:
        decision: Plan = plan(snapshot, self._view.wall)
        chance = self._floor.chance(campaign)
        dial = calls_for(room, chance, decision.dial)
        self.cancel += [one.int - (1 << 64) for one in decision.cancel]
        new = [
            CallInAir(UUID(int=_NEW + len(self._floor.next) + n), "dialling", self._view.wall, chance)
            for n in range(dial)
        ]
        left = [call for call in snapshot.calls if call.attempt_id not in decision.cancel]
        self._parts[campaign] = replace(self._parts[campaign], calls=[*left, *new])
        self._floor.next.extend([campaign] * dial)
        if dial:
            self._floor.dialled[campaign] = self._view.now
        price, allowed = (decision.inputs.get(name, 0.0) for name in ("price", "allowed"))
        cut = dial < decision.dial
        return dial, cut, price > allowed and not cut


class Shared(Centre):
    """The centre whose calls are of campaigns, and whose agents have skills."""

    def __init__(
        self, world: World, floor: Floor, hours: float, seed: int, answers: Mapping[int, float]
    ) -> None:
        """`answers`: by campaign, its answer rate as a part of the world's."""
        super().__init__(world, Drawn(world, seed, hours * HOUR_S), floor, hours, seed)
        self._floor, self._answers = floor, answers

    def _dial(self, lead: Lead) -> None:
        campaign = self._floor.next.popleft()
        self._floor.of_call[self._dialled + 1] = campaign
        super()._dial(lead._replace(factor=self._answers.get(campaign, 1.0)))

    def _able(self, call: Call) -> frozenset[int]:
        return self._floor.skills[self._floor.of_call[call.number]]

    def _person(self, call: Call) -> None:
        self._pacer.person(self, call)
        # As the switchboard chooses: last those whom other campaigns' calls in the air may need.
        able, needed = self._able(call), frozenset[int]()
        for other in self.calls.values():
            if self._able(other) is not able:
                needed |= self._able(other)
        seat = min(
            (seat for seat in self.ready.values() if seat.number in able),
            key=lambda seat: (seat.number in needed, seat.since_s),
            default=None,
        )
        if seat is not None:
            self._give(call, seat)
            return
        call.state, call.shown = "waiting", None
        self.waiting[call.number] = call
        self._at(max(self.now, call.deadline_s), self._abandon, call)

    def _free(self, seat: Seat) -> None:
        self._show(seat, "ready")
        self.ready[seat.number] = seat
        call = next((call for call in self.waiting.values() if seat.number in self._able(call)), None)
        if call is not None:
            self._give(call, seat)

    def _give(self, call: Call, seat: Seat) -> None:
        self._floor.of_seat[seat.number] = self._floor.of_call[call.number]
        super()._give(call, seat)

    def _joined(self, pair: tuple[Call, Seat]) -> None:
        self._floor.settling = self._floor.of_call[pair[0].number]
        super()._joined(pair)

    def _abandon(self, call: Call) -> None:
        self._floor.settling = self._floor.of_call[call.number]
        super()._abandon(call)


def work(
    skills: Skills,
    *,
    hours: float = 16.0,
    seed: int = 1,
    limits: Mapping[int, Limits] | None = None,
    answers: Mapping[int, float] | None = None,
) -> tuple[Run, Floor]:
    """These campaigns over these agents."""
    world = World(agents=len(frozenset[int]().union(*skills.values())))
    floor = Floor(world, skills, {one: (limits or {}).get(one, Limits()) for one in skills})
    return Shared(world, floor, hours, seed, answers or {}).run(), floor


EVERYBODY = frozenset(range(10))
#: One run of an hour or two says as much by chance as by its rule.
SEEDS = (1, 2, 3)


def works(skills: Skills, *, hours: float) -> tuple[float, list[Floor]]:
    """The same over several seeds: occupancy on average, 0 to 1, and the floors."""
    runs = [work(skills, hours=hours, seed=seed) for seed in SEEDS]
    return sum(run.total.occupancy for run, _ in runs) / len(runs), [floor for _, floor in runs]


def talks(floors: Sequence[Floor], campaign: int) -> float:
    """The campaign's part of all talks, 0 to 1."""
    return sum(floor.talk_s[campaign] for floor in floors) / sum(sum(one.talk_s.values()) for one in floors)


def keeps_its_limit(floor: Floor, campaign: int) -> bool:
    """By what the product promises: half a point over it at most, of few answers what chance gives."""
    live, abandoned = floor.live[campaign], floor.abandoned[campaign]
    if live < LEAST_ANSWERS:
        return abandoned <= allowances(0.03)[live]
    return abandoned <= (0.03 + OVER_BY) * live


@pytest.mark.timeout(400)
def test_two_campaigns_over_ten_agents_pace_as_one_team_of_ten() -> None:
    """Universal agents are kept busier than two teams of five are, no campaign abandons more than its limit
    allows, and both have about half of the talks."""
    together_, floors = works({1: EVERYBODY, 2: EVERYBODY}, hours=1.5)
    apart, _ = works({1: frozenset(range(5)), 2: frozenset(range(5, 10))}, hours=1.5)
    assert together_ > apart + 0.015
    for campaign in (1, 2):
        assert all(keeps_its_limit(floor, campaign) for floor in floors)
        assert talks(floors, campaign) >= 0.4


@pytest.mark.timeout(400)
def test_a_campaign_of_universal_agents_alone_keeps_its_limit() -> None:
    """Five of twenty agents are all that one of two campaigns has: the other's calls leave it its part, and
    its customers are abandoned no more often than may be."""
    _, floors = works({1: frozenset(range(20)), 2: frozenset(range(15, 20))}, hours=1.5)
    assert talks(floors, 2) >= 0.4 * 5 / 20
    for campaign in (1, 2):
        assert all(keeps_its_limit(floor, campaign) for floor in floors)
