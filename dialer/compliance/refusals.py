"""What a filter says to a person who wants to call a number by hand, or promises a call: in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from dialer.compliance.calendar import Denied, Reason, Window, place_of
from dialer.compliance.consent import Lack
from dialer.compliance.filters import Rules, Subject
from dialer.errors import NotAllowed, NotAllowedYet

#: What is put off for longer waits until somebody mends something: no time is told.
FAR: Final = timedelta(days=366)

#: The end of a sentence: "The number may not be dialled now: ...".
WHY: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.DEAD_NUMBER: "it leads to nobody",
        Reason.DO_NOT_CALL: "it is on the do-not-call list",
        Reason.NO_CONSENT: "the policy asks for a consent, and none is on record",
        Reason.MODE_FORBIDDEN: "the policy forbids this way of dialling",
        Reason.NO_ZONE: "nobody knows what time it is there",
        Reason.UNKNOWN_ZONE: "nobody knows what time it is there",
        Reason.OUT_OF_HOURS: "it is outside of the hours of calling",
        Reason.NO_COMMON_HOURS: "the hours of campaign, policy and phone have nothing in common in the zones"
        " where it may be; a zone on the person's card settles where that is",
        Reason.ATTEMPTS_PER_DAY: "the person was tried as often as is allowed in a day",
        Reason.ATTEMPTS_PER_WEEK: "the person was tried as often as is allowed in a week",
        Reason.ATTEMPTS_PER_MONTH: "the person was tried as often as is allowed in a month",
        Reason.AFTER_ABANDONED: "a call was abandoned, and the policy asks for silence after it",
        Reason.AFTER_MACHINE: "a machine answered, and the policy asks for silence after it",
        Reason.AFTER_REFUSAL: "the person refused, and the policy asks for silence after it",
        Reason.QUOTA_FULL: "a quota that the person falls under is full",
    }
)
#: Where a consent is asked for: what is with it.
_LACKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Lack.NONE: WHY[Reason.NO_CONSENT],
        Lack.WITHDRAWN: "the policy asks for a consent, and it was withdrawn",
        Lack.EXPIRED: "the policy asks for a consent, and its time is over",
        Lack.NOT_YET: "the policy asks for a consent, and it begins later",
    }
)


def near(until: datetime | None, now: datetime) -> datetime | None:
    """A moment at which something passes by itself; None: it waits for somebody who mends it."""
    return until if until is not None and until - now < FAR else None


def said(denied: Denied) -> str:
    """Why a number may not be called, as the end of a sentence."""
    if denied.reason is Reason.NO_CONSENT:
        return _LACKS.get(denied.detail, WHY[denied.reason])
    return WHY[denied.reason]


def refusal(denied: Denied, subject: Subject, rules: Rules, now: datetime) -> NotAllowed:
    """The error for who asked for the call: why, by which stable name, and when it may be made, if time alone
    mends it. `when` is told by the clock there, with its date where that is another day."""
    reason, code = said(denied), denied.reason.value
    passes = near(denied.until, now)
    window = rules.calendar.window(subject.zones, max(passes, now), subject.good) if passes else None
    if passes is None or not isinstance(window, Window):
        return NotAllowed(reason=reason, code=code)
    until = max(window.opens, passes)
    zone = place_of(subject.zones, until)
    there, today = until.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    when = f"{there:%H:%M}" if there.date() == today else f"{there:%Y-%m-%d %H:%M}"
    return NotAllowedYet(reason=reason, code=code, when=when, until=until.isoformat(), zone=zone)
