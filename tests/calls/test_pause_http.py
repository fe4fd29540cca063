"""A pause as a supervisor makes it: over HTTP, while the campaign dials."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.centre import Centre
from support.web import serving

from dialer.campaigns import http as campaigns_http
from dialer.campaigns.service import CampaignService
from dialer.clock import utc_now
from dialer.demo.numbers import Behaviour, encode
from dialer.httpkit.access import Role


async def test_a_pause_over_http_stops_dialling_within_a_second(centre: Centre) -> None:
    """From 1 s after the reply no attempt is made and no INVITE reaches the carrier; a resume dials on."""
    await centre.add_agents(1)
    numbers = [encode(Behaviour.BUSY, ring_s=0.5, detail=500 + n).e164 for n in range(400)]
    before = centre.floor.carrier.invites()

    def invited() -> int:
        return sum(len(ids - before.get(n, set())) for n, ids in centre.floor.carrier.invites().items())

    campaign_id = await centre.campaign(
        numbers, mode="power", ratio=4.0, caller_name="Проба", abandon_message="Вам звонила Проба."
    )
    async with serving(
        centre.database,
        centre.database_url,
        tables=[campaigns_http.routes],
        services={campaigns_http.CAMPAIGNS: CampaignService(centre.database)},
        settings=centre.settings,
    ) as site:
        supervisor = await site.browser(Role.SUPERVISOR)
        await centre.until_attempts(8, "ended")
        paused = await supervisor.call("POST", f"~/campaigns/{campaign_id}/pause")
        replied_at = utc_now()
        assert (paused.status, paused.json["status"]) == (200, "paused"), paused.text

        with pytest.raises(AssertionError, match="not within"):
            await centre.until_attempts(len(numbers), "ended", within_s=1.0)
        made, reached = len(await centre.attempts()), invited()
        with pytest.raises(AssertionError, match="not within"):
            await centre.until_attempts(made + 1, "dialling", "ringing", "ended", within_s=2.0)
        attempts = await centre.attempts()
        assert (len(attempts), invited()) == (made, reached)
        assert made < len(numbers), "there was more to dial"
        assert max(a.created_at for a in attempts) <= replied_at
        assert max(a.sent_at for a in attempts) < replied_at + timedelta(seconds=1)

        resumed = await supervisor.call("POST", f"~/campaigns/{campaign_id}/resume")
        assert (resumed.status, resumed.json["status"]) == (200, "running"), resumed.text
        await centre.until_attempts(made + 4, "ended")
        assert invited() >= reached + 4
