"""The rule of predictive dialling: price one more call by looking ahead, dial while the price is allowed.

At some moments ahead of now, D is how many agents are taken: those who will still talk or wrap up, and one
for each call that will have been answered by then and is held; calls of other campaigns count as far as they
may take these agents. Agents and calls do not know of each other, so D is a sum of independent terms (a
Poisson-binomial). One more dial is abandoned if it is answered at a moment where D has reached the number of
agents: the mean of P(D >= agents) over the moments of a fresh dial's answer is its price. The budget says
what price is allowed; it is the one number that is held by feedback.

Reasons (`Plan.why`): no_agents, no_lines, no_leads, within_budget (the price of each was allowed),
free_agents (it was not, yet an agent is free for each), price_over (one more would cost too much),
taken_back (that, and ringing calls were taken back), budget_spent (one call for each free agent). Without
knowledge or budget it is progressive, with its reasons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np

from dialer.pacing.answering import chance_of, log_odds
from dialer.pacing.chances import EXACT_TERMS, Floats, exact_tails, normal_tails
from dialer.pacing.laws import Knowledge
from dialer.pacing.level import Level, chances, level, shifted
from dialer.pacing.model import CallInAir, DialMode, Plan, Snapshot, plan
from dialer.pacing.tables import AGES, Tables, tables

#: Of a call that the learner was not told of.
_UNTOLD: Final = (math.nan, math.nan)
#: Calls that nobody has answered.
_UNANSWERED: Final = ("dialling", "ringing")
#: A ringing call is taken back where its own price is over this many times the allowed one, and over the
#: least. Higher than 1: a call that rings has cost its lead an attempt, a call not yet placed has not.
DROP_AT: Final = 2.0
DROP_LEAST: Final = 0.02
#: First look at so many more dials; four times as many while all of them are allowed.
FIRST_LOOK: Final = 4


def lookahead(snapshot: Snapshot, now: datetime) -> Plan:
    """How many calls to place now, and which to take back."""
    if snapshot.knowledge is None or snapshot.budget is None:
        return plan(replace(snapshot, mode=DialMode.PROGRESSIVE), now)
    return _Look.at(snapshot, now).plan()


def _told(knowledge: Knowledge, calls: list[CallInAir], others: list[CallInAir]) -> Floats:
    """That a person answers each of the calls. The campaign's own by what is known of its mean now, where it
    was told what was known when they were dialled."""
    in_air, mean = knowledge.recent.in_air, knowledge.answer_probability
    told = np.array(
        [mean if one.answer_probability is None else one.answer_probability for one in (*calls, *others)]
    )
    if calls:
        differ = np.array([in_air.get(call.attempt_id, _UNTOLD)[1] for call in calls])
        own = told[: len(calls)]
        own[:] = np.where(np.isnan(differ), own, chances(log_odds(mean) + differ))
    return told


def _tails(terms: list[Floats], more: Floats, least: int) -> Floats:
    """P(D >= least) at each moment, without and with the first 1, 2, ... of `more`: (j + 1, moments)."""
    rows = np.concatenate(terms)
    if len(rows) + len(more) <= EXACT_TERMS:
        return exact_tails(rows, more, least)
    # The sums of all, then one more term a row.
    steps = np.concatenate([rows.sum(axis=0)[None, :], more])
    squares = np.concatenate([np.einsum("nk,nk->k", rows, rows)[None, :], more * more])
    cubes = np.concatenate([np.einsum("nk,nk,nk->k", rows, rows, rows)[None, :], more * more * more])
    mean, square, cube = (np.cumsum(each, axis=0) for each in (steps, squares, cubes))
    return normal_tails(mean, mean - square, mean - 3 * square + 2 * cube, least)


@dataclass(frozen=True, slots=True)
class _Case:
    """How it may stand with the campaign's level."""

    #: of the log-odds of an answer
    shift: float
    #: how likely it stands so, 0 to 1
    weight: float
    #: terms of D then
    terms: list[Floats]


