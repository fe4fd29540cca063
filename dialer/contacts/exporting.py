"""All that is kept of one person, as a ZIP that is written while it is sent.

`person.json` has the rows of every table with something of theirs (see `persondata`), column by column as the
database keeps them, the names of what they refer to, and who looked at or changed the card; `recordings/` has
the talks. Whatever its size, no more than a piece of it is in memory.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from io import RawIOBase
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import history
from dialer.contacts.erasure import whose
from dialer.contacts.history import Kind
from dialer.contacts.people_base import card_of
from dialer.contacts.persondata import PLACES, Whose
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.vault.files import Kept, Vault

#: Read and sent at once, bytes.
PIECE = 1 << 20
#: What is said by the form of the file; grows when it changes.
FORM = 1


@dataclass(frozen=True, slots=True)
class _Talk:
    """A recording of the person."""

    #: the call's id, or that of the message
    attempt_id: UUID | str
    #: None: it is on no disk that is seen from here, and in no store
    kept: Kept | None


class _Sink(RawIOBase):
    """Takes what the ZIP writes until it is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep a piece."""
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class ExportService:
    """Gives out what is kept of the people of a tenant; recordings are in the vault, or below one folder."""

    def __init__(self, database: Database, files: Path | Vault) -> None:
        self._database = database
        self._vault = Vault.at(files)

    async def export(self, actor: Actor, contact_id: int) -> AsyncIterator[bytes]:
        """The ZIP of a person, in pieces. Raises, before the first one, NotFound, Forbidden, WrongState when
        nothing is left of the person, and StoreUnavailable where recordings are that cannot be read now."""
        actor.require(Right.PEOPLE_ERASE)
        async with self._database.tenant(actor.tenant_id) as conn:
            card = await card_of(conn, actor, contact_id)
            if card.erased_at is not None:
                raise WrongState(what="The person", state="erased", allowed="kept")
            person = await whose(conn, actor.tenant_id, card)
            told = await self._told(conn, actor, person)
            await history.add(conn, actor.tenant_id, contact_id, Kind.EXPORTED, actor.user_id)
            await audit.record(conn, actor, "contact.export", f"contact:{contact_id}")
        talks = await self._talks(told["tables"]["recording"])
        told["recordings"] = [
            {"call": talk.attempt_id, "file": _name(talk) if talk.kept else None} for talk in talks
        ]
        return self._zip(json.dumps(told, ensure_ascii=False, indent=1, default=_plain), talks)

    async def _told(self, conn: AsyncConnection, actor: Actor, person: Whose) -> dict[str, Any]:
        tables: dict[str, list[Mapping[str, Any]]] = {}
        for place in PLACES:
            if not place.exported:
                continue
            columns = [
                column
                for column in place.table.columns
                # How loud a recording is says nothing that the recording does not.
                if column.name != "tenant_id" and not isinstance(column.type, LargeBinary)
            ]
            mine = place.table.c.tenant_id == person.tenant_id, place.of(person)
            query = select(*columns).where(*mine).order_by(*place.table.primary_key)
            tables[place.table.name] = [dict(row) for row in (await conn.execute(query)).mappings()]
        log = t.audit.c
        looked = await conn.execute(
            select(log.at, log.action)
            .where(log.tenant_id == actor.tenant_id, log.subject == f"contact:{person.contact_id}")
            .order_by(log.id)
        )
        return {
            "form": FORM,
            "made_at": utc_now(),
            "contact": person.contact_id,
            "tables": tables,
            "names": {
                "campaign": await _names(conn, person, t.campaign, tables, "campaign_id"),
                "list": await _names(conn, person, t.contact_list, tables, "list_id"),
                "disposition": await _names(conn, person, t.disposition, tables, "disposition_id"),
            },
            "log": [dict(row) for row in looked.mappings()],
        }

    async def _talks(self, rows: Sequence[Mapping[str, Any]]) -> list[_Talk]:
        found = []
        for row in rows:
            kept: Kept | None = Kept(row["path"], row["place"])
            try:
                await self._vault.open(Kept(row["path"], row["place"]))
            except NotFound:
                kept = None
            of = row["attempt_id"] or row["inbound_call_id"] or f"message-{row['voicemail_id']}"
            found.append(_Talk(of, kept))
        return found

    async def _zip(self, told: str, talks: Sequence[_Talk]) -> AsyncIterator[bytes]:
        sink = _Sink()
        with zipfile.ZipFile(sink, "w") as archive:
            text = zipfile.ZipInfo("person.json", date_time=utc_now().timetuple()[:6])
            text.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(text, told)
            yield sink.take()
            for talk in talks:
                if talk.kept is None:
                    continue
                # Sound of telephony hardly gets smaller.
                about = zipfile.ZipInfo(_name(talk), date_time=utc_now().timetuple()[:6])
                with archive.open(about, "w", force_zip64=True) as target:
                    async for piece in self._vault.read(talk.kept):
                        target.write(piece)
                        yield sink.take()
        yield sink.take()


async def _names(
    conn: AsyncConnection, person: Whose, table: Any, tables: Mapping[str, Any], column: str
) -> dict[str, str]:
    """The names of what the person's rows refer to by this column."""
    ids = {row[column] for rows in tables.values() for row in rows if row.get(column) is not None}
    name = table.c.label_en if table is t.disposition else table.c.name
    query = select(table.c.id, name.label("name")).where(
        table.c.tenant_id == person.tenant_id, table.c.id.in_(ids)
    )
    return {str(row.id): row.name for row in await conn.execute(query)}


def _name(talk: _Talk) -> str:
    return f"recordings/{talk.attempt_id}.wav"


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON")
