"""The API of proofs: what showed that a call might be made."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.calls.http import LogQuery, log_filter
from dialer.calls.proofs import Proofs
from dialer.errors import BadNumber
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out

PROOFS = web.AppKey("proofs", Proofs)
routes = Routes("calls")


class ProofOut(Out):
    """What showed that a call might be made."""

    attempt_id: str
    made_at: datetime
    number: str
    campaign_id: int
    mode: str
    clicked_by: int | None = Field(description="preview and manual: the user who started it")
    policy: str = Field(description="code and version, as `us-tsr/1`; GET /policies/{code} has its numbers")
    evidence: dict[str, Any] | None = Field(
        description="when the rules were asked, local times, open hours (UTC), attempts that counted, "
        "purpose, consent; null: made before such was kept"
    )


@routes.get("/calls/{attempt_id}/evidence", right=Right.CALLS_READ)
async def one(call: Call, attempt_id: UUID) -> ProofOut:
    """Of one attempt."""
    proof = await call.app[PROOFS].one(call.actor, attempt_id)
    return ProofOut(
        attempt_id=str(proof.call.id),
        made_at=proof.call.created_at,
        number=proof.call.e164,
        campaign_id=proof.call.campaign_id,
        mode=proof.call.mode,
        clicked_by=proof.call.clicked_by,
        policy=proof.call.policy,
        evidence=dict(proof.evidence) if proof.evidence is not None else None,
    )


@routes.get("/evidence.csv", right=Right.CALLS_READ, raw="text/csv", errors=(BadNumber,))
async def file(call: Call, query: LogQuery) -> web.StreamResponse:
    """Of all attempts at a number, of a campaign, of a time, as CSV, oldest first."""
    which = log_filter(call, query)
    reply = web.StreamResponse(
        headers={
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="evidence.csv"',
            "Cache-Control": "no-store",
        }
    )
    await reply.prepare(call.request)
    async for piece in call.app[PROOFS].file(call.actor, which):
        await reply.write(piece)
    await reply.write_eof()
    return reply
