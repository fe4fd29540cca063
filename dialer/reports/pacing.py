"""Why a campaign was paced as it was: the decisions that were kept, as stretches of time and as curves. Pure.

A decision is kept when it changed something, so each holds until the next one of its node.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from dialer.reports.present import Pace

#: Points of a curve.
POINTS: Final = 120
#: What a curve shows of the latest decision of each node together, and of the latest of all.
SUMMED: Final = ("agents", "ready", "in_air")
LATEST: Final = ("answer_probability", "limit")


@dataclass(frozen=True, slots=True)
class Tick:
    """One decision that was kept."""

    node: str
    pace: Pace


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which one node had one reason."""

    node: str
    since: datetime
    until: datetime
    #: calls placed in it
    dialled: int
    #: the latest decision of it
    pace: Pace

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True, slots=True)
class Point:
    """What was so at a moment; a figure that is not known is left out."""

    at: datetime
    #: calls placed since the point before
    dialled: int
    values: Mapping[str, float] = field(default_factory=dict)


def stretches(ticks: Sequence[Tick], since: datetime, until: datetime) -> list[Stretch]:
    """The stretches from `since` to `until`, oldest first; `ticks` in their order, the last of each node
    before `since` among them."""
    found: list[Stretch] = []
    open_: dict[str, Stretch] = {}
    for tick in ticks:
        at = min(max(tick.pace.at, since), until)
        dialled = tick.pace.dial if tick.pace.at >= since else 0
        before = open_.get(tick.node)
        if before is not None and before.pace.why == tick.pace.why:
            open_[tick.node] = replace(before, dialled=before.dialled + dialled, pace=tick.pace)
            continue
        if before is not None:
            found.append(replace(before, until=at))
        open_[tick.node] = Stretch(tick.node, at, until, dialled, tick.pace)
    found += open_.values()
    # One that began and ended before counts for nothing.
    return sorted((one for one in found if one.seconds > 0 or one.dialled), key=lambda one: one.since)


def reasons(found: Sequence[Stretch]) -> list[Stretch]:
    """The stretches of each reason together, the longest first: `since` and `until` are as far apart as they
    lasted in all."""
    by_why: dict[str, list[Stretch]] = defaultdict(list)
    for one in found:
        by_why[one.pace.why].append(one)
    together = []
    for many in by_why.values():
        lasted = timedelta(seconds=sum(one.seconds for one in many))
        dialled = sum(one.dialled for one in many)
        together.append(replace(many[-1], since=many[0].since, until=many[0].since + lasted, dialled=dialled))
    return sorted(together, key=lambda one: -one.seconds)


def points(ticks: Sequence[Tick], since: datetime, until: datetime, count: int = POINTS) -> list[Point]:
    """The curves, at so many moments as far from each other."""
    step = (until - since) / count
    made, latest = list[Point](), dict[str, Mapping[str, float]]()
    share: float | None = None
    i = dialled = 0
    newest: Mapping[str, float] = {}
    for number in range(1, count + 1):
        at = since + step * number
        while i < len(ticks) and ticks[i].pace.at <= at:
            tick = ticks[i]
            latest[tick.node] = newest = tick.pace.inputs
            dialled += tick.pace.dial if tick.pace.at >= since else 0
            if newest.get("live"):
                share = newest.get("abandoned", 0.0) / newest["live"]
            i += 1
        values = {
            name: sum(inputs[name] for inputs in latest.values() if name in inputs)
            for name in SUMMED
            if any(name in inputs for inputs in latest.values())
        }
        values |= {name: newest[name] for name in LATEST if name in newest}
        if share is not None:
            values["abandon_share"] = share
        made.append(Point(at, dialled, values))
        dialled = 0
    return made
