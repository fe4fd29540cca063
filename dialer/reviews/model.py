"""What a form asks, what scores come to, how far scorers are apart, which calls are drawn. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

#: Points of a criterion, or None: it did not come up in the talk.
Scores = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is scored."""

    #: by which scores name it
    key: str
    title: str
    #: what is meant
    hint: str = ""
    #: how much it counts beside the others
    weight: int = 1
    #: 0 to so many points
    most: int = 5


@dataclass(frozen=True, slots=True)
class Form:
    """A form in one version."""

    id: int
    name: str
    version: int
    active: bool
    criteria: Sequence[Criterion]


@dataclass(frozen=True, slots=True)
class Talk:
    """A call as scoring needs it."""

    id: UUID
    #: it has come in
    inbound: bool
    agent_id: int | None
    #: the user that the agent is
    agent_user_id: int | None

    def had_by(self, user_id: int | None) -> bool:
        """Whether it is the user's own talk."""
        return user_id is not None and user_id == self.agent_user_id


@dataclass(frozen=True, slots=True)
class Review:
    """What one person has scored one call."""

    id: int
    call_id: UUID
    agent_id: int | None
    agent: str | None
    form_id: int
    form: str
    version: int
    scorer_id: int
    scorer: str
    scores: Scores
    #: 0 to 100
    total: float
    comment: str
    made_at: datetime
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls of each agent are drawn each week."""

    id: int
    form_id: int
    form: str
    #: None: of all
    campaign_id: int | None
    campaign: str | None
    calls: int
    #: shorter recordings are not drawn, seconds
    least_s: int
    active: bool
    #: the Monday of the last week that was drawn from
    drawn_week: date | None


@dataclass(frozen=True, slots=True)
class Task:
    """A call that was drawn to be scored."""

    plan_id: int
    call_id: UUID
    form_id: int
    form: str
    agent_id: int
    agent: str
    campaign: str
    started_at: datetime
    #: of the recording, seconds; None: it is gone
    duration_s: float | None
    week: date
    #: who has scored it, and what; None: nobody yet
    scorer: str | None
    total: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A call that several people score, blind to each other until it is closed."""

    id: int
    call_id: UUID
    form_id: int
    form: str
    version: int
    reason: str
    opened_by: str | None
    opened_at: datetime
    closed_at: datetime | None
    #: how many have scored
    scorers: int


@dataclass(frozen=True, slots=True)
class AgentFigure:
    """What an agent's talks were scored by a form, on the average."""

    agent_id: int
    agent: str
    form_id: int
    form: str
    reviews: int
    #: 0 to 100
    total: float
    #: by criterion: 0 to 100
    criteria: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """How far scorers are apart in one thing."""

    least: float
    most: float
    mean: float

    @property
    def width(self) -> float:
        """From the strictest to the kindest."""
        return self.most - self.least


#: What a new form begins with: key, weight, title and hint by language.
SHIPPED: Final[Sequence[tuple[str, int, Mapping[str, tuple[str, str]]]]] = (
    (
        "speech",
        25,
        MappingProxyType(
            {
                "ru": ("Речь", "Чисто, в спокойном темпе, без слов-паразитов; слова понятны клиенту."),
                "en": ("Speech", "Clear, at a calm pace, no fillers; words that the customer knows."),
            }
        ),
    ),
    (
        "confidence",
        25,
        MappingProxyType(
            {
                "ru": ("Уверенность", "Знает предложение, ведёт разговор, отвечает без пауз и догадок."),
                "en": ("Confidence", "Knows the offer, leads the talk, answers without pauses or guesses."),
            }
        ),
    ),
    (
        "listening",
        25,
        MappingProxyType(
            {
                "ru": ("Умение слушать", "Не перебивает, уточняет, отвечает на то, что сказал клиент."),
                "en": ("Listening", "Does not interrupt, asks back, answers what the customer has said."),
            }
        ),
    ),
    (
        "conflict",
        25,
        MappingProxyType(
            {
                "ru": ("Конфликты", "Спокоен с недовольным, не спорит, предлагает выход."),
                "en": ("Conflict", "Stays calm with the angry, does not argue, offers a way out."),
            }
        ),
    ),
)


def shipped(locale: str) -> list[Criterion]:
    """The criteria that a new form begins with, in a language."""
    return [
        Criterion(key, *texts["ru" if locale == "ru" else "en"], weight=weight)
        for key, weight, texts in SHIPPED
    ]


def criteria_of(document: Sequence[Mapping[str, Any]]) -> list[Criterion]:
    """As the database keeps them."""
    return [Criterion(**one) for one in document]


def total(criteria: Sequence[Criterion], scores: Scores) -> float | None:
    """0 to 100: the share of points by weight, of what came up in the talk; None where nothing did."""
    came_up = [(one, points) for one in criteria if (points := scores.get(one.key)) is not None]
    weight = sum(one.weight for one, _ in came_up)
    if not weight:
        return None
    return 100 * sum(one.weight * points / one.most for one, points in came_up) / weight


def spread(values: Sequence[float]) -> Spread | None:
    """Of several scorers; None of none."""
    return Spread(min(values), max(values), sum(values) / len(values)) if values else None


def last_week(now: datetime, zone: ZoneInfo) -> tuple[date, datetime, datetime]:
    """The last week that is over, by the clock of a place: its Monday, when it began and when it ended."""
    today = now.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday() + 7)
    begun, ended = (datetime.combine(day, time(), zone) for day in (monday, monday + timedelta(days=7)))
    return monday, begun, ended


def draw(calls: Mapping[int, Sequence[UUID]], many: int, dice: Random) -> dict[int, list[UUID]]:
    """So many calls of each agent, each as likely as any other; all where there are no more."""
    return {agent: dice.sample(sorted(own), min(many, len(own))) for agent, own in calls.items()}
