"""The API of messages to agents."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.agents.messages import MessageService
from dialer.errors import NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out

MESSAGES = web.AppKey("agent_messages", MessageService)
routes = Routes("agents")

LONGEST = 500


class MessageIn(In):
    """What is written."""

    text: Line = Field(min_length=1, max_length=LONGEST, description="some words; they are kept")


class MessageOut(Out):
    """What somebody has written to an agent."""

    id: int
    agent_id: int
    text: str = Field(description="empty: the sender has put the agent into `state`")
    state: str | None = Field(description="ready, paused, offline; null: a message")
    pause_code: str | None = Field(description="of a pause")
    sent_by: int | None = Field(description="the user; null: the server")
    sender: str
    sent_at: datetime
    seen_at: datetime | None = Field(description="first shown on the agent's desk")
    confirmed_at: datetime | None


@routes.get("/agents/me/messages", right=Right.WORK)
async def my_messages(call: Call) -> list[MessageOut]:
    """What the caller was written and has not confirmed; it counts as seen."""
    return [MessageOut.model_validate(one) for one in await call.app[MESSAGES].mine(call.actor)]


@routes.post("/agents/me/messages/{message_id}/confirm", right=Right.WORK, errors=(NotFound,))
async def confirm(call: Call, message_id: int) -> None:
    """Say that one has read a message."""
    await call.app[MESSAGES].confirm(call.actor, message_id)


@routes.post("/agents/{agent_id}/messages", right=Right.AGENTS_CONTROL, status=201, errors=(NotFound,))
async def send(call: Call, agent_id: int, body: MessageIn) -> MessageOut:
    """Write to an agent: it stands on the desk until the agent confirms it."""
    return MessageOut.model_validate(await call.app[MESSAGES].send(call.actor, agent_id, body.text))


@routes.get("/agents/{agent_id}/messages", right=Right.AGENTS_CONTROL, errors=(NotFound,))
async def messages(call: Call, agent_id: int, query: PageQuery) -> Page[MessageOut]:
    """What an agent was written, newest first, with when it was seen and confirmed."""
    after = decode(query.cursor, int)
    found = await call.app[MESSAGES].sent(
        call.actor, agent_id, before=after[0] if after else None, limit=query.limit + 1
    )
    shown, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[MessageOut](items=[MessageOut.model_validate(one) for one in shown], next=following)
