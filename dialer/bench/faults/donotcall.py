"""Do-not-call against the placer: entries and attempts for the same numbers, committed at the same moment.

A wave is twenty numbers. The engine's own placer dials them, again and again, over a link that accepts all;
meanwhile each of them is put on the list by the service that pages and programs use: as a number, by a
prefix, or by a file of a registry. Seeds decide when each entry begins, and how long each placement dawdles
between its questions and its attempts.

Which of the two was committed first says PostgreSQL: it keeps the moment of each commit
(`track_commit_timestamp`), and a trigger keeps which transaction has made which row. The locks let no commit
of one side happen between the lock and the commit of the other, so the two moments of a pair are never in
doubt.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.bench.load import centre_data
from dialer.bench.load.centre_data import TENANT
from dialer.bench.load.day import Books, open_books
from dialer.bench.model import Run, Say, case_of
from dialer.calls.lines import Look, TrunkLines
from dialer.calls.model import HungUp, Result
from dialer.clock import utc_now
from dialer.db.cluster import ADMIN_ROLE
from dialer.db.session import connect
from dialer.donotcall import store
from dialer.donotcall.importing import run_import
from dialer.donotcall.model import Refusal, Source
from dialer.donotcall.service import DoNotCallService
from dialer.httpkit.access import Actor
from dialer.settings import Settings
from dialer.trunks.model import Ask, Choice, Refused

#: Numbers of a wave, and pairs of a run.
WAVE, PAIRS, SHORT_PAIRS = 20, 1000, 200
#: Longest dawdling of a placement, and of an entry, seconds.
DAWDLE_S, ENTRY_S = 0.02, 0.06

_WITNESS = """
    CREATE TABLE witness (mark text NOT NULL, entry boolean NOT NULL, xid xid NOT NULL);
    CREATE FUNCTION saw() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF TG_TABLE_NAME = 'attempt' THEN
            INSERT INTO witness VALUES (NEW.e164, false, pg_current_xact_id()::xid);
        ELSE
            INSERT INTO witness VALUES (NEW.mark, true, pg_current_xact_id()::xid);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER saw AFTER INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION saw();
    CREATE TRIGGER saw AFTER INSERT ON do_not_call FOR EACH ROW EXECUTE FUNCTION saw()
"""
#: Of the attempts: how many there are, and how many of them were committed after an entry that covers them.
_SAW = """
    SELECT count(*) AS dialled, count(*) FILTER (WHERE EXISTS (
               SELECT FROM witness d
                WHERE d.entry AND a.mark LIKE replace(d.mark, '*', '_%')
                  AND pg_xact_commit_timestamp(d.xid) < pg_xact_commit_timestamp(a.xid))) AS after_entry
      FROM witness a WHERE NOT a.entry