@dataclass(slots=True)
class _Look:
    """One look at a snapshot."""

    snapshot: Snapshot
    now: datetime
    table: Tables
    #: that a person answers a call of whose lead nothing is known
    mean_answer: float
    #: how far all chances of an answer are from what was told, and the doubt of it
    level: Level
    price: float
    ready: int
    #: calls that nobody has answered, and those of others
    calls: list[CallInAir]
    others: list[CallInAir]
    #: calls that were answered and have no agent yet, and those of others
    answered: list[CallInAir]
    #: agents whom the others' calls take if all are answered
    for_others: int
    #: of the unanswered calls, others' last: that a person answers, as known now
    told: Floats

    @classmethod
    def at(cls, snapshot: Snapshot, now: datetime) -> _Look:
        assert snapshot.knowledge is not None
        assert snapshot.budget is not None
        knowledge = snapshot.knowledge
        calls, others = (
            [call for call in each if call.state in _UNANSWERED] for each in (snapshot.calls, snapshot.others)
        )
        answered = [call for call in (*snapshot.calls, *snapshot.others) if call.state not in _UNANSWERED]
        table = tables(knowledge.laws, snapshot.slack_s)
        return cls(
            snapshot,
            now,
            table,
            knowledge.answer_probability,
            level(knowledge, table, now.timestamp()),
            snapshot.budget.price,
            [agent.state for agent in snapshot.agents].count("ready"),
            calls,
            others,
            answered,
            math.ceil(round(sum([call.takes for call in snapshot.others]), 6)),
            _told(knowledge, calls, others),
        )

    def plan(self) -> Plan:
        """The plan."""
        busy, answered = self._busy(), self._answered()
        now = self.now
        ages = np.array([(now - call.created_at).total_seconds() for call in (*self.calls, *self.others)])
        bins = self.table.bins(ages)
        (likeliest, _), *_ = nodes = self.level.nodes()
        rows, coming = self._rows(bins, likeliest)
        own, kept = len(self.calls), np.ones(len(rows), dtype=bool)
        cancel: tuple[UUID, ...] = ()
        droppable = self._droppable(ages[:own])
        if droppable:
            kept[droppable] = False
            terms = [busy, answered, rows[kept]]
            keep = self._worth_keeping(terms, rows[droppable], bins[droppable])
            cancel = tuple(self.calls[i].attempt_id for i in reversed(droppable[keep:]))
            coming[droppable[keep:]] = 0.0
            kept[droppable[:keep]] = True
        cases = [_Case(likeliest, nodes[0][1], [busy, answered, rows[kept]])]
        for shift, weight in nodes[1:]:
            cases.append(_Case(shift, weight, [busy, answered, self._rows(bins, shift)[0][kept]]))
        dial, price = self._dials(cases, len(cancel))
        soon = self.table.soon
        inputs: dict[str, float] = {
            "ready": self.ready,
            "agents": len(self.snapshot.agents),
            "in_air": len(self.snapshot.calls),
            "waiting": len(self.snapshot.calls) - own,
            "soon_s": float(self.table.moments_s[soon]),
            "expected_answers": float(coming[:own].sum()),
            "expected_free": len(self.snapshot.agents) - float(busy[:, soon].sum()),
            "price": price,
            "allowed": self.price,
            "answer_probability": chance_of(log_odds(self.mean_answer) + likeliest),
            "lines_left": self.snapshot.lines_left,
            "taken_back": len(cancel),
        }
        assert self.snapshot.budget is not None
        if self.snapshot.budget.windows:
            inputs["credit"] = min(window.credit for window in self.snapshot.budget.windows)
        if self.snapshot.others:
            inputs["others_in_air"] = len(self.snapshot.others)
        return Plan(dial, cancel, self._why(dial, price, bool(cancel)), inputs)

    # -- who will be taken ---------------------------------------------------------------------------------

    def _busy(self) -> Floats:
        """Of the agents who are not ready: their terms of D."""
        now, table = self.now, self.table
        assert self.snapshot.knowledge is not None
        tempos = self.snapshot.knowledge.agents
        wrap_up = table.tempos
        ages: list[float] = []
        which: list[int] = []
        for agent in self.snapshot.agents:
            state = agent.state
            if state == "ready":
                continue
            tempo = tempos.get(agent.agent_id, 0) if agent.agent_id is not None else 0
            if state == "wrap_up":
                which.append(tempo + wrap_up)
                ages.append((now - agent.since).total_seconds())
            else:
                # Whoever is reserved is about to talk.
                which.append(tempo)
                ages.append((now - agent.since).total_seconds() if state == "talking" else 0.0)
        whose = np.array(which, dtype=int)
        if self.snapshot.talk_age:
            at = np.searchsorted(AGES, np.maximum(ages, 0.0), side="right") - 1
            return np.asarray(table.busy[whose, at])
        return np.asarray(table.busy_any_age[whose])

    def _answered(self) -> Floats:
        """Of the calls that were answered and have no agent yet: their terms of D."""
        assert self.snapshot.knowledge is not None
        person = self.snapshot.knowledge.person_probability
        needs = [call.takes * (person if call.state == "screening" else 1.0) for call in self.answered]
        return np.array(needs)[:, None] * self.table.busy[0, :1]

    def _rows(self, bins: np.ndarray, shift: float) -> tuple[Floats, Floats]:
        """Of the unanswered calls, others' last: terms of D, and chances of an answer."""
        p, own = self.told, len(self.calls)
        if not self.others:
            p = shifted(p, shift)
        elif shift:
            # Only its own: what others' calls come to is not this campaign's to tell.
            p = np.concatenate([shifted(p[:own], shift), p[own:]])
        yes = p * self.table.answer_left[bins]
        rest = np.maximum(yes + (1.0 - p) * self.table.failure_left[bins], 1e-9)
        held = p / rest
        if self.others:
            held[own:] *= [call.takes for call in self.others]
        return self.table.call[bins] * held[:, None], yes / rest

    # -- what to do ----------------------------------------------------------------------------------------

    def _droppable(self, ages: Floats) -> list[int]:
        """Ringing calls that may be taken back, the longest ringing first."""
        after = self.snapshot.drop_after_s
        if after is None:
            return []
        rung = [
            (-(self.now - call.ringing_at).total_seconds(), i)
            for i in np.flatnonzero(ages >= after).tolist()
            if (call := self.calls[i]).ringing_at is not None
        ]
        # Neither is one so old taken back: who knows for how long it has really rung.
        oldest = self.table.step_s * len(self.table.answer_left)
        return [i for less_s, i in sorted(rung) if after <= -less_s < oldest]

    def _worth_keeping(self, terms: list[Floats], rows: Floats, bins: np.ndarray) -> int:
        """How many of the ringing calls to keep, in their order, each priced with those before it."""
        tails = _tails(terms, rows[:-1], len(self.snapshot.agents))
        prices = (tails * self.table.weights[bins]).sum(axis=1)
        over = prices > max(min(DROP_AT * self.price, (1.0 + self.price) / 2), DROP_LEAST)
        return int(over.argmax()) if over.any() else len(rows)

    def _dials(self, cases: list[_Case], taken_back: int) -> tuple[int, float]:
        """How many to dial, and the price of one more."""
        agents = len(self.snapshot.agents)
        most = min(self.snapshot.lines_left, agents and 10 * agents + 10)
        if self.snapshot.leads_left is not None:
            most = min(most, self.snapshot.leads_left)
        most = max(most, 0)
        floor = min(max(0, self._free() + taken_back), most)
        assert self.snapshot.budget is not None
        look = min(max(FIRST_LOOK, floor), most)
        while True:
            prices = self._prices(cases, look)
            if self.snapshot.budget.spent:
                return floor, float(prices[floor])
            over = prices > self.price
            over[:floor] = False
            if over.any():
                dial = int(over.argmax())
                return dial, float(prices[dial])
            if look == most:
                return most, float(prices[most])
            look = min(4 * look, most)

    def _prices(self, cases: list[_Case], look: int) -> Floats:
        """The price of one dial more than the first 0, 1, ... `look`."""
        leads = np.full(look + 1, self.mean_answer)
        if known := self.snapshot.next_leads[: look + 1]:
            leads[: len(known)] = known
        lost = answers = np.zeros(look + 1)
        for case in cases:
            p = shifted(leads, case.shift)
            dials = p[:look, None] * self.table.call[:1]
            tails = _tails(case.terms, dials, len(self.snapshot.agents)) @ self.table.weights[0]
            # Where more answer, more are lost: a price is of one answer.
            lost, answers = lost + case.weight * p * tails, answers + case.weight * p
        return lost / answers

    def _free(self) -> int:
        """Free agents for whom no call is in the air; below 0: more calls than free agents."""
        return self.ready - len(self.snapshot.calls) - self.for_others

    def _why(self, dial: int, price: float, taken_back: bool) -> str:
        snapshot = self.snapshot
        assert snapshot.budget is not None
        if not snapshot.agents:
            return "no_agents"
        if snapshot.budget.spent:
            return "budget_spent"
        if dial:
            # The last of them was allowed, or each has a free agent.
            return "free_agents" if dial <= self._free() and price > self.price else "within_budget"
        if taken_back:
            return "taken_back"
        if price > self.price:
            return "price_over"
        return "no_lines" if snapshot.lines_left <= 0 else "no_leads"
