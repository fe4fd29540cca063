"""What a predictive campaign has learned outlives its server: it is in the rows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.floor import NODE, TENANT, Floor, Seat

from dialer.agents.model import AgentState
from dialer.asterisk.ami import AmiReply
from dialer.asterisk.nodes import Node, Nodes
from dialer.calls import admission, on_lines
from dialer.calls.journal import DatabaseJournal
from dialer.calls.lines import TrunkLines
from dialer.calls.model import (
    TAKEN_BACK,
    Answered,
    Call,
    CancelAsked,
    Connected,
    GaveUp,
    HungUp,
    Rang,
    Result,
    Screened,
    Sent,
    Signal,
)
from dialer.calls.placing import Placer
from dialer.calls.table import CallTable, Line
from dialer.calls.targets import Target
from dialer.calls.terms import CallTerms
from dialer.calls.tracking import Tracker
from dialer.campaigns.pace import Basis, Pace, traits_of_lead
from dialer.campaigns.pace_store import past
from dialer.campaigns.paces import Paces
from dialer.campaigns.terms import DatabaseTermsBook
from dialer.clock import utc_now
from dialer.compliance.model import POLICIES, Hours, Timetable
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.pacing.answering import traits_of, words_of
from dialer.pacing.learner import Observation, Seen
from dialer.reports.settled_store import settled
from dialer.servers.ownership import Sole
from scheduler import hopper


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running predictive campaign."""
    return await Floor.open(database, mode="predictive", policy="us-tsr")


async def terms_of(floor: Floor) -> CallTerms:
    """The campaign's terms as the engine reads them."""
    book = DatabaseTermsBook(floor.database, prompts_dir=None)  # type: ignore[arg-type]
    return await book.terms(TENANT, floor.campaign_id)


@asynccontextmanager
async def taken_up(floor: Floor, table: CallTable, terms: CallTerms) -> AsyncIterator[tuple[Paces, Pace]]:
    """The campaign as an engine takes it up."""
    journal = table.journal
    assert isinstance(journal, DatabaseJournal)
    ready = asyncio.Event()
    paces = Paces(floor.database, table, journal.drain, settled, ready.set)
    works = [asyncio.create_task(work) for work in (paces.run(), journal.run())]
    try:
        assert paces.of(terms) is None
        async with asyncio.timeout(60):
            await ready.wait()
        pace = paces.of(terms)
        assert pace is not None
        yield paces, pace
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


async def call_of(floor: Floor, table: CallTable, terms: CallTerms, lead_id: int, number: int) -> Call:
    """A call of the lead, followed by the table: one in five minutes, of the last hours."""
    call = await floor.place(lead_id)
    call = replace(call, created_at=utc_now() - timedelta(hours=3) + timedelta(minutes=5 * number))
    async with floor.database.tenant(TENANT) as conn:
        row = (await conn.execute(select(t.lead).where(t.lead.c.id == lead_id))).one()
        known = hopper.ClaimedLead(
            row.id, row.list_id, row.contact_id, row.e164, tuple(row.timezones), 0, None, "mobile"
        )
        traits = traits_of_lead(known, call.created_at)
        await conn.execute(
            update(t.attempt)
            .where(t.attempt.c.id == call.attempt_id)
            .values(traits=words_of(traits), created_at=call.created_at)
        )
    call = replace(call, abandon_after_s=terms.policy.abandon_after_s)
    table.add(Line(call=call, terms=terms, e164=row.e164, trunk_id=floor.trunk_id, node=NODE, traits=traits))
    return call


def ways(call: Call, seat: Seat) -> list[list[Signal]]:
    """What may become of a call."""

    def at(seconds: float) -> Any:
        return call.created_at + timedelta(seconds=seconds)

    rang: list[Signal] = [Sent(at(0.1)), Rang(at(1))]
    up: list[Signal] = [*rang, Answered(at(6)), Screened(at(6))]
    return [
        [*up, Connected(at(6.1), agent=seat.assignee), HungUp(at(70), result=Result.FAILED)],
        [*rang, HungUp(at(24), result=Result.NO_ANSWER)],
        [*rang, CancelAsked(at(16), TAKEN_BACK), HungUp(at(16.2), result=Result.NO_ANSWER)],
        [*up, GaveUp(at(8)), HungUp(at(12), result=Result.FAILED)],
        [*up, HungUp(at(7), result=Result.FAILED)],
    ]


