"""What an unanswered call came to, from the SIP code of the far end and Asterisk's Q.850 cause.

The SIP code decides where there is one, the cause where there is none; OriginateResponse's Reason never does
(measured on Asterisk 22: it is 0 for busy, refused and unknown alike). Sources: RFC 3261 section 21, RFC 3398
section 7.2.6.1 (SIP to ISUP), ITU-T Q.850.
"""

from __future__ import annotations

import re

from dialer.calls.model import Result

_BY_SIP_CODE = {
    404: Result.INVALID,
    410: Result.INVALID,
    416: Result.INVALID,
    484: Result.INVALID,
    485: Result.INVALID,
    604: Result.INVALID,
    486: Result.BUSY,
    600: Result.BUSY,
    408: Result.NO_ANSWER,
    480: Result.NO_ANSWER,
    487: Result.NO_ANSWER,
    403: Result.DECLINED,
    603: Result.DECLINED,
    607: Result.DECLINED,
    608: Result.DECLINED,
}

_BY_CAUSE = {
    1: Result.INVALID,
    2: Result.CONGESTION,
    3: Result.CONGESTION,
    17: Result.BUSY,
    18: Result.NO_ANSWER,
    19: Result.NO_ANSWER,
    20: Result.NO_ANSWER,
    21: Result.DECLINED,
    22: Result.INVALID,
    27: Result.CONGESTION,
    28: Result.INVALID,
    34: Result.CONGESTION,
    38: Result.CONGESTION,
    41: Result.CONGESTION,
    42: Result.CONGESTION,
    44: Result.CONGESTION,
}

_SIP_CODE = re.compile(r"\b([3-6]\d\d)\b")


def sip_code(tech_cause: str) -> int | None:
    """The SIP code in AMI's TechCause ("486", "SIP 486 Busy Here"); None where there is none."""
    found = _SIP_CODE.search(tech_cause)
    return int(found[1]) if found else None


def unanswered(code: int | None, cause: int | None, *, rang: bool, refused: bool) -> Result:
    """The result of a call that nobody answered.

    `rang`: the far network had given a sign of life. `refused`: the far end ended the call (a DialEnd came);
    without it Asterisk gave up waiting and made the 480 itself.
    """
    if not rang and not refused and (code in (408, 480) or (code is None and cause in (18, 19))):
        return Result.FAILED  # silence: nobody at the trunk's address
    if code is not None:
        if code in _BY_SIP_CODE:
            return _BY_SIP_CODE[code]
        return Result.CONGESTION if 500 <= code < 600 else Result.FAILED
    return _BY_CAUSE.get(cause or 0, Result.FAILED)
