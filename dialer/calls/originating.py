"""What Asterisk is asked for a call that is committed."""

from __future__ import annotations

from dialer.asterisk.ami import variable
from dialer.calls.table import Line
from dialer.trunks.model import Trunk, dial_string


def originate(line: Line, trunk: Trunk, agi_address: str) -> dict[str, str | list[str]]:
    """The AMI action that dials a committed attempt (Asterisk's Originate, Async; never EarlyMedia, which
    would turn a 183 into an answer)."""
    call, terms = line.call, line.terms
    return {
        "Action": "Originate",
        "Channel": dial_string(trunk, line.e164),
        "ChannelId": str(call.attempt_id),
        "Context": "dozvon-customer",
        "Exten": "s",
        "Priority": "1",
        "Timeout": str(terms.ring_timeout_s * 1000),
        "CallerID": trunk.caller_id,
        "Async": "true",
        "Variable": [
            variable("DOZVON_ATTEMPT", str(call.attempt_id)),
            variable("DOZVON_AGI", agi_address),
            variable("DOZVON_AMD", terms.amd_arguments if call.screens else ""),
            variable("DOZVON_MESSAGE", terms.abandon_sound),
        ],
    }
