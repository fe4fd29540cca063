"""The API of a talk under way: hold, mute, keys, pauses of the recording."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from aiohttp import web
from pydantic import Field, model_validator

from dialer.calls.controlling import CallControls, To
from dialer.calls.model import Stage
from dialer.errors import ActionTimeout, AsteriskUnavailable, NotAllowed, NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out, form
from dialer.prompts.model import LONGEST_NAME

CONTROLS = web.AppKey("call-controls", CallControls)
routes = Routes("calls")

_ERRORS = (WrongState, AsteriskUnavailable, ActionTimeout)


class TransferIn(In):
    """Whom the customer is handed over to, or who is called besides: one of the three."""

    agent_id: int | None = Field(default=None, ge=1, le=MAX_ID, description="an agent who is ready")
    queue: str = Field(default="", max_length=100, description="the name of a queue")
    destination: str = Field(
        default="", max_length=100, description="the name of a listed destination: nothing else is called"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.agent_id is not None, bool(self.queue), bool(self.destination))) != 1:
            raise ValueError("one of agent_id, queue and destination")
        return self


class TargetOut(Out):
    """An agent who is free."""

    id: int
    name: str


class MessageOut(Out):
    """A recorded message."""

    name: str
    language: str
    length_s: float = Field(description="seconds")


class TargetsOut(Out):
    """To whom a customer can be handed over now."""

    agents: list[TargetOut]
    queues: list[str] = Field(description="their names")
    destinations: list[str] = Field(description="their names")
    messages: list[MessageOut] = Field(description="that can be left to a customer")


class MessageIn(In):
    """A recorded message."""

    prompt: str = Field(
        min_length=1, max_length=LONGEST_NAME, description="the name of a prompt of the tenant's own"
    )
    language: str | None = Field(default=None, max_length=2, description="ru, en; null: whichever there is")


class ThirdOut(Out):
    """Who takes part in a talk besides the customer."""

    name: str = Field(description="the agent's, or the destination's")
    stage: Stage = Field(
        description="calling; talking: with the agent alone, the customer hears music; joined: all three; "
        "passed: the customer was left to them; gone: not reached, or no longer there"
    )
    since: datetime = Field(description="of the stage")
    came: str | None = Field(description="gone: busy, no_answer, left, failed")


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


@routes.post("/calls/{attempt_id}/transfers", errors=(*_ERRORS, NotAllowed))
async def transfer(call: Call, attempt_id: UUID, body: TransferIn) -> None:
    """Hand the customer over, without a word (blind): to an agent who is free, in whose ear they are at once,
    to a queue, or to a listed destination, which is rung for half a minute. The agent of the talk is free at
    once; who of the agents talks with the customer last owes the disposition. A customer for whom no
    destination answers waits for an agent again."""
    await call.app[CONTROLS].transfer(
        call.actor, attempt_id, agent_id=body.agent_id, queue=body.queue, destination=body.destination
    )


@routes.get("/calls/{attempt_id}/consultation", errors=(NotFound,))
async def third(call: Call, attempt_id: UUID) -> ThirdOut:
    """Who takes part besides the customer, or did until now."""
    found = await call.app[CONTROLS].third(call.actor, attempt_id)
    if found is None:
        raise NotFound(what="third party", key=attempt_id)
    return ThirdOut.model_validate(found)


@routes.post("/calls/{attempt_id}/consultation", errors=(*_ERRORS, NotAllowed))
async def consult(call: Call, attempt_id: UUID, body: TransferIn) -> None:
    """Call somebody besides the customer, who hears music: an agent who is free, the agent whom a queue would
    give a caller to, or a listed destination. Replied when they are being called."""
    to = To(body.agent_id, body.queue, body.destination)
    await call.app[CONTROLS].consult(call.actor, attempt_id, to)


@routes.delete("/calls/{attempt_id}/consultation", errors=_ERRORS)
async def end_consult(call: Call, attempt_id: UUID) -> None:
    """Go on with the customer alone: who was called besides is hung up."""
    await call.app[CONTROLS].end_consult(call.actor, attempt_id)


@routes.post("/calls/{attempt_id}/consultation/transfer", errors=_ERRORS)
async def complete(call: Call, attempt_id: UUID) -> None:
    """Leave the customer to who was called besides (attended transfer). An agent has the talk from then on,
    and owes the disposition; of a destination you do."""
    await call.app[CONTROLS].complete(call.actor, attempt_id)


@routes.put("/calls/{attempt_id}/conference", errors=_ERRORS)
async def confer(call: Call, attempt_id: UUID) -> None:
    """Let all three hear each other. A hold takes the customer out; the end of the talk is everybody's."""
    await call.app[CONTROLS].conference(call.actor, attempt_id, on=True)


@routes.delete("/calls/{attempt_id}/conference", errors=_ERRORS)
async def part(call: Call, attempt_id: UUID) -> None:
    """Talk with the third party alone again: the customer hears music."""
    await call.app[CONTROLS].conference(call.actor, attempt_id, on=False)


@routes.delete("/agents/me/consultation", right=Right.WORK, errors=_ERRORS)
async def leave(call: Call) -> None:
    """Take no part any more in the call about which you were asked."""
    await call.app[CONTROLS].leave(call.actor)


@routes.post("/calls/{attempt_id}/message", errors=_ERRORS)
async def leave_message(call: Call, attempt_id: UUID, body: MessageIn) -> None:
    """Leave a recorded message (to an answering machine): it is played to its end, then hung up. The agent is
    free of the call at once, and owes the disposition."""
    await call.app[CONTROLS].leave_message(call.actor, attempt_id, body.prompt, body.language)


@routes.post(
    "/agents/{agent_id}/listening/{listening_id}/take-over", right=Right.AGENTS_CONTROL, errors=_ERRORS
)
async def take_over(call: Call, agent_id: int, listening_id: UUID) -> None:
    """Have the customer of the agent's talk on the phone that you listen on. The agent wraps up. Logged."""
    await call.app[CONTROLS].take_over(call.actor, agent_id, listening_id)


@routes.get("/agents/me/transfer-targets", right=Right.WORK)
async def targets(call: Call) -> TargetsOut:
    """To whom a customer can be handed over now."""
    found = await call.app[CONTROLS].targets(call.actor)
    free = [TargetOut(id=id_, name=name) for id_, name in found.agents]
    return TargetsOut(
        agents=free,
        queues=list(found.queues),
        destinations=list(found.destinations),
        messages=[MessageOut.model_validate(one) for one in found.messages],
    )
