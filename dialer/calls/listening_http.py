"""The API of listening to agents."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dialer.calls.listeners import ListeningService, Mode
from dialer.errors import ActionTimeout, AsteriskUnavailable, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out

LISTENING = web.AppKey("listening", ListeningService)
routes = Routes("agents")

_ERRORS = (WrongState, AsteriskUnavailable, ActionTimeout)


class ModeIn(In):
    """How to listen."""

    mode: Mode = Field(
        default=Mode.LISTEN,
        description="listen: neither hears you; whisper: the agent does; barge: both do, the customer of the "
        "present talk only",
    )


class ListeningIn(ModeIn):
    """How and where to listen."""

    phone: str = Field(
        default="",
        max_length=100,
        description="a listed destination of the kind phone, by its name; empty: your own phone as an agent, "
        "who is not logged in",
    )
    browser: bool = Field(
        default=False,
        description="your browser, for which POST /agents/me/phone has opened a phone that is registered",
    )

    @field_validator("browser")
    @classmethod
    def _one_phone(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("phone"):
            raise PydanticCustomError("one_phone", "is not set with a phone of the list")
        return value


class ListeningOut(Out):
    """A supervisor who listens."""

    id: UUID
    mode: Mode


@routes.post("/agents/{agent_id}/listening", right=Right.AGENTS_CONTROL, status=201, errors=_ERRORS)
async def begin(call: Call, agent_id: int, body: ListeningIn) -> ListeningOut:
    """Have your phone called; it listens to the agent from when you answer it, from talk to talk. Logged."""
    made = await call.app[LISTENING].begin(call.actor, agent_id, body.mode, body.phone, browser=body.browser)
    return ListeningOut(id=made, mode=body.mode)


@routes.put("/agents/{agent_id}/listening/{listening_id}", right=Right.AGENTS_CONTROL, errors=_ERRORS)
async def change(call: Call, agent_id: int, listening_id: UUID, body: ModeIn) -> ListeningOut:
    """Go on in another mode, at once. Only who has begun it may. Logged."""
    await call.app[LISTENING].change(call.actor, agent_id, listening_id, body.mode)
    return ListeningOut(id=listening_id, mode=body.mode)


@routes.delete("/agents/{agent_id}/listening/{listening_id}", right=Right.AGENTS_CONTROL, errors=_ERRORS)
async def end(call: Call, agent_id: int, listening_id: UUID) -> None:
    """Listen no longer. Logged."""
    await call.app[LISTENING].end(call.actor, agent_id, listening_id)
