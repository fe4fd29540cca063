"""Counting calls in the carrier's own log: the only witness of a double dial that is not ourselves.

Asterisk's SIP logger (`debug=yes` in pjsip.conf) writes each message as a mark, the message, an empty line:

    [time] VERBOSE[n]: ... <--- Received SIP request (941 bytes) from UDP:127.0.0.1:5060 --->
    INVITE sip:79161231004@127.0.0.1:6000 SIP/2.0
    Call-ID: 6c1a...

One call is one Call-ID: retransmissions, the repeat with credentials and re-INVITEs carry the same.
"""

from __future__ import annotations

import re

_MARK = re.compile(r"<--- (Received|Transmitting) SIP (request|response) ")
_REQUEST = re.compile(r"^INVITE sips?:\+?([0-9]{3,15})@\S+ SIP/2\.0\s*$")
_CALL_ID = re.compile(r"^(?:Call-ID|i)\s*:\s*(\S+)\s*$", re.IGNORECASE)


class InviteCounter:
    """Reads a growing log piece by piece."""

    def __init__(self) -> None:
        self._calls: dict[str, set[str]] = {}
        self._rest = ""
        self._received = False
        self._number: str | None = None

    def feed(self, text: str) -> None:
        """Read on; a line that is cut off at the end of `text` waits for its rest."""
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        for line in lines:
            self._read(line)

    def calls(self) -> dict[str, set[str]]:
        """The Call-IDs of each number in E.164, as far as the log was read."""
        return {number: set(ids) for number, ids in self._calls.items()}

    def _read(self, line: str) -> None:
        # Empty lines do not end a message here: another thread's lines may stand between its headers.
        if mark := _MARK.search(line):
            self._received = mark[1] == "Received"
            self._number = None
        elif not self._received:
            return
        elif request := _REQUEST.match(line):
            self._number = f"+{request[1]}"
        elif self._number is not None and (call_id := _CALL_ID.match(line)):
            self._calls.setdefault(self._number, set()).add(call_id[1])
            self._number = None


def count_invites(log: str) -> dict[str, set[str]]:
    """The distinct Call-IDs of the received INVITEs, by number; one with two was dialled twice."""
    counter = InviteCounter()
    counter.feed(log if log.endswith("\n") else log + "\n")
    return counter.calls()
