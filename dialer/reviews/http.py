"""The quality of talks over HTTP: forms, scores, figures, drawn calls, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from aiohttp import web
from pydantic import Field

from dialer.errors import Conflict, Invalid, NotFound, WrongState
from dialer.httpkit.access import Right
from dialer.httpkit.paging import MAX_ID, Page, PageQuery, cut, decode
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Line, Moment, Out, form
from dialer.reviews.forms import FormService
from dialer.reviews.model import Calibration, Criterion
from dialer.reviews.service import Calibrated, ReviewService

REVIEWS = web.AppKey("reviews", ReviewService)
REVIEW_FORMS = web.AppKey("review_forms", FormService)
routes = Routes("reviews")

Id = Annotated[int, Field(ge=1, le=MAX_ID)]


class CriterionIn(In):
    """One thing that is scored."""

    key: str = Field(
        pattern=form(
            r"^[a-z][a-z0-9_]{0,29}$", "must be 1 to 30 characters of a-z, 0-9 and _, a letter first"
        ),
        description="by which scores name it",
    )
    title: Line = Field(min_length=1, max_length=100)
    hint: Line = Field("", max_length=500, description="what is meant")
    weight: int = Field(1, ge=1, le=100, description="how much it counts beside the others")
    most: int = Field(5, ge=1, le=10, description="0 to so many points")

    def made(self) -> Criterion:
        """As the rules have it."""
        return Criterion(self.key, self.title, self.hint, self.weight, self.most)


class FormIn(In):
    """A form."""

    name: Line = Field(min_length=1, max_length=100)
    criteria: list[CriterionIn] = Field(min_length=1, max_length=40)


class FormEdit(FormIn):
    """A form as it is from now on."""

    active: bool = Field(True, description="false: put aside, nobody scores by it")


class CriterionOut(Out):
    """One thing that is scored."""

    key: str
    title: str
    hint: str
    weight: int
    most: int


class FormOut(Out):
    """A form in one version."""

    id: int
    name: str
    version: int
    active: bool
    criteria: list[CriterionOut]


class ScoresIn(In):
    """What somebody says of a talk."""

    scores: dict[str, int | None] = Field(
        max_length=40, description="points by criterion; null or left out: it did not come up"
    )
    comment: str = Field("", max_length=2000)


class ReviewOut(Out):
    """What one person has scored one call."""

    id: int
    call_id: UUID = Field(description="see `/calls/{id}`")
    agent_id: int | None
    agent: str | None
    form_id: int
    form: str
    version: int
    scorer_id: int
    scorer: str
    scores: Mapping[str, int | None]
    total: float = Field(description="0 to 100: the share of points by weight, of what came up")
    comment: str
    made_at: datetime
    changed_at: datetime | None


class ReviewsQuery(PageQuery):
    """Which scores."""

    agent: Id | None = None
    form: Id | None = None
    since: Moment | None = Field(None, alias="from", description="made at this moment or later")
    until: Moment | None = Field(None, description="made before this moment")


class FiguresQuery(In):
    """Of which scores."""

    agent: Id | None = None
    since: Moment | None = Field(None, alias="from", description="made at this moment or later")
    until: Moment | None = Field(None, description="made before this moment")


class FigureOut(Out):
    """What an agent's talks were scored by a form, on the average."""

    agent_id: int
    agent: str
    form_id: int
    form: str
    reviews: int
    total: float = Field(description="0 to 100")
    criteria: Mapping[str, float] = Field(description="by key: 0 to 100")


class PlanIn(In):
    """How many calls of each agent are drawn each week."""

    form_id: Id
    calls: int = Field(ge=1, le=50, description="of an agent, a week")
    campaign_id: Id | None = Field(None, description="null: of all campaigns")
    least_s: int = Field(0, ge=0, le=3600, description="shorter recordings are not drawn")


class PlanEdit(In):
    """Whether it draws."""

    active: bool


class PlanOut(Out):
    """How many calls of each agent are drawn each week."""

    id: int
    form_id: int
    form: str
    campaign_id: int | None
    campaign: str | None
    calls: int
    least_s: int
    active: bool
    drawn_week: date | None = Field(description="the Monday of the last week that was drawn from")


class TasksQuery(In):
    """Which drawn calls."""

    open: bool | None = Field(None, description="true: those that nobody has scored yet")


class TaskOut(Out):
    """A call that was drawn to be scored."""

    plan_id: int
    call_id: UUID
    form_id: int
    form: str
    agent_id: int
    agent: str
    campaign: str
    started_at: datetime
    duration_s: float | None = Field(description="of the recording; null: it is gone")
    week: date
    scorer: str | None = Field(description="null: nobody has scored it yet")
    total: float | None


