"""Agents at their page, in the tests of pages."""

from __future__ import annotations

from uuid import UUID

from dialer.clock import utc_now
from dialer.httpkit.access import Actor
from support.browser import Visitor, Visitors
from support.stage import TENANT, Stage


async def at_desk(visit: Visitors, stage: Stage, n: int = 0, locale: str = "en") -> Visitor:
    """The agent `n` at the own page, whose stream of events is open."""
    user = await visit.web.users.get(Actor.server(TENANT), stage.users[n])
    person = await visit(user, locale=locale)
    async with person.page.expect_response(lambda reply: "agent=me" in reply.url):
        await person.open("/desk")
    await person.page.evaluate("window.sameDocument = true")
    return person


async def talk(stage: Stage, agent_id: int) -> UUID:
    """A customer is put through."""
    attempt_id = await stage.assign(agent_id)
    await stage.put(agent_id, "talking", attempt_id)
    await stage.change(attempt_id, agent_id, state="connected", connected_at=utc_now(), result="answered")
    return attempt_id
