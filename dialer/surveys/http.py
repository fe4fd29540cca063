"""The API of surveys after talks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.errors import NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out
from dialer.surveys.model import Which
from dialer.surveys.service import SurveyService

SURVEYS = web.AppKey("surveys", SurveyService)
routes = Routes("surveys")

Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class SurveysQuery(PageQuery):
    """Which surveys."""

    agent: Id | None = None
    campaign: Id | None = None
    flow: Line | None = Field(None, max_length=100, description="by its name")
    since: Moment | None = Field(None, alias="from", description="begun at this moment or later")
    until: Moment | None = Field(None, description="begun before this moment")


class SurveyFiguresQuery(In):
    """Of which surveys."""

    agent: Id | None = None
    campaign: Id | None = None
    flow: Line | None = Field(None, max_length=100, description="by its name")
    since: Moment | None = Field(None, alias="from", description="begun at this moment or later")
    until: Moment | None = Field(None, description="begun before this moment")


class SurveyOut(Out):
    """What a customer has said of a talk."""

    call_id: UUID = Field(description="see `/calls/{id}`")
    agent_id: int = Field(description="who had the talk")
    agent: str
    campaign_id: int
    campaign: str
    flow: str = Field(description="that asked, by its name")
    version: int
    began_at: datetime
    finished: bool = Field(description="the flow came to its end; else the customer has hung up in it")
    answers: Mapping[str, object] = Field(description="by variable of the flow")


class AnswersOut(Out):
    """What customers have answered to one question."""

    customers: int = Field(description="how many have answered it")
    mean: float | None = Field(description="null: not all answers are numbers")
    given: Mapping[str, int] = Field(description="answer to how many have given it, the most frequent first")


class SurveyFigureOut(Out):
    """What the customers of an agent have said, by one flow."""

    flow: str
    agent_id: int
    agent: str
    surveys: int = Field(description="customers who were asked")
    answered: int = Field(description="of them, who have answered at least one question")
    finished: int = Field(description="of them, who went on to the end")
    questions: Mapping[str, AnswersOut] = Field(description="by variable of the flow")


@routes.get("/surveys", right=Right.REVIEWS_READ)
async def list_(call: Call, query: SurveysQuery) -> Page[SurveyOut]:
    """What customers have said of talks in the survey after them, newest first."""
    which = Which(query.agent, query.campaign, query.flow, query.since, query.until)
    key = decode(query.cursor, datetime, UUID)
    found = await call.app[SURVEYS].surveys(
        call.actor, which, after=(key[0], key[1]) if key else None, limit=query.limit + 1
    )
    page, following = cut(found, query.limit, lambda one: (one.began_at, one.call_id))
    return Page[SurveyOut](items=[SurveyOut.model_validate(one) for one in page], next=following)


@routes.get("/surveys/figures", right=Right.REVIEWS_READ)
async def figures(call: Call, query: SurveyFiguresQuery) -> list[SurveyFigureOut]:
    """What customers have said, by flow and agent."""
    which = Which(query.agent, query.campaign, query.flow, query.since, query.until)
    found = await call.app[SURVEYS].figures(call.actor, which)
    return [SurveyFigureOut.model_validate(one) for one in found]


@routes.get("/calls/{attempt_id}/survey", right=Right.REVIEWS_READ, errors=(NotFound,))
async def of_call(call: Call, attempt_id: UUID) -> SurveyOut:
    """What the customer of a call has said of the talk."""
    found = await call.app[SURVEYS].of_call(call.actor, attempt_id)
    if found is None:
        raise NotFound(what="survey after the call", key=attempt_id)
    return SurveyOut.model_validate(found)
