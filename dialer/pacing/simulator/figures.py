"""What a run gave: counted as it goes, told as shares, rates and waits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: A window with fewer live answers is too small for a share: it has an allowance of abandons.
LEAST_ANSWERS: Final = 300
DAY_S: Final = 86_400.0


class Minute(NamedTuple):
    """All that was counted up to a moment; the difference of two is what lay between."""

    #: worked seconds from the first counted one
    worked_s: float
    #: agent-seconds on duty, talking, and in wrap-up
    duty_s: float
    talk_s: float
    wrap_s: float
    #: line-seconds: calls from the dial to the end of the talk
    lines_s: float
    dials: int
    #: people who answered, as the server knows: joined to an agent, or abandoned
    live: int
    abandoned: int
    #: people with an agent
    contacts: int

    def since(self, before: Minute) -> Minute:
        """What lay between."""
        return Minute._make(mine - theirs for mine, theirs in zip(self, before, strict=True))

    @property
    def occupancy(self) -> float:
        """Talk and wrap-up of the time on duty, 0 to 1."""
        return (self.talk_s + self.wrap_s) / self.duty_s if self.duty_s else 0.0

    @property
    def abandon_rate(self) -> float:
        """Abandoned of the live answers, 0 to 1."""
        return self.abandoned / self.live if self.live else 0.0


@dataclass(slots=True)
class Ledger:
    """Counts while a run goes on: integrals over time of what is at hand, and sums of what happened."""

    #: when it was last brought up to date
    at: float = 0.0
    on_duty: int = 0
    talking: int = 0
    wrapping: int = 0
    lines: int = 0
    #: whether the centre is open: outside, nobody is on duty
    open: bool = False
    #: whether waits and peaks are kept
    counted: bool = False
    duty_s: float = 0.0
    talk_s: float = 0.0
    wrap_s: float = 0.0
    lines_s: float = 0.0
    dials: int = 0
    live: int = 0
    abandoned: int = 0
    contacts: int = 0
    cancelled: int = 0
    machines_joined: int = 0
    left_early: int = 0
    #: people who truly answered, and those of them that by their own ear had nobody in time
    people: int = 0
    unserved: int = 0
    lines_peak: int = 0
    waits_s: list[float] = field(default_factory=list)
    idle_s: list[float] = field(default_factory=list)
    #: of each live answer from the first on: when it was settled (real seconds), and whether as abandoned
    settled: list[tuple[float, bool]] = field(default_factory=list)
    counted_from: float = 0.0
    minutes: list[Minute] = field(default_factory=list)

    def advance(self, now: float) -> None:
        """Bring the integrals up to date; before anything at hand changes."""
        passed = now - self.at
        self.at = now
        if self.open:
            self.duty_s += passed * self.on_duty
            self.talk_s += passed * self.talking
            self.wrap_s += passed * self.wrapping
            self.lines_s += passed * self.lines

    def minute(self, worked_s: float) -> None:
        """Keep the counts of this moment."""
        self.minutes.append(
            Minute(
                worked_s,
                self.duty_s,
                self.talk_s,
                self.wrap_s,
                self.lines_s,
                self.dials,
                self.live,
                self.abandoned,
                self.contacts,
            )
        )

    def start_counting(self, now: float) -> None:
        """The warm-up is over: all counts begin. A day's windows do not: to whom it was abandoned, the first
        half hour is one like any other."""
        self.advance(now)
        self.counted = True
        self.counted_from = now
        self.duty_s = self.talk_s = self.wrap_s = self.lines_s = 0.0
        self.dials = self.live = self.abandoned = self.contacts = self.cancelled = 0
        self.machines_joined = self.left_early = self.people = self.unserved = 0
        self.lines_peak = self.lines
        for kept in (self.waits_s, self.idle_s, self.minutes):
            kept.clear()
        self.minute(0.0)


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one run. Rates and shares from 0 to 1."""

    seed: int
    total: Minute
    cancelled: int
    people: int
    unserved: int
    left_early: int
    machines_joined: int
    lines_peak: int
    #: customers: from the told answer to an agent; agents: between two calls
    waits_s: Sequence[float]
    idle_s: Sequence[float]
    #: also those of the warm-up
    settled: Sequence[tuple[float, bool]]
    minutes: Sequence[Minute]
    #: when the list was used up, worked seconds; None: it was not
    list_ended_s: float | None = None
    #: when the warm-up was over, real seconds
    counted_from: float = 0.0

    @classmethod
    def of(cls, ledger: Ledger, seed: int, list_ended_s: float | None) -> Run:
        """What a ledger says at the end."""
        return cls(
            seed,
            ledger.minutes[-1].since(ledger.minutes[0]),
            ledger.cancelled,
            ledger.people,
            ledger.unserved,
            ledger.left_early,
            ledger.machines_joined,
            ledger.lines_peak,
            ledger.waits_s,
            ledger.idle_s,
            ledger.settled,
            ledger.minutes,
            list_ended_s,
            ledger.counted_from,
        )

    def between(self, from_s: float, until_s: float) -> Minute:
        """What lay between two worked times, to the minute."""
        times = [one.worked_s for one in self.minutes]
        last = len(times) - 1
        first = self.minutes[min(bisect_left(times, from_s - 1e-6), last)]
        return self.minutes[min(bisect_left(times, until_s - 1e-6), last)].since(first)

    def worst_day(self) -> float:
        """The largest abandon share of a calendar day, without the warm-up."""
        days = dict[int, tuple[int, int]]()
        for at, lost in self.settled:
            if at < self.counted_from:
                continue
            live, abandoned = days.get(day := int(at // DAY_S), (0, 0))
            days[day] = live + 1, abandoned + lost
        return max((lost / live for live, lost in days.values()), default=0.0)

    def worst_window(self, length_s: float = DAY_S, least: int = LEAST_ANSWERS) -> float | None:
        """The largest abandon share of the windows of that length with so many live answers at least; None:
        there is no such window."""
        return max((lost / live for _, live, lost in self._windows(length_s) if live >= least), default=None)

    def over_allowance(self, allowed: Sequence[int], length_s: float = DAY_S) -> int:
        """By how many abandoned calls the worst of the windows of that length is over what is allowed to its
        number of live answers, of those that `allowed` has; under it all: less than 0. While the warm-up
        lasts, the last and largest of `allowed` holds for all of them."""
        most = len(allowed)
        return max(
            (
                lost - allowed[live if at >= self.counted_from else -1]
                for at, live, lost in self._windows(length_s)
                if live < most
            ),
            default=-1,
        )

    def _windows(self, length_s: float) -> Iterator[tuple[float, int, int]]:
        """The end of the window that ends with each live answer, its live answers and abandoned."""
        first = lost = 0
        for last, (at, abandoned) in enumerate(self.settled):
            lost += abandoned
            while self.settled[first][0] <= at - length_s:
                lost -= self.settled[first][1]
                first += 1
            yield at, last - first + 1, lost


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of all is at or under (nearest rank); None: there are none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered) + 1 - 1e-9) - 1))]


