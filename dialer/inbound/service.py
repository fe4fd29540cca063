"""What people do with flows and numbers: write a flow, try it out, publish it, lead numbers to it; and look
at the calls that came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.calls.card import shown_number
from dialer.contacts import store as contacts
from dialer.db import events
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit import audit
from dialer.httpkit.access import Actor, Right
from dialer.httpkit.said import Said
from dialer.inbound import store
from dialer.inbound.model import NUMBER, Arrived, FlowRow, Number, Stepped, Version, dialled_digits
from ivr_flows import loader

#: In which use a version of a flow can be put.
Use = Literal["test", "live"]


@dataclass(frozen=True, slots=True)
class Way:
    """A call that came in, with its way through the flow."""

    call: Arrived
    steps: Sequence[Stepped]


class InboundService:
    """The numbers, flows and inbound calls of a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def write(self, actor: Actor, document: Mapping[str, Any]) -> Version:
        """A new draft of the flow that the document names; the first one makes the flow. Raises BadFlow with
        all that is wrong with it."""
        actor.require(Right.CAMPAIGNS_EDIT)
        flow = loader.from_document(document)
        async with self._database.tenant(actor.tenant_id) as conn:
            row = await store.lock_flow(conn, actor.tenant_id, flow.name, make=True)
            assert row is not None
            version = await store.add_version(conn, row, actor.tenant_id, document, actor.user_id)
            await audit.record(conn, actor, "flow.write", f"flow:{row.id}", version=version)
            return await self._version(conn, actor, flow.name, version)

    async def publish(self, actor: Actor, name: str, version: int, use: Use) -> FlowRow:
        """Have callers led by this version: those of test numbers, or all. Calls that are under way keep
        theirs. Raises NotFound, and BadFlow where it can no longer be read."""
        actor.require(Right.CAMPAIGNS_EDIT)
        tenant_id = actor.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            row = await store.lock_flow(conn, tenant_id, name)
            found = await self._version(conn, actor, name, version)
            assert row is not None, "it has a version"
            loader.from_document(found.document)
            await store.publish(conn, tenant_id, row, version, use)
            await audit.record(conn, actor, "flow.publish", f"flow:{row.id}", version=version, use=use)
            after = await store.lock_flow(conn, tenant_id, name)
        assert after is not None
        return after

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
            return await store.numbers(conn, actor.tenant_id)

    async def add_number(self, actor: Actor, flow: str, values: Mapping[str, Any]) -> Number:
        """Lead a number to a flow. Raises Invalid, NotFound, Conflict where somebody has it."""
        actor.require(Right.CAMPAIGNS_EDIT)
        number = dialled_digits(values["number"])
        if not NUMBER.fullmatch(number):
            raise Invalid(field="number", reason="must have 2 to 20 digits")
        try:
            async with self._database.tenant(actor.tenant_id) as conn:
                row = {**await self._checked(conn, actor, flow, values), "number": number}
                number_id = await store.add_number(conn, actor.tenant_id, row)
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
            if not await store.change_number(conn, actor.tenant_id, number_id, row):
                raise NotFound(what="number", key=number_id)
            await audit.record(conn, actor, "number.change", f"number:{number_id}")
            return await self._told(conn, actor, number_id)

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
        (number,) = await store.numbers(conn, actor.tenant_id, number_id)
        return number

    # -- calls -------------------------------------------------------------------------------------------

    async def calls(
        self, actor: Actor, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
    ) -> list[Arrived]:
        """Calls that came in, newest first."""
        actor.require(Right.CALLS_READ)
        async with self._database.tenant(actor.tenant_id) as conn:
            return await store.page(conn, actor.tenant_id, before=before, limit=limit)

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


def number_shown(actor: Actor, call: Arrived) -> str:
    """Who called, as the actor may see it."""
    return shown_number(call.e164, whole=actor.may(Right.CALLS_READ), current=call.hung_up_at is None)
