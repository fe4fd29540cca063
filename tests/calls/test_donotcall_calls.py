"""An entry of do-not-call that comes while its number is being called, on a real Asterisk."""

from __future__ import annotations

import pytest
from support.centre import TENANT, Centre

from dialer.agents.model import AgentState
from dialer.calls.model import DO_NOT_CALL
from dialer.clock import utc_now
from dialer.db.tables import active_number
from dialer.demo.numbers import Behaviour, encode
from dialer.donotcall import store
from dialer.donotcall.model import Refusal, Source


async def enter(centre: Centre, mark: str) -> None:
    """Have the number, or all that begin so, called no more; committed, and told to the engine."""
    async with centre.database.tenant(TENANT) as conn:
        await store.add(conn, TENANT, [mark], Refusal(Source.API), by=None, now=utc_now())


@pytest.mark.parametrize("prefix", [False, True], ids=["a number", "a prefix"])
async def test_a_ringing_call_is_taken_back(centre: Centre, prefix: bool) -> None:
    """The phone stops ringing within a second; the lead closes, or waits for the placer to close it, and
    nobody calls the number again."""
    await centre.add_agents(1)
    number = encode(Behaviour.HUMAN, ring_s=5.0, detail=700 + prefix).e164
    campaign_id = await centre.campaign([number])
    await centre.until_attempts(1, "ringing")
    began = utc_now()
    await enter(centre, f"{number[:-1]}*" if prefix else number)
    (attempt,) = await centre.until_attempts(1, "ended", within_s=4.0)
    assert (attempt.result, attempt.detail, attempt.answered_at) == ("canceled", DO_NOT_CALL, None)
    assert (attempt.hung_up_at - began).total_seconds() < 1.5
    assert await centre.rows(active_number) == []

    (lead,) = await centre.leads(campaign_id)
    assert (lead.status, lead.closed_reason) == (("waiting", None) if prefix else ("closed", "do_not_call"))
    assert len(await centre.attempts()) == 1
    assert len(centre.floor.carrier.invites()[number]) == 1


async def test_a_talk_goes_on(centre: Centre) -> None:
    """Who has answered is not cut off; the number is not called again."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.HUMAN, ring_s=0.5, detail=710).e164
    await centre.campaign([number])
    await centre.until_agent(agent_id, AgentState.TALKING)
    await enter(centre, number)
    with pytest.raises(AssertionError, match="not within"):
        await centre.until_attempts(1, "wrap_up", "ended", within_s=1.0)
