"""May this number be dialled now, and how long may an answered person wait: pure questions about a policy.

Everything here fails closed: what is not known (a zone, a policy, a mode) means "do not dial", with the
reason kept. The policies are in `policies`; they are parameters, not legal advice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from dialer.compliance.calendar import Allowed, Calendar, Denied, Reason, Window, places_of, zone_of
from dialer.compliance.policies import POLICIES
from dialer.compliance.policy import MIDNIGHT, ClockStart, Day, DayType, Hours, Limits, Policy, Purpose, Week
from dialer.compliance.timetable import Timetable

__all__ = [
    "MIDNIGHT",
    "POLICIES",
    "Allowed",
    "Calendar",
    "ClockStart",
    "Day",
    "DayType",
    "Denied",
    "Hours",
    "Limits",
    "Policy",
    "Purpose",
    "Reason",
    "Timetable",
    "Week",
    "Window",
    "attempts_allowed",
    "counted",
    "greeting_end_at",
    "places_of",
    "redial_allowed",
    "silence_kept",
    "zone_of",
]

DAY = timedelta(days=1)
#: Over what attempts are counted.
SPANS = {"per_day": DAY, "per_week": 7 * DAY, "per_month": 31 * DAY}
#: Modes in which a person starts each call, seeing whom it goes to.
STARTED_BY_PERSON = frozenset({"manual", "preview"})


# -- the wait for an agent ---------------------------------------------------------------------------------


def greeting_end_at(decided_at: datetime, machine_cause: str, after_greeting_silence_ms: int) -> datetime:
    """When the greeting ended, from the moment that Asterisk's AMD decided.

    A person is recognised (`HUMAN-...`) by a silence after the greeting, so the greeting ended that silence
    earlier. For every other cause the end is not known better than the decision itself.
    """
    if machine_cause.startswith("HUMAN"):
        return decided_at - timedelta(milliseconds=after_greeting_silence_ms)
    return decided_at


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
            (limits.per_day, SPANS["per_day"], Reason.ATTEMPTS_PER_DAY),
            (limits.per_week, SPANS["per_week"], Reason.ATTEMPTS_PER_WEEK),
            (limits.per_month, SPANS["per_month"], Reason.ATTEMPTS_PER_MONTH),
        )
    ):
        recent = sorted(at for at in tried_at if at > now - span)
        if limit is not None and len(recent) >= limit:
            denials.append(Denied(reason, recent[len(recent) - limit] + span if limit else None))
    return max(denials, key=lambda denied: denied.until or datetime.max.replace(tzinfo=UTC), default=None)


def counted(tried_at: Sequence[datetime], now: datetime) -> dict[str, int]:
    """How many attempts stand against the limits of a day, a week and a month."""
    return {name: sum(at > now - span for at in tried_at) for name, span in SPANS.items()}


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


def silence_kept(policy: Policy, refused_at: Iterable[datetime], now: datetime) -> Denied | None:
    """None when no refusal forbids a call now, whoever starts it, else until when one does."""
    last = max(refused_at, default=None)
    if last is None:
        return None
    until = last + timedelta(seconds=policy.redial_after_refusal_s)
    return Denied(Reason.AFTER_REFUSAL, until) if now < until else None
