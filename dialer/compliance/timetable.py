"""When a campaign calls, by the clocks of the called people: a week, and the dates that are not like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from dialer.compliance.policy import CLOSED, MIDNIGHT, Day, Hours

#: As weekdays are named in what is kept and sent.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Timetable:
    """The hours that a campaign asks for; those of its policy bind it besides."""

    #: Seven days, Monday first.
    days: tuple[Day, ...]
    #: Dates with hours of their own, or none.
    exceptions: Mapping[date, Day] = field(default_factory=dict)
    #: Whether it calls on public holidays, as far as the policy does.
    on_holidays: bool = True

    @classmethod
    def alike(cls, hours: Hours) -> Timetable:
        """The same hours every day."""
        return cls((Day.of(hours),) * 7)

    @classmethod
    def read(
        cls,
        call_from: str,
        call_until: str,
        week: Mapping[str, Sequence[str]],
        exceptions: Mapping[str, Sequence[str]],
        *,
        on_holidays: bool = True,
    ) -> Timetable:
        """`("09:00", "21:00", {"sat": ["10:00-14:00"], "sun": []}, {"2026-12-31": []})`: the hours of every
        day, of weekdays that differ, of dates. Raises ValueError that says what is wrong."""
        if unknown := week.keys() - set(WEEKDAYS):
            raise ValueError(f"there is no weekday {min(unknown)!r}; they are {', '.join(WEEKDAYS)}")
        usual = Day.of(Hours.parse(call_from, call_until))
        days = tuple(Day.read(week[name]) if name in week else usual for name in WEEKDAYS)
        own = {date.fromisoformat(day): Day.read(spans) for day, spans in exceptions.items()}
        return cls(days, own, on_holidays)

    def of(self, day: date, *, holiday: bool) -> Day:
        """The hours of a date. What is said of the date itself wins, also of a holiday."""
        if day in self.exceptions:
            return self.exceptions[day]
        if holiday and not self.on_holidays:
            return CLOSED
        return self.days[day.weekday()]

    @property
    def span(self) -> Hours:
        """From the first minute that is open on any weekday to the last."""
        spans = [span for day in self.days for span in day.spans]
        if not spans:
            return Hours(0, MIDNIGHT)
        return Hours(min(span.opens for span in spans), max(span.closes for span in spans))

    @property
    def words(self) -> str:
        """For a sentence: `09:00-21:00`, or the hours of each day that has other ones."""
        if len(set(self.days)) == 1:
            return str(self.days[0])
        return "; ".join(f"{name} {day or '-'}" for name, day in zip(WEEKDAYS, self.days, strict=True))
