"""What a log of calls really gave, counted as a run of the simulator is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from dialer.pacing.simulator.figures import Minute, Run
from dialer.pacing.simulator.replay import Became, Log, PastDial, most_at_once
from dialer.pacing.simulator.world import HOUR_S

_MINUTE_S: Final = 60.0
_NOTHING: Final = Minute(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0)


class Clock:
    """Worked time of a log: the seconds of the spans in which it was dialled."""

    def __init__(self, spans: Sequence[tuple[float, float]]) -> None:
        self._spans = spans
        self._before = list(accumulate((until - since for since, until in spans), initial=0.0))

    @property
    def worked_s(self) -> float:
        """All of it."""
        return self._before[-1]

    def parts(self, from_s: float, until_s: float) -> Iterable[tuple[float, float]]:
        """What of a stretch was worked, in worked seconds."""
        for (since, until), before in zip(self._spans, self._before, strict=False):
            low, high = max(from_s, since), min(until_s, until)
            if high > low:
                yield before + low - since, before + high - since

    def worked(self, at_s: float) -> float:
        """Worked seconds before a moment."""
        return sum(min(at_s, until) - since for since, until in self._spans if at_s > since)

    def real(self, worked_s: float) -> float:
        """The moment of so many worked seconds."""
        for (since, until), before in zip(self._spans, self._before, strict=False):
            if worked_s <= before + until - since:
                return since + worked_s - before
        return self._spans[-1][1]


def past_run(log: Log) -> Run:
    """The figures of what was; `seed` is 0."""
    spans = log.at_work()
    clock = Clock(spans)
    on_duty = log.on_duty()
    counts = _Minutes(clock)
    for stretch in on_duty:
        counts.lasted("duty_s", stretch.from_s, stretch.until_s)
        if stretch.state in ("talking", "wrap_up"):
            name = "talk_s" if stretch.state == "talking" else "wrap_s"
            counts.lasted(name, stretch.from_s, stretch.until_s)
    people = [dial for dial in log.dials if dial.became is Became.PERSON]
    for dial in log.dials:
        counts.happened("dials", dial.at_s)
        counts.lasted("lines_s", dial.at_s, _line_free_s(dial))
    for dial in people:
        counts.happened("live", _settled_s(dial))
        counts.happened("abandoned", _settled_s(dial), int(dial.abandoned))
        counts.happened("contacts", _settled_s(dial), int(dial.joined_s is not None))
    minutes = counts.minutes()
    abandoned = sum(dial.abandoned for dial in people)
    return Run(
        seed=0,
        total=minutes[-1].since(minutes[0]),
        cancelled=sum(dial.became is Became.TAKEN_BACK for dial in log.dials),
        people=len(people),
        unserved=abandoned,
        left_early=sum(dial.left_s is not None for dial in people),
        machines_joined=0,
        lines_peak=most_at_once([(dial.at_s, _line_free_s(dial)) for dial in log.dials]),
        waits_s=[dial.joined_s for dial in people if dial.joined_s is not None],
        idle_s=[one.until_s - one.from_s for one in on_duty if one.state == "ready"],
        settled=sorted((_settled_s(dial), dial.abandoned) for dial in people),
        minutes=minutes,
    )


def _settled_s(dial: PastDial) -> float:
    return dial.at_s + dial.after_s


def _line_free_s(dial: PastDial) -> float:
    return dial.over_s - (dial.wrap_s or 0.0)


class _Minutes:
    """Counts by worked minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = int(clock.worked_s // _MINUTE_S)
        self._sums: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))

    def lasted(self, what: str, from_s: float, until_s: float) -> None:
        """Something went on for so long."""
        sums = self._sums[what]
        for low, high in self._clock.parts(from_s, until_s):
            for minute in range(int(low // _MINUTE_S), int(high // _MINUTE_S) + 1):
                part = min(high, (minute + 1) * _MINUTE_S) - max(low, minute * _MINUTE_S)
                sums[min(minute, self._last)] += part

    def happened(self, what: str, at_s: float, count: int = 1) -> None:
        """Something happened."""
        minute = int(self._clock.worked(at_s) // _MINUTE_S)
        self._sums[what][min(minute, self._last)] += count

    def minutes(self) -> list[Minute]:
        """All that was counted up to the end of each minute; the first is nothing."""
        found, before = [_NOTHING], _NOTHING
        for minute in range(self._last + 1):
            each = {what: sums.get(minute, 0) for what, sums in self._sums.items()}
            worked_s = min((minute + 1) * _MINUTE_S, self._clock.worked_s)
            before = Minute(
                worked_s,
                *(
                    getattr(before, name) + type(getattr(before, name))(each.get(name, 0))
                    for name in _COUNTED
                ),
            )
            found.append(before)
        return found


_COUNTED: Final = Minute._fields[1:]


def by_hour(log: Log, runs: Sequence[Run], clock: Clock) -> dict[int, float]:
    """The occupancy in each hour of the local day, 0 to 1; of hours in which anybody was on duty for a minute
    at least."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for run in runs:
        for before, after in zip(run.minutes, run.minutes[1:], strict=False):
            hour = log.local(clock.real((before.worked_s + after.worked_s) / 2)).hour
            passed = after.since(before)
            sums[hour][0] += passed.talk_s + passed.wrap_s
            sums[hour][1] += passed.duty_s
    return {hour: busy / duty for hour, (busy, duty) in sorted(sums.items()) if duty >= HOUR_S / 60}
