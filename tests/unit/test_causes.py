"""What an unanswered call came to, from SIP codes and Q.850 causes."""

from __future__ import annotations

import pytest

from dialer.calls.causes import sip_code, unanswered
from dialer.calls.model import LIVE, Result


@pytest.mark.parametrize(
    ("text", "code"),
    [("486", 486), ("SIP 486 Busy Here", 486), ("SIP/2.0 503 No way", 503), ("", None), ("16", None),
     ("4861", None), ("200", None), ("SIP 603", 603)],
)  # fmt: skip
def test_sip_code(text: str, code: int | None) -> None:
    """The code of a refusal is found in whatever stands around it, and nothing else is taken for one."""
    assert sip_code(text) == code


@pytest.mark.parametrize(
    ("code", "cause", "rang", "refused", "result"),
    [
        (486, 17, True, True, Result.BUSY),
        (600, None, False, True, Result.BUSY),
        (404, 1, False, True, Result.INVALID),
        (484, 28, False, True, Result.INVALID),
        (604, None, False, True, Result.INVALID),
        (603, 21, True, True, Result.DECLINED),
        (403, 21, False, True, Result.DECLINED),
        (480, 19, True, False, Result.NO_ANSWER),  # our own time-out after it rang
        (480, 18, False, True, Result.NO_ANSWER),  # the carrier says: nobody there
        (480, 18, False, False, Result.FAILED),  # silence: nobody at the trunk's address
        (408, None, False, False, Result.FAILED),
        (487, 19, True, True, Result.NO_ANSWER),
        (503, 34, False, True, Result.CONGESTION),
        (500, None, True, True, Result.CONGESTION),
        (488, 58, False, True, Result.FAILED),
        (None, 17, False, False, Result.BUSY),
        (None, 19, True, False, Result.NO_ANSWER),
        (None, 19, False, False, Result.FAILED),
        (None, 34, False, False, Result.CONGESTION),
        (None, 1, False, False, Result.INVALID),
        (None, 21, False, False, Result.DECLINED),
        (None, None, False, False, Result.FAILED),
        (None, 0, True, False, Result.FAILED),
    ],
)
def test_result(code: int | None, cause: int | None, rang: bool, refused: bool, result: Result) -> None:
    """The far end's SIP code decides; the cause does where there is none; silence is our failure."""
    assert unanswered(code, cause, rang=rang, refused=refused) is result


def test_no_code_makes_a_call_live() -> None:
    """Whatever comes from the network, a call that nobody answered never counts as answered by a person."""
    for code in (None, *range(300, 700)):
        for cause in (None, *range(128)):
            for rang in (False, True):
                result = unanswered(code, cause, rang=rang, refused=True)
                assert result not in LIVE
                assert result not in (Result.MACHINE, Result.UNKNOWN, Result.CANCELED)
