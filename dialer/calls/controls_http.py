"""The API of a talk under way: hold, mute, keys, pauses of the recording."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from aiohttp import web
from pydantic import Field, model_validator

from dialer.calls.controlling import CallControls
from dialer.errors import ActionTimeout, AsteriskUnavailable, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out, form

CONTROLS = web.AppKey("call-controls", CallControls)
routes = Routes("calls")

_ERRORS = (WrongState, AsteriskUnavailable, ActionTimeout)


class TransferIn(In):
    """To whom the customer is handed over: one of the two."""

    agent_id: int | None = Field(default=None, ge=1, le=MAX_ID, description="an agent who is ready")
    queue: str = Field(default="", max_length=100, description="the name of a queue")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.agent_id is None) is not bool(self.queue):
            raise ValueError("one of agent_id and queue")
        return self


class TargetOut(Out):
    """An agent who is free."""

    id: int
    name: str


class TargetsOut(Out):
    """To whom a customer can be handed over now."""

    agents: list[TargetOut]
    queues: list[str] = Field(description="their names")


class KeysIn(In):
    """Keys to be pressed."""

    digits: str = Field(
        pattern=form(r"^[0-9*#]{1,32}$", "must be 1 to 32 keys of 0-9, * and #"),
        description="0-9, * and #, one after another",
    )


@routes.put("/calls/{attempt_id}/hold", errors=_ERRORS)
async def hold(call: Call, attempt_id: UUID) -> None:
    """Put the customer on hold: they hear music. An agent the own one, a supervisor anybody's, as with all
    that follows."""
    await call.app[CONTROLS].hold(call.actor, attempt_id, on=True)


@routes.delete("/calls/{attempt_id}/hold", errors=_ERRORS)
async def resume(call: Call, attempt_id: UUID) -> None:
    """Bring the customer back to the agent."""
    await call.app[CONTROLS].hold(call.actor, attempt_id, on=False)


@routes.put("/calls/{attempt_id}/mute", errors=_ERRORS)
async def mute(call: Call, attempt_id: UUID) -> None:
    """Keep the agent's voice from the customer, whom the agent still hears. A hold leaves it so; the end of
    the talk ends it."""
    await call.app[CONTROLS].mute(call.actor, attempt_id, on=True)


@routes.delete("/calls/{attempt_id}/mute", errors=_ERRORS)
async def unmute(call: Call, attempt_id: UUID) -> None:
    """Let the customer hear the agent again."""
    await call.app[CONTROLS].mute(call.actor, attempt_id, on=False)


@routes.post("/calls/{attempt_id}/dtmf", errors=_ERRORS)
async def press(call: Call, attempt_id: UUID, body: KeysIn) -> None:
    """Press keys for the far end (an extension, a menu). They are kept nowhere."""
    await call.app[CONTROLS].press(call.actor, attempt_id, body.digits)


@routes.put("/calls/{attempt_id}/recording/pause", errors=_ERRORS)
async def pause_recording(call: Call, attempt_id: UUID) -> None:
    """Write silence while card data is spoken. Replied when it is so; who did it is logged, and the pause is
    marked in the recording."""
    await call.app[CONTROLS].pause_recording(call.actor, attempt_id, on=True)


@routes.delete("/calls/{attempt_id}/recording/pause", errors=_ERRORS)
async def resume_recording(call: Call, attempt_id: UUID) -> None:
    """Write voices again."""
    await call.app[CONTROLS].pause_recording(call.actor, attempt_id, on=False)


@routes.post("/calls/{attempt_id}/transfers", errors=_ERRORS)
async def transfer(call: Call, attempt_id: UUID, body: TransferIn) -> None:
    """Hand the customer over, without a word (blind): to an agent who is free, in whose ear they are at once,
    or to a queue. The agent of the talk is free at once; who talks with the customer last owes the
    disposition."""
    await call.app[CONTROLS].transfer(call.actor, attempt_id, agent_id=body.agent_id, queue=body.queue)


@routes.get("/agents/me/transfer-targets", right=Right.WORK)
async def targets(call: Call) -> TargetsOut:
    """To whom a customer can be handed over now."""
    found = await call.app[CONTROLS].targets(call.actor)
    free = [TargetOut(id=id_, name=name) for id_, name in found.agents]
    return TargetsOut(agents=free, queues=list(found.queues))
