"""May this number be dialled now, and how long may an answered person wait: pure questions about a policy.

Everything here fails closed: what is not known (a zone, a policy, a mode) means "do not dial", with the
reason kept. The policies are in `policies`; they are parameters, not legal advice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import MIDNIGHT, ClockStart, DayType, Hours, Limits, Policy, Purpose, Week

__all__ = [
    "POLICIES",
    "Allowed",
    "ClockStart",
    "DayType",
    "Denied",
    "Hours",
    "Limits",
    "Policy",
    "Purpose",
    "Reason",
    "Week",
    "allowed_now",
    "attempts_allowed",
    "greeting_end_at",
    "places_of",
    "redial_allowed",
    "zone_of",
]

DAY = timedelta(days=1)
#: How far ahead an open window is looked for. The longest run of closed days in any calendar is shorter.
HORIZON_DAYS = 15
#: Modes in which a person starts each call, seeing whom it goes to.
STARTED_BY_PERSON = frozenset({"manual", "preview"})


class Reason(StrEnum):
    """Why a number may not be dialled now."""

    DO_NOT_CALL = "do_not_call"
    NO_ZONE = "no_zone"
    UNKNOWN_ZONE = "unknown_zone"
    OUT_OF_HOURS = "out_of_hours"
    NO_COMMON_HOURS = "no_common_hours"
    ATTEMPTS_PER_DAY = "attempts_per_day"
    ATTEMPTS_PER_WEEK = "attempts_per_week"
    ATTEMPTS_PER_MONTH = "attempts_per_month"
    AFTER_ABANDONED = "after_abandoned"
    AFTER_MACHINE = "after_machine"
    QUOTA_FULL = "quota_full"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The number may be dialled."""

    #: Until when, if nothing else happens.
    until: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """The number may not be dialled."""

    #: Why.
    reason: Reason
    #: Ask again then; None: not before something is mended (a zone, the campaign's hours).
    until: datetime | None
    #: What exactly: the zone that is not known.
    detail: str = ""


# -- the wait for an agent ---------------------------------------------------------------------------------


def greeting_end_at(decided_at: datetime, machine_cause: str, after_greeting_silence_ms: int) -> datetime:
    """When the greeting ended, from the moment that Asterisk's AMD decided.

    A person is recognised (`HUMAN-...`) by a silence after the greeting, so the greeting ended that silence
    earlier. For every other cause the end is not known better than the decision itself.
    """
    if machine_cause.startswith("HUMAN"):
        return decided_at - timedelta(milliseconds=after_greeting_silence_ms)
    return decided_at


# -- the hours ---------------------------------------------------------------------------------------------


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None where there is none (also for names that are paths or empty)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: a name that is a folder of the zone data ("Europe") or too long for a file.
        return None


def places_of(zones: Collection[str]) -> list[ZoneInfo] | Denied:
    """The zones of these names; Denied where there is none, or one that nobody knows."""
    if not zones:
        return Denied(Reason.NO_ZONE, None)
    places: list[ZoneInfo] = []
    for name in zones:
        place = zone_of(name)
        if place is None:
            return Denied(Reason.UNKNOWN_ZONE, None, name)
        places.append(place)
    return places


def allowed_now(
    policy: Policy,
    window: Hours,
    zones: Collection[str],
    now: datetime,
    *,
    calendar: Mapping[date, DayType] | None = None,
) -> Allowed | Denied:
    """May a number with these candidate zones be dialled at `now`?

    Open means: within the campaign's `window` and the policy's hours of that local day, in *every* zone.
    `calendar` holds the days that a government moved (a working Saturday, a Monday off).
    """
    places = places_of(zones)
    if isinstance(places, Denied):
        return places
    # Two days ahead answer nearly every question; the long look is for the rest.
    for days in (2, HORIZON_DAYS):
        spans = _open_spans(policy, window, places, now=now, days=days, calendar=calendar or {})
        if spans:
            opens, closes = spans[0]
            return Allowed(closes) if opens <= now else Denied(Reason.OUT_OF_HOURS, opens)
    return Denied(Reason.NO_COMMON_HOURS, None)


