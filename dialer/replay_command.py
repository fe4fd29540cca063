"""`dozvon simulate --replay`: what would the last days of a campaign have given with other settings?"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dialer.calls.terms import CallTerms
from dialer.campaigns import replay_store
from dialer.campaigns.replay_log import own_setting
from dialer.campaigns.replay_store import Named, PastDays
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.db.session import Database
from dialer.errors import Invalid, NotFound
from dialer.installation import database_of
from dialer.pacing.simulator.compare import Compared, compare, enough, settings_of
from dialer.pacing.simulator.figures import LEAST_ANSWERS
from dialer.settings import Settings

#: So many of the latest days with attempts, where no dates are given.
DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Replay:
    """The options of the command."""

    #: id or exact name
    campaign: str
    #: local dates of the tenant, both included; None: the latest days with attempts
    first: date | None
    last: date | None
    #: settings to be put beside each other; none: the usual ones
    compare: tuple[str, ...]
    seed: int
    runs: int
    processes: int
    json_line: bool
    #: where to put the plot; None: there is none
    plot: Path | None


@dataclass(frozen=True, slots=True)
class _Past:
    of: Named
    first: date
    last: date
    terms: CallTerms
    days: PastDays


def day_of(option: str, text: str | None) -> date | None:
    """A date of an option. Raises Invalid."""
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise Invalid(field=option, reason=f"{text!r} is no date: write YYYY-MM-DD") from None


def replay(settings: Settings, console: Console, options: Replay) -> None:
    """Read the past, replay it with each setting and print what came of it. Raises Invalid for options that
    make no sense and where there is too little to replay, NotFound of the campaign, and what a database can
    raise."""
    if options.first and options.last and options.first > options.last:
        raise Invalid(field="--from", reason=f"{options.first} is after --to {options.last}")
    if options.plot is not None and not options.plot.resolve().parent.is_dir():
        raise Invalid(field="--plot", reason=f"there is no folder {options.plot.resolve().parent}")
    past = asyncio.run(_read(settings, options))
    policy = past.terms.policy
    chosen = settings_of(
        options.compare, own_setting(past.terms), policy.abandon_cap, float(policy.min_ring_s)
    )
    enough(past.days.log, _where(past.of, past.first, past.last))
    found = compare(
        past.days.log,
        chosen,
        seed=options.seed,
        runs=options.runs,
        processes=options.processes,
        say=_say,
    )
    if options.plot is not None:
        title = f"{past.of.name}: occupancy, {replay_store.shown((past.first, past.last))}"
        options.plot.write_text(found.plot(title), encoding="utf-8")
    if options.json_line:
        print(json.dumps(line(past.of, past, found, options), ensure_ascii=False), flush=True)
    else:
        show(console, past, found)


def _where(of: Named, first: date, last: date) -> str:
    span = f"from {first} to {last}" if first != last else f"on {first}"
    return f"campaign {of.id} ({of.name}) {span}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _read(settings: Settings, options: Replay) -> _Past:
    async with database_of(settings, _say) as database:
        of = await _named(database, options.campaign)
        terms = await DatabaseTermsBook(database, settings.data_dir).terms(of.tenant_id, of.id)
        async with database.tenant(of.tenant_id) as conn:
            low, high = options.first or date(1970, 1, 2), options.last or date(9998, 12, 31)
            wanted = DAYS if options.first is None else 2**31 - 1
            days = await replay_store.days(conn, of, low, high, wanted)
            if not days:
                raise Invalid(
                    field="--replay",
                    reason=f"campaign {of.id} ({of.name}) has no attempts{_when(options)} that pacing made",
                )
            first, last = options.first or days[-1], options.last or days[0]
            return _Past(of, first, last, terms, await replay_store.read(conn, of, terms, first, last))


def _when(options: Replay) -> str:
    since = f" from {options.first}" if options.first else ""
    return f"{since} to {options.last}" if options.last else since


async def _named(database: Database, asked: str) -> Named:
    """The campaign of that id or name, of whichever tenant. Raises NotFound, Invalid."""
    found = list[Named]()
    for tenant_id in await database.tenants():
        async with database.tenant(tenant_id) as conn:
            found += await replay_store.named(conn, tenant_id, asked)
    if not found:
        raise NotFound(what="campaign", key=f"{asked!r} (--replay takes its id or its exact name)")
    of_name = [one for one in found if one.name == asked] or found
    if len(of_name) > 1:
        whose = ", ".join(f"{one.id} of tenant {one.tenant_id}" for one in of_name)
        raise Invalid(
            field="--replay", reason=f"several campaigns are named {asked!r}: give the id ({whose})"
        )
    return of_name[0]


def line(of: Named, past: _Past, found: Compared, options: Replay) -> dict[str, Any]:
    """What `--json` prints."""
    days, duty = past.days, found.past.total.duty_s
    return {
        "campaign": {"id": of.id, "name": of.name, "tenant": of.tenant_id},
        "from": past.first.isoformat(),
        "to": past.last.isoformat(),
        "timezone": of.zone.key,
        "attempts": days.attempts,
        "modes": dict(days.modes),
        "left_out": dict(days.left_out),
        "agents": len({stretch.agent for stretch in days.log.stretches}),
        "agent_hours": round(duty / 3600, 3),
        "seed": options.seed,
        "runs": options.runs,
        "past": found.past_figures(),
        "settings": list(found.figures()),
    }


def show(console: Console, past: _Past, found: Compared) -> None:
    """A table, for people."""
    days = past.days
    console.print(
        f"{past.of.name}, {replay_store.shown((past.first, past.last))} ({past.of.zone.key}):"
        f" {days.attempts:,} attempts ({', '.join(sorted(days.modes))}),"
        f" {found.past.total.duty_s / 3600:.1f} agent-hours while it dialled",
        highlight=False,
    )
    for why, count in sorted(days.left_out.items()):
        console.print(f"  left out, {why.replace('_', ' ')}: {count:,}", style="dim", highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold", max_width=30)
    for head in (
        "busy",
        "aban-\ndoned",
        "worst\nday",
        f"worst 24 h\nof {LEAST_ANSWERS}",
        "contacts\nan hour",
    ):
        table.add_column(head, justify="right")
    table.add_column("wait, s\n95 %", justify="right")
    _row(table, "what was", found.past_figures())
    for one in found.figures():
        _row(table, f"{one['name']}{' (its own)' if one['own'] else ''}", one)
    console.print(table)
    console.print(
        "Shares of the time on duty and of the live answers; contacts an agent-hour.", style="dim",
        highlight=False,
    )  # fmt: skip


def _row(table: Table, name: str, one: Mapping[str, Any]) -> None:
    table.add_row(
        name,
        _percent(one["occupancy"], 1),
        _percent(one["abandon_rate"]),
        _percent(one["worst_day_abandon_rate"]),
        _percent(one["worst_24h_abandon_rate"]),
        f"{one['contacts_per_agent_hour']:.1f}",
        "-" if one["wait_s"]["p95"] is None else f"{one['wait_s']['p95']:.2f}",
    )


def _percent(share: float | None, places: int = 2) -> str:
    return "-" if share is None else f"{100 * share:.{places}f} %"
