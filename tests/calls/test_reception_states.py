"""The shipped reception on a real Asterisk: who hangs up in a state, whichever, and what is kept of that."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from support.callers import add_number, call_in, calls, gone_afterwards, leave, path
from support.centre import Centre

from dialer.db.tables import active_number
from ivr_flows import shipped, yamlfile
from ivr_flows.interpreter import INSTEAD
from ivr_flows.model import Verb

FLOW = shipped.flow("reception", "en")
STATES: Mapping[str, Mapping[str, Any]] = {
    one["name"]: one for one in yamlfile.read(shipped.text("reception", "en"), "reception").value["states"]
}
#: Half a minute: nobody gets to its end here.
LONG = {"sound": "demo-congrats"}
#: Stands before the state from which a caller is led.
GIVEN = "given"
VALUES = {"reason": "parts", "number": "9161234567"}
#: What passes without a word: the caller stands in a state behind it.
PASSING = {Verb.SCHEDULE, Verb.LOOKUP, Verb.CONDITION, Verb.SET, Verb.REQUEST_CALLBACK}


def from_here(name: str) -> list[dict[str, Any]]:
    """The flow from this state on, with what states before it set, spoken by a sound that is there."""
    given = {"name": GIVEN, "type": "set", "properties": {"values": VALUES}, "transitions": {"done": name}}
    found, waiting = [dict[str, Any](given)], [name]
    while waiting:
        state = STATES[waiting.pop(0)]
        if any(one["name"] == state["name"] for one in found):
            continue
        said = dict(state.get("properties", {}))
        said |= {key: LONG for key in said if key == "prompt" or key.endswith("_prompt")}
        found.append({**state, "properties": said})
        waiting += state.get("transitions", {}).values()
    return found


def follows(state: str, event: str) -> str:
    """The state behind this one, by what it ended with."""
    to = FLOW.states[state].transitions
    for name in (event, INSTEAD.get((FLOW.states[state].verb, event), ""), "default"):
        if name in to:
            return to[name]
    return ""


def comes_to(way: list[tuple[str, str | None]]) -> str:
    """What the call of this way comes to, whose caller has hung up."""
    states = [FLOW.states[name] for name, _ in way]
    if any(
        one.verb is Verb.REQUEST_CALLBACK and event == "done"
        for one, (_, event) in zip(states, way, strict=True)
    ):
        return "callback"
    if any(one.serves for one in states):
        return "contained"
    return "abandoned" if states[-1].verb is Verb.ENQUEUE else "left"


@pytest.mark.timeout(300)
async def test_who_hangs_up_in_any_state_is_written_down_as_they_walked(centre: Centre) -> None:
    """Each state of the flow has a caller who leaves there: their way is one that the flow has, ends with the
    hang-up, in the state itself if it is one to stand in; the call has come to what was done for them."""
    names = list(FLOW.states)
    numbers = {f"7495777{n:04d}": name for n, name in enumerate(names)}
    campaign_id = None
    for number, name in numbers.items():
        campaign_id = await add_number(centre, from_here(name), number=number, campaign_id=campaign_id)
    async with gone_afterwards(centre):
        for n, number in enumerate(numbers):
            await call_in(centre, caller=f"7916111{n:04d}", number=number)

        async def stand() -> bool:
            ways = [await path(centre, call.id) for call in await calls(centre)]
            return len(ways) == len(names) and all(way and way[-1][1] is None for way in ways)

        await centre.until("every caller stands somewhere", stand, within_s=60)
        await leave(centre)

        async def ended() -> bool:
            return all(call.state == "ended" for call in await calls(centre))

        await centre.until("every call has its end", ended, within_s=60)
    for call in await calls(centre):
        (given, *way), name = await path(centre, call.id), numbers[call.dialled]
        assert given == (GIVEN, "done")
        assert way[0][0] == name
        assert way[-1][1] == "hung_up", name
        for (state, event), (following, _) in pairwise(way):
            assert follows(state, str(event)) == following
        assert FLOW.states[name].verb in PASSING or len(way) == 1, name
        assert (call.result, call.hung_up_by) == (comes_to(way), "customer"), name
    assert await centre.rows(active_number) == []
