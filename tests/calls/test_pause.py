"""A paused campaign: no new call, and its ringing calls as it says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.centre import Centre

from dialer.agents.model import AgentState
from dialer.clock import utc_now
from dialer.db.tables import active_number
from dialer.demo.numbers import Behaviour, encode


async def test_a_pause_stops_dialling_at_once(centre: Centre) -> None:
    """After the pause is committed no attempt is made and none is sent, even if nobody tells the engine of
    it; the carrier sees no other call. Resumed, it goes on with the rest of the list."""
    await centre.add_agents(1)
    numbers = [encode(Behaviour.BUSY, ring_s=0.5, detail=n).e164 for n in range(400)]
    before = centre.floor.carrier.invites()
    campaign_id = await centre.campaign(numbers, mode="power", ratio=4.0)
    await centre.until_attempts(8, "ended")
    await centre.set_status(campaign_id, "paused", tell=False)
    paused_at = utc_now()

    async def quiet() -> bool:
        return all(a.state == "ended" for a in await centre.attempts())

    await centre.until("the calls in the air have ended", quiet)
    made = len(await centre.attempts())
    with pytest.raises(AssertionError, match="not within"):
        await centre.until_attempts(made + 1, "dialling", "ringing", "ended", within_s=1.5)
    attempts = await centre.attempts()
    assert max(a.created_at for a in attempts) <= paused_at
    assert max(a.sent_at for a in attempts) < paused_at + timedelta(seconds=1)
    invited = {n for n, ids in centre.floor.carrier.invites().items() if ids - before.get(n, set())}
    assert {a.e164 for a in attempts} == invited & set(numbers)
    await centre.set_status(campaign_id, "running")
    await centre.until_attempts(made + 4, "ended")


@pytest.mark.parametrize("drops", [False, True], ids=["finishes", "is dropped"])
async def test_a_ringing_call_at_a_pause(centre: Centre, drops: bool) -> None:
    """A ringing call goes on to its agent, or is taken back and tried again later, as the campaign says."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.HUMAN, ring_s=2.5, detail=int(drops)).e164
    campaign_id = await centre.campaign([number], drop_ringing_on_pause=drops)
    await centre.until_attempts(1, "ringing")
    await centre.set_status(campaign_id, "paused")
    if not drops:
        await centre.until_agent(agent_id, AgentState.TALKING)
        return
    (dropped,) = await centre.until_attempts(1, "ended", within_s=1.0)
    assert (dropped.result, dropped.detail, dropped.answered_at) == ("canceled", "campaign_paused", None)
    assert await centre.rows(active_number) == []
    (lead,) = await centre.leads(campaign_id)
    assert lead.status == "waiting"
    assert (lead.open_from - dropped.hung_up_at).total_seconds() == pytest.approx(60, abs=0.1)


async def test_calls_taken_back_as_they_are_placed(centre: Centre) -> None:
    """Calls that a pause takes back before Asterisk has a channel of them end too, and nobody is called."""
    await centre.add_agents(3)
    numbers = [encode(Behaviour.HUMAN, ring_s=3.0, detail=100 + n).e164 for n in range(30)]
    campaign_id = await centre.campaign(numbers, mode="power", ratio=4.0, drop_ringing_on_pause=True)
    await centre.until_attempts(1, "dialling", "ringing")
    await centre.set_status(campaign_id, "paused")

    async def ended() -> bool:
        return all(a.state == "ended" for a in await centre.attempts())

    await centre.until("all are taken back", ended, within_s=2.5)
    assert {a.result for a in await centre.attempts()} == {"canceled"}
