"""How what a call costs grows: with the calls in the air, with the agents at work, with the leads of a list.

Calls in the air ring at SIPp's numbers through a real Asterisk; agents beyond what a machine can have phones
for are on paper (paper.py); leads are rows.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import text

from dialer.bench.load import centre_data
from dialer.bench.load.calls import Load, agents_for, step
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.day import Books, open_books
from dialer.bench.load.model import Measured, Say, Wish, fell_behind, not_in_the_air, spread
from dialer.bench.load.stage import open_stage, per_call
from dialer.clock import utc_now
from dialer.db.session import connect
from scheduler import hopper

_COSTS: Final = (
    ("placed_per_s", "calls/s"),
    ("answer_to_agent_ms_p95", "answer to agent p95, ms"),
    ("server_cpu_per_call", "CPU s a call: server"),
    ("engine_cpu_per_call", "of it engine"),
    ("web_cpu_per_call", "web"),
    ("asterisk_cpu_per_call", "Asterisk"),
    ("db_cpu_per_call", "PostgreSQL"),
    ("engine_mb", "engine, MB"),
)


class Air:
    """The same calls a second, of which more and more ring at a time."""

    name = "air"
    title = (
        "Cost of a call by the calls in the air: always as many a second, ringing longer and longer, then "
        "busy; power mode, real Asterisk and SIP"
    )
    columns = (("in_air", "in the air"), ("asked_per_s", "asked/s"), *_COSTS)

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a number of calls in the air."""
        rate = 5 if wish.short else 10
        wanted = (10,) if wish.short else (1, 10, 100, 1000)
        window_s = 3.0 if wish.short else 30.0
        for in_air in wanted:
            case = f"in_air={in_air}"
            if (self.name, case, wish.short) in wish.known:
                continue
            ring_s = in_air / rate
            agents = max(4, in_air // 10)
            leads = round((ring_s + window_s + 20) * rate * 1.5)
            async with open_stage(
                say,
                agents=agents,
                leads=leads,
                ring_s=ring_s,
                ringing=True,
                mode="power",
                ratio=20.0,
                ring_timeout_s=round(ring_s) + 20,
            ) as stage:
                await stage.agents(agents)
                await stage.rate(rate)
                await stage.start()
                await stage.watch(ring_s + 3)
                cpu, since = stage.cpu(), await stage.now()
                seen = await stage.watch(window_s)
                seconds, until = stage.cpu().since(cpu), await stage.now()
                made = await stage.figures(since, until)
                figures = {
                    "asked_per_s": rate,
                    "in_air": seen.open_mean,
                    "placed_per_s": made["placed_per_s"],
                    "journal_behind_max": seen.journal_behind_max,
                    "engine_mb": stage.memory_mb("engine"),
                    **per_call(seconds, made["calls"], (until - since).total_seconds()),
                }
                broken = "" if wish.short else not_in_the_air(in_air, figures)
                yield Measured(self.name, case, wish.seed, wish.short, figures, broken=broken)


class Operators:
    """The same calls a second, with more and more agents at work."""

    name = "operators"
    title = (
        "Cost of a call by the agents at work: ten calls a second, or as many as they can bear where they "
        "are few, each talk 5 s; Asterisk, carrier and phones on paper, engine, web and PostgreSQL real"
    )
    columns = (("agents", "agents"), ("asked_per_s", "asked/s"), *_COSTS)

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a number of agents."""
        wanted = (10,) if wish.short else (10, 100, 1000)
        for agents in wanted:
            case = f"agents={agents}"
            if (self.name, case, wish.short) in wish.known:
                continue
            load = Load(1.0, 0.5, 4.0, (4,), 1.0) if wish.short else Load(5.0, 0.5, 30.0, (10,), 1.0)
            # Ten agents cannot bear ten calls a second: they get what they can.
            rate = min(load.rates[0], agents / (load.talk_s + load.ring_s + 1) / 1.25)
            leads = round(rate * (load.window_s + 40) * 1.5) + 100
            async with open_stage(
                say, agents=agents, leads=leads, ring_s=load.ring_s, talk_s=load.talk_s, paper=True
            ) as stage:
                await stage.agents(max(agents, min(agents_for(load, rate), agents)))
                figures = await step(stage, load, rate)
                yield Measured(
                    self.name,
                    case,
                    wish.seed,
                    wish.short,
                    figures,
                    note=f"Asterisk, carrier, phones; {rate:.3g} calls/s asked of {agents} agents",
                    broken=fell_behind(figures, sums_only=wish.short),
                )


class Leads:
    """The next leads of longer and longer lists."""

    name = "leads"
    title = (
        "The claim of ten leads from lists of 10,000 to 10,000,000, half of them dialled already and waiting "
        "for their next try, by the server's role under row security; and the plan of the database for it"
    )
    columns = (
        ("leads", "leads"),
        ("claim_ms_p50", "claim p50, ms"),
        ("claim_ms_p95", "p95"),
        ("rows_looked_at", "rows looked at"),
        ("database_mb", "database, MB"),
    )

    async def measure(self, wish: Wish, say: Say) -> AsyncIterator[Measured]:
        """A measurement a length; the list of one run grows."""
        lengths = (10_000,) if wish.short else (10_000, 100_000, 1_000_000, 10_000_000)
        if all((self.name, f"leads={length}", wish.short) in wish.known for length in lengths):
            return
        async with open_books() as books:
            for length in lengths:
                while books.data.leads < length:
                    more = min(500_000, length - books.data.leads)
                    await _add(books, more)
                    say(f"leads: {books.data.leads:,}")
                await vacuum(books)
                figures, plan = await _claims(books, 20 if wish.short else 200)
                yield Measured(
                    self.name,
                    f"leads={length}",
                    wish.seed,
                    wish.short,
                    {"leads": length, **figures},
                    note=plan,
                    broken="" if figures["claim_ms_p95"] < 100 else "a claim takes over 100 ms",
                )


async def _add(books: Books, more: int) -> None:
    first = books.data.leads
    await centre_data.add_leads(books.data, more)
    async with books.engine.database.tenant(TENANT) as conn:
        # The front half of what was added has been tried: it waits for tomorrow, before all that is new.
        await conn.execute(
            text(
                """
                UPDATE lead SET status = 'waiting', attempts = 1, last_result = 'no_answer',
                       last_attempt_at = now(), open_from = now() + interval '1 day', hold = 'retry'
                 WHERE tenant_id = 1 AND campaign_id = :campaign AND sort_key <= :half
                   AND id > (SELECT coalesce(max(id), 0) - :more FROM lead WHERE tenant_id = 1)
                """
            ),
            {"campaign": books.data.campaign_id, "half": more // 2, "more": more},
        )
    assert books.data.leads == first + more


async def vacuum(books: Books) -> None:
    """Have the database look at its leads, as it does by itself when it has time."""
    connection = await connect(books.owner_url, application="dozvon bench")
    try:
        await connection.execute("VACUUM (ANALYZE) lead")
    finally:
        await connection.close()


async def _claims(books: Books, times: int) -> tuple[dict[str, float], str]:
    """Claim and let go, again and again; the figures and the plan in a line."""
    database, data = books.engine.database, books.data
    took = []
    for _ in range(times):
        async with database.tenant(TENANT) as conn:
            began = time.perf_counter()
            claimed = await hopper.claim(conn, TENANT, data.campaign_id, 10, utc_now())
            took.append((time.perf_counter() - began) * 1000)
            assert len(claimed) == 10
    async with database.tenant(TENANT) as conn:
        told = await hopper.CLAIM.explain(
            conn, tenant_id=TENANT, campaign_id=data.campaign_id, wanted=10, now=utc_now()
        )
        size = (await conn.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
    looked, plan = plan_in_a_line(told[0]["Plan"])
    return {**spread(took, "claim_ms", 50, 95), "rows_looked_at": looked, "database_mb": size / 1e6}, plan


def plan_in_a_line(told: dict[str, Any]) -> tuple[int, str]:
    """How many leads the database has looked at for a claim, and how it went about it."""
    nodes = _nodes(told)
    looked = sum(
        node.get("Rows Removed by Filter", 0) + node["Actual Rows"] for node in nodes if _scans(node)
    )
    plan = " < ".join(
        " ".join(filter(None, (node["Node Type"], node.get("Index Name", node.get("Relation Name", "")))))
        for node in nodes
    )
    return looked, plan


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in _nodes(child))]


def _scans(node: dict[str, Any]) -> bool:
    return node.get("Relation Name") == "lead"


AIR, OPERATORS, LEADS = Air(), Operators(), Leads()