def _open_spans(
    policy: Policy,
    window: Hours,
    places: Sequence[ZoneInfo],
    *,
    now: datetime,
    days: int,
    calendar: Mapping[date, DayType],
) -> list[tuple[datetime, datetime]]:
    """The spans after `now` that are open in all places, in order, UTC; only ones that end after `now`."""
    common: list[tuple[datetime, datetime]] | None = None
    for place in places:
        first = now.astimezone(place).date() - DAY
        spans: list[tuple[datetime, datetime]] = []
        for day in (first + n * DAY for n in range(days + 2)):
            hours = policy.week.of(policy.day_type(day, calendar))
            both = hours.common(window) if hours else None
            if both is None:
                continue
            # Where the clock is turned, a local time may come twice or never: open late, close early.
            opens = max(_instants(day, both.opens, place))
            closes = min(_instants(day, both.closes, place))
            if closes <= now or closes <= opens:
                continue
            if spans and spans[-1][1] >= opens:
                spans[-1] = (spans[-1][0], closes)
            else:
                spans.append((opens, closes))
        common = spans if common is None else _intersect(common, spans)
        if not common:
            return []
    return common or []


def _instants(day: date, minute: int, place: ZoneInfo) -> tuple[datetime, datetime]:
    if minute == MIDNIGHT:
        day, minute = day + DAY, 0
    local = datetime.combine(day, time(minute // 60, minute % 60), place)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)


def _intersect(
    one: Sequence[tuple[datetime, datetime]], other: Sequence[tuple[datetime, datetime]]
) -> list[tuple[datetime, datetime]]:
    found: list[tuple[datetime, datetime]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        opens, closes = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if opens < closes:
            found.append((opens, closes))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found


# -- how often ---------------------------------------------------------------------------------------------


def attempts_allowed(
    policy: Policy, tried_at: Sequence[datetime], now: datetime, own: Limits | None = None
) -> Denied | None:
    """None when one more attempt keeps the limits of the policy, and the campaign's `own`, else why not and
    until when.

    `tried_at`: when the number was tried before (at least its last 31 days), in any order.
    """
    denials = []
    for limit, span, reason in (
        each
        for limits in (policy.limits, own or Limits())
        for each in (
            (limits.per_day, DAY, Reason.ATTEMPTS_PER_DAY),
            (limits.per_week, 7 * DAY, Reason.ATTEMPTS_PER_WEEK),
            (limits.per_month, 31 * DAY, Reason.ATTEMPTS_PER_MONTH),
        )
    ):
        recent = sorted(at for at in tried_at if at > now - span)
        if limit is not None and len(recent) >= limit:
            denials.append(Denied(reason, recent[len(recent) - limit] + span if limit else None))
    return max(denials, key=lambda denied: denied.until or datetime.max.replace(tzinfo=UTC), default=None)


def redial_allowed(
    policy: Policy, mode: str, last_result: str | None, ended_at: datetime | None, now: datetime
) -> Denied | None:
    """None when the result of the last attempt does not forbid a call in `mode` now, else until when it does.

    A call that a person starts is always served by that person, so it may follow at once.
    """
    waits = {
        "abandoned": (policy.redial_after_abandoned_s, Reason.AFTER_ABANDONED),
        "machine": (policy.redial_after_machine_s, Reason.AFTER_MACHINE),
    }
    if last_result not in waits or mode in STARTED_BY_PERSON:
        return None
    wait_s, reason = waits[last_result]
    if ended_at is None:
        # The result is known and its time is not: count from now, the latest that it can have been.
        ended_at = now
    until = ended_at + timedelta(seconds=wait_s)
    return Denied(reason, until) if now < until else None
