"""Who is in which bridge, and which call is of which shift: the answers are those of a look at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dialer.asterisk.ami import AmiEvent
from dialer.calls.groups import Groups
from dialer.calls.model import Assigned, Assignee, Call, HungUp, Result, Screened, Unassigned
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Leg, Tracker
from dialer.clock import utc_now
from dialer.ids import new_id

NODE = "main"
MEMBERS = [UUID(int=n) for n in range(5)]


class Notes:
    """A journal that is thrown away."""

    def put(self, change: Change) -> None:
        """Take a change."""


def placed(table: CallTable, agent: Assignee | None = None) -> Call:
    """A call on the table."""
    call = Call(new_id(), 1, 1, screens=False, abandon_after_s=2.0, created_at=utc_now(), agent=agent)
    terms: Any = None  # nobody looks at them
    table.add(Line(call=call, terms=terms, e164="", trunk_id=1, node=NODE))
    return call


def say(tracker: Tracker, channel: UUID, event: str, bridge: str = "") -> None:
    """Asterisk says this of the channel."""
    tracker.handle(
        AmiEvent(event, {"Uniqueid": str(channel), "BridgeUniqueid": bridge}, time.monotonic()), NODE
    )


@given(st.lists(st.tuples(st.sampled_from(MEMBERS), st.sampled_from(["a", "b", "c", "", None]))))
def test_groups_are_those_of_a_plain_list(moves: list[tuple[UUID, str | None]]) -> None:
    """However members move, each is in its last group only, and who is in none is forgotten."""
    groups: Groups[str] = Groups()
    plain: dict[UUID, str | None] = {}
    for member, group in moves:
        groups.put(member, group)
        plain[member] = group
        for each in MEMBERS:
            assert groups.group(each) == (plain.get(each) or None)
        for name in ("a", "b", "c", "", None):
            inside = {each for each, now in plain.items() if now and now == name}
            assert set(groups.members(name)) == inside
    assert groups == Groups() or any(plain.values())


def test_a_shift_has_its_call_while_the_call_has_the_shift() -> None:
    """From the choice until the agent is taken off, the call ends, or another server has it."""
    table, agent = CallTable(Notes()), Assignee(new_id(), 1, new_id())
    ends: tuple[Callable[[Call], object], ...] = (
        lambda call: table.apply(call.attempt_id, Unassigned(utc_now())),
        lambda call: table.apply(call.attempt_id, HungUp(utc_now(), result=Result.FAILED)),
        lambda call: table.forget(call.attempt_id),
    )
    for end in ends:
        call = placed(table)
        table.apply(call.attempt_id, Screened(utc_now()))
        assert table.of_agent(agent.session_id) is None
        table.apply(call.attempt_id, Assigned(utc_now(), agent=agent))
        assert table.of_agent(agent.session_id) is table.get(call.attempt_id)
        end(call)
        assert table.of_agent(agent.session_id) is None


def test_a_call_that_was_left_brings_its_shift_along() -> None:
    """An earlier owner had chosen the agent already."""
    table, agent = CallTable(Notes()), Assignee(new_id(), 1, new_id())
    placed(table)
    call = placed(table, agent)
    assert table.of_agent(agent.session_id) is table.get(call.attempt_id)


def test_nothing_is_kept_of_channels_that_are_gone() -> None:
    """Thousands of calls a day leave no bridge behind: neither by a hang-up nor by a lost phone, a call that
    another server has, or a late word."""
    table = CallTable(Notes())
    tracker = Tracker(table)
    leg = tracker.know(Leg(new_id(), 1, new_id(), 1, "phone", NODE))
    over, taken = placed(table), placed(table)
    for channel in (over.attempt_id, taken.attempt_id, leg.id):
        say(tracker, channel, "BridgeEnter", "talk")
    assert tracker.leg_in("talk") is leg
    say(tracker, over.attempt_id, "Hangup")
    table.forget(taken.attempt_id)
    say(tracker, leg.id, "Hangup")
    assert tracker.leg_in("talk") is None
    for channel in (over.attempt_id, taken.attempt_id, leg.id):
        tracker.stands(channel, "talk")
    assert table.bridges == Groups()


def test_who_leaves_another_bridge_stays_in_this_one() -> None:
    """The word that a phone has left its waiting comes after that it has come to the customer."""
    table = CallTable(Notes())
    tracker = Tracker(table)
    leg = tracker.know(Leg(new_id(), 1, new_id(), 1, "phone", NODE))
    say(tracker, leg.id, "BridgeEnter", "waits")
    say(tracker, leg.id, "BridgeEnter", "talk")
    say(tracker, leg.id, "BridgeLeave", "waits")
    assert tracker.leg_in("talk") is leg
    say(tracker, leg.id, "BridgeLeave", "talk")
    assert tracker.leg_in("talk") is None
