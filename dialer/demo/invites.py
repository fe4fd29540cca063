"""Counting calls in the carrier's own log: the only witness of a double dial that is not ourselves.

Asterisk's SIP logger (`debug=yes` in pjsip.conf) writes each message as a mark, the message, an empty line:

    [time] VERBOSE[n]: ... <--- Received SIP request (941 bytes) from UDP:127.0.0.1:5060 --->
    INVITE sip:79161231004@127.0.0.1:6000 SIP/2.0
    Call-ID: 6c1a...

One call is one Call-ID: retransmissions, the repeat with credentials and re-INVITEs carry the same. It
begins at the time of its first message, as the log says it (`dateformat` in logger.conf). Whom it is for is
the request's user: a number in E.164, and anything else as it was written, for whoever looks for calls that
nobody planned (`99`, `+7916;ext=1`, `%2B88`).
"""

from __future__ import annotations

import re
from datetime import datetime

_MARK = re.compile(r"<--- (Received|Transmitting) SIP (request|response) ")
_TIME = re.compile(r"^\[(\d{4}-\d\d-\d\dT[\d:.]+[+-]\d{4})\]")
_REQUEST = re.compile(r"^INVITE\s+(.*?)(?:\s+SIP/2\.0)?\s*$")
_SCHEME = re.compile(r"^sips?:", re.IGNORECASE)
_NUMBER = re.compile(r"\+?([0-9]{3,15})")
#: A call to an agent's phone that the carrier plays (see `carrier.py`): nobody dials such.
_PHONE = re.compile(r"phone-[A-Za-z0-9_-]+")
_CALL_ID = re.compile(r"^(?:Call-ID|i)\s*:\s*(\S+)\s*$", re.IGNORECASE)


class InviteCounter:
    """Reads a growing log piece by piece."""

    def __init__(self) -> None:
        self._calls: dict[str, dict[str, datetime | None]] = {}
        self._seen: set[str] = set()
        self._rest = ""
        self._received = False
        self._at: datetime | None = None
        self._number: str | None = None

    def feed(self, text: str) -> None:
        """Read on; a line that is cut off at the end of `text` waits for its rest."""
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        for line in lines:
            self._read(line)

    def calls(self) -> dict[str, set[str]]:
        """The Call-IDs of each number in E.164, and of each other user as it was written, as far as the log
        was read."""
        return {number: set(began) for number, began in self._calls.items()}

    def began(self) -> dict[str, list[datetime | None]]:
        """When each of these calls began, in the order of the log; None where it says no time."""
        return {number: list(began.values()) for number, began in self._calls.items()}

    def _read(self, line: str) -> None:
        # Empty lines do not end a message here: another thread's lines may stand between its headers.
        if mark := _MARK.search(line):
            self._received = mark[1] == "Received"
            self._number = None
            at = _TIME.search(line)
            self._at = datetime.fromisoformat(at[1]) if at else None
        elif not self._received:
            return
        elif request := _REQUEST.match(line):
            self._number = called(request[1])
        elif self._number is not None and (call_id := _CALL_ID.match(line)):
            # A re-INVITE goes to the contact of the other side, which is no number: it is no other call.
            if call_id[1] not in self._seen and not _PHONE.fullmatch(self._number):
                self._calls.setdefault(self._number, {})[call_id[1]] = self._at
            self._seen.add(call_id[1])
            self._number = None


def called(address: str) -> str:
    """Whom a request's address is for: a number in E.164, or the user as it is written.

    Without a user the whole address: a call to it is for nobody whom we know.
    """
    user, at, _ = address.rpartition("@")
    user = _SCHEME.sub("", user, count=1) if at else address
    number = _NUMBER.fullmatch(user)
    return f"+{number[1]}" if number else user
