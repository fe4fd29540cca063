"""The witnesses of the row `fraud` see what gets through when a rule is taken away; with the rules nothing
does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from dialer.bench.faults.fraud import numbers
from dialer.bench.faults.fraud.floor import NODE, Asked, Company, Floor, Recorder, Server
from dialer.bench.faults.fraud.tries import (
    Case,
    Ledger,
    forbidden_numbers,
    refused,
    too_fast,
    too_many_a_second,
    too_many_at_once,
    too_much_money,
)
from dialer.calls.model import HungUp, Result
from dialer.calls.placing import Placed
from dialer.calls.targets import Target
from dialer.clock import utc_now
from dialer.contacts.numbers import PhoneNumber, read_number
from dialer.db import tables as t
from dialer.db.embedded import Urls
from dialer.db.session import Database
from dialer.errors import NotAllowed
from dialer.ids import new_id
from dialer.trunks import loads
from dialer.trunks.caps import Load, Rate
from dialer.trunks.model import Trunk

MOSCOW = ("Europe/Moscow",)


@pytest.fixture
def floor(database: Database, database_url: str, owner_url: str) -> Floor:
    """The floor over the test's own database."""
    return Floor(Urls(app=database_url, owner=owner_url), database)


CASES = (forbidden_numbers, too_many_at_once, too_many_a_second, too_much_money)


@pytest.mark.parametrize("case", CASES)
async def test_nothing_passes(floor: Floor, case: Case) -> None:
    """Every case tries what it was asked to, and no line is left counted."""
    outcome = await case(floor, 1, random.Random(1), 60)
    assert (outcome.passed, outcome.broken) == (0, [])
    assert outcome.tries >= 50
    assert outcome.calls > 0


async def take_all(_conn: object, _tenant: int, trunk: Any, reserves: Sequence[Decimal] = ()) -> int:
    """Takes every line without asking anybody."""
    return len(reserves or trunk)


@pytest.mark.parametrize(
    ("case", "broken"),
    [
        (forbidden_numbers, {"prefix"}),
        (forbidden_numbers, {"typed"}),
        (too_many_at_once, {"update"}),
        (too_many_a_second, {"update", "tokens"}),
        (too_much_money, {"update"}),
        (too_much_money, {"reserve"}),
    ],
)
async def test_what_passes_is_seen(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, case: Case, broken: set[str]
) -> None:
    """Without the prefixes, without the cap of typed numbers, with lines that nobody counts, with calls that
    reserve nothing."""
    if "prefix" in broken:
        monkeypatch.setattr(Trunk, "allows", lambda self, e164: True)
    if "typed" in broken:
        monkeypatch.setattr(loads, "typed_cap", _endless)
    if "update" in broken:
        monkeypatch.setattr(loads, "take_of_trunk", take_all)
        monkeypatch.setattr(loads, "take_of_tenant", take_all)
    if "tokens" in broken:
        monkeypatch.setattr(Load, "tokens_at", lambda self, caps, now: caps.burst)
    if "reserve" in broken:
        monkeypatch.setattr(Rate, "reserve", Decimal(0))
    # Of this seed are caps that are soon passed, a little over two calls a second among them.
    outcome = await case(floor, 2, random.Random(31), 60)
    assert outcome.passed > 0
    assert outcome.broken


async def _endless(_conn: object, _tenant: int) -> int:
    return 10**9


def test_the_witness_of_numbers_agrees_with_what_may_be_dialled() -> None:
    """Good spellings are, all others are not."""
    assert numbers.may_be_dialled("+74951234567")
    assert numbers.may_be_dialled("+79161234567")
    for number in (
        "+74961234567",
        "79161234567",
        "+7916123456\u0667",
        "+7916&12345",
        "+88213",
        "",
        "+7916\n",
    ):
        assert not numbers.may_be_dialled(number)


def test_the_tries_reach_past_the_parser() -> None:
    """Some of them are read as numbers that can be dialled: it is the trunk that must refuse those."""
    rng = random.Random(3)
    read = [read_number(numbers.forbidden(rng), "RU") for _ in range(1500)]
    numbers_read = [each for each in read if isinstance(each, PhoneNumber)]
    assert len(numbers_read) > 100
    assert sum(not numbers.may_be_dialled(each.e164) for each in numbers_read) > 50


def test_an_empty_list_is_no_refusal() -> None:
    """What a rule has not let through is one; that there was nobody to call is none."""
    assert refused(Placed(0, "no_lines"), 4) == 4
    assert refused(Placed(3), 4) == 1
    assert refused(Placed(0, "no_leads"), 4) == 0


def test_calls_are_counted_in_every_second() -> None:
    """A burst is seen though the run's sum is small; an even flow at the rate is none."""
    assert too_fast([n / 10 for n in range(100)], 10.0) == []
    burst = [100.0 + n / 1000 for n in range(20)]
    assert too_fast([0.0, 50.0, *burst, 200.0], 10.0) == [17, 18, 19, 20]
    assert too_fast([n / 10 for n in range(100)], 4.0) != []


