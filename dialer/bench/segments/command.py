"""Fills a base of its own, counts each segment as the page does, and keeps times and plans."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.bench.segments import base
from dialer.bench.segments.questions import QUESTIONS, Said
from dialer.bench.site_reaper import folder_of_its_own
from dialer.clock import utc_now
from dialer.contacts import segments_store
from dialer.contacts.segments import parse
from dialer.contacts.segments_service import SegmentService
from dialer.db import migrate
from dialer.db.embedded import EmbeddedPostgres
from dialer.db.session import Database, driver_of

DOCS = Path(__file__).parents[3] / "docs"
RESULTS = DOCS / "bench" / "segments.json"
PLANS = DOCS / "bench" / "segments-plans.txt"
PAGE = DOCS / "segments.md"
BEGIN, END = "<!-- bench-segments: made by `dozvon bench segments --docs` -->", "<!-- /bench-segments -->"
#: What the page promises, milliseconds.
MOST_MS = 300.0


@dataclass(frozen=True, slots=True)
class Counted:
    """How long one segment took."""

    segment: str
    #: whether an index serves it
    served: bool
    people: int | None
    exact: bool
    #: the first time it was asked
    first_ms: float
    p50_ms: float
    p95_ms: float
    #: PostgreSQL's CPU for the whole count, however long it takes, and for the sample
    whole_cpu_ms: float
    sample_cpu_ms: float


async def run(people: int, times: int, *, docs: bool) -> int:
    """Measure; 1 when a count took longer than the page promises."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of_its_own("dozvon-segments-"))
        postgres = EmbeddedPostgres(folder / "data")
        stack.push_async_callback(postgres.stop)
        urls = await postgres.start()
        await migrate.upgrade(urls.owner)
        # One connection: its process is the one whose CPU is counted.
        database = Database.open(urls.app, pool=1)
        stack.push_async_callback(database.close)
        await base.fill(database, urls.owner, people, _say)
        found, plans = await ask(database, times)
    print(_table(found, people))
    if docs:
        _write(found, people, plans)
    return int(any(one.p95_ms > MOST_MS for one in found))


async def ask(database: Database, times: int) -> tuple[list[Counted], list[str]]:
    """What each segment took, and how the database went about it."""
    found, plans = [], []
    for name, (said, served) in QUESTIONS.items():
        one = await _measure(database, name, said, times, served=served)
        about = "" if one.exact else "(about)"
        cpu = f"CPU {one.whole_cpu_ms:.0f}/{one.sample_cpu_ms:.0f}"
        _say(f"segments: {one.p50_ms:6.0f} ms p50 {one.p95_ms:6.0f} p95 {cpu} {one.people} {about} {name}")
        found.append(one)
        plans.append(f"-- {name}\n{await _plan(database, said)}")
    return found, plans


async def _measure(database: Database, name: str, said: Said, times: int, *, served: bool) -> Counted:
    took, count, service = [], None, SegmentService(database)
    for _ in range(times + 1):
        began = time.perf_counter()
        count = await service.count(base.ACTOR, said)
        took.append((time.perf_counter() - began) * 1000)
    assert count is not None
    first, *rest = took
    parts = quantiles(rest, n=20, method="inclusive")
    cpu = [await _cpu(database, said, sampled=sampled) for sampled in (False, True)]
    return Counted(name, served, count.people, count.exact, first, parts[9], parts[18], *cpu)


async def _cpu(database: Database, said: Said, *, sampled: bool) -> float:
    """PostgreSQL's CPU for one answer, milliseconds; the second, with all of it in memory."""
    used = 0.0
    for _ in range(2):
        async with database.tenant(base.TENANT) as conn:
            pid = await conn.scalar(select(func.pg_backend_pid()))
            make = await segments_store.compiler(conn, base.TENANT)
            expression = parse(said, make.known)
            await segments_store.bound(conn, 60_000, sampled=sampled)
            before = _used_ms(pid)
            await (segments_store.estimate if sampled else segments_store.count)(conn, make, expression)
            used = _used_ms(pid) - before
    return used


def _used_ms(pid: int | None) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


async def _plan(database: Database, said: Said) -> str:
    async with database.tenant(base.TENANT) as conn:
        make = await segments_store.compiler(conn, base.TENANT)
        await segments_store.bound(conn, 60_000)
        inside = make.ids(parse(said, make.known)).subquery()
        return await _explained(conn, select(func.count()).select_from(inside))


async def _explained(conn: AsyncConnection, query: Select[Any]) -> str:
    # For a person to read: values stand in it as they are, which only a bench may do.
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    compiled = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    rows = await driver_of(conn).fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {compiled}")
    return "\n".join(str(row[0]) for row in rows)


def _table(found: list[Counted], people: int) -> str:
    lines = [
        f"Over {people:,} people ({utc_now():%Y-%m-%d}):",
        "",
        "| segment | people | | CPU, ms: counted | sampled | time, ms: p50 | p95 |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for one in found:
        how = "counted" if one.exact else "from a sample"
        many = "-" if one.people is None else f"{one.people:,}"
        lines.append(
            f"| {one.segment} | {many} | {how} | {one.whole_cpu_ms:.0f} | {one.sample_cpu_ms:.0f} "
            f"| {one.p50_ms:.0f} | {one.p95_ms:.0f} |"
        )
    return "\n".join(lines)


def _write(found: list[Counted], people: int, plans: list[str]) -> None:
    RESULTS.write_text(
        json.dumps({"people": people, "counted": [dataclasses.asdict(one) for one in found]}, indent=1) + "\n"
    )
    PLANS.write_text("\n\n".join(plans) + "\n")
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{_table(found, people)}\n{END}{rest.split(END)[1]}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
