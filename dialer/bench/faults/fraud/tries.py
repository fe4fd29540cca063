"""The tries themselves: one function for each case, over the floor's servers; each says what got through."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from dialer.bench.faults.fraud import numbers
from dialer.bench.faults.fraud.floor import NODE, Asked, Company, Floor, Recorder, Server
from dialer.calls.placing import Placed
from dialer.calls.targets import Target
from dialer.contacts.numbers import PhoneNumber, read_number
from dialer.errors import DozvonError, NotAllowed

#: Answers that are no refusal of a rule's: there was nobody to call, or nobody to call for.
NO_REFUSAL = ("no_leads", "not_running", "not_ours")
#: A call may be held up so long between the second that it was counted in and Asterisk's, seconds.
HELD_UP_S = 0.25
#: Servers that go at the same trunks at once.
SERVERS = 6


@dataclass(slots=True)
class Outcome:
    """What came of a run's tries."""

    #: forbidden things that were tried
    tries: int = 0
    #: times that something was asked for: what was allowed, and what found nothing to do, too
    requests: int = 0
    #: of them, those that got through
    passed: int = 0
    #: calls that were asked of Asterisk, the allowed ones
    calls: int = 0
    #: what got through, in words; and whatever else was not right
    broken: list[str] = field(default_factory=list)

    def through(self, what: str) -> None:
        """A try got through."""
        self.passed += 1
        if len(self.broken) < 5:
            self.broken.append(what)


Case = Callable[[Floor, int, random.Random, int], Awaitable[Outcome]]


# -- numbers -----------------------------------------------------------------------------------------------


async def forbidden_numbers(floor: Floor, seed: int, rng: random.Random, tries: int) -> Outcome:
    """Numbers that no trunk may call: typed, past the parser, and on a list."""
    line = {"allowed_prefixes": list(numbers.ALLOWED), "max_channels": 1000, "max_cps": 500.0}
    recorder, outcome = Recorder(), Outcome()
    company = await floor.company(seed, [line], {"max_typed_per_hour": 10_000}, mode="manual")
    on_list = tries // 4
    async with floor.servers(1, recorder) as (server,):
        for n in range(tries - on_list):
            written = numbers.forbidden(rng)
            if n % 2:
                read = read_number(written, "RU")
                target = Target(read.e164, read.timezones) if isinstance(read, PhoneNumber) else None
            else:
                target = Target(written, ("Europe/Moscow",))
            outcome.requests += 1
            if target is not None:
                await _by_hand(server, company, target)
            _judge(recorder, outcome)
        await _list(floor, company, server, [_storable(numbers.forbidden(rng)) for _ in range(on_list)])
        outcome.requests += on_list
        _judge(recorder, outcome)
        # What came to a number that may be dialled was no try.
        outcome.tries += tries - outcome.calls
        await _typed_too_often(floor, company, server, outcome, rng)
        _judge(recorder, outcome)
    return await _settled(floor, company, outcome)


def _storable(written: str) -> str:
    return written[:200] or "+"


async def _by_hand(server: Server, company: Company, target: Target) -> bool:
    """Dial as an agent would; whether it was placed. The call ends at once."""
    try:
        attempt_id = await server.placer.one(company.terms, target, company.by_hand)
    except DozvonError:
        return False
    await server.placer.settled(NODE)
    await server.end(attempt_id)
    return True


def _judge(recorder: Recorder, outcome: Outcome) -> None:
    """Look at what Asterisk was asked for since the last time."""
    for asked in recorder.sent:
        if numbers.may_be_dialled(asked.number) and asked.endpoint.startswith("line-"):
            outcome.calls += 1
        else:
            outcome.through(f"dialled {asked.number!r} at {asked.endpoint!r}")
    recorder.sent.clear()


async def _list(floor: Floor, company: Company, server: Server, written: list[str]) -> None:
    """Put them on the list past the import, and dial it through."""
    await floor.leads(company, sorted(set(written)))
    for _ in range(len(written)):
        placed = await server.placer.next_leads(company.terms, 25, NODE)
        await server.placer.settled(NODE)
        for attempt_id in server.mine:
            await server.end(attempt_id)
        if placed.why_not == "no_leads":
            return