class CalibrationIn(In):
    """A call that several people are to score."""

    form_id: Id
    reason: Line = Field("", max_length=500)


class CalibrationOut(Out):
    """A call that several people score, blind to each other until it is closed."""

    id: int
    call_id: UUID
    form_id: int
    form: str
    version: int
    reason: str
    opened_by: str | None
    opened_at: datetime
    closed_at: datetime | None
    scorers: int = Field(description="how many have scored")


class SpreadOut(Out):
    """How far scorers are apart."""

    least: float
    most: float
    mean: float
    width: float


class CalibratedOut(CalibrationOut):
    """What a calibration has come to."""

    reviews: list[ReviewOut] = Field(description="of all once it is closed; before, one's own")
    total: SpreadOut | None = Field(description="0 to 100; null: open, or nobody has scored")
    criteria: Mapping[str, SpreadOut] = Field(description="by key: points")

    @classmethod
    def of(cls, found: Calibrated) -> Self:
        """The reply of a calibration."""
        plain = {name: getattr(found.calibration, name) for name in CalibrationOut.model_fields}
        return cls.model_validate(
            {
                **plain,
                "reviews": [ReviewOut.model_validate(one) for one in found.reviews],
                "total": SpreadOut.model_validate(found.total) if found.total else None,
                "criteria": {key: SpreadOut.model_validate(one) for key, one in found.criteria.items()},
            }
        )


# -- forms and plans -----------------------------------------------------------------------------------------


@routes.get("/reviews/forms")
async def forms(call: Call) -> list[FormOut]:
    """Forms in their present version; those in use first."""
    return [FormOut.model_validate(one) for one in await call.app[REVIEW_FORMS].forms(call.actor)]


@routes.post("/reviews/forms", right=Right.REVIEWS_EDIT, status=201, errors=(Invalid, Conflict))
async def add_form(call: Call, body: FormIn) -> FormOut:
    """Make a form."""
    criteria = [one.made() for one in body.criteria]
    return FormOut.model_validate(await call.app[REVIEW_FORMS].add(call.actor, body.name, criteria))


@routes.put("/reviews/forms/{form_id}", right=Right.REVIEWS_EDIT, errors=(NotFound, Invalid, Conflict))
async def change_form(call: Call, form_id: int, body: FormEdit) -> FormOut:
    """Change a form. Other criteria are a new version; scores stay with theirs."""
    criteria = [one.made() for one in body.criteria]
    changed = await call.app[REVIEW_FORMS].change(
        call.actor, form_id, body.name, criteria, active=body.active
    )
    return FormOut.model_validate(changed)


@routes.get("/reviews/forms/{form_id}/versions/{version}", errors=(NotFound,))
async def form_version(call: Call, form_id: int, version: int) -> FormOut:
    """A form as it was."""
    return FormOut.model_validate(
        await call.app[REVIEW_FORMS].form(call.actor, form_id, min(version, 2**31 - 1))
    )


@routes.get("/reviews/plans", right=Right.REVIEWS_READ)
async def plans(call: Call) -> list[PlanOut]:
    """How many calls of whom are drawn each week."""
    return [PlanOut.model_validate(one) for one in await call.app[REVIEW_FORMS].plans(call.actor)]


@routes.post("/reviews/plans", right=Right.REVIEWS_EDIT, status=201, errors=(NotFound,))
async def add_plan(call: Call, body: PlanIn) -> PlanOut:
    """Have calls drawn of each week when it is over; each recorded talk of an agent is as likely as any."""
    made = await call.app[REVIEW_FORMS].add_plan(
        call.actor, body.form_id, body.calls, campaign_id=body.campaign_id, least_s=body.least_s
    )
    return PlanOut.model_validate(made)


@routes.patch("/reviews/plans/{plan_id}", right=Right.REVIEWS_EDIT, errors=(NotFound,))
async def switch_plan(call: Call, plan_id: int, body: PlanEdit) -> PlanOut:
    """Draw, or draw no more."""
    return PlanOut.model_validate(
        await call.app[REVIEW_FORMS].switch_plan(call.actor, plan_id, active=body.active)
    )


@routes.delete("/reviews/plans/{plan_id}", right=Right.REVIEWS_EDIT, errors=(NotFound,))
async def drop_plan(call: Call, plan_id: int) -> None:
    """Take a plan away, with the calls that it has drawn; scores stay."""
    await call.app[REVIEW_FORMS].drop_plan(call.actor, plan_id)


