"""A caller who hangs up while a flow speaks: Asterisk tells of the sound, or the keys, before that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.agi_peers import Floor, floor_of

from dialer.errors import AgiHangup
from dialer.inbound import playing
from ivr_flows.model import Ask, Failed, Nothing, Pressed, Say

QUESTION = Ask(prompts=(), digits=1, until="", first_s=5.0, between_s=2.0)
SOUNDS = ("vm-options",)


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with floor_of() as running:
        yield running


@pytest.mark.parametrize(
    ("status", "keys", "came"),
    [
        ("HANGUP", "", None),
        ("TIMEOUT", "", Nothing()),
        ("OK", "2", Pressed("2")),
        ("OK", "*#", Pressed("*#")),
    ],
)
async def test_who_hangs_up_in_a_question_has_not_kept_silent(
    floor: Floor, status: str, keys: str, came: object
) -> None:
    """By what Read says itself: the HANGUP line comes after its reply."""
    floor.handle(lambda call: playing.ask(call, SOUNDS, QUESTION))
    peer = await floor.peer()
    await peer.ask()
    assert (await peer.line()).startswith("EXEC MSet")
    await peer.say("200 result=0\n")
    assert (await peer.line()).startswith("EXEC Read")
    await peer.say("200 result=0\n")
    assert await peer.line() == 'GET FULL VARIABLE "${READSTATUS}:${DOZVON_KEYS}"\n'
    await peer.say(f"200 result=1 ({status}:{keys})\n")
    outcome = await floor.outcome()
    assert isinstance(outcome, AgiHangup) if came is None else outcome == came


async def test_a_sound_that_the_hang_up_has_cut_off_is_no_missing_sound(floor: Floor) -> None:
    """The flow does not go on from `failed` with nobody on the line."""
    floor.handle(lambda call: playing.say(call, SOUNDS, Say(())))
    peer = await floor.peer()
    await peer.ask()
    assert (await peer.line()).startswith("STREAM FILE")
    await peer.say("200 result=-1 endpos=800\n")
    await peer.say("HANGUP\n")
    assert isinstance(await floor.outcome(), AgiHangup)


async def test_a_sound_that_cannot_be_played_is_one(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hang-up follows."""
    monkeypatch.setattr(playing, "GONE_S", 0.05)
    floor.handle(lambda call: playing.say(call, SOUNDS, Say(())))
    peer = await floor.peer()
    await peer.ask()
    await peer.line()
    await peer.say("200 result=-1 endpos=0\n")
    assert await floor.outcome() == Failed("vm-options cannot be played")
