"""A question of more sounds than one command holds, and keys that break into it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from support.agi_peers import Floor, Peer, floor_of

from dialer.inbound import playing
from ivr_flows.model import KEYS, Ask, Event, Nothing, Pressed

#: As recorded words are named; forty of them are more than Asterisk reads at once.
WORDS = [f"/var/lib/dozvon/sounds/own/1/00000000-0000-4000-8000-{n:012}" for n in range(40)]
QUESTION = Ask(prompts=(), digits=3, until="#", first_s=5.0, between_s=2.0)


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    async with floor_of() as running:
        yield running


async def asked(floor: Floor, question: Ask) -> Peer:
    """A call that is asked."""
    floor.handle(lambda call: playing.ask(call, WORDS, question))
    peer = await floor.peer()
    await peer.ask()
    return peer


async def read(peer: Peer, line: str, keys: str) -> list[str]:
    """Answer what follows a line of MSet; the arguments of Read."""
    assert line.startswith("EXEC MSet")
    await peer.say("200 result=0\n")
    told = await peer.line()
    assert told.startswith("EXEC Read")
    await peer.say("200 result=0\n")
    assert (await peer.line()).startswith("GET FULL VARIABLE")
    await peer.say(f"200 result=1 ({'OK' if keys else 'TIMEOUT'}:{keys})\n")
    return told.split(" ", 2)[2].strip().strip('"').split(",")


async def test_all_of_a_long_question_is_heard(floor: Floor) -> None:
    """Sound by sound first, then as much as one command holds."""
    peer = await asked(floor, QUESTION)
    heard = []
    while (line := await peer.line()).startswith("STREAM FILE"):
        _, _, sound, keys = line.split()
        assert keys.strip('"') == KEYS
        heard.append(sound)
        await peer.say("200 result=0 endpos=8000\n")
    arguments = await read(peer, line, "12")
    assert heard
    assert [*heard, *arguments[1].split("&")] == WORDS
    assert arguments[2] == "3"
    assert await floor.outcome() == Pressed("12")


@pytest.mark.parametrize(("rest", "came"), [("23", Pressed("123")), ("", Pressed("1"))])
async def test_a_key_that_breaks_into_it_is_the_first(floor: Floor, rest: str, came: Event) -> None:
    """The others are waited for in silence, as long as between two keys."""
    peer = await asked(floor, QUESTION)
    assert (await peer.line()).startswith("STREAM FILE")
    await peer.say(f"200 result={ord('1')} endpos=800\n")
    line = await peer.line()
    assert "TIMEOUT(response)=2," in line
    arguments = await read(peer, line, rest)
    assert (arguments[1], arguments[2]) == ("", "2")
    assert await floor.outcome() == came


@pytest.mark.parametrize(
    ("question", "key", "came"),
    [(QUESTION, "#", Nothing()), (replace(QUESTION, digits=1, until=""), "#", Pressed("#"))],
)
async def test_a_key_that_is_all_of_the_answer_ends_it(
    floor: Floor, question: Ask, key: str, came: Event
) -> None:
    """The key that ends, or the only one that is wanted: nothing more is asked."""
    peer = await asked(floor, question)
    assert (await peer.line()).startswith("STREAM FILE")
    await peer.say(f"200 result={ord(key)} endpos=800\n")
    assert await floor.outcome() == came
