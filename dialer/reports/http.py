"""The API of figures."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from aiohttp import web
from pydantic import Field

from dialer.httpkit.access import Right
from dialer.httpkit.routes import Call, Routes
from dialer.httpkit.schema import In, Moment, Out
from dialer.reports.figures import FORMULAS, Figures, Group
from dialer.reports.service import FigureService, Report

FIGURES = web.AppKey("figures", FigureService)
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