"""


@dataclass(slots=True)
class DawdlingLines(TrunkLines):
    """Lines that are taken after a pause: between the questions and the attempts of a placement."""

    rng: random.Random = field(default_factory=random.Random)

    async def take(
        self, conn: AsyncConnection, tenant_id: int, look: Look, asks: Sequence[Ask]
    ) -> list[tuple[Choice, date] | Refused]:
        """As ever, later."""
        await asyncio.sleep(self.rng.uniform(0, DAWDLE_S))
        return await TrunkLines.take(self, conn, tenant_id, look, asks)


@dataclass(slots=True)
class Race:
    """A database in which both sides are at work."""

    books: Books
    service: DoNotCallService
    settings: Settings
    lines: DawdlingLines
    witness: Any

    async def run(self, seed: int, case: str, pairs: int) -> Run:
        """So many pairs, in waves."""
        rng = self.lines.rng = random.Random(seed)  # noqa: S311 a plan, not a secret
        began = time.monotonic()
        await self.witness.execute("TRUNCATE witness")
        for _ in range(0, pairs, WAVE):
            first = self.books.data.leads + 1
            await centre_data.add_leads(self.books.data, WAVE)
            numbers = [f"+79{n:09}" for n in range(first, first + WAVE)]
            await self._wave(numbers, case, rng)
        await self.books.engine.journal.drain()
        saw = await self.witness.fetchrow(_SAW)
        entries = await self.witness.fetchval("SELECT count(*) FROM witness WHERE entry")
        dialled, late = saw["dialled"], saw["after_entry"]
        figures = {"pairs": pairs, "entries": entries, "dialled_before": dialled - late}
        broken = f"{late} attempts were committed after the entry of their number" if late else ""
        if not 0 < dialled < pairs:
            broken = broken or f"no race: {dialled} of {pairs} numbers were dialled"
        return Run(
            "donotcall",
            seed,
            case=case,
            calls=dialled,
            figures={**figures, "dialled_after": late, "block_s": time.monotonic() - began},
            broken=broken,
        )

    async def _wave(self, numbers: Sequence[str], case: str, rng: random.Random) -> None:
        if case == "number":
            adding = []
            for place, number in enumerate(numbers):
                after_s = rng.uniform(0, ENTRY_S)
                adding.append(self._add([number], [], after_s) if place % 2 else self._say(number, after_s))
        elif case == "prefix":
            beginnings = sorted({number[:-1] for number in numbers})
            adding = [self._add([], [prefix], rng.uniform(0, ENTRY_S)) for prefix in beginnings]
        else:
            adding = [self._import(numbers, rng.uniform(0, ENTRY_S / 2))]
        entries = asyncio.gather(*adding)
        terms = await self.books.engine.terms.terms(TENANT, self.books.data.campaign_id)
        placer, calls = self.books.engine.placer, self.books.engine.calls
        last = False
        while True:
            await placer.next_leads(terms, rng.randint(1, WAVE), "main")
            if last:
                break
            last = entries.done()
        await entries
        await placer.settled("main")
        for line in list(calls):
            calls.apply(
                line.call.attempt_id, HungUp(utc_now(), result=Result.NO_ANSWER, cause=19, sip_code=480)
            )

    async def _add(self, numbers: Sequence[str], prefixes: Sequence[str], after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self.service.add(Actor.server(TENANT), numbers, prefixes, Refusal(Source.API))

    async def _say(self, number: str, after_s: float) -> None:
        """As a short file does: leads are closed later, so that nothing but the lock holds the two apart."""
        await asyncio.sleep(after_s)
        said = Refusal(Source.IMPORT)
        async with self.books.engine.database.tenant(TENANT) as conn:
            await store.add(conn, TENANT, [number], said, by=None, now=utc_now(), leads=False)

    async def _import(self, numbers: Sequence[str], after_s: float) -> None:
        await asyncio.sleep(after_s)

        async def file() -> AsyncIterator[bytes]:
            yield "\n".join(numbers).encode()

        said = Refusal(Source.REGISTRY)
        job = await self.service.add_import(
            Actor.server(TENANT), "numbers.csv", file(), said, registry=numbers[0]
        )
        await run_import(self.books.engine.database, self.settings, TENANT, job.id)


@asynccontextmanager
async def _open() -> AsyncIterator[Race]:
    """The books, a witness in their database, and lines that dawdle."""
    async with open_books() as books:
        admin = await connect(books.postgres.url(ADMIN_ROLE))
        try:
            await admin.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        finally:
            await admin.close()
        await books.postgres.stop()
        await books.postgres.start()
        witness = await connect(books.postgres.url(ADMIN_ROLE))
        try:
            await witness.execute(_WITNESS)
            books.data.leads = 9  # so that a beginning of numbers covers those of one wave
            books.engine.placer.lines = lines = DawdlingLines()
            service = DoNotCallService(books.engine.database, books.settings)
            yield Race(books, service, books.settings, lines, witness)
        finally:
            await witness.close()


@dataclass(frozen=True, slots=True)
class DoNotCall:
    """The row."""

    name: str = "donotcall"
    title: str = "an entry of do-not-call and an attempt for the same number at the same moment"
    must_hold: str = "no attempt is committed after the entry"
    cases: tuple[str, ...] = ("number", "prefix", "registry")
    long_runs: int = 100
    short_runs: int = 3
    #: pairs a run
    pairs: int = PAIRS

    def sized(self, *, short: bool, minutes: float | None) -> DoNotCall:
        """The short form has fewer pairs."""
        return replace(self, pairs=SHORT_PAIRS) if short else self

    async def runs(self, seeds: Sequence[int], say: Say) -> AsyncIterator[Run]:
        """All in one database."""
        say(f"{len(seeds) * self.pairs:,} pairs")
        async with _open() as race:
            for seed in seeds:
                yield await race.run(seed, case_of(self.cases, seed), self.pairs)


ROW = DoNotCall()
