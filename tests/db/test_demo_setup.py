"""Who the demo lets in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from support.web import whole_site

from dialer.agents.http import AGENTS
from dialer.asterisk.config import TrunkLine
from dialer.db.session import Database
from dialer.demo.carrier import Carrier
from dialer.demo.setup import GUEST, Setup
from dialer.httpkit.access import Role


async def test_whoever_looks_at_the_demo_can_be_an_agent(database: Database, database_url: str) -> None:
    """The user that the terminal names logs in with the password of this run, and has a desk."""
    line = TrunkLine("carrier", "127.0.0.1", 5070)
    carrier = cast(Carrier, SimpleNamespace(trunk=lambda: line))
    for _ in range(2):
        setup = Setup(1, carrier, guest=True)
        await setup(database)
    async with whole_site(database, database_url) as site:
        session = await site.users.log_in(GUEST, setup.guest_password, "127.0.0.1")
        actor = session.actor
        assert actor.role is Role.OPERATOR
        agent, shift = await site.app[AGENTS].agent(actor, await site.app[AGENTS].own_id(actor))
        assert (agent.endpoint, agent.enabled, shift) == (GUEST, True, None)
