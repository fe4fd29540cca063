"""The survey that a customer goes through after a talk, and what it says of agents. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Which:
    """Which surveys; None: any."""

    agent_id: int | None = None
    campaign_id: int | None = None
    #: the name of the flow
    flow: str | None = None
    #: begun at this moment or later
    since: datetime | None = None
    #: begun before this moment
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What one customer has said of one talk."""

    #: of the attempt, or of the inbound call
    call_id: UUID
    #: who had the talk
    agent_id: int
    agent: str
    campaign_id: int
    campaign: str
    #: the flow that asked, by its name, in the version that was live then
    flow: str
    version: int
    began_at: datetime
    #: the flow came to its end; else the customer has hung up in it
    finished: bool
    #: by variable of the flow
    answers: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Count:
    """How many customers have answered a question so."""

    flow: str
    agent_id: int
    agent: str
    #: the variable of the question
    question: str
    answer: str
    customers: int


@dataclass(frozen=True, slots=True)
class Totals:
    """How many customers of an agent were asked by a flow."""

    flow: str
    agent_id: int
    agent: str
    surveys: int
    #: have answered at least one question
    answered: int
    finished: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What customers have answered to one question."""

    #: how many have answered it
    customers: int
    #: of the answers, where all are numbers; None: they are words
    mean: float | None
    #: answer -> how many have given it, the most frequent first
    given: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """What the customers of an agent have said, by one flow."""

    flow: str
    agent_id: int
    agent: str
    surveys: int
    answered: int
    finished: int
    #: by variable
    questions: Mapping[str, Answers]


def figures(totals: Sequence[Totals], counts: Sequence[Count]) -> list[Figure]:
    """The figures by flow and agent, in the order of `totals`."""
    found: dict[tuple[str, int], dict[str, dict[str, int]]] = {}
    for one in counts:
        questions = found.setdefault((one.flow, one.agent_id), {})
        questions.setdefault(one.question, {})[one.answer] = one.customers
    return [
        Figure(
            each.flow,
            each.agent_id,
            each.agent,
            each.surveys,
            each.answered,
            each.finished,
            {name: _answers(given) for name, given in found.get((each.flow, each.agent_id), {}).items()},
        )
        for each in totals
    ]


def _answers(given: Mapping[str, int]) -> Answers:
    customers = sum(given.values())
    numbers = [_number(answer) for answer in given]
    mean = None
    if all(number is not None for number in numbers):
        mean = sum(int(answer) * count for answer, count in given.items()) / customers
    ordered = sorted(given.items(), key=lambda one: (-one[1], one[0]))
    return Answers(customers, mean, dict(ordered))


def _number(answer: str) -> int | None:
    """What a scale has: more digits are a number of something, of which there is no mean."""
    return int(answer) if answer.isascii() and answer.isdigit() and len(answer) <= 3 else None
