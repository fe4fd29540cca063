"""Promised calls on a real Asterisk: before the list, by the agent who has promised, through a restart."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text
from support.centre import TENANT, Centre, open_centre
from support.line import Floor

from dialer.agents.model import AgentState
from dialer.callbacks.making import Asked
from dialer.callbacks.service import CallbackService
from dialer.callbacks.store import CallbackRow
from dialer.clock import utc_now
from dialer.demo.numbers import Behaviour, encode
from scheduler.callbacks import Away, State


async def promise(
    centre: Centre, campaign_id: int, e164: str, agent_id: int | None = None, *, in_s: float = 3600
) -> CallbackRow:
    """Promise the person with this number a call."""
    (lead,) = [one for one in await centre.leads(campaign_id) if one.e164 == e164]
    at = utc_now() + timedelta(seconds=in_s)
    asked = Asked(at, agent_id=agent_id, away=Away.WAIT)
    return await CallbackService(centre.database).make(centre.actor, campaign_id, lead.contact_id, asked)


async def an_hour_passes(centre: Centre) -> None:
    """What was promised for an hour from now is due."""
    moved = ", ".join(f"{name} = {name} - interval '1 hour'" for name in ("from_at", "due_at", "open_at"))
    due = "due_at > now() + interval '30 minutes'"
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(text(f"UPDATE callback SET {moved} WHERE {due}"))


async def until_state(centre: Centre, made: CallbackRow, wanted: State, *, tries: int = 0) -> CallbackRow:
    """Wait until the callback is in this state, after so many tries."""

    async def look() -> CallbackRow | None:
        found = await CallbackService(centre.database).get(centre.actor, made.id)
        return found if found.state is wanted and found.tries >= tries else None

    found: CallbackRow = await centre.until(f"the callback is {wanted}", look, within_s=30)
    return found


async def test_a_due_callback_is_dialled_before_the_list(centre: Centre) -> None:
    """The last of the list comes first when its time has come; the others keep their order."""
    await centre.add_agents(1)
    numbers = [encode(Behaviour.BUSY, ring_s=0.3, detail=n).e164 for n in range(4)]
    campaign_id = await centre.campaign(numbers, status="paused")
    await promise(centre, campaign_id, numbers[3])
    await an_hour_passes(centre)
    await centre.set_status(campaign_id, "running")
    attempts = await centre.until_attempts(4, "ended")
    order = [one.e164 for one in sorted(attempts, key=lambda one: one.created_at)]
    assert order == [numbers[3], *numbers[:3]]


async def test_in_a_predictive_campaign_the_own_agent_gets_it(centre: Centre) -> None:
    """Of two agents the one who has promised, although the other has waited longer; each time."""
    _other, own = await centre.add_agents(2)
    numbers = [encode(Behaviour.LEAVES_EARLY, ring_s=0.5, detail=10 + n).e164 for n in range(6)]
    async with centre.disposing():
        campaign_id = await centre.campaign(numbers, mode="predictive", status="paused")
        made = [await promise(centre, campaign_id, number, own) for number in numbers[3:]]
        await an_hour_passes(centre)
        await centre.set_status(campaign_id, "running")
        attempts = await centre.until_attempts(6, "ended", within_s=60)
        for one in made:
            await until_state(centre, one, State.DONE)
    took = {one.e164: one.agent_id for one in attempts if one.connected_at}
    assert {took[number] for number in numbers[3:]} == {own}
    assert "abandoned" not in {one.result for one in attempts}


async def test_a_kill_loses_no_promise(floor: Floor, database_url: str) -> None:
    """kill -9 with one ringing for its agent, one due and one to come: the first is followed to its talk, the
    others are dialled by the next server, nobody twice."""
    async with open_centre(floor, database_url, own_process=True) as centre:
        before = floor.carrier.invites()
        (agent_id,) = await centre.add_agents(1)
        rings, due, comes = (
            # Longer than a busy machine takes to start an engine: with nobody there, the answer is nobody's.
            encode(Behaviour.HUMAN, ring_s=12.0, detail=720).e164,
            encode(Behaviour.BUSY, ring_s=0.3, detail=721).e164,
            encode(Behaviour.BUSY, ring_s=0.3, detail=722).e164,
        )
        campaign_id = await centre.campaign([rings, due, comes], status="paused", ring_timeout_s=30)
        first = await promise(centre, campaign_id, rings, agent_id)
        await an_hour_passes(centre)
        second = await promise(centre, campaign_id, due, agent_id)
        await an_hour_passes(centre)
        third = await promise(centre, campaign_id, comes, agent_id, in_s=6)
        await centre.set_status(campaign_id, "running")
        await centre.until_attempts(1, "ringing")
        await centre.kill_engine_process()
        assert (await until_state(centre, second, State.WAITING)).tries == 0
        await centre.start_engine_process()
        shift = await centre.until_agent(agent_id, AgentState.TALKING, within_s=30)
        assert shift.attempt_id is not None
        await centre.calls.hang_up(centre.actor, shift.attempt_id)
        await until_state(centre, first, State.DONE)
        await centre.dispose(shift.attempt_id)
        for one in (second, third):
            tried = await until_state(centre, one, State.WAITING, tries=1)
            assert tried.due_at > utc_now()
        made = {n: len(ids - before.get(n, set())) for n, ids in floor.carrier.invites().items()}
        assert {number: made[number] for number in (rings, due, comes)} == {rings: 1, due: 1, comes: 1}
