"""What a call plays: names that Asterisk finds, made when they are wanted or, better, before.

Nothing here fails a call: what cannot be played is left out and logged. That it does not come to that is what
`missing` is for: it is asked when a flow is loaded and published.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from dialer.asterisk.speech import Speaker
from dialer.db.session import Database
from dialer.debian import packages
from dialer.debian.packages import Progress
from dialer.errors import BadSound, DatabaseUnavailable, PartMissing
from dialer.prompts import store
from dialer.prompts.model import Problem, Prompt, sounds_of, text_of, words_of
from dialer.prompts.soundset import SoundSet
from dialer.settings import Settings
from ivr_flows.prompts import Sound, Text

log = structlog.get_logger(__name__)

#: How long what the tenants have is remembered, s: an upload is heard by calls after this at the latest.
_REMEMBERED_S = 2.0


@dataclass(slots=True)
class _Shelf:
    """A tenant's own prompts as they were a moment ago."""

    #: (name, language) -> below the prompts folder, without an ending
    paths: Mapping[tuple[str, str], str]
    #: monotonic
    read_at: float


class _Missing(Exception):
    """A prompt that cannot be played."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


@dataclass(slots=True)
class Prompts:
    """Makes sounds of prompts for one installation; safe for any number of calls at once."""

    database: Database
    #: where the server puts sounds, the same path for Asterisk
    folder: Path
    speaker: Speaker
    sounds: SoundSet
    _shelves: dict[int, _Shelf] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, database: Database, progress: Progress = packages.silent) -> Prompts:
        """Those of an installation."""
        return cls(database, settings.prompts_dir, Speaker.of(settings, progress), SoundSet.of(settings))

    async def resolve(self, tenant_id: int, prompts: Iterable[Prompt]) -> tuple[str, ...]:
        """What Asterisk is told to play, in order, names without ending; what cannot be played is left out.

        A text that was not spoken before costs its speaking, a tenth of a second with espeak-ng: `warm_up`
        takes that from the call.
        """
        found: list[str] = []
        try:
            own = await self._own(tenant_id)
        except DatabaseUnavailable as error:
            # The first call of a tenant without the database: what needs none of it is heard.
            log.warning("prompts_without_own", tenant=tenant_id, reason=str(error))
            own = {}
        for one in await self._all(own, prompts):
            if isinstance(one, _Missing):
                problem = one.problem
                log.error("prompt_left_out", tenant=tenant_id, code=problem.code, reason=problem.reason)
            else:
                found += one
        return tuple(found)

    async def missing(self, tenant_id: int, prompts: Iterable[Prompt]) -> tuple[Problem, ...]:
        """Which of the prompts a call could not play. Afterwards the others are ready: see `warm_up`."""
        all_of_them = await self._all(await self._own(tenant_id), prompts)
        return tuple(dict.fromkeys(one.problem for one in all_of_them if isinstance(one, _Missing)))

    async def warm_up(self, tenant_id: int, prompts: Iterable[Prompt]) -> tuple[Problem, ...]:
        """Make all the sounds of a flow that is about to be published; returns what could not be made."""
        return await self.missing(tenant_id, prompts)

    async def known(self, tenant_id: int, language: str) -> frozenset[str]:
        """The names that a `Sound` may have: the tenant's own and Asterisk's."""
        own = await self._own(tenant_id)
        builtin = await asyncio.to_thread(self.sounds.names, language)
        return builtin | {name for name, spoken in own if spoken == language}

    async def _all(
        self, own: Mapping[tuple[str, str], str], prompts: Iterable[Prompt]
    ) -> Sequence[tuple[str, ...] | _Missing]:
        # Reads the folders the first time.
        await asyncio.to_thread(self.sounds.find, "", "ru")
        done = await asyncio.gather(*(self._one(own, one) for one in prompts), return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException) and not isinstance(one, _Missing):
                raise one
        return [one for one in done if not isinstance(one, BaseException) or isinstance(one, _Missing)]

    async def _one(self, own: Mapping[tuple[str, str], str], prompt: Prompt) -> tuple[str, ...]:
        language = prompt.language
        if isinstance(prompt, Sound):
            return (self._recorded(own, prompt.name, language),)
        try:
            if not isinstance(prompt, Text):
                recorded = sounds_of(
                    words_of(prompt),
                    language,
                    partial(self._own_sound, own, language),
                    partial(self.sounds.find, language=language),
                )
                if recorded is not None:
                    return recorded
            kept = await self.speaker.sound(text_of(prompt), language)
        except (BadSound, PartMissing, ValueError) as error:
            what = prompt.text if isinstance(prompt, Text) else type(prompt).__name__
            raise _Missing(Problem(what, language, "not-spoken", str(error))) from error
        return (str(kept.with_suffix("")),)

    def _recorded(self, own: Mapping[tuple[str, str], str], name: str, language: str) -> str:
        found = self._own_sound(own, language, name) or self.sounds.find(name, language)
        if found is None:
            raise _Missing(
                Problem(name, language, "unknown-sound", f"there is no sound {name} in {language}")
            )
        return found

    def _own_sound(self, own: Mapping[tuple[str, str], str], language: str, name: str) -> str | None:
        path = own.get((name, language))
        return str(self.folder / path) if path is not None else None

    async def _own(self, tenant_id: int) -> Mapping[tuple[str, str], str]:
        shelf = self._shelves.get(tenant_id)
        if shelf is not None and time.monotonic() - shelf.read_at < _REMEMBERED_S:
            return shelf.paths
        try:
            async with self.database.tenant(tenant_id) as conn:
                rows = await store.paths(conn, tenant_id)
        except DatabaseUnavailable:
            # Calls go on without the database, with what was known of it.
            if shelf is None:
                raise
            return shelf.paths
        paths = {(name, language): path for name, language, path in rows}
        self._shelves[tenant_id] = _Shelf(paths, time.monotonic())
        return paths
