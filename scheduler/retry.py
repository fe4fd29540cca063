"""When a number may be tried again: pure rules over what the last attempt, or its talk, came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from scheduler.holds import Hold

#: Seconds to wait after each result, where the campaign does not say otherwise. A result that is not here
#: closes the lead: it was reached, it does not exist, or (`unknown`) nobody can say what happened to it.
DEFAULT_RETRY_AFTER_S: Final[Mapping[str, int]] = MappingProxyType(
    {
        "busy": 15 * 60,
        "no_answer": 2 * 3600,
        "congestion": 10 * 60,
        "declined": 24 * 3600,
        "machine": 4 * 3600,
        "abandoned": 72 * 3600,  # Ofcom: no automatic call to an abandoned number for 72 hours
        "caller_hung_up": 4 * 3600,
        "failed": 10 * 60,
        "canceled": 60,
    }
)


#: Seconds to wait after the first, the second, ... attempt in an hour that the carrier failed: it says
#: nothing of the number, so it is not counted against `max_attempts`, and goes over another trunk where there
#: is one. One more such attempt is taken for the number's own doing: no trunk may be able to reach it.
SPARED_RETRY_S: Final = (5, 15, 60, 300, 900)


@dataclass(frozen=True, slots=True)
class Again:
    """The lead may be dialled from this moment on."""

    at: datetime
    #: the attempt does not count against `max_attempts`
    spared: bool = False
    #: what it waits for until then
    hold: Hold = Hold.RETRY


@dataclass(frozen=True, slots=True)
class Close:
    """The lead is done."""

    reason: str


def after(
    result: str,
    attempts: int,
    *,
    max_attempts: int,
    retry_after_s: Mapping[str, int],
    now: datetime,
    trunk_faults: int = 0,
    unrung: bool = False,
    taken_back: bool = False,
) -> Again | Close:
    """What becomes of a lead whose `attempts`-th attempt came to `result`.

    `retry_after_s` are the campaign's own delays; a negative one closes the lead on that result.
    `trunk_faults`: how many attempts of the last hour the carrier failed, where this is one of them: they are
    made up for sooner than by the defaults, not sooner than the campaign says.
    `unrung`: it was taken back before the phone rang, which does not count as an attempt either; nor does one
    that pacing took back (`taken_back`), whose phone has rung: it waits as one that nobody has answered.
    """
    delay = retry_after_s.get(result, DEFAULT_RETRY_AFTER_S.get(result))
    if taken_back and result not in retry_after_s:
        asked = retry_after_s.get("no_answer", -1)
        delay = asked if asked >= 0 else DEFAULT_RETRY_AFTER_S["no_answer"]
    if delay is None or delay < 0:
        return Close(result)
    if 0 < trunk_faults <= len(SPARED_RETRY_S):
        soon = retry_after_s.get(result, SPARED_RETRY_S[trunk_faults - 1])
        return Again(now + timedelta(seconds=soon), spared=True)
    if unrung or taken_back:
        return Again(now + timedelta(seconds=delay), spared=True)
    if attempts >= max_attempts and result != "canceled":
        return Close("max_attempts")
    return Again(now + timedelta(seconds=delay))


#: Seconds to wait after a talk that the agent closed with such a disposition. A kind that is not here closes
#: the lead.
RETRY_AFTER_TALK_S: Final[Mapping[str, int]] = MappingProxyType(
    {
        "callback": 24 * 3600,  # asked for, with no time named
        "no_contact": 4 * 3600,
    }
)


def after_talk(
    kind: str, attempts: int, *, max_attempts: int, callback_at: datetime | None, now: datetime
) -> Again | Close:
    """What becomes of a lead after a talk that the agent closed with a disposition of this kind.

    A person who asked for a call gets it, at `callback_at` if they named a time, over any number of attempts.
    """
    if kind == "callback" and callback_at is not None:
        return Again(callback_at, hold=Hold.CALLBACK)
    delay = RETRY_AFTER_TALK_S.get(kind)
    if delay is None:
        return Close(kind)
    if kind != "callback" and attempts >= max_attempts:
        return Close("max_attempts")
    return Again(now + timedelta(seconds=delay))
