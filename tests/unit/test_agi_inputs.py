"""The row of fuzzed FastAGI: it holds as the code is, and tells of harm where something is taken away."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import pytest

from dialer.asterisk import agi_codec
from dialer.asterisk.fastagi import FastAgiServer
from dialer.bench.faults import agi_inputs, row
from dialer.bench.faults.agi_inputs import Hooks, Server, plan, throw
from dialer.bench.faults.hostile import block as blocks
from dialer.bench.faults.hostile.block import Block
from dialer.hooks import fastagi


def block(case: str, seed: int = 1) -> Block:
    """A small block."""
    return Block(case, seed, short=True)


@pytest.mark.parametrize("case", ["server", "hooks"])
async def test_the_code_as_it_is_holds(case: str) -> None:
    """No harm comes of a block; the right sessions amid it were served."""
    thrown = block(case)
    await throw(thrown)
    assert thrown.told == []
    assert thrown.kinds == {case: agi_inputs.SHORT_INPUTS}
    assert thrown.figures["right_served"] == agi_inputs.SHORT_INPUTS / agi_inputs.RIGHT_EVERY


async def test_a_word_that_is_not_quoted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that becomes words of its own would be another command."""
    monkeypatch.setattr(agi_codec, "quote", lambda word, *, what="": word)
    thrown = block("server")
    await throw(thrown)
    assert any("the server said" in line for line in thrown.told)


async def test_a_value_that_is_not_plain_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of a customer that a dialplan would read."""

    def as_they_are(told: Mapping[str, object]) -> dict[str, str]:
        return {name: re.sub("[\r\n\0]", " ", str(value)) for name, value in told.items()}

    monkeypatch.setattr(agi_inputs, "variables", as_they_are)
    thrown = block("hooks")
    await throw(thrown)
    assert any("the server said" in line for line in thrown.told)


async def test_a_session_that_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without deadlines holds whoever says nothing."""
    monkeypatch.setattr(agi_inputs, "HUNG_S", 1.0)
    monkeypatch.setattr(agi_inputs, "HELD_S", 600.0)
    thrown = block("server")
    await throw(thrown)
    assert any("did not end" in line for line in thrown.told)


async def test_a_server_that_serves_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right sessions say so."""
    monkeypatch.setattr(FastAgiServer, "handler", lambda _self, _script: None)
    thrown = block("server")
    await throw(thrown)
    assert any(line.startswith("right session") for line in thrown.told)


async def test_a_handler_that_falls_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the log, which names the error."""
    monkeypatch.setattr(fastagi, "lines", lambda _told: [None])
    monkeypatch.setattr(blocks, "TOLD", 1_000)
    thrown = block("hooks")
    await throw(thrown)
    assert any("agi_handler_failed" in line for line in thrown.told)


def test_a_seed_makes_its_sessions_again() -> None:
    """And another seed others."""
    for target in (Server(), Hooks()):
        made = [plan(random.Random(seed), target) for seed in (7, 7, 8)]
        first, again, other = ([*one.pieces, *one.replies] for one in made)
        assert first == again != other


def test_the_long_form_is_a_million() -> None:
    """Half of them for each of the two."""
    found = row("agi_inputs")
    assert found is not None
    assert found.long_runs * agi_inputs.INPUTS == 1_000_000
    assert found.long_runs % len(found.cases) == 0
