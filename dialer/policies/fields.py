"""What may be said of a policy, and within which bounds: one check for pages, API and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, field_validator

from dialer.compliance.free_days import year_of
from dialer.compliance.policy import ClockStart, Day, DayType, Limits, Policy, Purpose, Week
from dialer.httpkit.schema import In, Line, form
from dialer.said import Said

Mode = Literal["manual", "preview", "progressive", "power", "predictive", "flow"]
Span = Annotated[str, Field(max_length=11, examples=["09:00-21:00"])]
Spans = Annotated[list[Span], Field(max_length=12)]
CODE = form(
    r"^[a-z0-9][a-z0-9-]{1,48}[a-z0-9]$",
    "must be 3 to 50 characters of a-z, 0-9 and -, a letter or a digit first and last",
)
COUNTRY = form(r"^(\*|[A-Z]{2})$", "must be a country of two capital letters like RU, or * for any")
DATE = form(r"^[01][0-9]-[0-3][0-9]$", "must be a month and a day like 05-09")
LONGEST_S = 366 * 24 * 3600
#: A year of which every country has holidays.
_ANY_YEAR = 2026


def read_day(spans: Sequence[str]) -> Day:
    """The hours of a day. Raises ValueError that a reader is told of."""
    try:
        return Day.read(spans)
    except ValueError:
        raise ValueError(
            "hours are written HH:MM-HH:MM, in their order, with breaks between them, 24:00 at most"
        ) from None


class PolicyBody(In):
    """All numbers of a policy."""

    title_ru: Line = Field(min_length=1, max_length=200)
    title_en: Line = Field(min_length=1, max_length=200)
    jurisdiction: str = Field(default="*", pattern=COUNTRY, description="ISO country code; *: any")
    purpose: Purpose = Field(default=Purpose.ANY, description="what its calls are for")
    source: Line = Field(min_length=1, max_length=1000, description="where the numbers come from")
    read_on: date = Field(description="when they were read there")
    clock: ClockStart = Field(
        default=ClockStart.ANSWER, description="from when a person's wait for an agent counts"
    )
    abandon_after_s: float = Field(default=2.0, ge=0.5, le=10)
    abandon_cap: float = Field(default=0.03, ge=0, le=1, description="share of abandoned calls, 0 to 1")
    abandon_window_s: int = Field(default=30 * 24 * 3600, ge=3600, le=LONGEST_S)
    min_ring_s: int = Field(default=15, ge=5, le=60)
    working: Spans = Field(default=["09:00-21:00"], description="hours of working days; none: no calls")
    day_off: Spans = Field(default=["09:00-21:00"], description="hours of weekends; none: no calls")
    holiday: Spans = Field(default=[], description="hours of public holidays; none: no calls")
    holidays: list[Annotated[str, Field(pattern=DATE)]] = Field(
        default=[], max_length=60, description="holidays of each year besides the regions' own, MM-DD"
    )
    regions: list[Annotated[str, Field(max_length=10)]] = Field(
        default=[],
        max_length=60,
        description="whose public holidays and moved days count: RU, DE-BY, DE-* for those of any of its "
        "regions; none: those of the country that the called person's time zone is of",
    )
    moved: dict[date, DayType] = Field(
        default={}, max_length=400, description="days that a government moved; they win over all else"
    )
    per_day: int | None = Field(default=None, ge=1, le=100, description="attempts at a person in 24 hours")
    per_week: int | None = Field(default=None, ge=1, le=500, description="attempts in 7 days")
    per_month: int | None = Field(default=None, ge=1, le=1000, description="attempts in 31 days")
    forbidden_modes: list[Mode] = Field(default=[], max_length=6)
    forbidden_by: Line = Field(default="", max_length=200, description="where that stands")
    asks_consent: bool = Field(default=False, description="a call needs a consent that is on record")
    redial_after_abandoned_s: int = Field(default=0, ge=0, le=LONGEST_S)
    redial_after_machine_s: int = Field(default=0, ge=0, le=LONGEST_S)
    redial_after_refusal_s: int = Field(default=0, ge=0, le=LONGEST_S)
    label_max_length: int | None = Field(default=None, ge=1, le=100)
    keep_days: int | None = Field(default=None, ge=1, le=36500)
    this_machine_only: bool = Field(
        default=False, description="only for trunks whose carrier is on this machine"
    )

    @field_validator("working", "day_off", "holiday")
    @classmethod
    def _hours(cls, value: list[str]) -> list[str]:
        return read_day(value).written

    @field_validator("holidays")
    @classmethod
    def _dates(cls, value: list[str]) -> list[str]:
        for each in value:
            try:
                date.fromisoformat(f"2024-{each}")  # a leap year
            except ValueError:
                raise ValueError(Said("there is no date {day}", day=each)) from None
        return sorted(set(value))

    @field_validator("regions")
    @classmethod
    def _regions(cls, value: list[str]) -> list[str]:
        for each in value:
            if year_of(each, _ANY_YEAR) is None:
                raise ValueError(Said("the holidays of {region} are not known", region=each))
        return sorted(set(value))

    def policy(self, code: str, version: int) -> Policy:
        """The policy of these numbers."""
        days = {"working", "day_off", "holiday"}
        limits = {"per_day", "per_week", "per_month"}
        other = {"holidays", "regions", "moved", "forbidden_modes"}
        plain = {name: getattr(self, name) for name in PolicyBody.model_fields.keys() - days - limits - other}
        return Policy(
            **plain,
            code=code,
            version=version,
            week=Week(read_day(self.working), read_day(self.day_off), read_day(self.holiday)),
            limits=Limits(self.per_day, self.per_week, self.per_month),
            holidays=frozenset((int(each[:2]), int(each[3:])) for each in self.holidays),
            regions=tuple(self.regions),
            moved=tuple(sorted(self.moved.items())),
            forbidden_modes=frozenset(self.forbidden_modes),
        )

    @classmethod
    def values_of(cls, policy: Policy) -> dict[str, Any]:
        """The numbers of a policy, by the names of the fields."""
        plain = {name: getattr(policy, name) for name in cls.model_fields if hasattr(policy, name)}
        return plain | {
            "working": policy.week.working.written,
            "day_off": policy.week.day_off.written,
            "holiday": policy.week.holiday.written,
            "per_day": policy.limits.per_day,
            "per_week": policy.limits.per_week,
            "per_month": policy.limits.per_month,
            "holidays": sorted(f"{month:02}-{day:02}" for month, day in policy.holidays),
            "regions": sorted(policy.regions),
            "moved": dict(policy.moved),
            "forbidden_modes": sorted(policy.forbidden_modes),
        }

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """What a policy says."""
        return cls(**cls.values_of(policy))


def faults(policy: Policy, today: date) -> list[tuple[str, str]]:
    """What is wrong with a policy beside the bounds of each number: (which one, why)."""
    found = []
    if policy.jurisdiction != "*" and policy.jurisdiction not in SUPPORTED_REGIONS:
        found.append(("jurisdiction", "there is no such country"))
    if policy.read_on > today + timedelta(days=1):  # it is tomorrow somewhere
        found.append(("read_on", "must not be in the future"))
    if not any(policy.week.days):
        found.append(("working", "no day has hours: nobody could ever be called"))
    spans = [(name, getattr(policy.limits, name)) for name in ("per_day", "per_week", "per_month")]
    given = [(name, many) for name, many in spans if many is not None]
    for (shorter, less), (longer, more) in pairwise(given):
        if more < less:
            said = Said("must not be less than {name}, which is {less}", name=shorter, less=less)
            found.append((longer, said))
    return found


class PolicyIn(PolicyBody):
    """A policy of one's own."""

    code: str = Field(pattern=CODE, description="stable name; campaigns keep it")


class VersionIn(PolicyBody):
    """The next version of a policy of one's own."""

    after: int = Field(ge=1, description="the version that it follows: refused when there is a newer one")
