"""What an agent's browser may send to Asterisk: SIP of its own phone, and nothing else.

Asterisk asks whoever it takes for an endpoint for that endpoint's secret. But it takes whoever it does not
know by name for a trunk that has the same address, and all that the server passes on comes from the server's
own address: so a frame that is from anybody else goes no further. It must be one message: PJSIP reads on
behind the end of the first.
"""

from __future__ import annotations

import re

#: The longest frame, in characters. A session description with its candidates has some 4,000.
LONGEST = 32 * 1024
_BLANK = "\r\n\r\n"
_USERNAME = re.compile(r"username\s*=\s*(\"[^\"]*\"|[^,\s]*)", re.IGNORECASE)


def fault(frame: str, endpoint: str) -> str | None:
    """Why a frame of the browser that is this endpoint may not pass; None: it may."""
    if frame.strip("\r\n") == "":
        return None  # keeps the connection open
    head, blank, body = frame.partition(_BLANK)
    lines = head.split("\r\n")
    if not blank or len(frame) > LONGEST or any(re.search(r"[\r\n\0]", line) for line in lines):
        return "it is no SIP message"
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or name[:1].isspace():
            return "it has a line that is no header"
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    length = headers.get("content-length", []) + headers.get("l", [])
    if length != [str(len(body.encode()))]:
        return "its length is not what it says"
    if lines[0].startswith("SIP/2.0 "):
        return None  # an answer: to what Asterisk has asked of this connection
    sender = headers.get("from", []) + headers.get("f", [])
    if len(sender) != 1 or not re.match(rf"<sip:{re.escape(endpoint)}@[^<>\"@]*>", sender[0]):
        return "it is not from the phone"
    for given in headers.get("authorization", []) + headers.get("proxy-authorization", []):
        if any(name.strip('"') != endpoint for name in _USERNAME.findall(given)):
            return "it is in another phone's name"
    return None
