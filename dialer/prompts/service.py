"""What people do with prompts: upload, have spoken, listen, remove."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.asterisk.speech import Speaker
from dialer.contacts.spool import plain_filename
from dialer.db.events import emit
from dialer.db.session import Database
from dialer.db.uses import Uses, unused
from dialer.errors import Invalid, NotFound, PromptInUse
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.prompts import files, store
from dialer.prompts.conversion import Converted, Ffmpeg, convert
from dialer.prompts.model import LANGUAGES, SET_SOUNDS, WORDS, OwnPrompt, vocabulary, wrong_name
from dialer.prompts.soundset import SoundSet
from dialer.said import Said
from dialer.settings import Settings
from ivr_flows.naming import Named

LONGEST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class WordCount:
    """The words of numbers, dates and money of a language, by who says them."""

    #: the tenant's own recordings
    own: tuple[str, ...]
    #: Asterisk's
    builtin: tuple[str, ...]
    #: nobody's: what holds one of them is spoken as a whole
    spoken: tuple[str, ...]


class PromptService:
    """Prompts of a tenant, below one folder."""

    def __init__(
        self, database: Database, settings: Settings, speaker: Speaker, sounds: SoundSet, uses: Uses = unused
    ) -> None:
        self._ffmpeg = Ffmpeg(settings.packages_dir)
        self._database = database
        self._sounds = sounds
        self._folder = settings.prompts_dir
        self._speaker = speaker
        self._uses = uses

    async def prompts(
        self, actor: Actor, *, after: str | None = None, limit: int = 50, language: str | None = None
    ) -> list[OwnPrompt]:
        """Prompts by name; of each name all languages, `limit` counts names."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page(conn, actor.tenant_id, after=after, limit=limit, language=language)

    async def prompt(self, actor: Actor, prompt_id: int) -> OwnPrompt:
        """A prompt. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await self._get(conn, actor, prompt_id)

    async def sound(self, actor: Actor, prompt_id: int) -> Path:
        """Its file, 8 kHz, as a caller hears it. Raises NotFound."""
        found = await self.prompt(actor, prompt_id)
        folder = self._folder.resolve()
        file = (folder / f"{found.path}.wav").resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            raise NotFound(what="sound of the prompt", key=found.name)
        return file

    async def upload(
        self,
        actor: Actor,
        name: str,
        language: str,
        filename: str,
        chunks: AsyncIterator[bytes],
        *,
        text: str = "",
    ) -> OwnPrompt:
        """Take a sound of any common format, in place of what this name had in this language.

        Raises Invalid (of the name), TooLarge, BadSound.
        """
        actor.require(Right.CAMPAIGNS_EDIT)
        _check(name, language, text)
        with files.arriving(self._folder) as source:
            checksum = await files.take(source, chunks)
            path = await asyncio.to_thread(files.new_path, self._folder, actor.tenant_id)
            made = await convert(source, self._folder / path, self._ffmpeg)
        return await self._keep(
            actor, name, language, path, made, checksum, plain_filename(filename), text, "prompt.upload"
        )

    async def speak(self, actor: Actor, name: str, language: str, text: str) -> OwnPrompt:
        """Have a text spoken, in place of what this name had in this language.

        Raises Invalid, BadSound, PartMissing where there is no voice.
        """
        actor.require(Right.CAMPAIGNS_EDIT)
        words = " ".join(text.split())
        _check(name, language, words)
        if not words:
            raise Invalid(field="text", reason="is missing")
        kept = await self._speaker.sound(words, language)
        path = await asyncio.to_thread(files.new_path, self._folder, actor.tenant_id)
        made = await convert(kept, self._folder / path, self._ffmpeg)
        checksum = hashlib.sha256(words.encode()).hexdigest()
        return await self._keep(actor, name, language, path, made, checksum, "", words, "prompt.speak")

    async def words(self, actor: Actor, language: str) -> WordCount:
        """Which words of numbers, dates and money are recorded, and whose voice says them."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            rows = await store.paths(conn, actor.tenant_id)
        own = {name.removeprefix(WORDS) for name, spoken, _ in rows if spoken == language}
        words = vocabulary(language)
        builtin = await asyncio.to_thread(self._sounds.names, language)
        known = SET_SOUNDS[language]
        return WordCount(
            own=tuple(one for one in words if one in own),
            builtin=tuple(one for one in words if one not in own and known.get(one) in builtin),
            spoken=tuple(one for one in words if one not in own and known.get(one) not in builtin),
        )

    async def remove(self, actor: Actor, prompt_id: int, *, even_if_used: bool = False) -> None:
        """Remove a prompt. Raises NotFound, PromptInUse where flows play it in its language."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await self._get(conn, actor, prompt_id)
            if not even_if_used:
                heard = f"{found.language}/{found.name}"
                if flows := await self._uses(conn, actor.tenant_id, Named.SOUND, heard):
                    raise PromptInUse(flows)
            await store.remove(conn, actor.tenant_id, prompt_id)
            await audit.record(
                conn, actor, "prompt.remove", f"prompt:{prompt_id}", name=found.name, language=found.language
            )
            payload = {"id": prompt_id, "name": found.name, "language": found.language}
            await emit(conn, "prompt.removed", payload, tenant_id=actor.tenant_id)

    async def _keep(
        self,
        actor: Actor,
        name: str,
        language: str,
        path: str,
        made: Converted,
        checksum: str,
        filename: str,
        text: str,
        action: str,
    ) -> OwnPrompt:
        size = (await asyncio.to_thread((self._folder / f"{path}.wav").stat)).st_size
        async with self._database.tenant(actor.tenant_id) as conn:
            prompt_id = await store.put(
                conn,
                actor.tenant_id,
                {
                    "name": name,
                    "language": language,
                    "path": path,
                    "length_s": made.length_s,
                    "size_bytes": size,
                    "checksum": checksum,
                    "filename": filename,
                    "text": text,
                    "made_by": actor.user_id,
                },
            )
            await audit.record(
                conn, actor, action, f"prompt:{prompt_id}", name=name, language=language, checksum=checksum
            )
            payload = {"id": prompt_id, "name": name, "language": language}
            await emit(conn, "prompt.changed", payload, tenant_id=actor.tenant_id)
            kept = frozenset(one for _, _, one in await store.paths(conn, actor.tenant_id))
            found = await self._get(conn, actor, prompt_id)
        await asyncio.to_thread(files.sweep, self._folder, actor.tenant_id, kept)
        return found

    async def _get(self, conn: AsyncConnection, actor: Actor, prompt_id: int) -> OwnPrompt:
        found = await store.get(conn, actor.tenant_id, prompt_id)
        if found is None:
            raise NotFound(what="prompt", key=prompt_id)
        return found


def _check(name: str, language: str, text: str) -> None:
    if wrong_name(name):
        raise Invalid(
            field="name",
            reason="may hold letters, digits, - _ . and slashes, and begins with a letter or a digit",
        )
    if language not in LANGUAGES:
        raise Invalid(field="language", reason=Said("must be one of: {expected}", expected="ru, en"))
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise Invalid(field="text", reason="does not have the right form")