def figures(pace: Pace) -> list[float]:
    """What the rule would be told."""
    knowledge, budget = pace.learner.knowledge(), pace.budget.state(utc_now())
    laws = (knowledge.laws.answer, knowledge.laws.failure, knowledge.laws.talk, knowledge.laws.wrap_up)
    windows = [figure for w in budget.windows for figure in (w.answered, w.abandoned)]
    learned = [knowledge.answer_probability, pace.chance((("kind", "mobile"),)), budget.price]
    return [*learned, *windows, *(share for law in laws for share in law.shares)]


async def test_another_server_knows_what_the_first_has_learned(floor: Floor) -> None:
    """A campaign that is taken up anew is where it was; a call on the lines goes on and counts once; numpy,
    which the rule needs, is there by then."""
    seat = await floor.seat()
    leads, terms = await floor.leads(30), await terms_of(floor)
    table = CallTable(DatabaseJournal(floor.database))
    async with taken_up(floor, table, terms) as (paces, first):
        assert "dialer.pacing.lookahead" in sys.modules
        for number, lead_id in enumerate(leads[:-1]):
            call = await call_of(floor, table, terms, lead_id, number)
            for signal in ways(call, seat)[number % 5]:
                table.apply(call.attempt_id, signal)
                first.learner.knowledge()
            if number % 5 == 0:
                wrapped = call.created_at + timedelta(seconds=70 + 9)
                free = replace(
                    await floor.shift(seat), state=AgentState.READY, attempt_id=None, state_since=wrapped
                )
                paces.shifts_read(TENANT, [free])
                first.learner.knowledge()
        last = await call_of(floor, table, terms, leads[-1], len(leads))
        *rest, end = ways(last, seat)[0]
        for signal in rest:
            table.apply(last.attempt_id, signal)
        journal = table.journal
        assert isinstance(journal, DatabaseJournal)
        await journal.drain()
        # Wrap-ups end in the rows, and shifts tell of them.
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(
                update(t.attempt)
                .where(t.attempt.c.state == "wrap_up")
                .values(state="ended", ended_at=t.attempt.c.hung_up_at + timedelta(seconds=9))
            )
            rows = await past(conn, terms, utc_now(), settled)
        told = [one for one in rows.calls if one.call.ended_at and one.call.connected_at]
        assert len(told) == 6
        # Whose talks they were, of whom pacing knows how long they last.
        assert {one.call.talked_by for one in told} == {seat.assignee.agent_id}
        second_table = CallTable(DatabaseJournal(floor.database))
        line = table.get(last.attempt_id)
        assert line is not None
        second_table.add(
            Line(call=line.call, terms=terms, e164="", trunk_id=1, node=NODE, traits=line.traits)
        )
        async with taken_up(floor, second_table, terms) as (_, second):
            adopted = second_table.get(last.attempt_id)
            assert adopted is not None
            assert adopted.answer_probability is not None
            assert figures(first) == pytest.approx(figures(second), abs=1e-9)
            # The calls were of the last three hours, which near midnight are not all of today.
            windows = {window.name: window for window in second.budget.state(utc_now()).windows}
            assert windows["24h"].abandoned == 6
            for each in (table, second_table):
                each.apply(last.attempt_id, end)
            assert figures(first) == pytest.approx(figures(second), abs=1e-9)
        paces.drop(TENANT, floor.campaign_id)
        assert paces.of(terms) is None


