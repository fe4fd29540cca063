"""The decisions of the pacing loop, kept with what they were made from: why was nothing dialled then?"""

from __future__ import annotations

from dialer.calls.terms import CallTerms
from dialer.clock import utc_now
from dialer.db import events
from dialer.db.prepared import Prepared
from dialer.db.session import Database, encode_json
from dialer.pacing.model import Plan

_TICK = Prepared(
    """
    INSERT INTO pacing_tick (tenant_id, campaign_id, at, node, dial, why, inputs)
    VALUES (:tenant_id, :campaign_id, :at, :node, :dial, :why, :inputs)
    """
)


async def keep(database: Database, terms: CallTerms, decision: Plan, node: str) -> None:
    """Keep what was decided for a campaign at a node."""
    tenant_id, campaign_id = terms.tenant_id, terms.campaign_id
    said = {"node": node, "dial": decision.dial, "why": decision.why}
    inputs = dict(decision.inputs)
    async with database.tenant(tenant_id) as conn:
        await _TICK.run(
            conn,
            tenant_id=tenant_id,
            campaign_id=campaign_id,
            at=utc_now(),
            inputs=encode_json(inputs),
            **said,
        )
        payload = {"campaign_id": campaign_id, **said, "inputs": inputs}
        await events.emit(conn, "campaign.pace", payload, tenant_id=tenant_id, campaign_id=campaign_id)