async def _typed_too_often(
    floor: Floor, company: Company, server: Server, outcome: Outcome, rng: random.Random
) -> None:
    """Good numbers, and more of them than an agent may type in an hour."""
    async with floor.database.tenant(company.tenant_id) as conn:
        typed = await conn.scalar(text("SELECT count(*) FROM attempt WHERE lead_id IS NULL")) or 0
        most = typed + rng.randint(1, 3)
        await conn.execute(text("UPDATE tenant_cap SET max_typed_per_hour = :most"), {"most": most})
    for n in range(25):
        good = f"+7916{rng.randint(0, 9_999_999):07}"
        placed = await _by_hand(server, company, Target(good, ("Europe/Moscow",)))
        outcome.requests += 1
        if n >= most - typed:
            outcome.tries += 1
            if placed:
                outcome.through(f"typed the {n + 1}. number of {most - typed}")


# -- caps --------------------------------------------------------------------------------------------------


async def too_many_at_once(floor: Floor, seed: int, rng: random.Random, tries: int) -> Outcome:
    """More calls at once than the trunks and the tenant may carry, from several servers."""
    most = [rng.randint(1, 6), rng.randint(1, 6)]
    of_tenant = rng.randint(2, sum(most))
    lines = [{"allowed_prefixes": ["+7"], "max_channels": many, "max_cps": 500.0} for many in most]
    company = await floor.company(seed, lines, {"max_channels": of_tenant})
    recorder, outcome = Recorder(), Outcome()
    caps = dict(zip(company.trunks, most, strict=True))

    def heard(asked: Asked) -> None:
        outcome.calls += 1
        if recorder.on_lines(asked.endpoint) > caps[asked.endpoint]:
            outcome.through(f"{recorder.on_lines(asked.endpoint)} calls on a trunk of {caps[asked.endpoint]}")
        elif recorder.on_lines() > of_tenant:
            outcome.through(f"{recorder.on_lines()} calls of a tenant of {of_tenant}")

    recorder.heard = heard

    async def go(server: Server, dice: random.Random) -> None:
        while outcome.tries < tries and outcome.requests < 4 * tries:  # where no rule holds, none is refused
            await _press(server, company, stock, outcome, dice.randint(1, 8))
            mine = server.mine
            if mine and dice.random() < 0.5:
                await server.end(dice.choice(mine))

    stock = Stock(floor, company, ["+7916"])
    await stock.refill()
    await _all_at_once(floor, recorder, rng, go)
    return await _settled(floor, company, outcome)


async def too_many_a_second(floor: Floor, seed: int, rng: random.Random, tries: int) -> Outcome:
    """New calls faster than trunk and tenant may place them, from several servers."""
    cps, of_tenant = rng.uniform(2, 30), rng.uniform(2, 30)
    line = {"allowed_prefixes": ["+7"], "max_channels": 10_000, "max_cps": cps}
    company = await floor.company(seed, [line], {"max_cps": of_tenant})
    recorder, outcome = Recorder(), Outcome()
    stock, times = Stock(floor, company, ["+7916"]), list[float]()
    await stock.refill()
    recorder.heard = lambda _asked: times.append(time.monotonic())

    async def go(server: Server, dice: random.Random) -> None:
        while outcome.tries < tries and outcome.requests < 4 * tries:  # where no rule holds, none is refused
            await _press(server, company, stock, outcome, dice.randint(1, 8))
            for attempt_id in server.mine[:20]:
                await server.end(attempt_id)

    await _all_at_once(floor, recorder, rng, go)
    outcome.calls = len(recorder.sent)
    rate = min(cps, of_tenant)
    for many in too_fast(times, rate):
        outcome.through(f"{many} calls in a second at {rate:.2f} a second")
    return await _settled(floor, company, outcome)


