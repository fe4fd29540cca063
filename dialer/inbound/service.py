"""What people do with flows and numbers: write a flow, try it out, publish it, lead numbers to it; and look
at the calls that came in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.card import shown_number
from dialer.contacts import store as contacts
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import BadFlow, Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.inbound import numbers_store, store, traffic
from dialer.inbound.model import NUMBER, Arrived, Filter, FlowRow, Number, Stepped, Version, dialled_digits
from dialer.inbound.traffic import StateTraffic
from dialer.inbound.uses import names, uses
from dialer.prompts.model import Problem as Unheard
from dialer.said import Said, told
from dialer.surveys import fitting
from dialer.surveys import store as surveys
from ivr_flows import checks, loader
from ivr_flows.model import LANGUAGES, Flow, Problem, Prompt
from ivr_flows.naming import Named
from ivr_flows.spoken import spoken

#: In which use a version of a flow can be put.
Use = Literal["test", "live"]


@dataclass(frozen=True, slots=True)
class Way:
    """A call that came in, with its way through the flow."""

    call: Arrived
    steps: Sequence[Stepped]


class Sounds(Protocol):
    """What callers can hear; that of the prompts' room."""

    async def known(self, tenant_id: int, language: str) -> frozenset[str]:
        """The names of recordings in a language."""

    async def missing(self, tenant_id: int, prompts: Iterable[Prompt]) -> Sequence[Unheard]:
        """Which of the prompts a call could not play; the others are ready afterwards."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that was looked at."""

    #: None: it cannot be read
    flow: Flow | None
    problems: Sequence[Problem]


