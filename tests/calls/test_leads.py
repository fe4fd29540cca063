"""What becomes of a lead after its call, of a number that two campaigns want, and of a talk's recording."""

from __future__ import annotations

import itertools
import stat
import wave
from pathlib import Path

import pytest
from support.centre import Centre

from dialer.agents.model import AgentState
from dialer.db.tables import active_number, recording
from dialer.demo.numbers import Behaviour, encode

#: Behaviour -> (seconds of the campaign's own rule, status of the lead).
FATES = {
    Behaviour.BUSY: (300, "waiting", 1),
    Behaviour.DECLINED: (-1, "closed", 1),
    Behaviour.CONGESTION: (5, "waiting", 0),  # the trunk's fault: it has cost the lead no attempt
    Behaviour.INVALID: (None, "closed", 1),
}


async def test_each_result_has_its_fate(centre: Centre) -> None:
    """A lead waits as long as the campaign's rule, or the default, says from its call's end, or is closed;
    what
    the trunk has failed costs no attempt and waits for seconds."""
    await centre.add_agents(1)
    numbers = {encode(behaviour, ring_s=0.5).e164: behaviour for behaviour in FATES}
    campaign_id = await centre.campaign(
        numbers,
        mode="power",
        ratio=10.0,
        retries={"results": {"busy": {"after_s": 300}, "declined": {"after_s": -1}}},
    )
    attempts = {a.e164: a for a in await centre.until_attempts(len(FATES), "ended")}
    for lead in await centre.leads(campaign_id):
        delay_s, status, attempts_made = FATES[numbers[lead.e164]]
        attempt = attempts[lead.e164]
        assert (lead.status, lead.last_result, lead.attempts) == (status, attempt.result, attempts_made)
        if status == "waiting":
            waits_s = (lead.open_from - attempt.hung_up_at).total_seconds()
            assert waits_s == pytest.approx(delay_s, abs=0.01)
        else:
            assert lead.closed_reason == attempt.result
    assert await centre.rows(active_number) == []


async def test_a_lead_is_tried_as_often_as_its_campaign_says(centre: Centre) -> None:
    """A number that is busy is dialled again when its time has come, at most `max_attempts` times."""
    await centre.add_agents(1)
    number = encode(Behaviour.BUSY, ring_s=0.5, detail=700).e164
    campaign_id = await centre.campaign(
        [number], max_attempts=3, retries={"results": {"busy": {"after_s": 0}}}
    )
    attempts = await centre.until_attempts(3, "ended")
    for earlier, later in itertools.pairwise(attempts):
        assert earlier.hung_up_at <= later.created_at
    (lead,) = await centre.leads(campaign_id)
    assert (lead.status, lead.closed_reason, lead.attempts) == ("closed", "max_attempts", 3)


async def test_two_campaigns_never_call_one_number_at_once(centre: Centre) -> None:
    """The second campaign's lead waits for the end of the first one's call, and is dialled then."""
    await centre.add_agents(2)
    number = encode(Behaviour.DECLINED, ring_s=2.0, detail=701).e164
    before = centre.floor.carrier.invites().get(number, set())
    for _ in range(2):
        await centre.campaign([number])
    first, second = await centre.until_attempts(2, "ended")
    assert first.campaign_id != second.campaign_id
    assert first.hung_up_at <= second.created_at
    assert len(centre.floor.carrier.invites()[number] - before) == 2


async def test_a_talk_is_recorded_whole(centre: Centre) -> None:
    """The recording is as long as the talk, both voices in it, and is whole when the row says so."""
    (agent_id,) = await centre.add_agents(1)
    number = encode(Behaviour.LEAVES_EARLY, ring_s=0.5, detail=30).e164
    await centre.campaign([number], record=True)
    shift = await centre.until_agent(agent_id, AgentState.TALKING)
    assert shift.attempt_id is not None
    talk = await centre.until_attempt(shift.attempt_id, "wrap_up")
    assert centre.engine is not None
    await centre.engine.recorder.close()  # what it has begun is finished
    (row,) = await centre.rows(recording)
    assert (row.attempt_id, row.status) == (talk.id, "whole")
    talk_s = (talk.hung_up_at - talk.connected_at).total_seconds()
    assert row.duration_s == pytest.approx(talk_s, abs=0.5)
    with wave.open(str(centre.settings.recording_dir / row.path)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(row.duration_s, abs=0.01)
        assert len(set(file.readframes(file.getnframes()))) > 100
    whole = centre.settings.recording_dir / row.path
    assert stat.S_IMODE(whole.stat().st_mode) == 0o600, "others could listen"
    days = [centre.settings.recording_dir / part for part in Path(row.path).parents]
    assert {stat.S_IMODE(day.stat().st_mode) for day in days} == {0o700}
