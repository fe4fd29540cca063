"""Whose user is switched off, or may not work any more, gets no more customers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.floor import TENANT, Floor
from support.web import Web, whole_site

from dialer.agents import store
from dialer.agents.model import AgentState
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.httpkit.access import Role


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process as the server builds it."""
    async with whole_site(database, database_url) as running:
        yield running


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "analyst"}])
async def test_the_shift_of_who_waits_for_calls_ends_at_once(
    floor: Floor, site: Web, change: dict[str, Any]
) -> None:
    """And the board and the log of changes say so."""
    boss, seat = await site.browser(Role.ADMINISTRATOR), await floor.seat()
    assert (await boss.call("PATCH", f"~/users/{seat.actor.user_id}", change)).status == 200
    assert (await floor.shift(seat)).state is AgentState.OFFLINE
    assert (await boss.call("GET", f"~/agents/{seat.agent_id}")).json["shift"] is None
    done = (await boss.call("GET", f"~/audit?subject=agent:{seat.agent_id}")).json["items"]
    assert [one["action"] for one in done] == ["agent.logout", "agent.force"]


async def test_the_talk_goes_on_and_is_the_last_one(floor: Floor, site: Web) -> None:
    """Nobody is cut off in mid-sentence: the shift ends when the call is done."""
    boss, seat = await site.browser(Role.ADMINISTRATOR), await floor.seat()
    call = await floor.talk(seat)
    await boss.call("PATCH", f"~/users/{seat.actor.user_id}", {"disabled": True})
    now = await floor.shift(seat)
    assert (now.state, now.next_state) == (AgentState.TALKING, AgentState.OFFLINE)
    await floor.hang_up(call)
    async with floor.database.tenant(TENANT) as conn:
        await store.release(conn, TENANT, seat.session_id, call.attempt_id, utc_now())
    assert (await floor.shift(seat)).state is AgentState.OFFLINE


@pytest.mark.parametrize(
    "change", [{"name": "Анна"}, {"password": "another-horse-1"}, {"role": "supervisor"}]
)
async def test_who_may_go_on_goes_on(floor: Floor, site: Web, change: dict[str, Any]) -> None:
    """Another name, password, or a role that works too ends no shift."""
    boss, seat = await site.browser(Role.ADMINISTRATOR), await floor.seat()
    assert (await boss.call("PATCH", f"~/users/{seat.actor.user_id}", change)).status == 200
    assert (await floor.shift(seat)).state is AgentState.READY
