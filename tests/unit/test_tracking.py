"""What Asterisk says of a call's end, and who ended it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from dialer.asterisk.ami import AmiEvent
from dialer.asterisk.nodes import Node, Nodes
from dialer.calls.model import Assigned, Assignee, Call, CallState, HungUpBy, Result, Screened
from dialer.calls.switchboard import Switchboard
from dialer.calls.table import CallTable, Change, Line
from dialer.calls.tracking import Leg, Tracker
from dialer.clock import utc_now
from dialer.ids import new_id
from dialer.servers.ownership import Sole

NODE = "main"
UP = ("Newstate", {"ChannelStateDesc": "Up"})
RINGS = ("Newstate", {"ChannelStateDesc": "Ringing"})
#: The events of a call, and then what is written of it.
ENDS: Sequence[tuple[Sequence[tuple[str, Mapping[str, str]]], Result, HungUpBy | None]] = [
    (
        [UP, ("HangupRequest", {"Cause": "16"}), ("Hangup", {"Cause": "16"})],
        Result.CALLER_HUNG_UP,
        HungUpBy.CUSTOMER,
    ),
    # Nobody answered the dialplan: it played the message and came to its end.
    ([UP, ("Hangup", {"Cause": "0"})], Result.ABANDONED, HungUpBy.SERVER),
    # The voice of a dead phone stopped: Asterisk gave it up.
    ([UP, ("SoftHangupRequest", {"Cause": "44"}), ("Hangup", {})], Result.ABANDONED, HungUpBy.SERVER),
    ([RINGS, ("DialEnd", {"DialStatus": "BUSY"}), ("Hangup", {"TechCause": "486"})], Result.BUSY, None),
]


class Notes:
    """A journal that is thrown away."""

    def put(self, change: Change) -> None:
        """Take a change."""


def table_with(call: Call) -> CallTable:
    """The table of an engine that has placed this one call."""
    table = CallTable(Notes())
    terms: Any = None  # nobody looks at them
    table.add(Line(call=call, terms=terms, e164="", trunk_id=1, node=NODE))
    return table


def placed() -> Call:
    """A call that Asterisk has been asked for."""
    return Call(new_id(), 1, 1, screens=False, abandon_after_s=2.0, created_at=utc_now())


def hear(tracker: Tracker, call: Call, events: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """Asterisk says these of the call."""
    for name, fields in events:
        key = "DestUniqueid" if name.startswith("Dial") else "Uniqueid"
        tracker.handle(AmiEvent(name, {key: str(call.attempt_id), **fields}, time.monotonic()), NODE)


@pytest.mark.parametrize(("events", "result", "by"), ENDS)
def test_who_ended_the_call_decides_what_it_came_to(
    events: Sequence[tuple[str, Mapping[str, str]]], result: Result, by: HungUpBy | None
) -> None:
    """A caller who hangs up says so; who is gone without a word was let go by us."""
    call = placed()
    table = table_with(call)
    ends: list[Call] = []
    table.watchers.append(lambda _line, change: ends.append(change.after))
    hear(Tracker(table), call, events)
    assert (ends[-1].result, ends[-1].hung_up_by) == (result, by)


async def test_a_call_that_a_person_ends_while_it_rings_was_taken_back() -> None:
    """It is no failure of the line: it is canceled, and dialled again soon."""
    call = placed()
    table = table_with(call)
    ends: list[Call] = []
    table.watchers.append(lambda _line, change: ends.append(change.after))
    tracker = Tracker(table)

    class Link:
        """Does what it is told."""

        async def send(self, action: Mapping[str, str]) -> None:
            """Hang up."""
            await asyncio.sleep(0)
            assert action["Channel"] == str(call.attempt_id)
            hear(tracker, call, [("DialEnd", {"DialStatus": "NOANSWER"}), ("Hangup", {"Cause": "16"})])

    link: Any = Link()
    nothing: Any = None
    nodes = Nodes()
    nodes.add(Node(NODE, link))
    switchboard = Switchboard(nothing, nodes, Sole(), table, tracker, nothing, keep_s=15)
    hear(tracker, call, [RINGS])
    await switchboard.hang_up(call.attempt_id, HungUpBy.AGENT)
    assert (ends[-1].result, ends[-1].hung_up_by, ends[-1].detail) == (
        Result.CANCELED,
        HungUpBy.AGENT,
        "hung_up",
    )


#: What Asterisk says of a phone's addresses, and whether the phone can be reached after it.
ADDRESSES: Sequence[tuple[Sequence[tuple[str, str]], bool]] = [
    ([("a", "Created"), ("a", "Reachable")], True),
    ([("a", "Reachable"), ("a", "Unreachable")], False),
    ([("a", "Reachable"), ("a", "Removed")], False),
    # It was started again: that its old address is gone is told last.
    ([("a", "Reachable"), ("b", "Created"), ("a", "Removed")], True),
    ([("a", "Unreachable"), ("b", "Reachable"), ("a", "Removed"), ("b", "Unreachable")], False),
]


@pytest.mark.parametrize(("said", "reached"), ADDRESSES)
@pytest.mark.parametrize("asked", [False, True], ids=["told", "asked first"])
async def test_a_phone_is_where_one_of_its_addresses_answers(
    said: Sequence[tuple[str, str]], reached: bool, asked: bool
) -> None:
    """The last word about one address says nothing of another, whether Asterisk told of them or was asked."""
    told: list[tuple[str, str, bool]] = []
    tracker = Tracker(CallTable(Notes()), contacts=[lambda *word: told.append(word)])
    if asked:
        tracker.reached(NODE, {"phone": {"a": True}, "carrier": {}})
        assert told == [(NODE, "phone", True), (NODE, "carrier", True)]
    for address, status in said:
        fields = {"EndpointName": "phone", "URI": address, "ContactStatus": status}
        tracker.handle(AmiEvent("ContactStatus", fields, time.monotonic()), NODE)
    assert told[-1] == (NODE, "phone", reached)
    tracker.reached(NODE, {"phone": {"c": True}})
    assert told[-1] == (NODE, "phone", True)


def test_a_phone_that_its_asterisk_forgot_in_its_death_is_where_it_was() -> None:
    """Until something is heard of it; one that left, and one that merely was not heard of, are nowhere."""
    tracker = Tracker(CallTable(Notes()))
    tracker.reached(NODE, {"phone": {"old": False, "a": True}, "kept": {"b": True}, "away": {"c": False}})
    tracker.reached(NODE, {"kept": {"b": True}}, died=True)
    where = [tracker.former_address(NODE, name) for name in ("phone", "kept", "away")]
    assert where == ["a", None, None]
    tracker.reached(NODE, {"kept": {"b": True}}, died=True)  # and once more
    assert tracker.former_address(NODE, "phone") == "a"
    fields = {"EndpointName": "phone", "URI": "d", "ContactStatus": "NonQualified"}
    tracker.handle(AmiEvent("ContactStatus", fields, time.monotonic()), NODE)
    tracker.reached(NODE, {})
    assert [tracker.former_address(NODE, name) for name in ("phone", "kept")] == [None, None]


def test_a_question_that_overtakes_the_talks_events_is_enough() -> None:
    """The phone was lost in a talk, and nothing of either was heard yet: the agent has talked and is free for
    nobody, and what is heard of the talk afterwards begins no new one."""
    table = table_with(call := placed())
    tracker = Tracker(table)
    gone: list[Leg] = []
    tracker.leg_gone = gone.append
    leg = Leg(new_id(), 1, new_id(), 7, "phone-7", NODE, up=True)
    tracker.know(leg)
    chosen = Assignee(leg.session_id, leg.agent_id, leg.id)
    table.apply(call.attempt_id, Screened(utc_now()))
    table.apply(call.attempt_id, Assigned(utc_now(), agent=chosen))
    line = table.get(call.attempt_id)
    assert line is not None
    tracker.bridge_ended(line, "SUCCESS", 0.0)
    assert (line.call.state, line.call.talked, line.call.agent) == (CallState.WAITING, leg.session_id, None)
    assert gone == [leg]
    bridge = {"BridgeUniqueid": "talk"}
    hear(tracker, call, [("BridgeEnter", bridge)])
    tracker.handle(AmiEvent("BridgeEnter", {"Uniqueid": str(leg.id), **bridge}, time.monotonic()), NODE)
    assert (line.call.state, line.call.agent) == (CallState.WAITING, None)


def test_a_phone_that_was_gone_before_the_bridge_leaves_its_agent_unmet() -> None:
    """Nobody has talked; the phone counts as gone though its end was not heard yet."""
    table = table_with(call := placed())
    tracker = Tracker(table)
    leg = Leg(new_id(), 1, new_id(), 7, "phone-7", NODE, up=True)
    tracker.know(leg)
    table.apply(call.attempt_id, Screened(utc_now()))
    table.apply(call.attempt_id, Assigned(utc_now(), agent=Assignee(leg.session_id, leg.agent_id, leg.id)))
    line = table.get(call.attempt_id)
    assert line is not None
    tracker.bridge_ended(line, "NONEXISTENT", 0.0)
    assert (line.call.state, line.call.talked, line.call.agent) == (CallState.WAITING, None, None)
    assert leg.id in tracker.lost
