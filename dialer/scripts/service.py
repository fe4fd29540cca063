"""What can be done with scripts: write, check, publish, rehearse them, and lead a talk by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.clock import utc_now
from dialer.contacts import known
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import BadScript, Conflict, NotFound, WrongState
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.said import Said
from dialer.scripts import checks, loader, showing, store, walking
from dialer.scripts.model import Action, Script, ScriptRow, Talk, Version
from dialer.scripts.showing import Shown
from dialer.scripts.store import CallOf, Figures, NamedCampaign
from dialer.scripts.walking import Done, Event
from ivr_flows.model import Problem
from ivr_flows.values import Value, clean_values

#: Whom a rehearsal is held with.
SAMPLE = {
    "ru": {
        "contact.name": "Анна Сергеевна",
        "contact.first_name": "Анна",
        "contact.middle_name": "Сергеевна",
        "contact.last_name": "Петрова",
        "campaign.name": "Репетиция",
        "campaign.caller_name": "Репетиция",
    },
    "en": {
        "contact.name": "Anna",
        "contact.first_name": "Anna",
        "contact.last_name": "Smith",
        "campaign.name": "Rehearsal",
        "campaign.caller_name": "Rehearsal",
    },
}
#: Events of a rehearsal.
MOST_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that was looked at."""

    #: None: it cannot be read
    script: Script | None
    problems: Sequence[Problem]


class Deeds(Protocol):
    """What carries out the actions of scripts; wired in `dialer.app`."""

    async def carry_out(
        self, conn: AsyncConnection, actor: Actor, call: CallOf, action: str, values: Mapping[str, str]
    ) -> None:
        """Do it, in the transaction that moves the talk on. Raises what tells the agent why it cannot be
        done; then the talk stays where it is."""


class ScriptService:
    """The scripts of a tenant, and the talks that go by them."""

    def __init__(self, database: Database, deeds: Deeds) -> None:
        self._database = database
        self._deeds = deeds

    # -- scripts -----------------------------------------------------------------------------------------

    async def scripts(self, actor: Actor) -> list[ScriptRow]:
        """All scripts, by name."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.scripts(conn, actor.tenant_id)

    async def campaigns(self, actor: Actor) -> dict[str, list[NamedCampaign]]:
        """Script -> the campaigns whose talks go by it."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.campaigns(conn, actor.tenant_id)

    async def versions(self, actor: Actor, name: str) -> list[Version]:
        """All versions of a script, newest first. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.versions(conn, actor.tenant_id, name)
        if not found:
            raise NotFound(what="script", key=name)
        return found

    async def version(self, actor: Actor, name: str, version: int) -> Version:
        """What a script says in a version. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await _version(conn, actor, name, version)

    async def write(
        self, actor: Actor, document: Mapping[str, Any] | str, *, name: str | None = None
    ) -> Version:
        """A new draft of the script that the document names, values or YAML; the first one makes the script.
        Raises BadScript with all that is wrong with it, Conflict where it is not called `name`."""
        actor.require(Right.CAMPAIGNS_EDIT)
        source = document if isinstance(document, str) else ""
        script = (
            await asyncio.to_thread(loader.load, document)
            if isinstance(document, str)
            else loader.from_document(document)
        )
        if name not in (None, script.name):
            raise Conflict(reason=Said("the script is called {name}: let it keep its name", name=name))
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await store.lock(conn, actor.tenant_id, script.name, make=True)
            assert row is not None
            version = await store.add_version(
                conn, actor.tenant_id, row, script.document, actor.user_id, source
            )
            await audit.record(conn, actor, "script.write", f"script:{row.id}", version=version)
            return await _version(conn, actor, script.name, version)

    async def check(self, actor: Actor, text: str) -> Checked:
        """All that is wrong with the YAML of a script."""
        actor.require(Right.CAMPAIGNS_READ)
        return await asyncio.to_thread(_checked, text)

    async def publish(self, actor: Actor, name: str, version: int) -> ScriptRow:
        """Have talks that begin from now on led by this version. Raises NotFound, BadScript."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            row = await store.lock(conn, tenant_id, name)
            if row is None:
                raise NotFound(what="script", key=name)
            found = await _version(conn, actor, name, version)
            loader.from_document(found.document)  # rules may be stricter than when it was written
            await store.publish(conn, tenant_id, row, version)
            await audit.record(conn, actor, "script.publish", f"script:{row.id}", version=version)
            after = await store.lock(conn, tenant_id, name)
        assert after is not None
        return after

    async def figures(self, actor: Actor, name: str, since: datetime, until: datetime) -> Figures:
        """What talks by a script came to. Raises NotFound."""
        actor.require(Right.REPORTS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            for row in await store.scripts(conn, actor.tenant_id):
                if row.name == name:
                    return await store.figures(conn, actor.tenant_id, row.id, since, until)
        raise NotFound(what="script", key=name)

    async def rehearse(self, actor: Actor, text: str, happened: Sequence[Event]) -> Shown:
        """Where a talk would be after these events. Nobody is called, nothing is kept, no action is carried
        out. Raises BadScript; Invalid, NotFound and WrongState of an event."""
        actor.require(Right.CAMPAIGNS_READ)
        script = await asyncio.to_thread(loader.load, text)
        talk = walking.begin(script)
        for event in happened[:MOST_EVENTS]:
            talk = walking.step(script, talk, event)
        variables: dict[str, Value] = {**SAMPLE[script.language], "agent.name": actor.name}
        return showing.show(script, talk, variables, utc_now())

    # -- talks -------------------------------------------------------------------------------------------

    async def of_call(self, actor: Actor, call_id: UUID) -> Shown | None:
        """What the script of a call says now; None: its campaign has none that is published. One's own call,
        or with the right anybody's. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            call = await _own(conn, actor, call_id, Right.CALLS_READ)
            if call.script_id is None or call.version is None:
                return None
            script, talk = await _talk(conn, actor, call)
            return showing.show(script, talk, await _variables(conn, actor, call), utc_now())

    async def act(self, actor: Actor, call_id: UUID, step: str, event: Event) -> Shown:
        """Lead an own talk on from `step`; when this returns, the answer is kept. What is said twice, by a
        key that was pressed twice, is said once.

        Raises Conflict where the talk is at another step by now: somebody else was quicker; NotFound,
        Forbidden, WrongState, Invalid.
        """
        tenant_id, now = actor.tenant_id, utc_now()
        async with self._database.tenant(tenant_id) as conn:
            call = await _own(conn, actor, call_id, Right.CALLS_CONTROL)
            if call.script_id is None or call.version is None:
                raise NotFound(what="script of the call", key=call_id)
            if call.connected_at is None:
                raise WrongState(what="The call", state="not answered", allowed="connected with an agent")
            await store.lock_run(conn, tenant_id, call_id)
            # A talk that began meanwhile keeps its version.
            call = await _own(conn, actor, call_id, Right.CALLS_CONTROL)
            script, before = await _talk(conn, actor, call)
            variables = await _variables(conn, actor, call)
            if before.step != step:
                if walking.said_already(script, before, step, event):
                    return showing.show(script, before, variables, now)
                raise Conflict(reason=Said("the talk is at the step {step} by now", step=before.step))
            talk = walking.step(script, before, event)
            here = script.steps[before.step]
            if isinstance(event, Done) and isinstance(here, Action) and here.name not in before.done:
                told = showing.told(script, before, variables, now)
                await self._deeds.carry_out(conn, actor, call, here.action, told)
            share = walking.share(script, talk.answers)
            await store.save(
                conn,
                tenant_id,
                call,
                talk,
                required=share.required,
                collected=share.collected,
                ended=walking.ended(script, talk),
                now=now,
            )
            about = {"attempt_id": str(call_id), "campaign_id": call.campaign_id, "agent_id": call.agent_id}
            await events.emit(
                conn,
                "script.step",
                about,
                tenant_id=tenant_id,
                campaign_id=call.campaign_id,
                agent_id=call.agent_id,
            )
            return showing.show(script, talk, variables, now)


