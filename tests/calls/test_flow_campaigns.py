"""Campaigns without agents on a real Asterisk: a flow speaks with who answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from support.callers import path, publish
from support.centre import Centre, open_centre
from support.line import Floor

from dialer.agents.model import AgentState
from dialer.calls.call_log import Filter
from dialer.db.tables import active_number, do_not_call, queue_stay
from dialer.db.tables import callback as promised
from dialer.demo.numbers import Behaviour

END: Mapping[str, Any] = {"name": "end", "type": "hangup", "serves": True}
BYE: Mapping[str, Any] = {"name": "bye", "type": "hangup"}


def question(name: str, then: str) -> Mapping[str, Any]:
    """A question with an answer of one digit."""
    return {
        "name": name,
        "type": "gather",
        "properties": {
            "prompt": {"sound": "vm-options"},
            "into": name,
            "digits": 1,
            "first_s": 4,
            "retries": 3,
        },
        "transitions": {"done": then, "default": "bye"},
    }


SURVEY = [question("quality", "speed"), question("speed", "again"), question("again", "end"), END, BYE]


def presses(digits: str, n: int = 0) -> str:
    """The number of somebody who presses these three digits, one after each words of ours."""
    return f"+79{16 + n:02}{digits}{Behaviour.PRESSES:02}01"


async def campaign(
    centre: Centre, states: Sequence[Mapping[str, Any]], numbers: Sequence[str], **fields: Any
) -> int:
    """A running campaign without agents whose flow has these states."""
    await publish(centre, states, "robot")
    usual: dict[str, Any] = {"mode": "flow", "flow": "robot", "flow_lines": 20, "flow_rate": 20.0}
    made = await centre.campaign(numbers, **usual | fields)
    await centre.until_owned(made)
    return made


async def test_a_survey_of_twenty_calls(centre: Centre) -> None:
    """With no agent at work twenty people are called, and what they press is kept with their calls."""
    digits = [f"{1 + n % 5}{1 + n % 3}{n % 2}" for n in range(20)]
    numbers = [presses(each, n) for n, each in enumerate(digits)]
    made = await campaign(centre, SURVEY, numbers)
    attempts = await centre.until_attempts(20, "ended", campaign_id=made, within_s=90)
    assert {each.result for each in attempts} == {"answered"}
    said = {each.e164: each.collected for each in attempts}
    assert said == {
        number: dict(zip(("quality", "speed", "again"), each, strict=True))
        for number, each in zip(numbers, digits, strict=True)
    }
    pieces = [piece async for piece in centre.calls.log_file(centre.actor, Filter(campaign_id=made), "en")]
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8-sig"))))
    assert {row["e164"]: row["collected"] for row in rows} == {
        number: "; ".join(f"{name}={value}" for name, value in sorted(answers.items()))
        for number, answers in said.items()
    }
    way = await path(centre, attempts[0].id)
    assert [state for state, _ in way] == ["quality", "speed", "again", "end"]
    assert await centre.rows(active_number) == []
    assert {lead.status for lead in await centre.leads(made)} == {"closed"}


async def test_a_visit_is_confirmed_by_a_key(centre: Centre) -> None:
    """The flow knows the card of whom it calls; what it says that the call came to closes the lead, and who
    has not answered the question is called again."""
    known = {
        "name": "known",
        "type": "condition",
        "properties": {"all": [{"variable": "contact.last_name", "equals": "Клиент 0"}]},
        "transitions": {"yes": "visit", "no": "bye"},
    }
    menu = {
        "name": "visit",
        "type": "menu",
        "properties": {"prompt": {"sound": "vm-options"}, "first_s": 6, "retries": 0},
        "transitions": {"1": "confirmed", "default": "bye"},
    }
    confirmed = {
        "name": "confirmed",
        "type": "set",
        "properties": {"values": {"disposition": "sale"}},
        "transitions": {"done": "end"},
    }
    made = await campaign(centre, [known, menu, confirmed, END, BYE], [presses("111")])
    (attempt,) = await centre.until_attempts(1, "ended", campaign_id=made)
    assert (attempt.result, attempt.outcome, attempt.hung_up_by) == ("answered", "contained", "server")
    assert attempt.disposition_id is not None
    (lead,) = await centre.leads(made)
    assert (lead.status, lead.closed_reason) == ("closed", "sale")
    assert [state for state, _ in await path(centre, attempt.id)] == ["known", "visit", "confirmed", "end"]


async def test_who_says_no_by_a_key_is_not_called_again(centre: Centre) -> None:
    """The number is on the list of do-not-call at once: no other campaign dials it."""
    out = {
        "name": "out",
        "type": "opt_out",
        "properties": {"number": "{caller}"},
        "transitions": {"default": "end"},
    }
    menu = {
        "name": "menu",
        "type": "menu",
        "properties": {"prompt": {"sound": "vm-options"}, "first_s": 6, "retries": 0},
        "transitions": {"9": "out", "default": "bye"},
    }
    number = presses("999")
    made = await campaign(centre, [menu, out, END, BYE], [number])
    await centre.until_attempts(1, "ended", campaign_id=made)
    (entry,) = await centre.rows(do_not_call)
    assert (entry.mark, entry.source) == (number, "key_press")
    other = presses("111")
    later = await centre.campaign([number, other], mode="flow", flow="robot")
    await centre.until_attempts(1, "ended", campaign_id=later)
    assert [each.e164 for each in await centre.attempts(later)] == [other]


async def test_who_presses_one_talks_with_an_agent(centre: Centre) -> None:
    """The agent has the customer, owes the disposition, and the wait is written down."""
    talk = {"name": "talk", "type": "enqueue", "properties": {"queue": "sales"}}
    menu = {
        "name": "menu",
        "type": "menu",
        "properties": {"prompt": {"sound": "vm-options"}, "first_s": 6, "retries": 0},
        "transitions": {"1": "talk", "default": "bye"},
    }
    made = await campaign(centre, [menu, talk, BYE], [presses("111")])
    await centre.until_attempts(1, "waiting", campaign_id=made)
    (agent_id,) = await centre.add_agents(1, skills=["sales"])
    (attempt,) = await centre.until_attempts(1, "connected", campaign_id=made)
    await centre.until_agent(agent_id, AgentState.TALKING)
    await centre.calls.hang_up(centre.actor, attempt.id)
    await centre.until_attempt(attempt.id, "wrap_up")
    await centre.dispose(attempt.id)
    attempt = await centre.until_attempt(attempt.id, "ended")
    assert (attempt.result, attempt.queue, attempt.agent_id) == ("answered", "sales", agent_id)
    (stay,) = await centre.rows(queue_stay)
    assert (stay.attempt_id, stay.ended, stay.agent_id) == (attempt.id, "answered", agent_id)


@pytest.mark.parametrize("leave", [True, False])
async def test_an_answering_machine(centre: Centre, leave: bool) -> None:
    """Is left the message when its greeting is over, or is hung up on, as the campaign says."""
    number = f"+7916000{Behaviour.MACHINE}01"
    made = await campaign(centre, SURVEY, [number], detect_machines=True, message_to_machines=leave)
    (attempt,) = await centre.until_attempts(1, "ended", campaign_id=made, within_s=60)
    assert (attempt.result, attempt.hung_up_by) == ("machine", "server")
    silence_and_message = timedelta(seconds=3)
    assert (attempt.hung_up_at - attempt.screened_at > silence_and_message) is leave
    assert await path(centre, attempt.id) == []


async def test_a_server_that_dies_while_its_flow_speaks(floor: Floor, database_url: str) -> None:
    """The customer hears the campaign's message; the next start ends the attempt, and frees the number."""
    async with open_centre(floor, database_url, own_process=True) as centre:
        made = await campaign(centre, SURVEY, [f"+7916030{Behaviour.STAYS}01"])

        async def at_question() -> Any:
            found = [each for each in await centre.attempts(made) if each.state == "flow"]
            return found[0] if found and await path(centre, found[0].id) == [("quality", None)] else None

        attempt = await centre.until_seen("the first question", at_question)
        async with centre.manager("Hangup") as link:
            await centre.kill_engine_process()
            await centre.until_hangup(link, "dozvon-customer", within_s=60)
        await centre.start_engine()
        attempt = await centre.until_attempt(attempt.id, "ended")
        assert attempt.result == "abandoned"
        assert await centre.rows(active_number) == []


async def test_who_asks_for_a_call_is_called_again(centre: Centre) -> None:
    """What the flow promises is kept, although the call was answered."""
    again = {
        "name": "again",
        "type": "request_callback",
        "properties": {"number": "{caller}"},
        "transitions": {"default": "end"},
    }
    number = f"+7916030{Behaviour.STAYS}01"
    made = await campaign(centre, [again, END], [number])
    first, second = await centre.until_attempts(2, "ended", campaign_id=made, within_s=90)
    assert (first.result, first.e164, second.e164) == ("answered", number, number)
    assert first.id in {row.made_in for row in await centre.rows(promised)}