class InboundService:
    """The numbers, flows and inbound calls of a tenant."""

    def __init__(self, database: Database, sounds: Sounds | None = None) -> None:
        self._database = database
        self._sounds = sounds

    # -- flows -------------------------------------------------------------------------------------------

    async def flows(self, actor: Actor) -> list[FlowRow]:
        """All flows, by name."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.flows(conn, actor.tenant_id)

    async def version(self, actor: Actor, name: str, version: int) -> Version:
        """What a flow says in a version. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await self._version(conn, actor, name, version)

    async def versions(self, actor: Actor, name: str) -> list[Version]:
        """All versions of a flow, newest first. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.versions(conn, actor.tenant_id, name)
        if not found:
            raise NotFound(what="flow", key=name)
        return found

    async def write(
        self, actor: Actor, document: Mapping[str, Any] | str, *, name: str | None = None
    ) -> Version:
        """A new draft of the flow that the document names, values or YAML; the first one makes the flow.
        Raises BadFlow with all that is wrong with it, Conflict where it is not called `name`."""
        actor.require(Right.CAMPAIGNS_EDIT)
        source = document if isinstance(document, str) else ""
        flow = (
            await asyncio.to_thread(loader.load, source, source="")
            if source
            else loader.from_document(document)
        )
        if name not in (None, flow.name):
            raise Conflict(reason=Said("the flow is called {name}: let it keep its name", name=name))
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await store.lock_flow(conn, actor.tenant_id, flow.name, make=True)
            assert row is not None
            version = await store.add_version(
                conn, row, actor.tenant_id, flow.document, actor.user_id, source
            )
            await audit.record(conn, actor, "flow.write", f"flow:{row.id}", version=version)
            await _tell(conn, actor, row.id)
            return await self._version(conn, actor, flow.name, version)

    async def check(self, actor: Actor, text: str) -> Checked:
        """All that is wrong with the YAML of a flow, names of other flows and of recordings too."""
        actor.require(Right.CAMPAIGNS_READ)
        try:
            # Beside the event loop: of a large flow it takes seconds, in which the desks' pages would wait.
            flow = await asyncio.to_thread(loader.load, text, source="", checked=False)
        except BadFlow as error:
            return Checked(None, error.problems)
        async with self._database.tenant(actor.tenant_id) as conn:
            known = await names(conn, actor.tenant_id)
        known[Named.FLOW] |= {flow.name}
        if self._sounds is not None:
            known[Named.SOUND] = await self._heard(actor, self._sounds)
        return Checked(flow, await asyncio.to_thread(checks.problems, flow, known))

    async def uses(self, actor: Actor, kind: Named) -> Mapping[str, Sequence[str]]:
        """Names of a kind, as they are compared -> the flows that callers are led by and that name it."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await uses(conn, actor.tenant_id, kind)

    @staticmethod
    async def _heard(actor: Actor, sounds: Sounds) -> set[str]:
        """Recordings as `checks.problems` takes them: language/name."""
        return {
            f"{language}/{name}"
            for language in LANGUAGES
            for name in await sounds.known(actor.tenant_id, language)
        }

    async def hindrances(self, actor: Actor, name: str, version: int) -> Sequence[Problem]:
        """Why a version cannot be published: what it names is not there, or cannot be heard. What can be is
        ready to be heard afterwards. Raises NotFound."""
        actor.require(Right.CAMPAIGNS_READ)
        found = await self.version(actor, name, version)
        checked = await self.check(actor, found.text)
        if checked.problems or checked.flow is None or self._sounds is None:
            # Lines are those of a text that somebody wrote.
            problems = checked.problems
            return problems if found.source else [replace(one, line=0) for one in problems]
        unheard = await self._sounds.missing(actor.tenant_id, spoken(checked.flow))
        return [
            Problem(0, "", "not_spoken", told("{what}: {reason}", what=one.what, reason=one.reason))
            for one in unheard
        ]

    async def publish(self, actor: Actor, name: str, version: int, use: Use) -> FlowRow:
        """Have callers led by this version: those of test numbers, or all. Calls that are under way keep
        theirs. Raises NotFound, and BadFlow where something hinders it: see `hindrances`."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        if problems := await self.hindrances(actor, name, version):
            raise BadFlow(problems, name)
        async with self._database.tenant(tenant_id) as conn:
            row = await store.lock_flow(conn, tenant_id, name)
            assert row is not None, "it has a version"
            if use == "live" and await surveys.is_used(conn, tenant_id, name):
                says = (await self._version(conn, actor, name, version)).document
                if unfit := fitting.problems(loader.from_document(says, checked=False)):
                    raise BadFlow(unfit, name)
            await store.publish(conn, tenant_id, row, version, use)
            await audit.record(conn, actor, "flow.publish", f"flow:{row.id}", version=version, use=use)
            await _tell(conn, actor, row.id)
            after = await store.lock_flow(conn, tenant_id, name)
        assert after is not None
        return after

    async def here(self, actor: Actor) -> Mapping[str, Mapping[str, int]]:
        """Callers who are led or wait now: flow -> state -> how many."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await traffic.here(conn, actor.tenant_id)

    async def traffic(
        self, actor: Actor, name: str, since: datetime, until: datetime
    ) -> Mapping[str, StateTraffic]:
        """What happened in the states of a flow from one moment to another, and who is there now."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await traffic.of_flow(conn, actor.tenant_id, name, since, until)

    @staticmethod
    async def _version(conn: AsyncConnection, actor: Actor, name: str, version: int) -> Version:
        found = await store.version_of(conn, actor.tenant_id, name, version)
        if found is None:
            raise NotFound(what="version of the flow", key=f"{name} {version}")
        return found

    # -- numbers -----------------------------------------------------------------------------------------

    async def numbers(self, actor: Actor) -> list[Number]:
        """All numbers that people call."""
        actor.require(Right.CAMPAIGNS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await numbers_store.numbers(conn, actor.tenant_id)

    async def add_number(self, actor: Actor, flow: str, values: Mapping[str, Any]) -> Number:
        """Lead a number to a flow. Raises Invalid, NotFound, Conflict where somebody has it."""
        actor.require(Right.CAMPAIGNS_EDIT)
        number = dialled_digits(values["number"])
        if not NUMBER.fullmatch(number):
            raise Invalid(field="number", reason="must have 2 to 20 digits")
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                row = {**await self._checked(conn, actor, flow, values), "number": number}
                number_id = await numbers_store.add_number(conn, actor.tenant_id, row)
                await audit.record(conn, actor, "number.add", f"number:{number_id}")
                return await self._told(conn, actor, number_id)
        except IntegrityError as error:
            raise Conflict(reason=Said("the number {number} is taken", number=number)) from error

    async def change_number(
        self, actor: Actor, number_id: int, flow: str, values: Mapping[str, Any]
    ) -> Number:
        """Write a number's row anew, but for the number itself. Raises Invalid, NotFound."""
        actor.require(Right.CAMPAIGNS_EDIT)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await self._checked(conn, actor, flow, values)
            row.pop("number", None)
            if not await numbers_store.change_number(conn, actor.tenant_id, number_id, row):
                raise NotFound(what="number", key=number_id)
            await audit.record(conn, actor, "number.change", f"number:{number_id}")
            return await self._told(conn, actor, number_id)

    async def remove_number(self, actor: Actor, number_id: int) -> None:
        """Forget a number that nobody has called. Raises NotFound, Conflict."""
        actor.require(Right.CAMPAIGNS_EDIT)
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                if not await numbers_store.remove_number(conn, actor.tenant_id, number_id):
                    raise NotFound(what="number", key=number_id)
                await audit.record(conn, actor, "number.remove", f"number:{number_id}")
                await events.wake(conn, "campaigns", tenant_id=actor.tenant_id)
        except IntegrityError as error:
            raise Conflict(reason="the number was called: switch it off instead of deleting it") from error

    @staticmethod
    async def _checked(
        conn: AsyncConnection, actor: Actor, flow: str, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        row = await store.lock_flow(conn, actor.tenant_id, flow)
        if row is None:
            raise NotFound(what="flow", key=flow)
        if not await contacts.campaign_exists(conn, actor.tenant_id, values["campaign_id"]):
            raise NotFound(what="campaign", key=values["campaign_id"])
        return {**values, "flow_id": row.id}

    @staticmethod
    async def _told(conn: AsyncConnection, actor: Actor, number_id: int) -> Number:
        await events.wake(conn, "campaigns", tenant_id=actor.tenant_id)  # its campaign is somebody's now
        (number,) = await numbers_store.numbers(conn, actor.tenant_id, number_id)
        return number

    # -- calls -------------------------------------------------------------------------------------------

    async def calls(
        self,
        actor: Actor,
        which: Filter,
        *,
        before: tuple[datetime, UUID] | None = None,
        limit: int = 50,
    ) -> list[Way]:
        """Calls that came in, newest first, with their ways."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            found = await store.page(conn, actor.tenant_id, which, before=before, limit=limit)
            ways = await store.ways(conn, actor.tenant_id, [one.id for one in found])
        return [Way(one, ways.get(one.id, ())) for one in found]

    async def way(self, actor: Actor, call_id: UUID) -> Way:
        """A call with its way, also for the agent who has it on the screen. Raises NotFound, Forbidden."""
        async with self._database.tenant(actor.tenant_id) as conn:
            own = await store.is_own(conn, actor.tenant_id, call_id, actor.user_id)
            actor.require(Right.WORK if own else Right.CALLS_READ)
            found = await store.find(conn, actor.tenant_id, call_id)
            if found is None:
                raise NotFound(what="call", key=call_id)
            steps = await store.steps(conn, actor.tenant_id, call_id)
        return Way(found, steps)

    async def steps(self, actor: Actor, call_id: UUID) -> Sequence[Stepped]:
        """The way of a call through its flow, whoever called; nothing where no flow led it."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.steps(conn, actor.tenant_id, call_id)


def number_shown(actor: Actor, call: Arrived) -> str:
    """Who called, as the actor may see it."""
    return shown_number(call.e164, whole=actor.may(Right.CALLS_READ), current=call.hung_up_at is None)


async def _tell(conn: AsyncConnection, actor: Actor, flow_id: int) -> None:
    await events.emit(conn, "flow.changed", {"flow_id": flow_id}, tenant_id=actor.tenant_id)