def _checked(text: str) -> Checked:
    # For a thread: a quarter of a megabyte takes seconds, in which the desks' pages would wait.
    try:
        script = loader.load(text, checked=False)
    except BadScript as error:
        return Checked(None, error.problems)
    return Checked(script, checks.problems(script))


async def _version(conn: AsyncConnection, actor: Actor, name: str, version: int) -> Version:
    found = await store.version_of(conn, actor.tenant_id, name, version)
    if found is None:
        raise NotFound(what="version of the script", key=f"{name} {version}")
    return found


async def _own(conn: AsyncConnection, actor: Actor, call_id: UUID, otherwise: Right) -> CallOf:
    call = await store.call_of(conn, actor.tenant_id, call_id)
    own = call is not None and call.user_id is not None and call.user_id == actor.user_id
    actor.require(Right.WORK if own else otherwise)
    if call is None:
        raise NotFound(what="call", key=call_id)
    return call


async def _talk(conn: AsyncConnection, actor: Actor, call: CallOf) -> tuple[Script, Talk]:
    assert call.script_id is not None
    assert call.version is not None
    document = await store.document(conn, actor.tenant_id, call.script_id, call.version)
    script = loader.from_document(document, checked=False)
    talk = await store.run(conn, actor.tenant_id, call.id)
    return script, talk or walking.begin(script)


async def _variables(conn: AsyncConnection, actor: Actor, call: CallOf) -> dict[str, Value]:
    card: Mapping[str, Any] = {}
    if call.contact_id is not None:
        card = await known.card(conn, actor.tenant_id, call.contact_id)
    return clean_values(
        {f"contact.{name}": value for name, value in card.items()}
        | {
            "campaign.name": call.campaign,
            "campaign.caller_name": call.caller_name,
            "agent.name": call.agent or actor.name,
        }
    )