async def test_what_was_settled_before_counts_in_the_windows(floor: Floor) -> None:
    """Of more attempts than are gone through one by one the answers stand in the windows; a call that a
    person started tells nothing of how many to dial; why the pace was so is known of each answer."""
    terms = await terms_of(floor)
    for _ in range(6):
        call = await floor.place()
        at = call.created_at
        await floor.signals(call, Answered(at), Screened(at), GaveUp(at), HungUp(at, result=Result.FAILED))
    by_hand = await floor.place()
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.attempt).where(t.attempt.c.id == by_hand.attempt_id).values(mode="manual")
        )
        await conn.execute(
            insert(t.pacing_tick).values(
                tenant_id=TENANT,
                campaign_id=floor.campaign_id,
                at=utc_now() - timedelta(hours=1),
                dial=0,
                why="no_lines",
                inputs={},
            )
        )
        all_of_it = await past(conn, terms, utc_now(), settled)
        some = await past(conn, terms, utc_now(), settled, wanted=2)
    assert len(all_of_it.calls) == 6
    assert not all_of_it.settled
    assert {one.why for one in all_of_it.calls} == {"no_lines"}
    assert len(some.calls) == 2
    assert sum(answered for _, answered, _ in some.settled) == 4
    assert sum(abandoned for _, _, abandoned in some.settled) == 4
    pace = Pace(Basis.of(terms))
    pace.recall(some)
    assert {(w.answered, w.abandoned) for w in pace.budget.state(utc_now()).windows} == {(6, 6)}


async def test_leads_are_looked_at_without_being_taken(floor: Floor) -> None:
    """A look ahead gives the leads that the claim gives, with their numbers' kinds, and locks none."""
    await floor.leads(3)
    async with floor.database.tenant(TENANT) as conn, floor.database.tenant(TENANT) as other:
        claimed = await hopper.claim(conn, TENANT, floor.campaign_id, 2, utc_now())
        seen = await hopper.peek(other, TENANT, floor.campaign_id, 2, utc_now())
    assert seen == claimed
    assert [(lead.kind, lead.last_result) for lead in seen] == [("mobile", None)] * 2


async def test_a_rung_call_that_was_taken_back_leaves_its_lead_callable(floor: Floor) -> None:
    """The attempt is in the log with its reason, the lead has all its attempts left, and the policy's limits
    count the ringing."""
    (lead_id,) = await floor.leads(1)
    call = await floor.place(lead_id)
    at = call.created_at
    await floor.signals(
        call, Sent(at), Rang(at), CancelAsked(at, TAKEN_BACK), HungUp(at, result=Result.NO_ANSWER)
    )
    row, lead = await floor.row(t.attempt, call.attempt_id), await floor.row(t.lead, lead_id)
    assert (row.result, row.detail) == ("canceled", TAKEN_BACK)
    assert (lead.status, lead.attempts) == ("waiting", 0)
    async with floor.database.tenant(TENANT) as conn:
        (known,) = await admission.subjects(
            conn, await terms_of(floor), [Target(lead.e164, ("UTC",))], utc_now()
        )
    assert len(known.tried) == 1


# -- what the placer does for it ---------------------------------------------------------------------------


