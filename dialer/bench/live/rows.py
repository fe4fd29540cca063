"""A real run as its rows tell it: what the simulator counts too, and what passed beyond the plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean
from typing import Final

from sqlalchemy import select

from dialer.bench.live.model import Delays
from dialer.calls.model import LIVE, Result
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.demo.numbers import Behaviour, decode
from dialer.demo.setup import TENANT
from dialer.pacing.simulator.figures import Minute, quantile

#: What a number may come to.
_RESULTS: Final[Mapping[Behaviour, frozenset[str]]] = {
    Behaviour.STAYS: frozenset({Result.ANSWERED, Result.ABANDONED}),
    Behaviour.RINGS_OUT: frozenset({Result.NO_ANSWER}),
    Behaviour.BUSY: frozenset({Result.BUSY}),
}
#: Results of an answered call that no agent has taken.
_NOT_SERVED: Final = LIVE - {Result.ANSWERED}
#: States of an agent that the simulator has too.
_KNOWN: Final = frozenset({"ready", "reserved", "talking", "wrap_up", "offline"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What matters of an attempt's row."""

    e164: str
    created_at: datetime
    sent_at: datetime | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    connected_at: datetime | None = None
    hung_up_at: datetime | None = None
    result: str | None = None
    #: answered -> both in one bridge
    answer_to_agent_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """A stretch of an agent's time."""

    state: str
    started_at: datetime
    #: None: it goes on
    ended_at: datetime | None
    #: empty: none
    attempt_id: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """All of a run, up to a moment after its end."""

    since: datetime
    until: datetime
    attempts: Sequence[Attempt]
    times: Sequence[Spent]
    #: how long each wrap-up was to take, seconds, by attempt
    wrap_ups: Mapping[str, float]
    #: when pacing decided something new, and why; in order
    decisions: Sequence[tuple[datetime, str]] = ()
    #: an agent is in time so long after the answer
    slack_s: float = 2.0

    def inside(self, at: datetime | None) -> bool:
        """Whether it happened in the run."""
        return at is not None and self.since <= at < self.until

    def overlap_s(self, started_at: datetime, ended_at: datetime | None) -> float:
        """Seconds of a span that lie in the run."""
        span = min(ended_at or self.until, self.until) - max(started_at, self.since)
        return max(0.0, span.total_seconds())


async def read(database: Database, since: datetime, until: datetime, wrap_ups: Mapping[str, float]) -> Rows:
    """The rows of a centre that has done nothing else. Raises DatabaseUnavailable."""
    a, spent = t.attempt.c, t.agent_time.c
    attempts = select(
        a.e164, a.created_at, a.sent_at, a.ringing_at, a.answered_at, a.connected_at, a.hung_up_at,
        a.result, a.answer_to_agent_ms,
    ).order_by(a.created_at)  # fmt: skip
    times = select(spent.state, spent.started_at, spent.ended_at, spent.attempt_id)
    tick = t.pacing_tick.c
    decisions = select(tick.at, tick.why).where(tick.at >= since, tick.at < until).order_by(tick.at)
    async with database.tenant(TENANT) as conn:
        made = [Attempt(**row._mapping) for row in await conn.execute(attempts)]
        worked = [
            Spent(row.state, row.started_at, row.ended_at, str(row.attempt_id or ""))
            for row in await conn.execute(times)
        ]
        decided = [(row.at, row.why) for row in await conn.execute(decisions)]
    return Rows(since, until, made, worked, wrap_ups, decided)


def counted(rows: Rows) -> Minute:
    """What the simulator counts, as it counts it: an answer when it is settled, by an agent or in vain."""
    seconds = _spent_s(rows)
    served = [one for one in rows.attempts if rows.inside(one.connected_at)]
    slack = timedelta(seconds=rows.slack_s)
    lost = [
        one
        for one in rows.attempts
        if one.result in _NOT_SERVED and one.answered_at and rows.inside(one.answered_at + slack)
    ]
    return Minute(
        worked_s=(rows.until - rows.since).total_seconds(),
        duty_s=sum(spent for state, spent in seconds.items() if state != "offline"),
        talk_s=seconds["talking"],
        wrap_s=seconds["wrap_up"],
        lines_s=sum(rows.overlap_s(one.created_at, one.hung_up_at) for one in rows.attempts),
        dials=sum(rows.inside(one.created_at) and _placed(one) for one in rows.attempts),
        live=len(served) + len(lost),
        abandoned=sum(one.result == Result.ABANDONED for one in lost),
        contacts=len(served),
    )


