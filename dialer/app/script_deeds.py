"""What carries out the actions of scripts, from features that scripts do not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.callbacks import phoned
from dialer.callbacks.making import Asked
from dialer.callbacks.phoned import Phoned
from dialer.calls import dispositions, outcomes
from dialer.clock import utc_now
from dialer.db import events
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from dialer.errors import Conflict, Invalid
from dialer.httpkit.access import Actor
from dialer.letters import asking
from dialer.letters.model import Wanted
from dialer.scripts.store import CallOf
from dialer.visits import booking
from dialer.visits.model import Booking


@dataclass(frozen=True, slots=True)
class ScriptDeeds:
    """See `dialer.scripts.service.Deeds`. All is of the one transaction that moves the talk on: done and
    said, or neither."""

    #: there is a mail server to send letters by
    letters: bool = False

    async def carry_out(
        self, conn: AsyncConnection, actor: Actor, call: CallOf, action: str, values: Mapping[str, str]
    ) -> None:
        """Do it, and tell who listens. Raises Conflict of a caller who is not known and of a letter that
        cannot be sent; Invalid, NotAllowed and WrongState of a time that cannot be."""
        if action == "schedule_callback":  # its locks of leads come before those of events
            await _promise(conn, actor, call, values)
        elif action == "book_visit":
            await _book(conn, actor, call, values)
        elif action == "send_letter":
            await self._write(conn, actor, call, values)
        about = {"attempt_id": str(call.id), "action": action, "campaign_id": call.campaign_id}
        await events.emit(
            conn,
            "script.action",
            about,
            tenant_id=actor.tenant_id,
            campaign_id=call.campaign_id,
            agent_id=call.agent_id,
        )
        if action == "do_not_call":  # its lock comes last
            await _refuse(conn, actor, call, values)

    async def _write(
        self, conn: AsyncConnection, actor: Actor, call: CallOf, values: Mapping[str, str]
    ) -> None:
        if not self.letters:
            raise Conflict(reason="no letters are sent here: the administrator has named no mail server")
        if call.contact_id is None:
            raise _unknown()
        subject, text, to = (values.get(name, "") for name in ("subject", "text", "to"))
        wanted = Wanted(call.contact_id, call.campaign_id, call.id, call.agent_id, to, subject, text)
        await asking.ask(conn, actor.tenant_id, wanted, by=actor.user_id, now=utc_now())


async def _refuse(conn: AsyncConnection, actor: Actor, call: CallOf, values: Mapping[str, str]) -> None:
    if not call.e164:
        raise Conflict(reason="the number is withheld, so it cannot be put on the list")
    said = Refusal(Source.DISPOSITION, reason=values.get("note", "") or call.script or "", attempt_id=call.id)
    await donotcall.add(conn, actor.tenant_id, [call.e164], said, by=actor.user_id, now=utc_now())


async def _promise(conn: AsyncConnection, actor: Actor, call: CallOf, values: Mapping[str, str]) -> None:
    """By the person's clock; whoever is free calls."""
    tenant_id, at, note = actor.tenant_id, _at(values), values.get("note", "")
    talk = await dispositions.lock_talk(conn, tenant_id, call.id)
    if talk is not None and talk.lead_id is not None:
        await outcomes.promise_in_talk(conn, tenant_id, actor.user_id, talk, Asked(at, note=note), utc_now())
        return
    if call.contact_id is None or not call.e164:
        raise _unknown()
    who = Phoned(call.campaign_id, call.contact_id, call.e164, call.id)
    await phoned.promise(conn, tenant_id, who, at=at, note=note, by=actor.user_id)


async def _book(conn: AsyncConnection, actor: Actor, call: CallOf, values: Mapping[str, str]) -> None:
    """By the clock of the company's place: there they come."""
    if call.contact_id is None:
        raise _unknown()
    wanted = Booking(
        call.contact_id,
        call.campaign_id,
        call.id,
        call.agent_id,
        _at(values),
        values.get("place", ""),
        values.get("note", ""),
    )
    await booking.book(conn, actor.tenant_id, wanted, by=actor.user_id, now=utc_now())


def _at(values: Mapping[str, str]) -> datetime:
    try:
        return datetime.fromisoformat(values.get("at", ""))
    except ValueError:
        raise Invalid(field="at", reason="must be a time like 2026-01-31T09:00") from None


def _unknown() -> Conflict:
    return Conflict(reason="nobody knows who this is: there is no card to write it to")
