"""Messages of people over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.callbacks.http import CallbackOut
from dialer.clock import utc_now
from dialer.errors import Invalid, NotAllowed, NotFound, StoreUnavailable, WrongState
from dialer.httpkit.paging import Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out
from dialer.httpkit.sending import send_part
from dialer.vault.files import Stored
from dialer.voicemail.model import Message
from dialer.voicemail.service import VoicemailService, number_shown

VOICEMAIL = web.AppKey("voicemail", VoicemailService)
routes = Routes("voicemail")


class MessagesQuery(PageQuery):
    """Which messages."""

    box: Line | None = Field(None, max_length=100)
    heard: bool | None = Field(None, description="false: only those that nobody has heard")


class HeardIn(In):
    """Whether a message was heard."""

    heard: bool


class MessageOut(Out):
    """A message that somebody has left."""

    id: int
    call_id: UUID = Field(description="in which it was left, see `/calls/{id}`")
    inbound: bool = Field(description="false: in a call that we have made, of a campaign without agents")
    box: str
    dialled: str = Field(description="our number that was called, or that we have called from")
    number: str = Field(description="E.164; masked for an agent; empty: withheld")
    contact_id: int | None
    name: str = Field(description="of the person; empty: not known")
    began_at: datetime
    length_s: float
    heard_at: datetime | None = Field(description="null: nobody has heard it")
    heard_by: str | None
    sound_url: str

    @classmethod
    def of(cls, call: Call, message: Message) -> Self:
        """The reply of a message."""
        plain = {name: getattr(message, name) for name in cls.model_fields if hasattr(message, name)}
        url = f"/api/v1/voicemail/{message.id}/sound"
        return cls.model_validate(plain | {"number": number_shown(call.actor, message), "sound_url": url})


@routes.get("/voicemail")
async def list_(call: Call, query: MessagesQuery) -> Page[MessageOut]:
    """Messages, newest first. An agent has those of the boxes that are named as a queue which the agent
    serves."""
    key = decode(query.cursor, int)
    found = await call.app[VOICEMAIL].messages(
        call.actor, box=query.box, heard=query.heard, before=key[0] if key else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[MessageOut](items=[MessageOut.of(call, one) for one in page], next=following)


@routes.get("/voicemail/{message_id}/sound", raw="audio/wav", errors=(NotFound, StoreUnavailable))
async def sound(call: Call, message_id: int) -> web.StreamResponse:
    """A message as WAV, 8 kHz; parts of it by Range. It counts as heard from now on."""
    file = await call.app[VOICEMAIL].file(call.actor, message_id)
    headers = {"Content-Type": "audio/wav", "Content-Disposition": f'inline; filename="{message_id}.wav"'}
    if isinstance(file, Stored):
        return await send_part(call.request, file.size, file.read, headers)
    return web.FileResponse(file, headers=headers)


@routes.patch("/voicemail/{message_id}", errors=(NotFound,))
async def mark(call: Call, message_id: int, body: HeardIn) -> MessageOut:
    """Say that a message was heard, or is to be heard again."""
    return MessageOut.of(call, await call.app[VOICEMAIL].mark(call.actor, message_id, heard=body.heard))


@routes.delete("/voicemail/{message_id}", errors=(NotFound,))
async def delete(call: Call, message_id: int) -> None:
    """Remove a message for good. Its file goes within the hour."""
    await call.app[VOICEMAIL].delete(call.actor, message_id)


@routes.post(
    "/voicemail/{message_id}/call-back", status=201, errors=(Invalid, NotAllowed, NotFound, WrongState)
)
async def call_back(call: Call, message_id: int) -> CallbackOut:
    """Promise the caller a call, as soon as somebody is free; one that is promised already is given back."""
    made = await call.app[VOICEMAIL].call_back(call.actor, message_id)
    return CallbackOut.of(made, utc_now())
