"""The API of recordings."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.errors import BadNumber, Invalid, NotFound, StoreUnavailable, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out
from dialer.httpkit.sending import send_part
from dialer.recordings.model import Checked, Direction, Recording, Which
from dialer.recordings.service import RecordingService, silences
from dialer.vault.files import Stored

RECORDINGS = web.AppKey("recordings", RecordingService)
routes = Routes("recordings")
#: Seconds of a search; no talk is longer.
DAY_S = 86400


class RecordingsQuery(PageQuery):
    """Which recordings."""

    agent: int | None = Field(None, ge=1, le=MAX_ID)
    campaign: int | None = Field(None, ge=1, le=MAX_ID)
    number: str | None = Field(None, max_length=40, description="exactly this one, as people write it")
    direction: Direction | None = None
    since: Moment | None = Field(None, alias="from", description="begun at this moment or later")
    until: Moment | None = Field(None, description="begun before this moment")
    least_s: float | None = Field(None, ge=0, le=DAY_S, description="as long as this, or longer")
    most_s: float | None = Field(None, ge=0, le=DAY_S, description="as long as this, or shorter")
    disposition: Line | None = Field(None, max_length=100, description="the code of what the talk came to")
    marked: bool | None = Field(None, description="with a mark, or without one")
    held: bool | None = Field(None, description="kept past its term, or not")


class ListenQuery(In):
    """To listen, or to take away."""

    download: bool = Field(False, description="as a file to keep; written into the log of changes as such")


class SilenceOut(Out):
    """A part in which nothing was written, because it was asked for."""

    from_s: float
    until_s: float


class RecordingOut(Out):
    """The recording of a talk."""

    id: int
    call_id: UUID = Field(description="the talk, see `/calls/{id}`")
    direction: Direction
    campaign_id: int
    campaign: str
    agent_id: int | None
    agent: str | None
    contact_id: int | None
    name: str = Field(description="of the person; empty: not known")
    number: str = Field(description="E.164; masked for an agent; empty: withheld")
    started_at: datetime
    duration_s: float
    size_bytes: int
    disposition: str | None = Field(description="the code of what the talk came to")
    silences: list[SilenceOut]
    marks: int = Field(description="how many")
    sha256: str | None = Field(description="of the file when the talk ended, hex; null: older than this")
    held_at: datetime | None = Field(description="kept past its term since then")
    held_by: str | None
    hold_reason: str
    sound_url: str

    @classmethod
    def of(cls, row: Recording) -> Self:
        """The reply of a recording."""
        plain = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(
            plain
            | {
                "number": row.e164,
                "disposition": row.disposition_code,
                "silences": [SilenceOut(from_s=begin, until_s=until) for begin, until in silences(row)],
                "sound_url": f"/api/v1/calls/{row.call_id}/recording",
            }
        )


class MarkIn(In):
    """A moment to mark."""

    at_s: float = Field(ge=0, le=DAY_S, description="seconds from the beginning")
    text: Line = Field(min_length=1, max_length=500)


class MarkOut(Out):
    """A moment that somebody has marked."""

    id: int
    at_s: float
    text: str
    made_at: datetime
    made_by: str | None


class HoldIn(In):
    """Why a recording is kept past its term."""

    reason: Line = Field(min_length=1, max_length=500)


class PeaksOut(Out):
    """How loud it is along its length."""

    duration_s: float
    peaks: list[int] = Field(description="of up to 1,000 equal parts: the loudest sample, 0 to 255")


class ChecksumOut(Out):
    """Whether a file is what it was when the talk ended."""

    kept: str | None = Field(description="SHA-256 of then, hex; null: older than this")
    found: str | None = Field(description="SHA-256 of now; null: the file is not there")
    intact: bool | None = Field(description="null: it cannot be told")

    @classmethod
    def of(cls, checked: Checked) -> Self:
        """The reply of a check."""
        return cls(kept=checked.kept, found=checked.found, intact=checked.intact)


class ListeningOut(Out):
    """Somebody has listened, or has taken the file away."""

    at: datetime
    user_id: int | None
    name: str | None
    downloaded: bool


@routes.get("/recordings", errors=(BadNumber,))
async def list_(call: Call, query: RecordingsQuery) -> Page[RecordingOut]:
    """Recordings that are whole, newest first. An agent has those of the own talks."""
    service = call.app[RECORDINGS]
    which = Which(
        agent_id=query.agent,
        campaign_id=query.campaign,
        e164=service.e164(query.number) if query.number else None,
        direction=query.direction,
        since=query.since,
        until=query.until,
        least_s=query.least_s,
        most_s=query.most_s,
        disposition=query.disposition,
        marked=query.marked,
        held=query.held,
    )
    key = decode(query.cursor, datetime, int)
    found = await service.recordings(
        call.actor, which, after=(key[0], key[1]) if key else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda row: (row.started_at, row.id))
    return Page[RecordingOut](items=[RecordingOut.of(row) for row in page], next=following)


@routes.get("/recordings/{recording_id}", errors=(NotFound,))
async def get(call: Call, recording_id: int) -> RecordingOut:
    """One recording."""
    return RecordingOut.of(await call.app[RECORDINGS].get(call.actor, recording_id))


@routes.get("/calls/{attempt_id}/recording", raw="audio/wav", errors=(NotFound, WrongState, StoreUnavailable))
async def listen(call: Call, attempt_id: UUID, query: ListenQuery) -> web.StreamResponse:
    """The recording of a talk as WAV, 8 kHz; parts of it by Range. An agent hears the own talks. Who has
    listened is written down, once in a quarter of an hour."""
    file = await call.app[RECORDINGS].file(call.actor, attempt_id, download=query.download)
    how = "attachment" if query.download else "inline"
    headers = {
        "Content-Type": "audio/wav",
        "Content-Disposition": f'{how}; filename="{attempt_id}.wav"',
    }
    if isinstance(file, Stored):
        return await send_part(call.request, file.size, file.read, headers)
    return web.FileResponse(file, headers=headers)


@routes.get("/recordings/{recording_id}/peaks", errors=(NotFound,))
async def peaks(call: Call, recording_id: int) -> PeaksOut:
    """How loud it is along its length, to draw. Counted once."""
    service = call.app[RECORDINGS]
    row = await service.get(call.actor, recording_id)
    return PeaksOut(duration_s=row.duration_s, peaks=list(await service.peaks(call.actor, recording_id)))


@routes.get("/recordings/{recording_id}/checksum", errors=(NotFound, StoreUnavailable))
async def checksum(call: Call, recording_id: int) -> ChecksumOut:
    """Read the file, and say whether it is what it was when the talk ended."""
    return ChecksumOut.of(await call.app[RECORDINGS].check(call.actor, recording_id))


@routes.get("/recordings/{recording_id}/listeners", right=Right.AUDIT_READ, errors=(NotFound,))
async def listeners(call: Call, recording_id: int) -> list[ListeningOut]:
    """Who has listened or taken the file, the newest 100."""
    found = await call.app[RECORDINGS].listeners(call.actor, recording_id)
    return [ListeningOut.model_validate(one) for one in found]


@routes.get("/recordings/{recording_id}/marks", errors=(NotFound,))
async def marks(call: Call, recording_id: int) -> list[MarkOut]:
    """Marked moments, in their order in the talk."""
    found = await call.app[RECORDINGS].marks(call.actor, recording_id)
    return [MarkOut.model_validate(one) for one in found]


@routes.post(
    "/recordings/{recording_id}/marks", right=Right.RECORDINGS_MARK, status=201, errors=(NotFound, Invalid)
)
async def mark(call: Call, recording_id: int, body: MarkIn) -> MarkOut:
    """Mark a moment."""
    made = await call.app[RECORDINGS].mark(call.actor, recording_id, body.at_s, body.text)
    return MarkOut.model_validate(made)


@routes.delete("/recordings/{recording_id}/marks/{mark_id}", right=Right.RECORDINGS_MARK, errors=(NotFound,))
async def unmark(call: Call, recording_id: int, mark_id: int) -> None:
    """Take a mark away."""
    await call.app[RECORDINGS].unmark(call.actor, recording_id, mark_id)


@routes.put("/recordings/{recording_id}/hold", right=Right.RECORDINGS_HOLD, errors=(NotFound,))
async def hold(call: Call, recording_id: int, body: HoldIn) -> RecordingOut:
    """Keep it past the term of recordings. The erasure of the person takes it all the same."""
    return RecordingOut.of(await call.app[RECORDINGS].hold(call.actor, recording_id, body.reason))


@routes.delete("/recordings/{recording_id}/hold", right=Right.RECORDINGS_HOLD, errors=(NotFound,))
async def release(call: Call, recording_id: int) -> None:
    """Keep it no longer than others."""
    await call.app[RECORDINGS].hold(call.actor, recording_id, None)
