"""The API of the reasons for which people call."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from aiohttp import web
from pydantic import Field, StringConstraints

from dialer.errors import Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Out
from dialer.inbound.reasons import LONGEST, MOST, ReasonService

REASONS = web.AppKey("reasons", ReasonService)

routes = Routes("reasons")


class ReasonsIn(In):
    """The reasons that agents may choose from."""

    reasons: list[Annotated[Line, StringConstraints(min_length=1, max_length=LONGEST)]] = Field(
        max_length=MOST, description="in the order in which agents see them"
    )


class ReasonsOut(Out):
    """The reasons that agents may choose from."""

    reasons: list[str] = Field(description="in the order in which agents see them")


class ReasonIn(In):
    """Why somebody has called."""

    reason: Line | None = Field(max_length=LONGEST, description="one of the list; null: nothing is said")


@routes.get("/inbound/reasons")
async def reasons(call: Call) -> ReasonsOut:
    """Why people call: what agents may choose from. A flow may say others."""
    return ReasonsOut(reasons=await call.app[REASONS].reasons(call.actor))


@routes.put("/inbound/reasons", right=Right.CAMPAIGNS_EDIT, errors=(Invalid,))
async def write(call: Call, body: ReasonsIn) -> ReasonsOut:
    """Write the list anew. Calls keep the reason that they have."""
    return ReasonsOut(reasons=await call.app[REASONS].write(call.actor, body.reasons))


@routes.put("/inbound/calls/{call_id}/reason", errors=(NotFound, Invalid))
async def set_reason(call: Call, call_id: UUID, body: ReasonIn) -> None:
    """Say why somebody has called: the agent of the call during it or afterwards, a supervisor of any."""
    await call.app[REASONS].set(call.actor, call_id, body.reason)
