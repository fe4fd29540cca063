"""What people do with messages: look, listen, mark, delete, call back.

Who may read everybody's calls may have every box. An agent has the boxes that are named as a queue which the
agent serves.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.callbacks import phoned
from dialer.callbacks.store import CallbackRow
from dialer.calls.card import shown_number
from dialer.clock import utc_now
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.vault.files import Stored, Vault
from dialer.voicemail import store
from dialer.voicemail.model import Boxes, Message


class VoicemailService:
    """The messages of a tenant; files are in the vault, or below one folder."""

    def __init__(self, database: Database, files: Path | Vault) -> None:
        self._database = database
        self._vault = Vault.at(files)

    async def messages(
        self,
        actor: Actor,
        *,
        box: str | None = None,
        heard: bool | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Message]:
        """Messages of the boxes that the actor has, newest first. Raises Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            mine = await _boxes(conn, actor)
            return await store.page(
                conn, actor.tenant_id, mine.names, box=box, heard=heard, before=before, limit=limit
            )

    async def boxes(self, actor: Actor) -> list[tuple[str, int, int]]:
        """Boxes with messages that the actor has: name, how many, how many new ones. Raises Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            mine = await _boxes(conn, actor)
            return await store.boxes(conn, actor.tenant_id, mine.names)

    async def file(self, actor: Actor, message_id: int) -> Path | Stored:
        """The file of a message, which is heard with it. Raises NotFound, Forbidden, StoreUnavailable."""
        async with self._database.tenant(actor.tenant_id) as conn:
            message = await _mine(conn, actor, message_id)
            kept = await store.file_of(conn, actor.tenant_id, message_id)
            assert kept is not None, "it is whole"
            if message.heard_at is None:  # a browser asks for each part of it
                await store.mark(conn, actor.tenant_id, message_id, utc_now(), actor.user_id)
                await audit.record(conn, actor, "voicemail.listen", f"voicemail:{message_id}")
        try:
            return await self._vault.open(kept)
        except NotFound:
            raise NotFound(what="message", key=message_id) from None

    async def mark(self, actor: Actor, message_id: int, *, heard: bool) -> Message:
        """Say that a message was heard, or is to be heard again. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.lock(conn, actor.tenant_id, message_id)
            before = await _mine(conn, actor, message_id, change=True)
            if (before.heard_at is not None) != heard:
                at = utc_now() if heard else None
                await store.mark(conn, actor.tenant_id, message_id, at, actor.user_id)
                await audit.record(conn, actor, "voicemail.mark", f"voicemail:{message_id}", heard=heard)
            return await _mine(conn, actor, message_id)

    async def delete(self, actor: Actor, message_id: int) -> None:
        """Remove a message for good. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            await store.lock(conn, actor.tenant_id, message_id)
            await _mine(conn, actor, message_id, change=True)
            await store.delete(conn, actor.tenant_id, message_id, utc_now(), actor.user_id)
            await audit.record(conn, actor, "voicemail.delete", f"voicemail:{message_id}")

    async def call_back(self, actor: Actor, message_id: int) -> CallbackRow:
        """Promise the caller a call, as soon as somebody is free; one that is promised already stays.

        Raises NotFound, Forbidden, Invalid where the number was withheld, and what promising raises:
        NotAllowed, WrongState.
        """
        async with self._database.tenant(actor.tenant_id) as conn:
            message = await _mine(conn, actor, message_id, change=True)
            if message.contact_id is None:
                raise Invalid(field="number", reason="is not known: nobody can be called back")
            about = phoned.Phoned(message.campaign_id, message.contact_id, message.e164, message.call_id)
            made = await phoned.promise(conn, actor.tenant_id, about, note=message.box, by=actor.user_id)
            await audit.record(
                conn, actor, "voicemail.call_back", f"voicemail:{message_id}", callback=made.id
            )
        return made


def number_shown(actor: Actor, message: Message) -> str:
    """Who called, as the actor may see it."""
    return shown_number(message.e164, whole=actor.may(Right.CALLS_READ), current=False)


async def _boxes(conn: AsyncConnection, actor: Actor) -> Boxes:
    if actor.may(Right.CALLS_READ):
        return Boxes()
    actor.require(Right.WORK)
    return Boxes(await store.own_boxes(conn, actor.tenant_id, actor.user_id or 0))


async def _mine(conn: AsyncConnection, actor: Actor, message_id: int, *, change: bool = False) -> Message:
    """The message; of a box that the actor does not have it is said that there is none. `change`: who only
    reads may not."""
    if change and not actor.may(Right.CALLS_CONTROL):
        actor.require(Right.WORK)
    mine = await _boxes(conn, actor)
    found = await store.find(conn, actor.tenant_id, message_id)
    if found is None or not mine.has(found.box):
        raise NotFound(what="message", key=message_id)
    return found