def too_fast(times: Sequence[float], rate: float) -> list[int]:
    """Of each call that was one too many in the second up to it, how many there were in that second.

    `times` are in order, seconds. A quarter of a second's calls may be saved up, and one is always free.
    """
    found, first = [], 0
    for last, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        if (many := last - first + 1) > 1 + rate / 4 + rate * (1.0 + HELD_UP_S):
            found.append(many)
    return found


#: A minute's price by prefix, of two trunks; the second has none for Belarus. Numbers and the prefix that
#: decides, as a tariff's reader would find it.
TARIFFS: tuple[Mapping[str, Decimal], ...] = (
    {"+7": Decimal("1.5"), "+7916": Decimal("2.25"), "+78": Decimal(30), "+375": Decimal("7.35")},
    {"+7": Decimal("0.9"), "+7916": Decimal("1.05"), "+78": Decimal(11)},
)
MONEY_NUMBERS = {"+7495": "+7", "+7916": "+7916", "+7809": "+78", "+375291": "+375", "+48221": ""}


@dataclass(slots=True)
class Ledger:
    """The witness of money: what each call has reserved or cost, in units of a ten-thousandth."""

    caps: dict[str, int]
    of_tenant: int
    spent: dict[str, int] = field(default_factory=dict)
    of_call: dict[UUID, tuple[str, int]] = field(default_factory=dict)

    @staticmethod
    def rate(number: str, endpoint: str) -> int | None:
        """A minute's price at that trunk; None: it has none."""
        tariff = TARIFFS[0 if endpoint.endswith("-1") else 1]
        for begins, prefix in MONEY_NUMBERS.items():
            if number.startswith(begins):
                return int(tariff[prefix] * 10_000) if prefix in tariff else None
        return None

    def heard(self, asked: Asked) -> str:
        """A call is on the line: two minutes are reserved. What is wrong with it; empty: nothing."""
        rate = self.rate(asked.number, asked.endpoint)
        if rate is None:
            return "a call without a tariff"
        self.of_call[asked.attempt_id] = (asked.endpoint, 2 * rate)
        self.spent[asked.endpoint] = self.spent.get(asked.endpoint, 0) + 2 * rate
        if self.spent[asked.endpoint] > self.caps[asked.endpoint]:
            return f"{self.spent[asked.endpoint]} spent of {self.caps[asked.endpoint]}"
        total = sum(self.spent.values())
        return f"{total} spent of {self.of_tenant} by the tenant" if total > self.of_tenant else ""

    def ended(self, asked: Asked, answered_s: int | None) -> None:
        """A call has cost what it has; never more than was reserved here."""
        endpoint, reserved = self.of_call.pop(asked.attempt_id)
        rate = self.rate(asked.number, endpoint) or 0
        self.spent[endpoint] += -(-rate * (answered_s or 0) // 60) - reserved


async def too_much_money(floor: Floor, seed: int, rng: random.Random, tries: int) -> Outcome:
    """More money than trunk and tenant may spend in the day, from several servers; and numbers without a
    price."""
    most = [rng.randint(20, 90), rng.randint(20, 90)]
    ledger = Ledger(
        {f"line-{seed}-{n}": 10_000 * cap for n, cap in enumerate(most, 1)}, 10_000 * sum(most) * 3 // 4
    )
    lines = [
        {
            "allowed_prefixes": ["+7", "+375", "+48"],
            "max_channels": 1000,
            "max_cps": 500.0,
            "max_spend_per_day": cap,
            "rates": tariff,
        }
        for cap, tariff in zip(most, TARIFFS, strict=True)
    ]
    company = await floor.company(seed, lines, {"max_spend_per_day": Decimal(ledger.of_tenant) / 10_000})
    recorder, outcome = Recorder(), Outcome()

    def heard(asked: Asked) -> None:
        outcome.calls += 1
        wrong = ledger.heard(asked)
        if wrong:
            outcome.through(wrong)

    recorder.heard = heard
    begins = list(MONEY_NUMBERS)
    stock = Stock(floor, company, begins)
    await stock.refill()

    async def go(server: Server, dice: random.Random) -> None:
        dry = 0
        while outcome.tries < tries and outcome.requests < 4 * tries:  # where no rule holds, none is refused
            before = outcome.calls
            await _press(server, company, stock, outcome, dice.randint(1, 4))
            dry = 0 if outcome.calls > before else dry + 1
            mine = server.mine
            if mine and dice.random() < 0.7:
                attempt_id = dice.choice(mine)
                answered_s = dice.choice((None, 1, 30, 61, 119, 120))
                ledger.ended(recorder.live[attempt_id], answered_s)
                await server.end(attempt_id, answered_s)
            if dry > 12:  # the day's money is spent: some more of it, and the same again
                dry = 0
                await _raise_caps(floor, company, ledger, dice)

    await _all_at_once(floor, recorder, rng, go)
    return await _settled(floor, company, outcome)


async def _raise_caps(floor: Floor, company: Company, ledger: Ledger, rng: random.Random) -> None:
    """The witness first: a call may be placed as soon as the row is written."""
    more = {endpoint: rng.randint(0, 30) for endpoint in ledger.caps}
    for endpoint, money in more.items():
        ledger.caps[endpoint] += 10_000 * money
    ledger.of_tenant += 10_000 * sum(more.values())
    async with floor.database.tenant(company.tenant_id) as conn:
        for endpoint, money in more.items():
            await conn.execute(
                text("UPDATE trunk SET max_spend_per_day = max_spend_per_day + :money WHERE id = :id"),
                {"money": money, "id": company.trunks[endpoint]},
            )
        await conn.execute(
            text("UPDATE tenant_cap SET max_spend_per_day = max_spend_per_day + :money"),
            {"money": sum(more.values())},
        )


# -- helpers -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Stock:
    """Numbers that may be dialled, each of them once: a list that is dialled through gets others."""

    floor: Floor
    company: Company
    begins: Sequence[str]
    _next: Iterator[int] = field(default_factory=itertools.count)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refill(self) -> None:
        """Put more numbers on the list."""
        async with self._turn:
            taken = itertools.islice(self._next, 500)
            fresh = [f"{self.begins[n % len(self.begins)]}{n:07}" for n in taken]
            await self.floor.leads(self.company, fresh)


async def _press(server: Server, company: Company, stock: Stock, outcome: Outcome, wanted: int) -> None:
    """Ask for so many calls; those that are refused were tries."""
    try:
        placed = await server.placer.next_leads(company.terms, wanted, NODE)
    except NotAllowed:
        placed = Placed(0, "not_allowed")
    await server.placer.settled(NODE)
    outcome.requests += 1
    outcome.tries += refused(placed, wanted)
    if placed.why_not == "no_leads":
        await stock.refill()


def refused(placed: Placed, wanted: int) -> int:
    """How many of the calls that were asked for a rule has refused: none where there was nobody to call."""
    return 0 if placed.why_not in NO_REFUSAL else wanted - placed.dialled


async def _all_at_once(
    floor: Floor,
    recorder: Recorder,
    rng: random.Random,
    go: Callable[[Server, random.Random], Awaitable[None]],
) -> None:
    seeds = [rng.random() for _ in range(SERVERS)]
    async with floor.servers(SERVERS, recorder) as servers:
        async with asyncio.TaskGroup() as tasks:
            for server, seed in zip(servers, seeds, strict=True):
                tasks.create_task(_alone(go, server, random.Random(seed)))  # noqa: S311 - tries, not secrets
        for server in servers:
            for attempt_id in server.mine:
                await server.end(attempt_id)


async def _alone(
    go: Callable[[Server, random.Random], Awaitable[None]], server: Server, rng: random.Random
) -> None:
    await go(server, rng)


async def _settled(floor: Floor, company: Company, outcome: Outcome) -> Outcome:
    """When every call has ended no line may be counted as taken."""
    left = await floor.carried(company)
    if left:
        outcome.broken.append(f"{left} lines are still counted when all calls have ended")
    return outcome
