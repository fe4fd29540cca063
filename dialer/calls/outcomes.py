"""What follows from a disposition, for the lead, the campaign's quotas and whoever listens; and what a flow
says that its call came to, where no agent does."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.callbacks import making, phoned, store
from dialer.callbacks.making import Asked
from dialer.callbacks.phoned import Phoned
from dialer.calls import dispositions, retries
from dialer.calls.dispositions import Choice, Talk
from dialer.calls.model import CallState, Result
from dialer.db import events
from dialer.donotcall import store as donotcall
from dialer.donotcall.model import Refusal, Source
from scheduler import hopper, promised, quotas, retry
from scheduler.callbacks import State
from scheduler.holds import Hold

#: Kinds of dispositions after which nobody wants the call that was promised in the talk.
RULED_OUT: Final = ("do_not_call", "refusal", "wrong_person")
log = structlog.get_logger(__name__)


async def by_flow(conn: AsyncConnection, tenant_id: int, attempt_id: UUID, code: str, now: datetime) -> bool:
    """Save what a flow says that its call came to; False: an agent has talked, who says it, or the campaign
    has no disposition of that code."""
    talk = await dispositions.lock_talk(conn, tenant_id, attempt_id)
    if talk is None or talk.connected_at is not None:
        return False
    choice = next((one for one in talk.choices if one.code == code), None)
    if choice is None:
        log.warning("flow_disposition_unknown", campaign=talk.campaign_id, code=code)
        return False
    if choice.kind == "do_not_call" and talk.e164:  # first: its lock goes before those of leads
        asked = Refusal(Source.KEY_PRESS, reason=choice.label_ru, attempt_id=attempt_id)
        await donotcall.add(conn, tenant_id, [talk.e164], asked, by=None, now=now)
    row = await dispositions.write(conn, talk, tenant_id, disposition_id=choice.id, note="", by=None, at=now)
    lead = (await retries.leads_of(conn, tenant_id, [attempt_id])).get(attempt_id)
    if lead is not None and lead.promised_at is None:  # else it waits for the call that the flow has promised
        await settle_lead(conn, tenant_id, None, talk, choice, None, now)
    if talk.has_quotas and row.contact_id is not None:
        await count(conn, tenant_id, talk, choice, row.contact_id)
    await tell(conn, tenant_id, talk, choice)
    return True


async def settle_lead(
    conn: AsyncConnection,
    tenant_id: int,
    by: int | None,
    talk: Talk,
    choice: Choice,
    said: Asked | None,
    now: datetime,
) -> None:
    """What becomes of the lead, and of the callbacks that the talk was made for or in.

    A call that was promised in the course of the talk (by its script) is kept, unless what the talk came to
    rules it out or names another time.
    """
    assert talk.lead_id is not None
    if said is None and _keeps(talk, choice):
        kept = await store.made_in(conn, tenant_id, talk.id)
        if kept is not None and kept.lead_id == talk.lead_id and kept.state is State.WAITING:
            again = retry.Again(kept.due_at, hold=Hold.CALLBACK)
            await hopper.talked(conn, tenant_id, talk.lead_id, talk.created_at, again)
            return
    planned = await making.plan_in_talk(conn, tenant_id, talk.lead_id, said, now) if said else None
    tries, rules = await retries.of_talk(conn, tenant_id, talk.id)
    due_at = planned.due_at if planned else None
    fate = retry.after_talk(choice.code, choice.kind, tries, rules, now, due_at)
    await hopper.talked(conn, tenant_id, talk.lead_id, talk.created_at, fate)
    await promised.end_of_talk(conn, tenant_id, talk.id, talk.lead_id, now, again=planned is not None)
    if planned is not None:
        await making.write(conn, tenant_id, planned, by=by, now=now, made_in=talk.id)


async def settle_caller(
    conn: AsyncConnection,
    tenant_id: int,
    by: int | None,
    talk: Talk,
    choice: Choice,
    said: Asked | None,
    now: datetime,
) -> None:
    """What becomes of the call that somebody is promised who has called us: the campaign of the number makes
    it. As in `settle_lead`, but no lead was called."""
    if said is None and _keeps(talk, choice):
        return
    settled = choice.kind not in retry.AFTER_TALK
    await phoned.take_back(conn, tenant_id, talk.id, talk.created_at, close=settled)
    if said is None:
        return
    assert talk.contact_id is not None
    who = Phoned(talk.campaign_id, talk.contact_id, talk.e164, talk.id)
    lead_id = await phoned.lead_of(conn, tenant_id, who)
    planned = await making.plan_in_talk(conn, tenant_id, lead_id, said, now)
    await making.write(conn, tenant_id, planned, by=by, now=now, made_in=talk.id)


def _keeps(talk: Talk, choice: Choice) -> bool:
    """Whether what was promised in the course of the talk is kept, where the disposition names no time."""
    return choice.kind not in RULED_OUT and (talk.disposition_id is None or choice.kind == "callback")


async def promise_in_talk(
    conn: AsyncConnection, tenant_id: int, by: int | None, talk: Talk, said: Asked, now: datetime
) -> None:
    """Promise the person of a talk a call while it goes on. Raises as `making.plan_in_talk`."""
    assert talk.lead_id is not None
    planned = await making.plan_in_talk(conn, tenant_id, talk.lead_id, said, now)
    again = retry.Again(planned.due_at, hold=Hold.CALLBACK)
    await hopper.talked(conn, tenant_id, talk.lead_id, talk.created_at, again)
    await promised.end_of_talk(conn, tenant_id, talk.id, talk.lead_id, now, again=True)
    await making.write(conn, tenant_id, planned, by=by, now=now, made_in=talk.id)


async def count(conn: AsyncConnection, tenant_id: int, talk: Talk, choice: Choice, contact_id: int) -> None:
    """Count the talk in the campaign's quotas."""
    was = next((one.kind for one in talk.choices if one.id == talk.disposition_id), None)
    await quotas.count(conn, tenant_id, talk.campaign_id, contact_id, was=was, now=choice.kind)


async def tell(conn: AsyncConnection, tenant_id: int, talk: Talk, choice: Choice) -> None:
    """Tell whoever listens."""
    about = {"attempt_id": str(talk.id), "campaign_id": talk.campaign_id, "agent_id": talk.agent_id}
    told = [("call.disposed", {**about, "code": choice.code, "kind": choice.kind})]
    if talk.state is CallState.WRAP_UP:
        told.append(("call.state", {**about, "state": CallState.ENDED, "result": Result.ANSWERED}))
    facts = [events.Fact(kind, payload, talk.campaign_id, talk.agent_id) for kind, payload in told]
    await events.emit_all(conn, facts, tenant_id=tenant_id)
