"""An installation to keep a copy of, and places to make another one of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from dialer.backup.restore import Restored, restore
from dialer.backup.service import Made, Wish, back_up
from dialer.db.embedded import Urls
from dialer.db.session import connect
from dialer.installation import Installation
from dialer.settings import Settings, load

#: Every row of a table, whatever its columns, as one number.
DIGEST = "SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM public.\"{}\" t"
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


@dataclass(slots=True)
class Told:
    """What was told about the progress."""

    steps: list[str] = field(default_factory=list)
    counted: int = 0

    def step(self, what: str, size: int | None = None) -> None:
        """See Progress."""
        self.steps.append(what)

    def count(self, size: int) -> None:
        """See Progress."""
        self.counted += size


def settings_of(folder: Path, urls: Urls, **more: Any) -> Settings:
    """The settings of an installation over that database."""
    return load(data_dir=folder, database_url=urls.app, database_owner_url=urls.owner, **more)


async def contents(url: str) -> Mapping[str, str]:
    """A digest of every table."""
    owner = await connect(url)
    tables = [row[0] for row in await owner.fetch(TABLES)]
    found = {table: await owner.fetchval(DIGEST.format(table)) for table in tables}
    await owner.close()
    return found


def files(folder: Path) -> Mapping[str, str]:
    """A digest of every file below a folder."""
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@dataclass(slots=True)
class Company:
    """An installation with customers, calls, recordings and secrets."""

    settings: Settings
    urls: Urls
    told: Told = field(default_factory=Told)

    async def back_up(self, path: Path, *, folder: bool = False, **more: Any) -> Made:
        """Keep a copy."""
        return await back_up(self.settings, self.urls, Wish(path, folder, **more), self.told)

    async def record(self, status: str = "whole", *, there: bool = True, size: int = 3000) -> Path:
        """A talk's recording in the database, and its file."""
        file = self.settings.recording_dir / "2026/05/01" / f"{uuid4()}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        if there:
            file.write_bytes(os.urandom(size))
        owner = await connect(self.urls.owner)
        await owner.execute(
            "INSERT INTO recording (tenant_id, attempt_id, path, status, started_at) "
            "SELECT 1, id, $1, $2, now() FROM attempt LIMIT 1",
            file.relative_to(self.settings.recording_dir).as_posix(),
            status,
        )
        await owner.close()
        return file


async def company(folder: Path, urls: Urls) -> Company:
    """An installation with something in every place that a backup has to think of."""
    made = Company(settings_of(folder, urls), urls)
    messages = made.settings.prompts_dir / "messages"
    messages.mkdir(parents=True)
    (messages / "1-1-ab.wav").write_bytes(os.urandom(500))
    (made.settings.prompts_dir / "own.wav").write_bytes(os.urandom(600))
    (made.settings.prompts_dir / "asterisks-own.wav").write_bytes(b"-")
    for name in ("own/1/cd.wav16", "speech/ef.wav"):  # a tenant's prompt; a text that can be spoken again
        file = made.settings.prompts_dir / name
        file.parent.mkdir(parents=True)
        file.write_bytes(os.urandom(400))
    made.settings.secret("ami")
    owner = await connect(urls.owner)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Второй')")
    for tenant in (1, 2):
        campaign = await owner.fetchval(
            "INSERT INTO campaign (tenant_id, name, status, policy, abandon_sound) "
            "VALUES ($1, 'Весна \"1\" ''2''', 'running', 'demo', $2) RETURNING id",
            tenant,
            "messages/1-1-ab" if tenant == 1 else "own",
        )
        trunk = await owner.fetchval(
            "INSERT INTO trunk (tenant_id, name, endpoint, caller_id, allowed_prefixes) "
            "VALUES ($1, 'c', 'c', '+74950000000', '{+7}') RETURNING id",
            tenant,
        )
        await owner.execute(
            "INSERT INTO attempt (tenant_id, id, campaign_id, e164, trunk_id, caller_id, mode, policy, "
            "state, created_at, disposition_note) SELECT $1, gen_random_uuid(), $2, '+7916' || n, $3, "
            "'+74950000000', 'progressive', 'demo', 'dialling', now(), E'tab\\t line\\n \\\\ ё' || n "
            "FROM generate_series(1, 200) n",
            tenant,
            campaign,
            trunk,
        )
    await owner.close()
    await made.record()
    await made.record()
    return made


async def restored(settings: Settings, path: Path, **how: Any) -> Restored:
    """Make an installation of a backup."""
    async with Installation(settings) as here:
        return await restore(here, path, Told(), **how)
