"""The API of recordings."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from dialer.errors import NotFound, WrongState
from dialer.httpkit.routes import Call, Routes
from dialer.recordings.service import RecordingService

RECORDINGS = web.AppKey("recordings", RecordingService)
routes = Routes("recordings")


@routes.get("/calls/{attempt_id}/recording", raw="audio/wav", errors=(NotFound, WrongState))
async def listen(call: Call, attempt_id: UUID) -> web.StreamResponse:
    """The recording of a talk as WAV, 8 kHz; parts of it by Range. An agent hears the own talks."""
    file = await call.app[RECORDINGS].file(call.actor, attempt_id)
    headers = {
        "Content-Type": "audio/wav",
        "Content-Disposition": f'inline; filename="{attempt_id}.wav"',
    }
    return web.FileResponse(file, headers=headers)
