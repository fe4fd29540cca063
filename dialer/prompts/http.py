"""Prompts over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from aiohttp import web
from pydantic import Field

from dialer.errors import BadSound, Invalid, NotFound, PartMissing, PromptInUse, TooLarge
from dialer.httpkit.access import Right
from dialer.httpkit.paging import Page, PageQuery, decode, encode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out, UsedQuery
from dialer.prompts.files import MOST_BYTES
from dialer.prompts.model import LONGEST_NAME, OwnPrompt
from dialer.prompts.service import LONGEST_TEXT, PromptService

PROMPTS = web.AppKey("prompts", PromptService)

routes = Routes("prompts")

Language = Literal["ru", "en"]


class PromptsQuery(PageQuery):
    """Which prompts."""

    language: Language | None = Field(None, description="those that there are in this language")


class UploadQuery(In):
    """What the file becomes."""

    name: Line = Field(min_length=1, max_length=LONGEST_NAME, description="`greeting`, `words/двести`")
    language: Language
    filename: Line = Field("", max_length=200, description="the name that people know the file by")
    text: Line = Field("", max_length=LONGEST_TEXT, description="what is said in it, for people")


class SpokenIn(In):
    """A text that is to become a prompt."""

    name: Line = Field(min_length=1, max_length=LONGEST_NAME)
    language: Language
    text: Line = Field(min_length=1, max_length=LONGEST_TEXT)


class PromptOut(Out):
    """A prompt in one language."""

    id: int
    name: str
    language: Language
    length_s: float
    size_bytes: int = Field(description="of what callers hear, 8 kHz")
    checksum: str = Field(description="SHA-256 of the uploaded file; of a spoken prompt, of its text")
    filename: str = Field(description="empty: it was spoken by the server")
    text: str
    made_by: str | None
    made_at: datetime


@routes.get("/prompts", right=Right.CAMPAIGNS_READ)
async def prompts(call: Call, query: PromptsQuery) -> Page[PromptOut]:
    """Prompts by name; `limit` counts names, each comes with all its languages."""
    key = decode(query.cursor, str)
    found = await call.app[PROMPTS].prompts(
        call.actor, after=key[0] if key else None, limit=query.limit + 1, language=query.language
    )
    page, following = cut_names(found, query.limit)
    return Page[PromptOut](items=[prompt_out(one) for one in page], next=following)


@routes.post(
    "/prompts",
    right=Right.CAMPAIGNS_EDIT,
    status=201,
    accepts=("application/octet-stream", "audio/wav", "audio/mpeg", "audio/ogg", "audio/flac"),
    body_limit=MOST_BYTES,
    errors=(Invalid, TooLarge, BadSound),
)
async def upload(call: Call, query: UploadQuery) -> PromptOut:
    """Upload a sound, in place of what the name had in this language.

    The body is the file: WAV, MP3, Ogg, Opus, FLAC, AIFF; 10 MB and 10 minutes at most. It is brought to the
    rates that Asterisk plays and to the loudness of all others.
    """
    made = await call.app[PROMPTS].upload(
        call.actor, query.name, query.language, query.filename, call.chunks(), text=query.text
    )
    return prompt_out(made)


@routes.post(
    "/prompts/spoken", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Invalid, BadSound, PartMissing)
)
async def speak(call: Call, body: SpokenIn) -> PromptOut:
    """Have a text spoken, in place of what the name had in this language."""
    return prompt_out(await call.app[PROMPTS].speak(call.actor, body.name, body.language, body.text))


@routes.get("/prompts/{prompt_id}", right=Right.CAMPAIGNS_READ, errors=(NotFound,))
async def get_prompt(call: Call, prompt_id: int) -> PromptOut:
    """A prompt."""
    return prompt_out(await call.app[PROMPTS].prompt(call.actor, prompt_id))


@routes.get("/prompts/{prompt_id}/sound", right=Right.CAMPAIGNS_READ, raw="audio/wav", errors=(NotFound,))
async def listen(call: Call, prompt_id: int) -> web.StreamResponse:
    """What callers hear, as WAV, 8 kHz; parts of it by Range."""
    file = await call.app[PROMPTS].sound(call.actor, prompt_id)
    headers = {"Content-Type": "audio/wav", "Content-Disposition": f'inline; filename="{prompt_id}.wav"'}
    return web.FileResponse(file, headers=headers)


@routes.delete("/prompts/{prompt_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound, PromptInUse))
async def remove(call: Call, prompt_id: int, query: UsedQuery) -> None:
    """Remove a prompt; a flow that plays it has nothing to be heard there."""
    await call.app[PROMPTS].remove(call.actor, prompt_id, even_if_used=query.even_if_used)


def prompt_out(one: OwnPrompt) -> PromptOut:
    """A prompt as the API shows it."""
    return PromptOut.model_validate(one)


def cut_names(found: list[OwnPrompt], limit: int) -> tuple[list[OwnPrompt], str | None]:
    """The prompts of the first `limit` names, and the cursor of what follows."""
    names = list(dict.fromkeys(one.name for one in found))
    if len(names) <= limit:
        return found, None
    return [one for one in found if one.name != names[-1]], encode(names[-2])
