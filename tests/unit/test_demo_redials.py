"""A second call to a number: by mistake, or by the retry rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dialer.calls.model import TAKEN_BACK, Call, CallState, Result
from dialer.demo.invites import InviteCounter
from dialer.demo.redials import Attempt, redials
from scheduler.retry import Retries, Wait

NUMBER = "+79160001004"
BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So long after the beginning."""
    return BEGAN + timedelta(seconds=seconds)


def attempt(made_s: float, over_s: float | None, result: Result | None, **more: Any) -> Attempt:
    """An attempt at the number, made and over at these seconds."""
    kind = more.pop("kind", None)
    over = None if over_s is None else at(over_s)
    state = CallState.ENDED if over else CallState.RINGING
    call = Call(
        uuid4(), 1, 1, screens=False, abandon_after_s=2.0, created_at=at(made_s), state=state, result=result,
        sent_at=at(made_s), ringing_at=at(made_s + 0.5), hung_up_at=over, ended_at=over,
    )  # fmt: skip
    return Attempt(NUMBER, replace(call, **more), kind)


def refused(made_s: float) -> Attempt:
    """The carrier has no way through: the rule spares the lead, and comes back after 5 s, then 15 s."""
    return attempt(made_s, made_s + 1, Result.CONGESTION, sip_code=503, ringing_at=None)


def told(calls_s: list[float], *attempts: Attempt, rule: Retries | None = None) -> tuple[int, dict[str, int]]:
    """Calls too many, and retries, of the carrier's calls at these seconds."""
    calls = {NUMBER: [at(second) for second in calls_s]}
    found = redials(calls, attempts, rule or Retries(3))
    return found.too_many, dict(found.retries)


TALK = attempt(0, 20, Result.ANSWERED, answered_at=at(2))


@pytest.mark.parametrize(
    ("calls_s", "attempts", "expected"),
    [
        # what the rule asks for
        ([0.1], [TALK], (0, {})),
        ([0.1, 6.2], [refused(0), refused(6.1)], (0, {"congestion": 1})),
        ([0.1, 6.2, 22.2], [refused(0), refused(6.1), refused(22.15)], (0, {"congestion": 2})),
        ([0.1, 7202], [attempt(0, 1, Result.NO_ANSWER), attempt(7201.5, None, None)], (0, {"no_answer": 1})),
        (
            [0.1, 7210],
            [attempt(0, 9, Result.CANCELED, detail=TAKEN_BACK), attempt(7209.5, None, None)],
            (0, {"canceled": 1}),
        ),
        ([62.1], [attempt(0, 1, Result.CANCELED, ringing_at=None), attempt(62, 80, Result.BUSY)], (0, {})),
        # two calls of one attempt, side by side or one after the other
        ([0.1, 0.3], [TALK], (1, {})),
        ([0.1, 30], [TALK], (1, {})),
        # beside a call that is alive
        ([0.1, 5.1], [attempt(0, 20, Result.BUSY), attempt(5, 30, Result.BUSY)], (1, {})),
        ([0.1, 5.1], [attempt(0, None, None), attempt(5, None, None)], (1, {})),
        # before its time: the first refusal of a carrier is waited for 5 s, the second 15 s
        ([0.1, 5.8], [refused(0), refused(5.7)], (1, {})),
        ([0.1, 6.2, 20.0], [refused(0), refused(6.1), refused(19.9)], (1, {"congestion": 1})),
        (
            [0.1, 70.1],
            [attempt(0, 9, Result.CANCELED, detail=TAKEN_BACK), attempt(70, None, None)],
            (1, {}),
        ),
        # of a lead that is closed
        ([0.1, 99_999.1], [TALK, attempt(99_999, None, None)], (1, {})),
        # that nobody has written down
        ([0.1], [], (1, {})),
        ([-9.0, 0.1], [TALK], (1, {})),
        ([-9.0], [TALK], (1, {})),
        ([30.0], [TALK], (1, {})),
    ],
)
def test_a_second_call_is_a_mistake_unless_the_rule_asked_for_it(
    calls_s: list[float], attempts: list[Attempt], expected: tuple[int, dict[str, int]]
) -> None:
    """By the carrier's log and the rows of attempts."""
    assert told(calls_s, *attempts) == expected


def test_the_campaigns_own_delays_and_limit_count() -> None:
    """A busy line is tried again after the campaign's minute, as often as it says."""
    rule = Retries(2, {"busy": Wait(60)})
    busy = [attempt(made, made + 1, Result.BUSY) for made in (0, 61, 122)]
    assert told([0.1, 61.1, 122.1], *busy, rule=rule) == (1, {"busy": 1})


@pytest.mark.parametrize(
    "spared",
    [
        [refused(0), refused(6.1)],
        [attempt(0, 1, Result.CANCELED, ringing_at=None)],
        [attempt(-7200, -7191, Result.CANCELED, detail=TAKEN_BACK)],
    ],
)
def test_what_is_made_up_for_is_no_attempt(spared: list[Attempt]) -> None:
    """Of two attempts that a lead has, none is used up by a call that the carrier failed or that was taken
    back."""
    busy = [attempt(made, made + 1, Result.BUSY) for made in (100, 200)]
    calls_s = [(each.call.created_at - BEGAN).total_seconds() for each in (*spared, *busy)]
    assert told(calls_s, *spared, *busy, rule=Retries(2, {"busy": Wait(60)}))[0] == 0


def test_a_talk_is_followed_as_its_disposition_says() -> None:
    """Who asked for a call gets it a day later, not before."""
    asked = attempt(0, 20, Result.ANSWERED, answered_at=at(2), kind="callback")
    day = 24 * 3600 + 20
    assert told([0.1, day + 0.2], asked, attempt(day + 0.1, None, None)) == (0, {"answered": 1})
    assert told([0.1, day - 1.0], asked, attempt(day - 1.1, None, None)) == (1, {})


def test_a_call_without_a_time_is_nobodys() -> None:
    """What the log says no time of is not taken for anybody's call."""
    assert redials({NUMBER: [None]}, [TALK], Retries(3)).too_many == 1


def test_a_call_begins_with_its_first_invite() -> None:
    """The time is that of its first message, to the millisecond; an INVITE with credentials is none of its
    own."""
    counter = InviteCounter()
    for time, call_id in (("10:00:00.125", "a"), ("10:00:00.250", "a"), ("10:00:07.000", "b")):
        counter.feed(
            f"[2026-03-02T{time}+0300] VERBOSE[1]: res_pjsip_logger.c:420 log: "
            "<--- Received SIP request (900 bytes) from UDP:127.0.0.1:5060 --->\n"
            f"INVITE sip:79160001004@127.0.0.1:6000 SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n\n"
        )
    zero = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    assert counter.began() == {NUMBER: [zero + timedelta(seconds=0.125), zero + timedelta(seconds=7)]}
