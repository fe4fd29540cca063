"""`dozvon why`: why a number is not dialled, at the command line."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dialer.clock import utc_now
from dialer.db import migrate
from dialer.db.session import Database
from dialer.errors import Invalid
from dialer.httpkit.access import Actor
from dialer.installation import Installation
from dialer.settings import Settings
from dialer.whynot.http import FunnelOut, ReportOut
from dialer.whynot.model import Answer, Finding, Funnel, Report
from dialer.whynot.service import WhyNotService
from dialer.whynot.words import Words

#: The tenant of an installation that has one company.
TENANT = 1


async def why_command(
    settings: Settings, console: Console, number: str | None, campaign_id: int | None, *, json_line: bool
) -> int:
    """Answer for a number, in one campaign or in all that have it, or for a campaign's leads; 0 where there
    is somebody to dial in their turn, else 1. Raises BadNumber, NotFound, Invalid, and what a database can
    raise."""

    def say(line: str) -> None:
        if not json_line:
            console.print(line, style="dim", highlight=False)

    async with Installation(settings, say) as here:
        urls = await here.database()
        if not here.served:
            await migrate.upgrade(urls.owner)
        database = Database.open(urls.app, pool=2)
        try:
            service, actor = WhyNotService(database, settings), Actor.server(TENANT)
            words = Words("en", await service.timezone(actor), utc_now())
            if number is not None:
                report = await service.number(actor, number, campaign_id)
                return tell_report(console, words, report, json_line=json_line)
            if campaign_id is None:
                raise Invalid(field="number", reason="give a number, or --campaign ID, or both")
            funnel = await service.campaign(actor, campaign_id)
            return tell_funnel(console, words, funnel, json_line=json_line)
        finally:
            await database.close()


def tell_report(console: Console, words: Words, report: Report, *, json_line: bool) -> int:
    """Say what was found of a number; the exit status."""
    if json_line:
        console.out(ReportOut.of(report, words).model_dump_json(), highlight=False)
        return int(not report.dialled)
    console.print(f"[bold]{report.e164}[/bold]  {escape(words.known(report))}", highlight=False)
    if report.unwanted:
        console.print("No campaign at all may call it.", style="red", highlight=False)
    for said in words.bans(report):
        console.print(escape(said), style="red", highlight=False)
    for one in report.findings:
        _tell_finding(console, words, one)
    if report.more:
        console.print("There are more leads of it; these are the running ones and the newest.", style="dim")
    return int(not report.dialled)


def _tell_finding(console: Console, words: Words, one: Finding) -> None:
    lead = f"lead {one.lead_id}" if one.lead_id else "no lead"
    about = f"campaign {one.campaign.id}, {lead}, {one.e164}"
    console.print(f"\n[bold]{escape(one.campaign.name)}[/bold]  [dim]{about}[/dim]", highlight=False)
    style = "red" if one.stopped else "green"
    console.print(f"[{style}]{escape(words.headline(one))}[/{style}]", highlight=False)
    console.print(_steps(words, one.answers, one.stopped))


def _steps(words: Words, answers: tuple[Answer, ...], first: Answer | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for one in answers:
        mark = "[red]✗[/red]" if one.stops else "[green]✓[/green]"
        said = escape(words.text(one))
        table.add_row(mark, words.title(one.step), f"[bold]{said}[/bold]" if one is first else said)
    return table


def tell_funnel(console: Console, words: Words, funnel: Funnel, *, json_line: bool) -> int:
    """Say what stops the leads of a campaign; the exit status."""
    dials = funnel.dials and not any(one.stops for one in funnel.answers)
    if json_line:
        console.out(FunnelOut.of(funnel, words).model_dump_json(), highlight=False)
        return int(not dials)
    console.print(
        f"[bold]{escape(funnel.campaign.name)}[/bold]  {escape(words.sentence(funnel))}", highlight=False
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    table.add_row(f"[green]{words.number(funnel.ready)}[/green]", "ready", escape(words.asked(funnel)))
    for one in funnel.counts:
        opens = f"the first {words.when(one.opens, one.place)}" if one.opens else ""
        table.add_row(words.number(one.leads), escape(words.label(one.step, one.reason)), escape(opens))
    console.print(table)
    console.print(_steps(words, funnel.answers, None))
    return int(not dials)
