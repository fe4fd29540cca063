"""The API of a talk under way: hold, mute, keys, pauses of the recording."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.calls.controlling import CallControls
from dialer.errors import ActionTimeout, AsteriskUnavailable, WrongState
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In

CONTROLS = web.AppKey("call-controls", CallControls)
routes = Routes("calls")

_ERRORS = (WrongState, AsteriskUnavailable, ActionTimeout)


class KeysIn(In):
    """Keys to be pressed."""

    digits: str = Field(pattern=r"^[0-9*#]{1,32}$", description="0-9, * and #, one after another")


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
