"""The API of trunks."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out
from dialer.trunks.fields import TrunkEdit, TrunkIn
from dialer.trunks.service import TrunkService

TRUNKS = web.AppKey("trunks", TrunkService)
routes = Routes("trunks")


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
