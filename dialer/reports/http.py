"""The API of figures."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from aiohttp import web
from pydantic import Field

from dialer.errors import NotFound
from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Moment, Out
from dialer.reports.figures import FORMULAS, Figures, Group
from dialer.reports.pacing import Stretch
from dialer.reports.service import FigureService, PaceReport, PaceService, Report
from dialer.reports.shift import SHIFT_FORMULAS, ShiftFigures, ShiftService

FIGURES = web.AppKey("figures", FigureService)
PACES = web.AppKey("paces", PaceService)
SHIFTS = web.AppKey("shift_figures", ShiftService)
routes = Routes("reports")


class SpreadOut(Out):
    """How a duration is spread over calls, milliseconds."""

    p50: float
    p95: float
    max: float


class FiguresOut(Out):
    """One row of figures; `formulas` of the reply says how each is computed."""

    key: int | None = Field(description="id of what the row is of, or the hour 0 to 23; null: all, or none")
    label: str = Field(description="its name")
    attempts: int
    open: int
    unfinished: int
    not_sent: int
    by_result: dict[str, int] = Field(description="sums to attempts")
    answered: int
    machines: int
    answered_live: int
    connected: int
    abandoned: int
    contacts_dialled: int
    contacts_reached: int
    connect_rate: float | None = Field(description="0 to 1; null: nothing to divide by")
    reach_rate: float | None
    abandon_rate: float | None
    occupancy: float | None = Field(description="null also where the group does not tell agents' time apart")
    join_ms: SpreadOut | None
    answer_to_agent_ms: SpreadOut | None

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """The reply of a row."""
        counts = figures.counts
        values = {
            name: getattr(counts if hasattr(counts, name) else figures, name) for name in cls.model_fields
        }
        return cls.model_validate(values)


class ReportOut(Out):
    """Figures of a span of time."""

    since: datetime | None = Field(description="first moment; null: from the beginning")
    until: datetime
    total: FiguresOut
    rows: list[FiguresOut]
    formulas: dict[str, str] = Field(description="how each figure is computed, in the reader's language")

    @classmethod
    def of(cls, report: Report, locale: str) -> Self:
        """The reply, in the reader's language."""
        return cls(
            since=report.since,
            until=report.until,
            total=FiguresOut.of(report.total),
            rows=[FiguresOut.of(row) for row in report.rows],
            formulas={name: formula.text(locale) for name, formula in FORMULAS.items()},
        )


class SpanQuery(In):
    """From when until when attempts were made."""

    from_: Moment | None = Field(default=None, alias="from", description="first moment")
    until: Moment | None = Field(default=None, description="first moment after; without it now")


class FiguresQuery(SpanQuery):
    """Which figures."""

    group: Group = Field(description="what is compared; hours are those of the tenant's place")


class StretchOut(Out):
    """A time in which one Asterisk server had one reason."""

    node: str
    since: datetime
    until: datetime
    seconds: float
    dialled: int = Field(description="calls placed in it")
    why: str = Field(description="stable name of the reason; `within_budget`, `price_over`, ...")
    inputs: dict[str, float] = Field(description="the numbers behind the latest decision of it")

    @classmethod
    def of(cls, one: Stretch) -> Self:
        """The reply of a stretch."""
        about = {name: getattr(one, name) for name in ("node", "since", "until", "seconds", "dialled")}
        return cls(**about, why=one.pace.why, inputs=dict(one.pace.inputs))


class PointOut(Out):
    """What was so at a moment."""

    at: datetime
    dialled: int = Field(description="calls placed since the point before")
    values: dict[str, float] = Field(
        description="agents, ready, in_air, answer_probability, abandon_share, limit; as far as known"
    )


class PaceOut(Out):
    """Why a campaign was paced as it was."""

    since: datetime
    until: datetime
    dialled: int
    reasons: list[StretchOut] = Field(description="each reason with how long it held, the longest first")
    stretches: list[StretchOut] = Field(description="oldest first")
    points: list[PointOut]

    @classmethod
    def of(cls, report: PaceReport) -> Self:
        """The reply."""
        return cls(
            since=report.since,
            until=report.until,
            dialled=report.dialled,
            reasons=[StretchOut.of(one) for one in report.reasons],
            stretches=[StretchOut.of(one) for one in report.stretches],
            points=[PointOut.model_validate(one) for one in report.points],
        )


@routes.get("/campaigns/{campaign_id}/pace", right=Right.CAMPAIGNS_READ)
async def pace(call: Call, campaign_id: int, query: SpanQuery) -> PaceOut:
    """Why so many calls were placed and not more, over a day at most; without `from` in the last hour."""
    report = await call.app[PACES].pace(call.actor, campaign_id, since=query.from_, until=query.until)
    return PaceOut.of(report)


@routes.get("/figures", right=Right.REPORTS_READ)
async def figures(call: Call, query: FiguresQuery) -> ReportOut:
    """Figures by campaign, list, hour, trunk or agent; without `from` those of today."""
    report = await call.app[FIGURES].figures(call.actor, query.group, since=query.from_, until=query.until)
    return ReportOut.of(report, call.locale)


@routes.get("/campaigns/{campaign_id}/figures", right=Right.REPORTS_READ)
async def campaign_figures(call: Call, campaign_id: int, query: SpanQuery) -> ReportOut:
    """Figures of one campaign; without `from` of its whole life."""
    report = await call.app[FIGURES].campaign_figures(
        call.actor, campaign_id, since=query.from_, until=query.until
    )
    return ReportOut.of(report, call.locale)


class ShiftFiguresOut(Out):
    """What the caller's shift has come to so far."""

    since: datetime | None = Field(description="the log-in; null: not logged in")
    closed: int = Field(description="talks whose disposition is saved")
    sales: int = Field(description="of them with a disposition of the kind `sale`")
    talk_s: float
    worked_s: float
    talk_share: float | None = Field(description="0 to 1; null: nothing to divide by")
    conversion: float | None
    formulas: dict[str, str] = Field(description="how each figure is computed, in the reader's language")

    @classmethod
    def of(cls, found: ShiftFigures | None, locale: str) -> Self:
        """The reply, in the reader's language."""
        formulas = {name: formula.text(locale) for name, formula in SHIFT_FORMULAS.items()}
        if found is None:
            return cls(
                since=None, closed=0, sales=0, talk_s=0.0, worked_s=0.0, talk_share=None, conversion=None,
                formulas=formulas,
            )  # fmt: skip
        values = {name: getattr(found, name) for name in cls.model_fields if name != "formulas"}
        return cls.model_validate(values | {"formulas": formulas})


@routes.get("/agents/me/figures", right=Right.WORK, errors=(NotFound,))
async def my_figures(call: Call) -> ShiftFiguresOut:
    """The caller's own figures of the open shift."""
    return ShiftFiguresOut.of(await call.app[SHIFTS].mine(call.actor), call.locale)
