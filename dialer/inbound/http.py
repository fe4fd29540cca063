"""Numbers, flows and calls that came in, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import quote
from uuid import UUID

from aiohttp import web
from pydantic import Field, StringConstraints, model_validator

from dialer.errors import BadFlow, Conflict, Invalid, NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import PREFIX, Call, Routes
from dialer.httpkit.schema import In, Line, Out
from dialer.inbound.model import Arrived, Filter, MissedRule, Version, dialled_digits
from dialer.inbound.screen import Screens
from dialer.inbound.service import InboundService, Use, Way, number_shown
from ivr_flows.yamlfile import MOST_BYTES

INBOUND = web.AppKey("inbound", InboundService)
SCREENS = web.AppKey("screens", Screens)

routes = Routes("inbound")

#: RFC 9512
YAML: Final = "application/yaml"


class FlowIn(In):
    """A flow."""

    document: dict[str, Any] | None = Field(None, description="as docs/flows.md has it; it names the flow")
    yaml: Annotated[str, StringConstraints(strip_whitespace=False)] | None = Field(
        None, max_length=MOST_BYTES, description="the same as YAML, in its place; its comments are kept"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.yaml is None):
            raise ValueError("either document or yaml is given")
        return self


class PublishIn(In):
    """Where a version of a flow is used."""

    use: Use = Field(description="live: by all numbers; test: by the numbers that try it out")


class FlowOut(Out):
    """A flow."""

    id: int
    name: str
    live_version: int | None = Field(description="null: none was published")
    test_version: int | None
    last_version: int | None


class VersionOut(Out):
    """What a flow says in a version."""

    flow: str
    version: int
    state: Literal["draft", "test", "live", "retired"]
    document: dict[str, Any]
    made_by: int | None
    made_at: datetime


class NumberEdit(In):
    """What becomes of who calls a number."""

    name: Line = Field("", max_length=100)
    flow: Line = Field(max_length=63)
    campaign_id: int = Field(
        ge=1, le=MAX_ID, description="whose dispositions, recording and wrap-up limit its talks have"
    )
    queue: Line = Field("", max_length=100, description="where callers wait if the flow names no queue")
    test: bool = Field(False, description="goes through the version of the flow that is tried out")
    active: bool = True
    missed_rule: MissedRule = Field(
        "usual",
        description="who is called back where nobody served them: as `/inbound/missed-rule` says, nobody, who"
        " waited in a queue, or all, those who left the flow too",
    )
    missed_after_s: int = Field(
        10, ge=0, le=3600, description="after so long a wait at least; not where the rule is `usual`"
    )


class NumberIn(NumberEdit):
    """A number that people call."""

    number: str = Field(max_length=40, description="as the trunk sends it, with or without a plus")


class NumberOut(Out):
    """A number that people call."""

    id: int
    number: str
    name: str
    flow: str
    campaign_id: int
    queue: str
    test: bool
    active: bool
    missed_rule: MissedRule
    missed_after_s: int


class ArrivedOut(Out):
    """A call that came in."""

    id: UUID
    dialled: str
    number: str = Field(description="E.164; masked for an agent; empty: withheld")
    flow: str
    flow_version: int
    campaign_id: int
    contact_id: int | None
    state: str
    result: str | None
    queue: str | None = Field(description="where the caller waited, the last time")
    reason: str | None = Field(description="why they called")
    collected: dict[str, Any] = Field(description="what was pressed, by name")
    agent: str | None
    detail: str | None
    created_at: datetime
    queued_at: datetime | None
    connected_at: datetime | None
    hung_up_at: datetime | None

    @classmethod
    def of(cls, call: Call, arrived: Arrived) -> Self:
        """The reply of a call."""
        plain = {name: getattr(arrived, name) for name in cls.model_fields if name != "number"}
        return cls.model_validate(plain | {"number": number_shown(call.actor, arrived)})


class StepOut(Out):
    """A state of the flow that the caller was in."""

    flow: str
    state: str
    event: str | None = Field(description="by which it was left; null: the caller is there")
    at: datetime
    collected: dict[str, Any]


class WayOut(Out):
    """A call that came in, with its way through the flow."""

    call: ArrivedOut
    steps: list[StepOut]

    @classmethod
    def of(cls, call: Call, way: Way) -> Self:
        """The reply of a call."""
        steps = [StepOut.model_validate(step) for step in way.steps]
        return cls(call=ArrivedOut.of(call, way.call), steps=steps)


@routes.get("/inbound/flows", right=Right.CAMPAIGNS_READ)
async def flows(call: Call) -> list[FlowOut]:
    """All flows, by name."""
    return [FlowOut.model_validate(one) for one in await call.app[INBOUND].flows(call.actor)]


@routes.post(
    "/inbound/flows",
    right=Right.CAMPAIGNS_EDIT,
    status=201,
    errors=(BadFlow,),
    takes={YAML: "yaml"},
    gives=YAML,
)
async def write(call: Call, body: FlowIn) -> VersionOut | web.StreamResponse:
    """A new draft of the flow that the document names. Nobody is led by it before it is published.

    The body may be the flow itself as YAML (`Content-Type: application/yaml`). With `Accept:
    application/yaml` the reply is the draft as YAML, and `Location` says where it is.
    """
    written = body.document if body.document is not None else body.yaml or ""
    return _told(call, await call.app[INBOUND].write(call.actor, written))


@routes.get("/inbound/flows/{name}/versions", right=Right.CAMPAIGNS_READ, errors=(NotFound,))
async def versions(call: Call, name: str) -> list[VersionOut]:
    """All versions of a flow, newest first."""
    return [VersionOut.model_validate(one) for one in await call.app[INBOUND].versions(call.actor, name)]


# Before the next one, which would take `.yaml` for a part of the version.
@routes.get(
    "/inbound/flows/{name}/versions/{version}.yaml",
    right=Right.CAMPAIGNS_READ,
    raw=YAML,
    errors=(NotFound,),
)
async def version_text(call: Call, name: str, version: int) -> web.StreamResponse:
    """What a flow says in a version, as YAML: with its comments where it was written so."""
    return _text(await call.app[INBOUND].version(call.actor, name, version))


@routes.get(
    "/inbound/flows/{name}/versions/{version}", right=Right.CAMPAIGNS_READ, errors=(NotFound,), gives=YAML
)
async def version(call: Call, name: str, version: int) -> VersionOut | web.StreamResponse:
    """What a flow says in a version; with `Accept: application/yaml` its text alone."""
    return _told(call, await call.app[INBOUND].version(call.actor, name, version))


def _told(call: Call, version: Version) -> VersionOut | web.StreamResponse:
    """As the caller would have it."""
    if not call.wants(YAML):
        return VersionOut.model_validate(version)
    path = f"{PREFIX}/inbound/flows/{quote(version.flow, safe='')}/versions/{version.version}"
    call.header("Location", path)
    return _text(version)


def _text(version: Version) -> web.StreamResponse:
    return web.Response(text=version.text, content_type=YAML, charset="utf-8")


@routes.post(
    "/inbound/flows/{name}/versions/{version}/publish",
    right=Right.CAMPAIGNS_EDIT,
    errors=(NotFound, BadFlow),
)
async def publish(call: Call, name: str, version: int, body: PublishIn) -> FlowOut:
    """Have callers led by a version. A call that is under way keeps the version that it began with."""
    return FlowOut.model_validate(await call.app[INBOUND].publish(call.actor, name, version, body.use))


@routes.get("/inbound/numbers", right=Right.CAMPAIGNS_READ)
async def numbers(call: Call) -> list[NumberOut]:
    """All numbers that people call."""
    return [NumberOut.model_validate(one) for one in await call.app[INBOUND].numbers(call.actor)]


@routes.post("/inbound/numbers", right=Right.CAMPAIGNS_EDIT, status=201, errors=(Invalid, NotFound, Conflict))
async def add_number(call: Call, body: NumberIn) -> NumberOut:
    """Lead a number to a flow."""
    values = body.model_dump(exclude={"flow"})
    return NumberOut.model_validate(await call.app[INBOUND].add_number(call.actor, body.flow, values))


@routes.put("/inbound/numbers/{number_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound,))
async def change_number(call: Call, number_id: int, body: NumberEdit) -> NumberOut:
    """Say anew what becomes of who calls a number."""
    values = body.model_dump(exclude={"flow"})
    return NumberOut.model_validate(
        await call.app[INBOUND].change_number(call.actor, number_id, body.flow, values)
    )


@routes.delete("/inbound/numbers/{number_id}", right=Right.CAMPAIGNS_EDIT, errors=(NotFound, Conflict))
async def remove_number(call: Call, number_id: int) -> None:
    """Forget a number that nobody has called; one that was called is switched off instead."""
    await call.app[INBOUND].remove_number(call.actor, number_id)


class CallsQuery(PageQuery):
    """Which calls that came in."""

    dialled: Line | None = Field(None, max_length=40, description="our number that was called")
    queue: Line | None = Field(None, max_length=100)
    result: Line | None = Field(None, max_length=40)
    since: datetime | None = Field(None, description="from this moment on")
    until: datetime | None = Field(None, description="before this moment")


@routes.get("/inbound/calls", right=Right.CALLS_READ)
async def calls(call: Call, query: CallsQuery) -> Page[ArrivedOut]:
    """Calls that came in, newest first."""
    key = decode(query.cursor, datetime, UUID)
    before = (key[0], key[1]) if key else None
    which = Filter(
        dialled=dialled_digits(query.dialled) if query.dialled else None,
        queue=query.queue,
        result=query.result,
        since=query.since,
        until=query.until,
    )
    found = await call.app[INBOUND].calls(call.actor, which, before=before, limit=query.limit + 1)
    page, following = cut(found, query.limit, lambda one: (one.call.created_at, one.call.id))
    return Page[ArrivedOut](items=[ArrivedOut.of(call, one.call) for one in page], next=following)


@routes.get("/inbound/calls/{call_id}", errors=(NotFound,))
async def way(call: Call, call_id: UUID) -> WayOut:
    """A call that came in, with its way through the flow; also for the agent who has it."""
    return WayOut.of(call, await call.app[INBOUND].way(call.actor, call_id))
