"""What a call says of the trunk that it went over: that it works, that the carrier failed it, or nothing.

Normal ends of calls (busy, no answer, no such number) say that a trunk works. The carrier's own refusals
(SIP 5xx, no circuit or channel, silence to our INVITE, wrong credentials) are faults; RFC 3261 section 21 and
ITU-T Q.850 say which code means what. A 403 may be about the number or about us: it says nothing.
"""

from __future__ import annotations

from dialer.calls.model import DO_NOT_CALL, TAKEN_BACK, Call, Result
from dialer.trunks.health import Said, Verdict

#: Q.850: no route, out of order, no circuit, network out of order, temporary failure, switch congestion, the
#: circuit asked for is not there.
FAULTY_CAUSES = frozenset({2, 3, 27, 34, 38, 41, 42, 44})
#: How an unanswered call ends that a working trunk carried.
NORMAL = frozenset({Result.BUSY, Result.NO_ANSWER, Result.INVALID})


def answered(before: Call, after: Call) -> bool:
    """Whether the call was answered just now: its trunk works."""
    return before.answered_at is None and after.answered_at is not None


def at_end(call: Call) -> Said | None:
    """What a call that has ended says of its trunk; None: nothing, or it was answered and has said so."""
    if call.answered_at is not None or call.result is None:
        return None
    why = _fault(call)
    if why:
        return Said(Verdict.FAULT, why)
    return Said(Verdict.WORKS) if call.result in NORMAL else None


def _fault(call: Call) -> str:
    """The carrier's fault that ended the call, in a word; empty: none is known."""
    code = call.sip_code
    if call.result in (Result.CANCELED, Result.UNKNOWN) or (call.detail or "").startswith("asterisk_"):
        return ""
    if call.detail == "no_response" or (code == 408 and call.ringing_at is None):
        return "no_response"
    if call.detail is not None and call.detail.startswith("originate_refused_"):
        return "not_placed"  # Asterisk has no such endpoint, or nobody is there
    if code is not None:
        return str(code) if 500 <= code < 600 or call.result is Result.FAILED else ""
    return f"Q.850 {call.cause}" if call.cause in FAULTY_CAUSES else ""


def failed_by_trunk(call: Call) -> bool:
    """Whether the carrier failed the call: it says nothing of the number."""
    said = at_end(call)
    return said is not None and said.verdict is Verdict.FAULT


def unrung(call: Call) -> bool:
    """Whether we took the call back before the phone rang, or for what is no fault of the number's: somebody
    has said that it is not to be called."""
    if call.result is not Result.CANCELED:
        return False
    return (call.ringing_at is None and call.answered_at is None) or call.detail == DO_NOT_CALL


def taken_back(call: Call) -> bool:
    """Whether pacing took the call back while it rang."""
    return call.result is Result.CANCELED and call.detail == TAKEN_BACK