def together(parts: Sequence[Minute]) -> Minute:
    """The sum of stretches."""
    return Minute._make(sum(each) for each in zip(*parts, strict=True))


def summary(runs: Sequence[Run], lost_window: float | None = None) -> dict[str, object]:
    """All runs of one setting together; with several, the band in which 5 to 95 % of them lie.

    `lost_window`: the limit that the share of windows over it is told for.
    """
    total = together([run.total for run in runs])
    agent_hours = total.duty_s / 3600
    people = sum(run.people for run in runs)
    waits = [wait for run in runs for wait in run.waits_s]
    idle = [wait for run in runs for wait in run.idle_s]
    windows = [worst for run in runs if (worst := run.worst_window()) is not None]
    found: dict[str, object] = {
        "occupancy": _round(total.occupancy),
        "abandon_rate": _round(total.abandon_rate),
        "talk_min_per_hour": _round(60 * total.talk_s / total.duty_s if total.duty_s else 0.0),
        "contacts_per_agent_hour": _round(total.contacts / agent_hours if agent_hours else 0.0),
        "worst_day_abandon_rate": _round(max(run.worst_day() for run in runs)),
        "worst_24h_abandon_rate": _round(max(windows)) if windows else None,
        "wait_s": {"p50": _round(quantile(waits, 0.5)), "p95": _round(quantile(waits, 0.95))},
        "agent_idle_s": {"p50": _round(quantile(idle, 0.5)), "p95": _round(quantile(idle, 0.95))},
        "lines": {
            "mean": _round(total.lines_s / total.worked_s if total.worked_s else 0.0),
            "peak": max(run.lines_peak for run in runs),
        },
        "dials": total.dials,
        "live_answers": total.live,
        "abandoned": total.abandoned,
        "contacts": total.contacts,
        "cancelled": sum(run.cancelled for run in runs),
        "unserved_rate": _round(sum(run.unserved for run in runs) / people if people else 0.0),
        "left_early": sum(run.left_early for run in runs),
        "machines_joined": sum(run.machines_joined for run in runs),
        "list_ended_h": _round(min(ended) / 3600)
        if (ended := [run.list_ended_s for run in runs if run.list_ended_s is not None])
        else None,
        "seeds": [run.seed for run in runs],
    }
    if len(runs) > 1:
        found["band"] = _band(runs)
    if lost_window is not None:
        found["days_over_limit"] = sum(run.worst_day() > lost_window for run in runs)
    return found


def _band(runs: Sequence[Run]) -> Mapping[str, Sequence[float | None]]:
    each = {
        "occupancy": [run.total.occupancy for run in runs],
        "abandon_rate": [run.total.abandon_rate for run in runs],
    }
    return {
        name: [_round(quantile(values, 0.05)), _round(quantile(values, 0.95))]
        for name, values in each.items()
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def minutes_within(run: Run, times: Sequence[float], length_s: float) -> Minute:
    """What lay in the stretches of that length after each of these times, together."""
    return together([run.between(at, at + length_s) for at in times])


def first_at_or_over(run: Run, at_s: float, share: float, window_s: float = 300.0) -> float | None:
    """After how long from a moment the last `window_s`, all of them after it, have this occupancy, s; None:
    never."""
    times = [one.worked_s for one in run.minutes]
    for index in range(bisect_left(times, at_s + window_s), len(times)):
        before = max(bisect_left(times, times[index] - window_s), bisect_left(times, at_s))
        if run.minutes[index].since(run.minutes[before]).occupancy >= share:
            return times[index] - at_s
    return None
