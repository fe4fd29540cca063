"""The API of policies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self

from aiohttp import web
from pydantic import Field

from dialer.compliance.policy import DayType, Policy
from dialer.errors import Conflict
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import Out
from dialer.policies.fields import PolicyBody, PolicyIn, VersionIn
from dialer.policies.service import PolicyService, PolicyView

POLICY_SERVICE = web.AppKey("policies", PolicyService)
routes = Routes("policies")


class PolicyOut(Out):
    """A set of rules. Parameters, not legal advice."""

    code: str
    version: int
    jurisdiction: str = Field(description="ISO country code; *: any")
    purpose: str
    title_ru: str
    title_en: str
    source: str
    read_on: date
    clock: str = Field(description="from when a person's wait for an agent counts: answer or greeting_end")
    abandon_after_s: float = Field(description="wait after which a call is abandoned, seconds")
    abandon_cap: float = Field(description="highest share of abandoned calls among those answered live")
    abandon_window_s: int = Field(description="the time over which that share is taken, seconds")
    min_ring_s: int
    working: list[str] = Field(description="local hours of working days, `09:00-21:00`; none: no calls")
    day_off: list[str] = Field(description="of weekends")
    holiday: list[str] = Field(description="of public holidays")
    holidays: list[str] = Field(description="holidays of each year besides the regions' own, MM-DD")
    regions: list[str] = Field(
        description="whose public holidays and moved days count; none: those of the called person's country"
    )
    moved: dict[date, DayType] = Field(description="days that a government moved")
    per_day: int | None = Field(
        description="attempts at a person, over all numbers, in 24 hours; null: no limit"
    )
    per_week: int | None = Field(description="attempts in 7 days; null: no limit")
    per_month: int | None = Field(description="attempts in 31 days; null: no limit")
    forbidden_modes: list[str]
    forbidden_by: str = Field(description="where that stands")
    asks_consent: bool = Field(description="a call needs a consent that is on record")
    redial_after_abandoned_s: int
    redial_after_machine_s: int
    redial_after_refusal_s: int
    label_max_length: int | None = Field(
        description="of the label that a carrier shows; null: none is asked for"
    )
    keep_days: int | None = Field(description="how long records must be kept; null: nothing is said of it")

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """The reply of one policy."""
        values = PolicyBody.values_of(policy) | {"code": policy.code, "version": policy.version}
        return cls.model_validate({name: values[name] for name in cls.model_fields})


class VersionOut(Out):
    """One version."""

    policy: PolicyOut
    created_at: datetime | None = Field(description="null: it came with the server")
    by: str | None = Field(description="who wrote it, by the present name")


class PolicyPast(Out):
    """A policy with its past."""

    policy: PolicyOut = Field(description="the newest version")
    own: bool = Field(description="it can have further versions; else it comes with the server")
    versions: list[VersionOut] = Field(description="the newest first")

    @classmethod
    def of_view(cls, view: PolicyView) -> Self:
        """The reply."""
        versions = [
            VersionOut(policy=PolicyOut.of(one.policy), created_at=one.created_at, by=one.by)
            for one in view.versions
        ]
        return cls(policy=PolicyOut.of(view.policy), own=view.own, versions=versions)


@routes.get("/policies", right=Right.CAMPAIGNS_READ)
async def policies(call: Call) -> list[PolicyOut]:
    """The rules that a campaign can follow, in their newest versions. Parameters, not legal advice."""
    return [PolicyOut.of(each) for each in await call.app[POLICY_SERVICE].policies(call.actor)]


@routes.get("/policies/{code}", right=Right.CAMPAIGNS_READ)
async def policy(call: Call, code: str) -> PolicyPast:
    """One policy with all its versions."""
    return PolicyPast.of_view(await call.app[POLICY_SERVICE].policy(call.actor, code))


@routes.post("/policies", right=Right.COMPLIANCE_EDIT, status=201, errors=(Conflict,), idempotent=False)
async def create(call: Call, body: PolicyIn) -> PolicyPast:
    """Make a policy of one's own."""
    return PolicyPast.of_view(await call.app[POLICY_SERVICE].create(call.actor, body))


@routes.post(
    "/policies/{code}/versions", right=Right.COMPLIANCE_EDIT, status=201, errors=(Conflict,), idempotent=False
)
async def next_version(call: Call, code: str, body: VersionIn) -> PolicyPast:
    """Write the next version of a policy of one's own; what was made under the others keeps them."""
    return PolicyPast.of_view(await call.app[POLICY_SERVICE].next_version(call.actor, code, body))
