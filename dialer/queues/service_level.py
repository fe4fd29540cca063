"""What a queue did: counts that add up, and the figures made of them. Pure.

A row is one stay of one caller in one queue; who moves on to another queue has a row in each. Letters of the
formulae:

    E  entered the queue, but for those who still wait and not for longer than T
    A  answered by an agent        At  of them within T seconds
    B  abandoned: left while waiting
    Bt  of them within T seconds   Bs  of them in less than the queue's time of a short abandon
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Ended(StrEnum):
    """How a stay in a queue ended."""

    WAITING = "waiting"  # not yet
    ANSWERED = "answered"
    ABANDONED = "abandoned"
    OVERFLOWED = "overflowed"  # to another queue, or back to the flow
    VOICEMAIL = "voicemail"
    CALLBACK = "callback"  # asked to be called back


class Interval(IntEnum):
    """Lengths that figures are told by, in seconds."""

    QUARTER = 900
    HALF_HOUR = 1800
    HOUR = 3600
    DAY = 86_400


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of a caller in a queue."""

    queue_id: int
    offered_at: datetime
    #: an agent and the caller met
    answered_at: datetime | None
    #: the end of the wait, where no agent came
    left_at: datetime | None
    ended: Ended


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked of a queue."""

    #: T
    target_s: float = 20
    #: who leaves before has hardly waited
    short_abandon_s: float = 5


@dataclass(frozen=True, slots=True)
class Counts:
    """What came to a queue in an interval, by when it came. Two of them add up."""

    offered: int = 0
    answered: int = 0
    answered_within: int = 0
    abandoned: int = 0
    abandoned_within: int = 0
    short_abandoned: int = 0
    overflowed: int = 0
    voicemails: int = 0
    callbacks: int = 0
    waiting: int = 0
    #: of those who wait, for not longer than T yet
    undecided: int = 0
    #: who were told that they can be called back in turn
    callbacks_offered: int = 0
    #: who have hung up and kept their place, by the time at which they did; of them who met an agent then
    places_kept: int = 0
    places_reached: int = 0
    #: waits of those who were answered, summed
    answer_wait_s: float = 0.0
    #: the longest wait, whatever it came to; of two counts the longer
    longest_wait_s: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        """Of both together."""
        both = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return replace(Counts(**both), longest_wait_s=max(self.longest_wait_s, other.longest_wait_s))

    @property
    def entered(self) -> int:
        """E."""
        return self.offered - self.undecided

    @property
    def asa_s(self) -> float | None:
        """Average speed of answer, seconds: over those who were answered. None: nobody was."""
        return _ratio(self.answer_wait_s, self.answered)

    @property
    def abandon_share(self) -> float | None:
        """Abandoned calls among those whose wait is over."""
        return _ratio(self.abandoned, self.offered - self.waiting)


class Variant(StrEnum):
    """The ways to reckon a service level that are in use."""

    A_E = "a_e"
    ICMI_1 = "icmi_1"
    ICMI_2 = "icmi_2"
    ICMI_3 = "icmi_3"
    ICMI_4 = "icmi_4"
    ICMI_5 = "icmi_5"
    GENESYS = "genesys"


@dataclass(frozen=True, slots=True)
class Formula:
    """A published way to reckon the service level."""

    #: in the letters of the module's text
    text: str
    #: who has published it
    source: str
    #: numerator and denominator
    of: Callable[[Counts], tuple[int, int]]


_ICMI = "ICMI, Queue Tips, “Service Level Calculations” (2002), formula {}"
#: Every variant; the first is the default.
FORMULAE: Final[Mapping[Variant, Formula]] = MappingProxyType(
    {
        Variant.A_E: Formula(
            "At / E", "answered within T of all who entered", lambda c: (c.answered_within, c.entered)
        ),
        Variant.ICMI_1: Formula(
            "(At + Bt) / (A + B)",
            _ICMI.format(1),
            lambda c: (c.answered_within + c.abandoned_within, c.answered + c.abandoned),
        ),
        Variant.ICMI_2: Formula("At / A", _ICMI.format(2), lambda c: (c.answered_within, c.answered)),
        Variant.ICMI_3: Formula(
            "At / (A + B)", _ICMI.format(3), lambda c: (c.answered_within, c.answered + c.abandoned)
        ),
        Variant.ICMI_4: Formula(
            "At / (A + B − Bt)",
            _ICMI.format(4),
            lambda c: (c.answered_within, c.answered + c.abandoned - c.abandoned_within),
        ),
        Variant.ICMI_5: Formula(
            "(At + Bs) / (A + B)",
            _ICMI.format(5),
            lambda c: (c.answered_within + c.short_abandoned, c.answered + c.abandoned),
        ),
        Variant.GENESYS: Formula(
            "At / (A + B − Bs)",
            "Genesys Cloud, “Configure the service level calculation”, short abandons left out",
            lambda c: (c.answered_within, c.answered + c.abandoned - c.short_abandoned),
        ),
    }
)


def service_level(counts: Counts, variant: Variant = Variant.A_E) -> float | None:
    """The share, 0 to 1; None: nothing is counted that it is a share of."""
    return _ratio(*FORMULAE[variant].of(counts))


def count(stay: Stay, target: Target, now: datetime) -> Counts:
    """What one stay counts for. A wait that is exactly T long is within T."""
    until = stay.answered_at if stay.ended is Ended.ANSWERED else stay.left_at
    wait_s = max(0.0, ((until or now) - stay.offered_at).total_seconds())
    within = wait_s <= target.target_s
    answered, abandoned = stay.ended is Ended.ANSWERED, stay.ended is Ended.ABANDONED
    waiting = stay.ended is Ended.WAITING
    return Counts(
        offered=1,
        answered=int(answered),
        answered_within=int(answered and within),
        abandoned=int(abandoned),
        abandoned_within=int(abandoned and within),
        short_abandoned=int(abandoned and wait_s < target.short_abandon_s),
        overflowed=int(stay.ended is Ended.OVERFLOWED),
        voicemails=int(stay.ended is Ended.VOICEMAIL),
        callbacks=int(stay.ended is Ended.CALLBACK),
        waiting=int(waiting),
        undecided=int(waiting and within),
        answer_wait_s=wait_s if answered else 0.0,
        longest_wait_s=wait_s,
    )


def by_interval(
    stays: Iterable[Stay],
    targets: Mapping[int, Target],
    now: datetime,
    *,
    interval: Interval,
    zone: tzinfo = UTC,
) -> dict[tuple[int, datetime], Counts]:
    """Counts by queue and beginning of the interval in which the caller came. A queue that is not in
    `targets` has the usual ones. Intervals in which nobody came are not there."""
    found: dict[tuple[int, datetime], Counts] = {}
    for stay in stays:
        key = (stay.queue_id, interval_start(stay.offered_at, interval, zone))
        one = count(stay, targets.get(stay.queue_id, Target()), now)
        found[key] = found[key] + one if key in found else one
    return found


def interval_start(at: datetime, interval: Interval, zone: tzinfo) -> datetime:
    """When the interval around `at` began, by the clock of the zone; in UTC."""
    local = at.astimezone(zone)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.DAY:
        return day.replace(fold=0).astimezone(UTC)
    passed_s = (local.hour * 60 + local.minute) * 60 + local.second
    # An hour that the clock shows twice keeps the mark of which it is.
    return (day + timedelta(seconds=passed_s - passed_s % interval)).replace(fold=local.fold).astimezone(UTC)


def containment(results: Mapping[str, int]) -> float | None:
    """IVR containment: calls that the flow served to the end without an agent, among all that entered the
    flow.

    `results`: how many calls had which result. Those that failed on our side, or are unknown, count for
    nothing; who hung up before anything was done for them has entered, and was not served.
    """
    return _ratio(results.get("contained", 0), entered(results))


def entered(results: Mapping[str, int]) -> int:
    """Of calls by their results: those that entered the flow, as `containment` counts them."""
    return sum(many for result, many in results.items() if result not in ("failed", "unknown"))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