def _placed(one: Attempt) -> bool:
    return bool(one.sent_at or one.ringing_at or one.answered_at)


def delays(rows: Rows) -> Delays:
    """What passed beyond the plan, on average; 0 where nothing was seen."""
    rang, talked = list[float](), list[float]()
    for one in rows.attempts:
        plan = decode(one.e164)
        if one.ringing_at and plan.setup_s:
            rang.append(_seconds(one.created_at, one.ringing_at) - plan.setup_s)
        if one.connected_at and one.hung_up_at and rows.inside(one.hung_up_at):
            talked.append(_seconds(one.connected_at, one.hung_up_at) - plan.stay_s)
    wrapped = [
        _seconds(one.started_at, one.ended_at) - rows.wrap_ups[one.attempt_id]
        for one in rows.times
        if one.state == "wrap_up" and one.ended_at and one.attempt_id in rows.wrap_ups
    ]
    # Most find an agent free at once: the half of all waits is theirs.
    joined = (quantile(_waits_ms(rows), 0.5) or 0.0) / 1000
    return Delays(_mean(rang), joined, _mean(talked), _mean(wrapped))


def figures(rows: Rows) -> dict[str, float]:
    """More of a run, by name."""
    waits, seconds = _waits_ms(rows), _spent_s(rows)
    late = [
        _seconds(one.ringing_at, one.answered_at) - decode(one.e164).ring_s
        for one in rows.attempts
        if one.ringing_at and one.answered_at
    ]
    return {
        "wait_p50_s": (quantile(waits, 0.5) or 0.0) / 1000,
        "wait_p95_s": (quantile(waits, 0.95) or 0.0) / 1000,
        "wait_max_s": max(waits, default=0.0) / 1000,
        # Joined all the same: chosen in time, and both were in one bridge a moment later.
        "joined_late": float(sum(wait > 1000 * rows.slack_s for wait in waits)),
        "answer_late_s": _mean(late),
        "reserved_s": seconds["reserved"],
        "away_s": sum(spent for state, spent in seconds.items() if state not in _KNOWN),
        "answers_planned": _share(rows),
        "decisions": float(len(rows.decisions)),
        "budget_spent_s": _spent_budget_s(rows),
    }


def _share(rows: Rows) -> float:
    """The share of those who would answer among the dialled: what the seed has dealt out."""
    return _mean([float(decode(one.e164).behaviour is Behaviour.STAYS) for one in rows.attempts])


def wrong(rows: Rows) -> list[str]:
    """Attempts that came to something else than their number says, for people; none is right."""
    found = []
    for one in rows.attempts:
        behaviour = decode(one.e164).behaviour
        if one.result is not None and one.result not in _RESULTS.get(behaviour, frozenset()):
            found.append(f"{one.e164} ({behaviour.name.lower()}) came to {one.result}")
    return found


def _waits_ms(rows: Rows) -> list[float]:
    return [
        one.answer_to_agent_ms
        for one in rows.attempts
        if one.answer_to_agent_ms is not None and rows.inside(one.connected_at)
    ]


def _spent_s(rows: Rows) -> dict[str, float]:
    """Seconds of all agents, by state."""
    spent = defaultdict[str, float](float)
    for one in rows.times:
        spent[one.state] += rows.overlap_s(one.started_at, one.ended_at)
    return spent


def _spent_budget_s(rows: Rows) -> float:
    """Seconds in which a window had no abandoned calls left: each decision holds until the next."""
    ends = [at for at, _ in rows.decisions[1:]] + [rows.until]
    return sum(
        _seconds(at, end)
        for (at, why), end in zip(rows.decisions, ends, strict=False)
        if why == "budget_spent"
    )


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
