"""What an agent's browser may send to Asterisk: its own phone's SIP, a message a frame."""

from __future__ import annotations

import pytest

from dialer.web.sip_frames import LONGEST, fault

PHONE = "dozvon-web-7"


def message(*headers: str, first: str = "REGISTER sip:dozvon SIP/2.0", body: str = "") -> str:
    length = f"Content-Length: {len(body.encode())}"
    return "\r\n".join((first, *headers, length, "", body))


OWN = f"From: <sip:{PHONE}@dozvon>;tag=1"


@pytest.mark.parametrize(
    "frame",
    [
        message(OWN),
        message(OWN, f'Authorization: Digest algorithm=MD5, username="{PHONE}", realm="dozvon"'),
        message(f"f: <sip:{PHONE}@phone.invalid>"),
        message(OWN, first=f"BYE sip:{PHONE}@phone.invalid SIP/2.0"),
        message(OWN, body="v=0\r\nпривет"),
        message("From: <sip:anybody@dozvon>", first="SIP/2.0 200 OK"),
        "\r\n\r\n",
    ],
)
def test_its_own_sip_passes(frame: str) -> None:
    """Requests from the phone, with or without its name in the proof; answers; what keeps the line open."""
    assert fault(frame, PHONE) is None


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (message("From: <sip:dozvon-web-8@dozvon>;tag=1"), "not from the phone"),
        (message("From: <sip:dozvon-web-77@dozvon>;tag=1"), "not from the phone"),
        (message("From: <sip:somebody@dozvon>", first="INVITE sip:s@dozvon SIP/2.0"), "not from the phone"),
        (message(OWN, "From: <sip:dozvon-web-8@dozvon>"), "not from the phone"),
        (message(OWN, "f: <sip:dozvon-web-8@dozvon>"), "not from the phone"),
        (message(f'From: "a<sip:{PHONE}@x>" <sip:other@dozvon>'), "not from the phone"),
        (message(), "not from the phone"),
        (message(OWN, 'Authorization: Digest username="dozvon-web-8"'), "another phone's name"),
        (message(OWN, f'Authorization: Digest username="{PHONE}", x="\\", username=other'), "another"),
        (message(OWN, "Proxy-Authorization: Digest USERNAME = other"), "another phone's name"),
        (message(OWN) + message("From: <sip:other@dozvon>"), "length"),
        (message(OWN, "Content-Length: 0"), "length"),
        (message("x: y\n" + OWN), "no SIP message"),
        (message(OWN, " folded: 1"), "no header"),
        (message(OWN)[:-4], "no SIP message"),
        (message(OWN, body="x" * LONGEST), "no SIP message"),
        ("hello", "no SIP message"),
    ],
)
def test_nothing_else_passes(frame: str, why: str) -> None:
    """Requests from another, in another's name, with two senders, two in a frame, or no SIP at all."""
    assert why in (fault(frame, PHONE) or "it passes")
