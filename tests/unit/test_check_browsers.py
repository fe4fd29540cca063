"""What `dozvon check` makes of what it sees of phones in browsers."""

from __future__ import annotations

import pytest

from dialer.check.browsers import judge_address, judge_answer, judge_media
from dialer.check.lines import judge_browsers
from dialer.check.model import Level
from dialer.settings import load

TOLD = """
General Settings:
----------------
  Port start:      {first}
  Port end:        {last}
  Checksums:       Yes
  ICE support:     {ice}
"""


@pytest.mark.parametrize(
    ("asterisk", "answer", "level"),
    [
        ("managed", "SIP/2.0 401 Unauthorized", Level.OK),
        ("managed", "SIP/2.0 404 Not Found", Level.OK),
        ("managed", "SIP/2.0 503 Service Unavailable", Level.FAIL),
        ("managed", "Cannot connect to host 127.0.0.1:8088", Level.FAIL),
        ("external", "Cannot connect to host 127.0.0.1:8088", Level.WARN),
    ],
)
def test_a_registration_must_be_answered(asterisk: str, answer: str, level: Level) -> None:
    """Asterisk asks for the secret, or knows no such phone (where a trunk has the same address). Anything
    else is a fault; with a PBX of one's own, one that can be meant."""
    settings = load(asterisk=asterisk, **({"ami_secret": "x"} if asterisk == "external" else {}))
    assert judge_answer(settings, answer).level is level


@pytest.mark.parametrize(
    ("first", "last", "ice", "level", "said"),
    [
        (10000, 19999, "Yes", Level.OK, "2500 talks"),
        (10000, 19999, "No", Level.WARN, "no ICE"),
        (12000, 19999, "Yes", Level.WARN, "the settings say 10000 to 19999"),
    ],
)
def test_ports_for_voice(first: int, last: int, ice: str, level: Level, said: str) -> None:
    """Those of the settings, with ICE."""
    found = judge_media(load(), TOLD.format(first=first, last=last, ice=ice))
    assert found.level is level
    assert said in found.found


def test_few_ports_are_few_talks() -> None:
    """A range of which a shift cannot live is said to be so."""
    found = judge_media(
        load(rtp_port_from=10000, rtp_port_to=10019), TOLD.format(first=10000, last=10019, ice="Yes")
    )
    assert (found.level, "5 talks" in found.found) == (Level.WARN, True)


def test_an_asterisk_that_does_not_say() -> None:
    """Without the module of voice there is nothing to judge."""
    assert judge_media(load(), "No such command 'rtp show settings'").level is Level.WARN


@pytest.mark.parametrize(
    ("own", "settings", "level", "said"),
    [
        ("10.0.0.5", {}, Level.NOTE, "this network only"),
        ("10.0.0.5", {"external_address": "203.0.113.10"}, Level.OK, "203.0.113.10 for who is outside"),
        ("10.0.0.5", {"turn_url": "turn:t.example.org", "turn_secret": "x"}, Level.OK, "turn:t.example.org"),
        ("203.0.113.10", {"external_address": "203.0.113.10"}, Level.NOTE, "own"),
        ("8.8.4.4", {}, Level.OK, "8.8.4.4"),
    ],
)
def test_where_voice_is_asked_for(own: str, settings: dict[str, str], level: Level, said: str) -> None:
    """Who is elsewhere reaches a private address by an address outside, or a TURN server."""
    found = judge_address(load(**settings), own)
    assert found.level is level
    assert said in found.found


def test_browsers_that_an_asterisk_of_ones_own_lacks() -> None:
    """Each is named, with the command that makes it."""
    found = judge_browsers(["dozvon-web-1", "dozvon-web-2"], {"dozvon-web-1": False})
    assert found.level is Level.NOTE
    assert "dozvon-web-2" in found.found
    assert "dozvon-web-1" not in found.found
    assert judge_browsers(["dozvon-web-1"], {"dozvon-web-1": True}).level is Level.OK
