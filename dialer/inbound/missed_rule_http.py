"""The API of the rule by which missed callers are called back."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out
from dialer.inbound.missed_rule import USUAL, MissedDefault, MissedRules, Rule

MISSED_RULES = web.AppKey("missed rules", MissedRules)

routes = Routes("missed")


class MissedRuleIn(In):
    """Who is called back where nobody served them, for numbers that say nothing of it."""

    rule: Rule = Field(description="nobody, who waited in a queue, or all, those who left the flow too")
    after_s: int = Field(USUAL.after_s, ge=0, le=3600, description="after so long a wait at least")


class MissedRuleOut(Out):
    """Who is called back where nobody served them, for numbers that say nothing of it."""

    rule: Rule
    after_s: int


@routes.get("/inbound/missed-rule", right=Right.CAMPAIGNS_READ)
async def rule(call: Call) -> MissedRuleOut:
    """The rule of missed calls that holds for numbers whose own is `usual`."""
    return MissedRuleOut.model_validate(await call.app[MISSED_RULES].rule(call.actor))


@routes.put("/inbound/missed-rule", right=Right.CAMPAIGNS_EDIT)
async def write(call: Call, body: MissedRuleIn) -> MissedRuleOut:
    """Say it anew; it holds for calls that end from then on."""
    await call.app[MISSED_RULES].write(call.actor, MissedDefault(body.rule, body.after_s))
    return await rule(call)
