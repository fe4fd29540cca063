"""Which calls of the carrier's log somebody was to get, and which were too many. Pure.

A number is dialled again where the retry rule says so: after a call that the carrier failed, one that was
taken back, a busy line. So a second call is no mistake by itself. It is one if no attempt stands behind it
that the rule allowed: two calls of one attempt, a call while the one before was still alive, a call before
its time, a call to a lead that was closed, a call that nobody has written down.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dialer.calls import verdicts
from dialer.calls.model import Call, Result
from scheduler import retry
from scheduler.retry import Again, Close, Retries, Tries

#: The carrier's log cuts its times to milliseconds.
CUT: Final = timedelta(milliseconds=1)
#: The retry rule counts the carrier's faults of so long.
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a number, as its row tells it."""

    e164: str
    call: Call
    #: kind of the disposition of its talk, and its code
    kind: str | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class Redials:
    """What the carrier's log says against the rule."""

    #: calls that nobody was to get
    too_many: int
    #: calls beyond a number's first that the rule asked for, by the result of the call before
    retries: Mapping[str, int]


def redials(
    calls: Mapping[str, Sequence[datetime | None]], attempts: Sequence[Attempt], rule: Retries
) -> Redials:
    """Hold the carrier's calls (when each began, by number) against the attempts of one campaign, in which
    each number is of one lead."""
    of_number: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in sorted(attempts, key=lambda each: each.call.created_at):
        of_number[attempt.e164].append(attempt)
    too_many, retries = 0, Counter[str]()
    for number, began in calls.items():
        left, before = list(began), None
        for call in _allowed(of_number[number], rule):
            its = next((n for n, at in enumerate(left) if _is_of(call, at)), None)
            if its is None:
                continue  # it did not come to the carrier
            del left[its]
            if before is not None:
                retries[before.result or Result.UNKNOWN] += 1
            before = call
        too_many += len(left)
    return Redials(too_many, {str(result): count for result, count in retries.items()})


def _is_of(call: Call, began: datetime | None) -> bool:
    """Whether what began then at the carrier may be this call."""
    if began is None or began < call.created_at - CUT:
        return False
    return call.hung_up_at is None or began <= call.hung_up_at


def _allowed(attempts: Sequence[Attempt], rule: Retries) -> Iterator[Call]:
    """Those calls to a number, oldest first, that the rule asked for."""
    fate: Again | Close | None = None
    counted = 0
    earlier: list[Call] = []
    for attempt in attempts:
        if not earlier or (isinstance(fate, Again) and attempt.call.created_at >= fate.at):
            yield attempt.call
        counted += 1
        fate = _fate(attempt, counted, earlier, rule)
        if isinstance(fate, Again) and fate.spared:
            counted -= 1
        earlier.append(attempt.call)


def _fate(attempt: Attempt, counted: int, earlier: Sequence[Call], rule: Retries) -> Again | Close | None:
    """What the rule makes of a lead after its attempt; None: it is not over yet, nobody may dial."""
    call = attempt.call
    if call.hung_up_at is None or call.result is None:
        return None
    if attempt.kind is not None:
        return retry.after_talk(attempt.code, attempt.kind, Tries(counted), rule, call.hung_up_at)
    faults = sum(verdicts.failed_by_trunk(one) for one in earlier if one.created_at > call.created_at - HOUR)
    return retry.after(
        call.result,
        Tries(counted),
        rule,
        call.hung_up_at,
        trunk_faults=faults + 1 if verdicts.failed_by_trunk(call) else 0,
        unrung=verdicts.unrung(call),
        taken_back=verdicts.taken_back(call),
    )
