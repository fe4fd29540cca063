"""When a person may be tried again, and by which number: pure rules over what the last attempt, or its talk,
came to.

A campaign says for each result, and for each disposition of a talk, how long its lead waits (`Wait`): a fixed
time or one that grows, at the earliest in another part of the day, or the person's next number soon. What it
does not name goes by the defaults. The whole life of a lead is bounded by `max_attempts`, over all numbers of
the person; how often a day, week and month is asked by the filters before each attempt
(`dialer.compliance.filters`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from dialer.compliance.policy import Hours
from scheduler.holds import Hold

#: No wait is longer, seconds.
LONGEST_S: Final = 366 * 24 * 3600


class Phone(StrEnum):
    """The number by which a lead is tried next, of those of its person in their order."""

    SAME = "same"
    NEXT = "next"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Wait:
    """What is done after a result or a disposition."""

    #: seconds until the next attempt; negative: there is none, the lead is closed
    after_s: int
    #: each further attempt waits so many times as long
    factor: float = 1.0
    #: and no longer than this, seconds
    most_s: int = LONGEST_S
    #: at the earliest in a part of the day, of the person's place, in which they were not tried yet
    other_part: bool = False
    #: seconds until the person's next number is tried; after the last one the lead waits as above and begins
    #: with the first again. None: the same number is tried
    next_phone_s: int | None = None

    def delay(self, attempts: int) -> timedelta:
        """The wait after the `attempts`-th attempt."""
        times: float = min(self.factor ** max(0, attempts - 1), 1e9)
        return timedelta(seconds=min(self.after_s * times, self.most_s))


def _waits(**seconds: int) -> Mapping[str, Wait]:
    return MappingProxyType({name: Wait(after_s) for name, after_s in seconds.items()})


#: After each result, where the campaign does not say otherwise. A result that is not here closes the lead: it
#: was reached, it does not exist, or (`unknown`) nobody can say what happened to it.
AFTER_RESULT: Final = _waits(
    busy=15 * 60,
    no_answer=2 * 3600,
    congestion=10 * 60,
    declined=24 * 3600,
    machine=4 * 3600,
    abandoned=72 * 3600,  # Ofcom: no automatic call to an abandoned number for 72 hours
    caller_hung_up=4 * 3600,
    failed=10 * 60,
    canceled=60,
)
#: After a talk with a disposition of such a kind. A kind that is not here closes the lead.
AFTER_TALK: Final = _waits(
    callback=24 * 3600,  # asked for, with no time named
    no_contact=4 * 3600,
)

#: Seconds to wait after the first, the second, ... attempt in an hour that the carrier failed: it says
#: nothing of the number, so it is not counted against `max_attempts`, and goes over another trunk where there
#: is one. One more such attempt is taken for the number's own doing: no trunk may be able to reach it.
SPARED_RETRY_S: Final = (5, 15, 60, 300, 900)

#: The parts of a day. Nobody is called by night.
PARTS: Final[Mapping[str, Hours]] = MappingProxyType(
    {
        "morning": Hours(6 * 60, 12 * 60),
        "day": Hours(12 * 60, 17 * 60),
        "evening": Hours(17 * 60, 24 * 60),
    }
)


@dataclass(frozen=True, slots=True)
class Retries:
    """What a campaign lays down."""

    max_attempts: int
    #: by result, over AFTER_RESULT
    results: Mapping[str, Wait] = field(default_factory=dict)
    #: by code of a disposition, over AFTER_TALK by its kind
    dispositions: Mapping[str, Wait] = field(default_factory=dict)
    #: local hours of calling: another part of the day is one that they reach into
    window: Hours = Hours(0, 24 * 60)  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Tries:
    """What is known of a lead after an attempt."""

    #: that count against `max_attempts`, this one too
    attempts: int
    #: when its attempts were made, this one too; asked where a part of the day is to be another one
    made_at: Sequence[datetime] = ()
    #: at the person's place
    zone: tzinfo = UTC
    #: numbers of the person after the one that was tried, and before it
    phones_after: int = 0
    phones_before: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """The lead may be dialled from this moment on."""

    at: datetime
    #: the attempt does not count against `max_attempts`
    spared: bool = False
    #: what it waits for until then
    hold: Hold = Hold.RETRY
    phone: Phone = Phone.SAME


@dataclass(frozen=True, slots=True)
class Close:
    """The lead is done."""

    reason: str


def retries_of(
    kept: Mapping[str, Any], max_attempts: int, call_from: str = "00:00", call_until: str = "24:00"
) -> Retries:
    """The rules as a campaign's row has them (`{"results": {"busy": {"after_s": 60}}, "dispositions": {}}`),
    checked when they were written."""
    results, dispositions = (
        {name: Wait(**wait) for name, wait in kept.get(which, {}).items()}
        for which in ("results", "dispositions")
    )
    return Retries(max_attempts, results, dispositions, Hours.parse(call_from, call_until))


def after(
    result: str,
    tries: Tries,
    rules: Retries,
    now: datetime,
    *,
    trunk_faults: int = 0,
    unrung: bool = False,
    taken_back: bool = False,
) -> Again | Close:
    """What becomes of a lead whose attempt came to `result`.

    `trunk_faults`: how many attempts of the last hour the carrier failed, where this is one of them: they are
    made up for sooner than by the defaults, not sooner than the campaign says.
    `unrung`: it was taken back before the phone rang, which does not count as an attempt either; nor does one
    that pacing took back (`taken_back`), whose phone has rung: it waits as one that nobody has answered.
    """
    own = rules.results.get(result)
    wait = own or AFTER_RESULT.get(result)
    if taken_back and own is None:
        wait = rules.results.get("no_answer", AFTER_RESULT["no_answer"])
        if wait.after_s < 0:
            wait = AFTER_RESULT["no_answer"]
    if wait is None or (wait.after_s < 0 and not _goes_on(wait, tries)):
        return Close(result)
    if 0 < trunk_faults <= len(SPARED_RETRY_S) and wait.after_s >= 0:
        soon = own.after_s if own else SPARED_RETRY_S[trunk_faults - 1]
        return Again(now + timedelta(seconds=soon), spared=True)
    if unrung or taken_back:
        return Again(now + timedelta(seconds=max(0, wait.after_s)), spared=True)
    if tries.attempts >= rules.max_attempts and result != "canceled":
        return Close("max_attempts")
    return _again(wait, tries, rules, now)


def after_talk(
    code: str, kind: str, tries: Tries, rules: Retries, now: datetime, callback_at: datetime | None = None
) -> Again | Close:
    """What becomes of a lead after a talk that the agent closed with this disposition, of this kind.

    A person who asked for a call gets it, at `callback_at` if they named a time, over any number of attempts.
    """
    if kind == "callback" and callback_at is not None:
        return Again(callback_at, hold=Hold.CALLBACK)
    wait = rules.dispositions.get(code, AFTER_TALK.get(kind))
    if kind == "do_not_call" or wait is None or (wait.after_s < 0 and not _goes_on(wait, tries)):
        return Close(kind)
    if kind != "callback" and tries.attempts >= rules.max_attempts:
        return Close("max_attempts")
    return _again(wait, tries, rules, now)


def _goes_on(wait: Wait, tries: Tries) -> bool:
    """Whether another number of the person is tried."""
    return wait.next_phone_s is not None and tries.phones_after > 0


def _again(wait: Wait, tries: Tries, rules: Retries, now: datetime) -> Again:
    if _goes_on(wait, tries):
        assert wait.next_phone_s is not None
        return Again(now + timedelta(seconds=wait.next_phone_s), phone=Phone.NEXT)
    at = now + wait.delay(tries.attempts)
    if wait.other_part:
        at = _in_other_part(at, tries, rules.window)
    anew = wait.next_phone_s is not None and tries.phones_before > 0
    return Again(at, phone=Phone.FIRST if anew else Phone.SAME)


def part_of(at: datetime, zone: tzinfo) -> str | None:
    """The part of the day at a place; None: night."""
    local = at.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return next((name for name, hours in PARTS.items() if hours.opens <= minute < hours.closes), None)


def _in_other_part(at: datetime, tries: Tries, window: Hours) -> datetime:
    """The first moment from `at` on in a part of the day that the campaign's hours reach into and in which
    nobody has tried yet; `at` itself where every such part was tried."""
    tried = {part_of(moment, tries.zone) for moment in tries.made_at}
    free = [
        common
        for name, hours in PARTS.items()
        if name not in tried and (common := hours.common(window)) is not None
    ]
    if not free:
        return at
    here = at.astimezone(tries.zone)
    # Tomorrow's parts open at the latest a day from now.
    starts = [
        datetime.combine(
            here.date() + timedelta(days=days), time(hours.opens // 60, hours.opens % 60), tries.zone
        ).astimezone(UTC)
        for hours in free
        for days in (0, 1)
    ]
    minute = here.hour * 60 + here.minute
    if any(hours.opens <= minute < hours.closes for hours in free):
        return at
    return min(start for start in starts if start >= at)
