"""What a call says of the trunk that it went over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from dialer.calls import causes, verdicts
from dialer.calls.model import (
    Answered,
    Call,
    CancelAsked,
    HungUp,
    NotPlaced,
    Rang,
    Result,
    Signal,
    Vanished,
)
from dialer.calls.steps import advance
from dialer.trunks.health import Said, Verdict

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
NEW = Call(UUID(int=1), 1, 1, screens=False, abandon_after_s=2.0, created_at=NOW)
WORKS = Said(Verdict.WORKS)


def fault(why: str) -> Said:
    """The carrier's fault."""
    return Said(Verdict.FAULT, why)


def end(code: int | None, cause: int, *, rang: bool = False, refused: bool = True) -> HungUp:
    """The end of an unanswered call as the tracker tells it."""
    result = causes.unanswered(code, cause, rang=rang, refused=refused)
    silent = result is Result.FAILED and code in (408, 480)
    return HungUp(NOW, result=result, cause=cause, sip_code=code, detail="no_response" if silent else None)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        # As calls end over a trunk that works.
        ([end(486, 17)], WORKS),
        ([end(404, 1)], WORKS),
        ([end(480, 19)], WORKS),
        ([Rang(NOW), end(480, 19, rang=True, refused=False)], WORKS),
        ([Rang(NOW), end(408, 18, rang=True)], WORKS),
        ([end(None, 17)], WORKS),
        # The carrier's faults.
        ([end(503, 34)], fault("503")),
        ([Rang(NOW), end(503, 34, rang=True)], fault("503")),
        ([end(500, 41)], fault("500")),
        ([end(502, 27)], fault("502")),
        ([end(407, 21)], fault("407")),
        ([end(None, 34)], fault("Q.850 34")),
        ([end(480, 19, refused=False)], fault("no_response")),
        ([end(408, 18)], fault("no_response")),
        ([NotPlaced(NOW, result=Result.FAILED, detail="originate_refused_0")], fault("not_placed")),
        # Neither the one nor the other.
        ([end(403, 21)], None),
        ([end(603, 21)], None),
        ([NotPlaced(NOW, result=Result.CANCELED, detail="sent_too_late")], None),
        ([NotPlaced(NOW, result=Result.FAILED, detail="originate_refused")], None),
        ([CancelAsked(NOW), end(503, 34)], None),
        ([Vanished(NOW, detail="not_seen_to_end")], None),
        ([Vanished(NOW, detail="asterisk_restarted", asterisk_died=True)], None),
        # Said at the answer, not once more at the end.
        ([Answered(NOW), end(503, 34)], None),
    ],
)
def test_what_a_call_says_of_its_trunk(signals: list[Signal], said: Said | None) -> None:
    """Normal ends say that it works, the carrier's refusals that it does not; all else says nothing."""
    call = NEW
    for signal in signals:
        call = advance(call, signal)
    assert verdicts.at_end(call) == said
    assert verdicts.failed_by_trunk(call) is (said is not None and said.verdict is Verdict.FAULT)


def test_an_answer_says_that_the_trunk_works() -> None:
    """Once, when it comes."""
    answered = advance(NEW, Answered(NOW))
    assert verdicts.answered(NEW, answered)
    assert not verdicts.answered(answered, advance(answered, end(None, 16)))


@pytest.mark.parametrize(
    ("signals", "unrung"),
    [
        ([NotPlaced(NOW, result=Result.CANCELED, detail="link_was_down")], True),
        ([CancelAsked(NOW), end(487, 26)], True),
        ([Rang(NOW), CancelAsked(NOW), end(487, 26, rang=True)], False),
        ([end(486, 17)], False),
    ],
)
def test_a_call_taken_back_before_it_rang(signals: list[Any], unrung: bool) -> None:
    """Nobody has heard of it."""
    call = NEW
    for signal in signals:
        call = advance(call, signal)
    assert verdicts.unrung(call) is unrung
