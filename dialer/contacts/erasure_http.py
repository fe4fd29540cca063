"""Giving out and erasing one person over HTTP."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.contacts.erasure import ErasureService
from dialer.contacts.exporting import ExportService
from dialer.errors import Conflict, NotFound, StoreUnavailable, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out

ERASURE = web.AppKey("erasure", ErasureService)
EXPORT = web.AppKey("export", ExportService)
routes = Routes("people")


class EraseIn(In):
    """How a person is to be erased."""

    never_again: bool = Field(
        description="the person asked not to be called: their numbers are known again, by a salted hash, and "
        "not dialled when a file brings them"
    )


class ErasureOut(Out):
    """A person is erased."""

    erased_at: datetime
    before: bool = Field(description="they were erased before this request")
    recordings_left: int = Field(
        description="recordings whose files could not be deleted yet; the server goes on trying"
    )


@routes.get(
    "/contacts/{contact_id}/export.zip",
    right=Right.PEOPLE_ERASE,
    raw="application/zip",
    errors=(NotFound, WrongState, StoreUnavailable),
)
async def export(call: Call, contact_id: int) -> web.StreamResponse:
    """All that is kept of a person: `person.json`, and the recordings. The log of changes tells of it."""
    pieces = await call.app[EXPORT].export(call.actor, contact_id)
    reply = web.StreamResponse(
        headers={
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="contact-{contact_id}.zip"',
            "Cache-Control": "no-store",
        }
    )
    await reply.prepare(call.request)
    async for piece in pieces:
        await reply.write(piece)
    await reply.write_eof()
    return reply


@routes.post("/contacts/{contact_id}/erase", right=Right.PEOPLE_ERASE, errors=(NotFound, Conflict))
async def erase(call: Call, contact_id: int, body: EraseIn) -> ErasureOut:
    """Erase a person for good: card, numbers, history, notes and recordings.

    Calls stay in reports, without number and name. Asked again, it finishes what could not be done.
    """
    done = await call.app[ERASURE].erase(call.actor, contact_id, never_again=body.never_again)
    return ErasureOut.model_validate(done)
