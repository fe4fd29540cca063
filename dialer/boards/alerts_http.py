"""The API of alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from aiohttp import web
from pydantic import Field

from dialer.boards.alerting import USUAL, Alert, AlertRule, Kind
from dialer.boards.alerts import AlertService
from dialer.errors import Conflict, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Out

ALERTS = web.AppKey("alerts", AlertService)
routes = Routes("board")


class AlertRuleIn(In):
    """What is watched."""

    kind: Kind
    threshold: float | None = Field(
        None,
        allow_inf_nan=False,
        description="share of the policy's limit (abandon_share), seconds (wait, no_agent), minutes "
        "(list_ends, pause_over), share (service_level); null: the usual one",
    )
    campaign_id: int | None = Field(
        None, ge=1, le=MAX_ID, description="abandon_share, no_agent, list_ends: null is each that runs"
    )
    queue_id: int | None = Field(None, ge=1, le=MAX_ID, description="wait, service_level: null is each")

    @property
    def asked(self) -> float:
        """The threshold, or the usual one."""
        return USUAL[self.kind] if self.threshold is None else self.threshold


class AlertRuleOut(Out):
    """When a supervisor is called."""

    id: int
    kind: Kind
    threshold: float
    campaign_id: int | None
    queue_id: int | None

    @classmethod
    def of(cls, rule: AlertRule) -> Self:
        """The reply of a rule."""
        return cls.model_validate(rule)


class AlertOut(Out):
    """A supervisor is called, or was."""

    id: int
    kind: Kind
    about: str = Field(description="the campaign, queue, trunk or agent")
    value: float = Field(description="in the unit of the threshold")
    threshold: float
    since: datetime = Field(description="since when it is so")
    raised_at: datetime
    ended_at: datetime | None = Field(description="null: it still is")

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """The reply of an alert."""
        return cls.model_validate(alert)


@routes.get("/alert-rules", right=Right.REPORTS_READ)
async def rules(call: Call) -> list[AlertRuleOut]:
    """When supervisors are called."""
    return [AlertRuleOut.of(one) for one in await call.app[ALERTS].rules(call.actor)]


@routes.post("/alert-rules", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Invalid, NotFound, Conflict))
async def add(call: Call, body: AlertRuleIn) -> AlertRuleOut:
    """Watch over something more: it is looked at every five seconds."""
    made = await call.app[ALERTS].add(
        call.actor, body.kind, body.asked, campaign_id=body.campaign_id, queue_id=body.queue_id
    )
    return AlertRuleOut.of(made)


@routes.delete("/alert-rules/{rule_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound,))
async def remove(call: Call, rule_id: int) -> None:
    """Watch over it no more; its alerts go with it."""
    await call.app[ALERTS].remove(call.actor, rule_id)


@routes.get("/alerts/now", right=Right.REPORTS_READ)
async def now(call: Call) -> list[AlertOut]:
    """What supervisors are called for, newest first."""
    return [AlertOut.of(one) for one in await call.app[ALERTS].now(call.actor)]


@routes.get("/alerts", right=Right.REPORTS_READ)
async def alerts(call: Call, query: PageQuery) -> Page[AlertOut]:
    """What supervisors were called for, newest first."""
    after = decode(query.cursor, int)
    found = await call.app[ALERTS].latest(
        call.actor, before=after[0] if after else None, limit=query.limit + 1
    )
    shown, following = cut(found, query.limit, lambda one: (one.id,))
    return Page[AlertOut](items=[AlertOut.of(one) for one in shown], next=following)