# -- scores --------------------------------------------------------------------------------------------------


@routes.get("/reviews")
async def list_(call: Call, query: ReviewsQuery) -> Page[ReviewOut]:
    """What talks were scored, newest first. An agent has those of the own talks. Scores of calibrations are
    not among them."""
    key = decode(query.cursor, datetime, int)
    found = await call.app[REVIEWS].reviews(
        call.actor,
        agent_id=query.agent,
        form_id=query.form,
        since=query.since,
        until=query.until,
        after=(key[0], key[1]) if key else None,
        limit=query.limit + 1,
    )
    page, following = cut(found, query.limit, lambda one: (one.made_at, one.id))
    return Page[ReviewOut](items=[ReviewOut.model_validate(one) for one in page], next=following)


@routes.get("/reviews/figures")
async def figures(call: Call, query: FiguresQuery) -> list[FigureOut]:
    """What talks were scored on the average, by agent and form. An agent has the own."""
    found = await call.app[REVIEWS].figures(
        call.actor, agent_id=query.agent, since=query.since, until=query.until
    )
    return [FigureOut.model_validate(one) for one in found]


@routes.get("/calls/{call_id}/reviews", errors=(NotFound,))
async def of_call(call: Call, call_id: UUID) -> list[ReviewOut]:
    """What a call was scored."""
    return [ReviewOut.model_validate(one) for one in await call.app[REVIEWS].of_call(call.actor, call_id)]


@routes.put(
    "/calls/{call_id}/reviews/{form_id}",
    right=Right.REVIEWS_SCORE,
    errors=(NotFound, Invalid, WrongState),
)
async def score(call: Call, call_id: UUID, form_id: int, body: ScoresIn) -> ReviewOut:
    """Score a call by a form, in place of what the same person has scored it before."""
    made = await call.app[REVIEWS].score(call.actor, call_id, form_id, body.scores, body.comment)
    return ReviewOut.model_validate(made)


@routes.get("/reviews/tasks", right=Right.REVIEWS_READ)
async def tasks(call: Call, query: TasksQuery) -> list[TaskOut]:
    """Calls that were drawn to be scored in the last three months, the newest 500."""
    found = await call.app[REVIEWS].tasks(call.actor, open_=query.open)
    return [TaskOut.model_validate(one) for one in found]


# -- calibration ---------------------------------------------------------------------------------------------


def _out(one: Calibration) -> CalibrationOut:
    return CalibrationOut.model_validate(one)


@routes.get("/reviews/calibrations", right=Right.REVIEWS_READ)
async def calibrations(call: Call) -> list[CalibrationOut]:
    """Calibrations, open ones first, the newest 500."""
    return [_out(one) for one in await call.app[REVIEWS].calibrations(call.actor)]


@routes.post(
    "/calls/{call_id}/calibrations", right=Right.REVIEWS_EDIT, status=201, errors=(NotFound, WrongState)
)
async def open_calibration(call: Call, call_id: UUID, body: CalibrationIn) -> CalibrationOut:
    """Have several people score a call, blind to each other."""
    made = await call.app[REVIEWS].open_calibration(call.actor, call_id, body.form_id, body.reason)
    return _out(made)


@routes.get("/reviews/calibrations/{calibration_id}", right=Right.REVIEWS_READ, errors=(NotFound,))
async def calibrated(call: Call, calibration_id: int) -> CalibratedOut:
    """What a calibration has come to: all once it is closed, before only one's own scores."""
    return CalibratedOut.of(await call.app[REVIEWS].calibrated(call.actor, calibration_id))


@routes.put(
    "/reviews/calibrations/{calibration_id}/scores",
    right=Right.REVIEWS_SCORE,
    errors=(NotFound, Invalid, WrongState),
)
async def score_blind(call: Call, calibration_id: int, body: ScoresIn) -> CalibratedOut:
    """One's own scores in a calibration, in place of earlier ones."""
    return CalibratedOut.of(
        await call.app[REVIEWS].score_blind(call.actor, calibration_id, body.scores, body.comment)
    )


@routes.post("/reviews/calibrations/{calibration_id}/close", right=Right.REVIEWS_EDIT, errors=(NotFound,))
async def close(call: Call, calibration_id: int) -> CalibratedOut:
    """No more scores; everybody who reads sees all."""
    return CalibratedOut.of(await call.app[REVIEWS].close(call.actor, calibration_id))