class Asterisk:
    """A link to an Asterisk that takes everything: what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.up = True

    async def send(self, action: Mapping[str, Any]) -> AmiReply:
        """Take an action."""
        self.asked.append(action)
        return AmiReply({"ActionID": str(len(self.asked))})


async def test_chances_are_written_and_calls_taken_back(floor: Floor) -> None:
    """An attempt is kept with what its chance was told from; of two calls that are taken back the one that
    somebody has answered goes on."""
    await floor.leads(2)
    asterisk: Any = Asterisk()
    calls, nodes = CallTable(DatabaseJournal(floor.database)), Nodes()
    nodes.add(Node(NODE, asterisk, ready=True))
    placer = Placer(floor.database, nodes, Sole(), calls, Tracker(calls), TrunkLines(), "127.0.0.1:4573")
    terms = await terms_of(floor)
    terms = replace(terms, window=Timetable.alike(Hours(0, 24 * 60)), policy=POLICIES["demo"])
    pace = Pace(Basis.of(terms))
    assert (await placer.next_leads(terms, 2, NODE, Paces.teller(pace, terms))).dialled == 2
    await placer.settled(NODE)
    ringing, answered = calls
    assert dict(ringing.traits)["kind"] == "mobile"
    assert ringing.answer_probability == pytest.approx(0.3)
    row = await floor.row(t.attempt, ringing.call.attempt_id)
    assert traits_of(row.traits) == ringing.traits
    for line in (ringing, answered):
        calls.apply(line.call.attempt_id, Rang(utc_now()))
    calls.apply(answered.call.attempt_id, Answered(utc_now()))
    asterisk.asked.clear()
    placer.take_back([ringing.call.attempt_id, answered.call.attempt_id])
    await placer.settled(NODE)
    assert [(each["Action"], each["Channel"]) for each in asterisk.asked] == [
        ("Hangup", str(ringing.call.attempt_id))
    ]
    assert (ringing.call.canceled, answered.call.canceled) == (True, False)
    # Another owner of the call knows it with its traits.
    async with floor.database.tenant(TENANT) as conn:
        left = await on_lines.calls_on_lines(conn, TENANT, [floor.campaign_id])
    assert {each.traits for each in left} == {ringing.traits}


async def test_a_chance_is_told_over_the_trunk_that_the_call_has(floor: Floor) -> None:
    """Of two trunks the first has a line for one of two calls: each attempt is kept with its own trunk, and
    has the chance that was learned over it. The leads that come next are looked at over the second."""
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.trunk).values(max_channels=1))
        second = await conn.scalar(
            insert(t.trunk)
            .values(
                tenant_id=TENANT, name="other", endpoint="other", caller_id="+74950000001",
                allowed_prefixes=["+7"], max_cps=100,
            )
            .returning(t.trunk.c.id)
        )  # fmt: skip
        values = {"tenant_id": TENANT, "campaign_id": floor.campaign_id, "position": 2, "trunk_id": second}
        await conn.execute(insert(t.campaign_trunk).values(values))
    await floor.leads(4)
    asterisk: Any = Asterisk()
    calls, nodes, lines = CallTable(DatabaseJournal(floor.database)), Nodes(), TrunkLines()
    nodes.add(Node(NODE, asterisk, ready=True))
    placer = Placer(floor.database, nodes, Sole(), calls, Tracker(calls), lines, "127.0.0.1:4573")
    terms = replace(await terms_of(floor), window=Timetable.alike(Hours(0, 24 * 60)), policy=POLICIES["demo"])
    pace = Pace(Basis.of(terms))
    for n in range(200):
        for trunk_id, result in ((floor.trunk_id, Seen.ANSWERED), (second, Seen.UNANSWERED)):
            pace.learner.see(Observation(result, 9.0 + n % 3, (("trunk", str(trunk_id)),)))

    async def none(*_args: object, **_more: object) -> tuple[()]:
        return ()

    paces = Paces(floor.database, calls, none, none)  # type: ignore[arg-type]
    await paces.look_ahead(pace, terms, 2, lines.likely(terms.trunks, NODE))
    assert min(pace.next_leads) > 0.8
    assert (await placer.next_leads(terms, 2, NODE, Paces.teller(pace, terms))).dialled == 2
    await placer.settled(NODE)
    first, other = calls
    assert [(line.trunk_id, dict(line.traits)["trunk"]) for line in (first, other)] == [
        (floor.trunk_id, str(floor.trunk_id)), (second, str(second)),
    ]  # fmt: skip
    for line in (first, other):
        row = await floor.row(t.attempt, line.call.attempt_id)
        assert traits_of(row.traits) == line.traits
        assert line.answer_probability == pace.chance(line.traits)
    assert first.answer_probability is not None
    assert other.answer_probability is not None
    assert first.answer_probability > 0.8 > 0.2 > other.answer_probability
    pace.looked_s -= 2.0  # not more often than once a second
    await paces.look_ahead(pace, terms, 2, lines.likely(terms.trunks, NODE))
    assert max(pace.next_leads) < 0.2