def test_the_ledger_adds_up_by_itself() -> None:
    """Two minutes are reserved by the longest prefix; what was less is given back."""
    ledger = Ledger({"line-1": 100_000, "line-2": 10_000}, 120_000)
    first = Asked(new_id(), "+79161234567", "line-1")
    assert ledger.heard(first) == ""
    assert ledger.spent["line-1"] == 45_000
    ledger.ended(first, 30)
    assert ledger.spent["line-1"] == 11_250
    assert ledger.heard(Asked(new_id(), "+78091234567", "line-1")) == "611250 spent of 100000"
    assert ledger.heard(Asked(new_id(), "+375291234567", "line-2")) == "a call without a tariff"


# -- what is told of it ------------------------------------------------------------------------------------


async def next_leads(server: Server, company: Company, wanted: int) -> Placed:
    """Dial, and wait until Asterisk was asked."""
    placed = await server.placer.next_leads(company.terms, wanted, NODE)
    await server.placer.settled(NODE)
    return placed


LINE: dict[str, Any] = {"allowed_prefixes": ["+7"], "max_channels": 50, "max_cps": 500.0}
TARIFF = {"+7": Decimal(1)}


@pytest.mark.parametrize(
    ("line", "caps", "dialled", "why", "cap"),
    [
        ({"max_channels": 2}, {}, 2, "no_lines", "channels"),
        ({"max_spend_per_day": 5, "rates": TARIFF}, {}, 2, "spend", "spend"),
        ({}, {"max_channels": 2}, 2, "tenant_channels", "tenant_channels"),
        ({"rates": TARIFF}, {"max_spend_per_day": 5}, 2, "tenant_spend", "tenant_spend"),
        ({}, {"max_cps": 1}, 1, "tenant_rate", "tenant_rate"),
        ({}, {"max_spend_per_day": 5}, 0, "no_rate", "no_rate"),
    ],
)
async def test_a_cap_that_is_reached_is_the_paces_reason_and_is_told_once(
    floor: Floor, line: dict[str, Any], caps: dict[str, Any], dialled: int, why: str, cap: str
) -> None:
    """The runner keeps the reason; the event names the cap, and the trunk where it is a trunk's."""
    company = await floor.company(1, [LINE | line], caps)
    await floor.leads(company, [f"+7916{n:07}" for n in range(20)])
    recorder = Recorder()
    async with floor.servers(1, recorder) as (server,):
        placed = await next_leads(server, company, 4)
        assert placed.dialled == dialled
        for _ in range(3):
            assert await next_leads(server, company, 4) == Placed(0, why)
    async with floor.database.tenant(company.tenant_id) as conn:
        told = list(
            await conn.scalars(select(t.event.c.payload).where(t.event.c.kind == "trunk.cap_reached"))
        )
    of_tenant = cap.startswith("tenant")
    (trunk_id,) = company.trunks.values()
    assert told == [{"trunk_id": None if of_tenant else trunk_id, "cap": cap}]
    assert len(recorder.sent) == dialled


async def test_a_call_by_hand_is_told_why_no_trunk_takes_it(floor: Floor) -> None:
    """In words, with an event for whoever watches; nothing of the try is left."""
    company = await floor.company(1, [LINE | {"max_channels": 1}], {}, mode="manual")
    async with floor.servers(1, Recorder()) as (server,):
        target = Target("+88213555123", MOSCOW)
        with pytest.raises(NotAllowed, match="may call such numbers"):
            await server.placer.one(company.terms, target, company.by_hand)
        async with floor.database.tenant(company.tenant_id) as conn:
            (trunk_id,) = company.trunks.values()
            row = {"tenant_id": company.tenant_id, "trunk_id": trunk_id, "channels": 1}
            await conn.execute(insert(t.trunk_load).values(row))
        with pytest.raises(NotAllowed, match="all lines of the trunk are taken"):
            await server.placer.one(company.terms, Target("+79161234567", MOSCOW), company.by_hand)
    async with floor.database.tenant(company.tenant_id) as conn:
        assert (await conn.execute(select(t.attempt))).all() == []
        assert (await conn.execute(select(t.active_number))).all() == []
        told = await conn.scalars(
            select(t.event.c.payload["cap"].astext).where(t.event.c.kind == "trunk.cap_reached")
        )
        assert list(told) == ["channels"]


async def test_a_call_that_its_trunk_failed_goes_over_the_next_one(floor: Floor) -> None:
    """The lead has used up nothing, and is due in seconds."""
    company = await floor.company(1, [LINE, LINE], {})
    await floor.leads(company, ["+79161234567"])
    first, second = company.trunks
    recorder = Recorder()
    async with floor.servers(1, recorder) as (server,):
        assert await next_leads(server, company, 1) == Placed(1)
        (asked,) = recorder.sent
        assert asked.endpoint == first
        failed = HungUp(utc_now(), result=Result.CONGESTION, cause=34, sip_code=503)
        server.placer.calls.apply(asked.attempt_id, failed)
        await server.journal.drain()
        async with floor.database.tenant(company.tenant_id) as conn:
            lead = (await conn.execute(select(t.lead))).one()
            assert (lead.status, lead.attempts) == ("waiting", 0)
            assert 4 < (lead.open_from - utc_now()).total_seconds() + 1 < 7
            await conn.execute(update(t.lead).values(open_from=utc_now()))
        assert await next_leads(server, company, 1) == Placed(1)
        assert recorder.sent[-1].endpoint == second
