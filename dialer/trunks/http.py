"""The API of trunks."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out
from dialer.trunks.caps import TYPED_PER_HOUR
from dialer.trunks.fields import CapsIn, TrunkEdit, TrunkIn
from dialer.trunks.service import TrunkService

TRUNKS = web.AppKey("trunks", TrunkService)
routes = Routes("trunks")


class RateOut(Out):
    """What the carrier takes for a call to numbers that begin so."""

    prefix: str
    per_minute: Decimal
    per_call: Decimal


class HealthOut(Out):
    """How a trunk is."""

    state: Literal["good", "bad"] = Field(
        description="bad: the carrier fails calls; they go over the next trunk, but for a probe now and then"
    )
    since: datetime | None
    why: str | None = Field(
        description="of the last fault: a SIP code, a Q.850 cause, no_response, not_placed; or unreachable: "
        "the carrier does not answer Asterisk's OPTIONS, and no call goes over it"
    )


class CapsOut(Out):
    """A tenant's caps over all its trunks, and what these carry now. null: no cap."""

    max_channels: int | None
    max_cps: float | None
    max_spend_per_day: Decimal | None
    max_typed_per_hour: int | None = Field(
        description=f"numbers that one agent may type by hand in an hour; null: {TYPED_PER_HOUR}"
    )
    channels: int = Field(description="calls on the lines")
    spent_today: Decimal = Field(description="with what is reserved for the calls on the lines")


class TrunkOut(Out):
    """A trunk. Its password is not among the fields, only whether there is one."""

    id: int
    name: str
    endpoint: str = Field(description="PJSIP endpoint in Asterisk")
    caller_id: str
    max_channels: int
    max_cps: float
    allowed_prefixes: list[str]
    dial_format: str
    codecs: list[str]
    sip_host: str | None
    sip_port: int | None
    sip_user: str | None
    has_secret: bool
    enabled: bool
    created_at: datetime
    max_spend_per_day: Decimal | None
    rates: list[RateOut]
    channels: int = Field(description="calls on its lines")
    spent_today: Decimal = Field(description="with what is reserved for the calls on its lines")
    health: HealthOut


@routes.get("/trunks", right=Right.TRUNKS_READ)
async def list_(call: Call) -> list[TrunkOut]:
    """All trunks, by name."""
    return [TrunkOut.model_validate(row) for row in await call.app[TRUNKS].trunks(call.actor)]


@routes.post("/trunks", right=Right.TRUNKS_EDIT, status=201, errors=(Conflict,), idempotent=False)
async def create(call: Call, body: TrunkIn) -> TrunkOut:
    """Make a trunk."""
    return TrunkOut.model_validate(await call.app[TRUNKS].create(call.actor, body))


@routes.get("/trunks/{trunk_id}", right=Right.TRUNKS_READ)
async def get(call: Call, trunk_id: int) -> TrunkOut:
    """One trunk."""
    return TrunkOut.model_validate(await call.app[TRUNKS].trunk(call.actor, trunk_id))


@routes.patch("/trunks/{trunk_id}", right=Right.TRUNKS_EDIT, errors=(Conflict,))
async def edit(call: Call, trunk_id: int, body: TrunkEdit) -> TrunkOut:
    """Change a trunk; fields that are left out stay."""
    return TrunkOut.model_validate(await call.app[TRUNKS].edit(call.actor, trunk_id, body))


@routes.delete("/trunks/{trunk_id}", right=Right.TRUNKS_EDIT, errors=(Conflict,))
async def delete(call: Call, trunk_id: int) -> None:
    """Remove a trunk that was never used; others can be switched off."""
    await call.app[TRUNKS].delete(call.actor, trunk_id)


@routes.get("/caps", right=Right.TRUNKS_READ)
async def caps(call: Call) -> CapsOut:
    """The caps over all trunks, and what these carry."""
    return CapsOut.model_validate(await call.app[TRUNKS].caps(call.actor))


@routes.patch("/caps", right=Right.TRUNKS_EDIT)
async def set_caps(call: Call, body: CapsIn) -> CapsOut:
    """Change the caps over all trunks; fields that are left out stay."""
    return CapsOut.model_validate(await call.app[TRUNKS].set_caps(call.actor, body))
