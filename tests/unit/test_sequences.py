"""The bench's generated event sequences: they hold, they find what breaks, and what they have found."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from dialer.asterisk.ami import AmiEvent
from dialer.bench.desk import START
from dialer.bench.faults import sequences
from dialer.calls.consequences import IsFree, consequences
from dialer.calls.model import (
    Answered,
    Assigned,
    Assignee,
    Call,
    CallState,
    Connected,
    HungUp,
    Result,
    Screened,
    Unassigned,
)
from dialer.calls.steps import advance
from dialer.calls.table import CallTable, Line
from dialer.calls.tracking import Leg, Tracker
from dialer.ids import new_id

ANN = Assignee(new_id(), 1, new_id())
BOB = Assignee(new_id(), 2, new_id())


def test_sequences_hold() -> None:
    """No sequence of a small block breaks a rule, and calls are talked in them."""
    run = sequences.block(1, 1500)
    assert run.broken == ""
    assert run.figures["sequences"] == 1500
    assert run.calls > 1500


def test_the_same_seed_gives_the_same_block() -> None:
    """Calls, events and changes of a seed are the same each time."""
    one, two = sequences.block(7, 100), sequences.block(7, 100)
    assert (one.calls, one.figures["events"], one.figures["changes"]) == (
        two.calls,
        two.figures["events"],
        two.figures["changes"],
    )


def test_a_broken_rule_is_found_and_told_in_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that forgets to free agents is found out; its story is short, the rule at its end."""

    def forgetful(before: Call, after: Call) -> tuple[Any, ...]:
        return tuple(one for one in consequences(before, after) if not isinstance(one, IsFree))

    monkeypatch.setattr("dialer.calls.table.consequences", forgetful)
    run = sequences.block(1, 5000)
    assert not run.held
    assert run.broken.splitlines()[-1].startswith(("talk: ", "one call: "))
    assert len(run.broken.splitlines()) < 60


def waiting() -> Call:
    """A customer who talked with Ann until her phone was lost, and is offered to Bob."""
    call = Call(new_id(), 1, 1, screens=False, abandon_after_s=2.0, created_at=START)
    for number, signal in enumerate((Answered, Screened)):
        call = advance(call, signal(START + timedelta(seconds=number)))
    later = START + timedelta(seconds=9)
    for step in (Assigned(later, ANN), Connected(later, ANN), Unassigned(later), Assigned(later, BOB)):
        call = advance(call, step)
    assert (call.state, call.agent) == (CallState.WAITING, BOB)
    return call


def test_who_was_only_on_the_way_owes_no_disposition() -> None:
    """The customer leaves before the second agent has come: that agent is free at once."""
    call = waiting()
    gone = advance(call, HungUp(START + timedelta(seconds=10), Result.FAILED))
    assert (gone.state, gone.result) == (CallState.ENDED, Result.ANSWERED)
    assert IsFree(BOB.session_id) in consequences(call, gone)


def test_who_takes_the_kept_customer_back_still_owes_one() -> None:
    """The customer leaves just before the agent who had talked is joined again: the talk is still owed."""
    call = advance(waiting(), Unassigned(START + timedelta(seconds=9)))
    call = advance(call, Assigned(START + timedelta(seconds=9), ANN))
    gone = advance(call, HungUp(START + timedelta(seconds=10), Result.FAILED))
    assert gone.state is CallState.WRAP_UP


def test_a_late_word_of_an_earlier_bridge_takes_nobody_away() -> None:
    """The phone of the first agent was lost, another is chosen; that the first was in a bridge is heard only
    now: the chosen agent stays chosen."""
    call = Call(new_id(), 1, 1, screens=False, abandon_after_s=2.0, created_at=START)
    for step in (Answered(START), Screened(START), Assigned(START, BOB)):
        call = advance(call, step)

    class Notes:
        """A journal that is thrown away."""

        def put(self, change: Any) -> None:
            """Take a change."""

    table, terms = CallTable(Notes()), None
    anything: Any = terms
    table.add(Line(call=call, terms=anything, e164="", trunk_id=1, node="main"))
    tracker = Tracker(table)
    for agent in (ANN, BOB):
        tracker.legs[agent.leg] = Leg(
            agent.leg, 1, agent.session_id, agent.agent_id, "phone", "main", up=True
        )
    for channel in (call.attempt_id, ANN.leg):
        tracker.handle(
            AmiEvent("BridgeEnter", {"Uniqueid": str(channel), "BridgeUniqueid": "old"}, time.monotonic()),
            "main",
        )
    line = table.get(call.attempt_id)
    assert line is not None
    assert (line.call.state, line.call.agent) == (CallState.WAITING, BOB)
