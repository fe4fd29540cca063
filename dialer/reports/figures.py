"""The figures of dialling: their values, and the formula that stands beside each of them.

All are counted from attempts, so a figure can always be traced to calls; of hours that are over they are
counted once (see `dialer.reports.closing`). An attempt counts once its result is known; those without one are
counted apart, as open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dialer.calls.model import OF_ATTEMPTS


class Group(StrEnum):
    """What figures are compared by."""

    CAMPAIGN = "campaign"
    LIST = "list"
    HOUR = "hour"
    TRUNK = "trunk"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Spread:
    """How a duration is spread over calls, milliseconds."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Counts:
    """What the attempts of one row came to. See FORMULAS for each."""

    attempts: int
    #: Attempts that have no result yet.
    open: int
    #: Attempts of which something is still owed: open ones, and talks without their disposition.
    unfinished: int
    #: Attempts that ended before Asterisk was asked to call.
    not_sent: int
    by_result: Mapping[str, int]
    answered: int
    answered_live: int
    connected: int
    contacts_dialled: int
    contacts_reached: int
    join_ms: Spread | None
    answer_to_agent_ms: Spread | None


#: No attempt at all.
NOTHING: Final = Counts(0, 0, 0, 0, {result.value: 0 for result in OF_ATTEMPTS}, 0, 0, 0, 0, 0, None, None)


@dataclass(frozen=True, slots=True)
class AgentTime:
    """Time of agents, seconds."""

    #: In every state but logged out.
    logged_in_s: float
    #: Talking and wrapping up.
    busy_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of figures."""

    #: What the row is of: an id, an hour 0 to 23; None: the total, or attempts that have none.
    key: int | None
    #: Its name for people.
    label: str
    counts: Counts
    #: None where time of agents cannot be told apart by the group.
    time: AgentTime | None

    @property
    def abandoned(self) -> int:
        """See FORMULAS."""
        return self.counts.by_result.get("abandoned", 0)

    @property
    def machines(self) -> int:
        """See FORMULAS."""
        return self.counts.by_result.get("machine", 0)

    @property
    def connect_rate(self) -> float | None:
        """See FORMULAS; None where there is nothing to divide by."""
        return ratio(self.counts.answered_live, self.counts.attempts)

    @property
    def reach_rate(self) -> float | None:
        """See FORMULAS; None where there is nothing to divide by."""
        return ratio(self.counts.contacts_reached, self.counts.contacts_dialled)

    @property
    def abandon_rate(self) -> float | None:
        """See FORMULAS; None where there is nothing to divide by."""
        return ratio(self.abandoned, self.counts.answered_live)

    @property
    def occupancy(self) -> float | None:
        """See FORMULAS; None where there is nothing to divide by."""
        return ratio(self.time.busy_s, self.time.logged_in_s) if self.time else None


def ratio(part: float, whole: float) -> float | None:
    """A share, or None of nothing."""
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Formula:
    """How a figure is computed, for people."""

    ru: str
    en: str

    def text(self, locale: str) -> str:
        """In the reader's language."""
        return self.ru if locale == "ru" else self.en


FORMULAS: Final[Mapping[str, Formula]] = MappingProxyType(
    {
        "attempts": Formula(
            "попытки с известным результатом, переданные в Asterisk",
            "attempts with a known result that were sent to Asterisk",
        ),
        "open": Formula("попытки без результата", "attempts without a result yet"),
        "unfinished": Formula(
            "попытки без результата и разговоры без итога",
            "attempts without a result, and talks without a disposition",
        ),
        "not_sent": Formula(
            "попытки, завершённые до передачи в Asterisk; в остальные показатели не входят",
            "attempts that ended before Asterisk was asked; in no other figure",
        ),
        "by_result": Formula("попытки по результатам", "attempts by result"),
        "answered": Formula(
            "попытки, на которые ответили: человек или автоответчик",
            "attempts that were answered, by a person or a machine",
        ),
        "machines": Formula("попытки с результатом «автоответчик»", "attempts with the result machine"),
        "answered_live": Formula(
            "ответы − автоответчики (в том числе потерянные и те, кто сам положил трубку)",
            "answered - machines (abandoned calls and callers who hung up included)",
        ),
        "connected": Formula("попытки, соединённые с оператором", "attempts that were bridged with an agent"),
        "abandoned": Formula(
            "живые ответы, к которым оператор не подошёл за время правила",
            "answered live, and no agent in the time of the policy",
        ),
        "connect_rate": Formula("уровень дозвона = живые ответы ÷ попытки", "answered live / attempts"),
        "reach_rate": Formula(
            "контакты с живым ответом ÷ контакты, которым звонили",
            "contacts with a live answer / contacts dialled",
        ),
        "abandon_rate": Formula("потерянные ÷ живые ответы", "abandoned / answered live"),
        "occupancy": Formula(
            "(разговор + обработка после него) ÷ время в системе; для кампании — её разговоры ÷ время "
            "операторов, которые могли их вести, от её запуска",
            "(talking + wrap-up) / time logged in; of a campaign: its talks / time of the agents who could "
            "take them, since it started",
        ),
        "join_ms": Formula(
            "от выбора оператора до общего моста, мс: медиана, 95-й процентиль (до 0,5 %), максимум",
            "from the choice of the agent to both in one bridge, ms: median, 95th percentile (to 0.5 %), "
            "maximum",
        ),
        "answer_to_agent_ms": Formula(
            "от ответа до общего моста с оператором, мс, вместе с проверкой на автоответчик и ожиданием",
            "from the answer to both in one bridge, ms, screening and waiting included",
        ),
    }
)
