"""Figures from attempts, against a table whose figures are worked out by hand."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Role
from dialer.reports.figures import FORMULAS, AgentTime, Group, Spread
from dialer.reports.http import FiguresOut, ReportOut
from dialer.reports.service import FigureService

SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")
#: Ten in the morning in Moscow, which is the tenant's place.
TEN = datetime(2026, 5, 4, 7, 0, tzinfo=UTC)
ELEVEN = TEN + timedelta(hours=1)
NOW = TEN + timedelta(hours=2)

# Campaign A, list 1, trunk 1 unless said otherwise. "who" is a contact; - is a number typed by hand.
#
#   hour  who  result          answered  agent  join  to agent  notes
#   10    1    answered        yes       1      10    1000
#   10    2    answered        yes       1      20    3000
#   10    3    answered        yes       2      30    2000      still wrapped up: not ended
#   10    4    machine         yes       -
#   10    5    abandoned       yes       -
#   10    1    no_answer       no        -
#   11    6    caller_hung_up  yes       -                      trunk 2
#   11    7    busy            no        -                      trunk 2
#   11    7    unknown         no        -                      nobody knows whether it was sent
#   11    -    answered        yes       2      40    4000      by hand: no list
#   11    8    failed          no        -                      never sent to Asterisk
#   11    9    (none)          yes       -                      waits for an agent now
#
# attempts = 10 (not the unsent one, not the open one); open 1; unfinished 2; not sent 1
# answered = 1 2 3 machine abandoned hung-up by-hand = 7; live = 6; connected = 4
# connect rate 6/10; abandon rate 1/6; contacts dialled 1-7 and the typed number = 8; of them reached 1 2 3 5
# 6 and the typed number = 6
# join 10 20 30 40: median 25, p95 = 30 + 0.85 * 10 = 38.5, max 40; to agent likewise 2500, 3850, 4000
ROWS: list[dict[str, Any]] = [
    {"at": TEN, "who": 1, "result": "answered", "picked": 1, "agent": 1, "join": 10, "wait": 1000},
    {"at": TEN, "who": 2, "result": "answered", "picked": 1, "agent": 1, "join": 20, "wait": 3000},
    {"at": TEN, "who": 3, "result": "answered", "picked": 1, "agent": 2, "join": 30, "wait": 2000, "owed": 1},
    {"at": TEN, "who": 4, "result": "machine", "picked": 1},
    {"at": TEN, "who": 5, "result": "abandoned", "picked": 1},
    {"at": TEN, "who": 1, "result": "no_answer"},
    {"at": ELEVEN, "who": 6, "result": "caller_hung_up", "picked": 1, "trunk": 2},
    {"at": ELEVEN, "who": 7, "result": "busy", "trunk": 2},
    {"at": ELEVEN, "who": 7, "result": "unknown", "sent": False},
    {"at": ELEVEN, "who": None, "result": "answered", "picked": 1, "agent": 2, "join": 40, "wait": 4000},
    {"at": ELEVEN, "who": 8, "result": "failed", "sent": False},
    {"at": ELEVEN, "who": 9, "result": None, "picked": 1, "state": "waiting"},
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """What the rows refer to."""

    figures: FigureService
    database: Database
    campaign: int
    other: int
    list_id: int
    trunks: tuple[int, int]
    agents: tuple[int, int]
    sessions: tuple[UUID, UUID]


async def _id(conn: Any, table: Any, **values: Any) -> int:
    made = await conn.execute(insert(table).values(tenant_id=1, **values).returning(table.c.id))
    return int(made.scalar_one())


@pytest.fixture
async def world(database: Database) -> World:
    async with database.tenant(1) as conn:
        campaign = await _id(conn, t.campaign, name="A", policy="default", skill="ru", started_at=TEN)
        other = await _id(conn, t.campaign, name="B", policy="default")
        list_id = await _id(conn, t.contact_list, name="L")
        trunks = [
            await _id(
                conn,
                t.trunk,
                name=f"T{n}",
                endpoint=f"t{n}",
                caller_id="+74950000001",
                allowed_prefixes=["+7"],
            )
            for n in (1, 2)
        ]
        agents, sessions = [], []
        for n in (1, 2):
            user = await _id(
                conn, t.app_user, login=f"u{n}", name=f"U{n}", role="operator", password_hash="x"
            )
            skills = ["ru"] if n == 1 else ["ru", "en"]
            agents.append(
                await _id(conn, t.agent, user_id=user, name=f"U{n}", endpoint=f"a{n}", skills=skills)
            )
            sessions.append(uuid4())
            await conn.execute(
                insert(t.agent_session).values(
                    tenant_id=1,
                    id=sessions[-1],
                    agent_id=agents[-1],
                    state="ready",
                    state_since=TEN,
                    idle_since=TEN,
                    logged_in_at=TEN,
                )
            )
        for number, row in enumerate(ROWS):
            state = "wrap_up" if row.get("owed") else row.get("state", "ended")
            second = timedelta(seconds=number)
            await conn.execute(
                insert(t.attempt).values(
                    tenant_id=1,
                    id=uuid4(),
                    campaign_id=campaign,
                    list_id=list_id if row["who"] else None,
                    contact_id=row["who"],
                    e164=f"+7916000000{row['who'] or 0}",
                    trunk_id=trunks[row.get("trunk", 1) - 1],
                    caller_id="+74950000001",
                    mode="progressive",
                    policy="default/1",
                    state=state,
                    result=row["result"],
                    agent_id=agents[row["agent"] - 1] if "agent" in row else None,
                    created_at=row["at"] + second,
                    sent_at=row["at"] + second if row.get("sent", True) else None,
                    answered_at=row["at"] + second if row.get("picked") else None,
                    connected_at=row["at"] + second if "agent" in row else None,
                    ended_at=row["at"] + second if state == "ended" else None,
                    join_ms=row.get("join"),
                    answer_to_agent_ms=row.get("wait"),
                )
            )
    return World(
        FigureService(database, clock=lambda: NOW),
        database,
        campaign,
        other,
        list_id,
        (trunks[0], trunks[1]),
        (agents[0], agents[1]),
        (sessions[0], sessions[1]),
    )


async def test_a_campaigns_figures_are_those_of_its_attempts(world: World) -> None:
    """Every count and rate, as worked out above."""
    report = await world.figures.campaign_figures(SUPERVISOR, world.campaign)
    total, counts = report.total, report.total.counts
    assert (counts.attempts, counts.open, counts.unfinished, counts.not_sent) == (10, 1, 2, 1)
    assert {result: n for result, n in counts.by_result.items() if n} == {
        "answered": 4,
        "machine": 1,
        "abandoned": 1,
        "no_answer": 1,
        "caller_hung_up": 1,
        "busy": 1,
        "unknown": 1,
    }
    assert sum(counts.by_result.values()) == counts.attempts
    assert (counts.answered, counts.answered_live, counts.connected) == (7, 6, 4)
    assert (total.machines, total.abandoned) == (1, 1)
    assert (counts.contacts_dialled, counts.contacts_reached) == (8, 6)
    assert total.connect_rate == 6 / 10
    assert total.reach_rate == 6 / 8
    assert total.abandon_rate == 1 / 6
    for spread, expected in (
        (counts.join_ms, Spread(25, 38.5, 40)),
        (counts.answer_to_agent_ms, Spread(2500, 3850, 4000)),
    ):
        assert spread is not None
        # Percentiles are read from buckets a hundredth wide.
        assert astuple(spread) == pytest.approx(astuple(expected), rel=0.005)
        assert spread.max == expected.max


# attempts, live, abandoned of each row of a group, in its order.
@pytest.mark.parametrize(
    ("group", "rows"),
    [
        (Group.CAMPAIGN, [("A", 10, 6, 1)]),
        (Group.LIST, [("L", 9, 5, 1), ("", 1, 1, 0)]),
        (Group.HOUR, [("10:00", 6, 4, 1), ("11:00", 4, 2, 0)]),
        (Group.TRUNK, [("T1", 8, 5, 1), ("T2", 2, 1, 0)]),
        (Group.AGENT, [("U1", 2, 2, 0), ("U2", 2, 2, 0), ("", 6, 2, 1)]),
    ],
)
async def test_figures_are_compared_by(
    world: World, group: Group, rows: list[tuple[str, int, int, int]]
) -> None:
    """Each attempt is in one row of each group; the rows add up to the total."""
    report = await world.figures.figures(SUPERVISOR, group, since=TEN, until=NOW)
    found = [(row.label, row.counts.attempts, row.counts.answered_live, row.abandoned) for row in report.rows]
    assert found == rows
    assert sum(row[1] for row in rows) == report.total.counts.attempts


@pytest.mark.parametrize(
    ("since", "until", "attempts"),
    [
        (None, None, 10),
        (TEN, ELEVEN, 6),
        (TEN + timedelta(seconds=1), ELEVEN, 5),
        (TEN, TEN + timedelta(seconds=1), 1),
        (NOW, NOW + timedelta(hours=1), 0),
        # Without a beginning: the tenant's day of the end. 20:59 UTC on the 3rd is still Sunday in Moscow.
        (None, datetime(2026, 5, 3, 20, 59, tzinfo=UTC), 0),
    ],
)
async def test_a_span_holds_the_attempts_made_in_it(
    world: World, since: datetime | None, until: datetime | None, attempts: int
) -> None:
    """From its first moment up to, not including, its last."""
    report = await world.figures.figures(SUPERVISOR, Group.HOUR, since=since, until=until)
    assert report.total.counts.attempts == attempts


async def test_without_a_beginning_figures_are_those_of_today(world: World) -> None:
    """Today begins at midnight where the tenant is: 21:00 UTC in Moscow."""
    report = await world.figures.figures(SUPERVISOR, Group.HOUR)
    assert (report.since, report.until) == (datetime(2026, 5, 3, 21, 0, tzinfo=UTC), NOW)


# Agent 1, minutes from ten: ready 0-10, talking 10-40 (campaign A), wrap-up 40-50 (A), paused 50-60,
# offline 60-90, reserved 90-100, talking 100- (campaign B, goes on at 120).
# Agent 2: calling 0-1, ready 1-61, talking 61-91 (A), ready 91-.
# Agent 1: logged in 60 + 30 = 90, busy 40 + 20 = 60. Agent 2: logged in 120, busy 30.
TIMES: list[tuple[int, str, int, int | None, str | None]] = [
    (0, "ready", 0, 10, None),
    (0, "talking", 10, 40, "A"),
    (0, "wrap_up", 40, 50, "A"),
    (0, "paused", 50, 60, None),
    (0, "offline", 60, 90, None),
    (0, "reserved", 90, 100, "B"),
    (0, "talking", 100, None, "B"),
    (1, "calling", 0, 1, None),
    (1, "ready", 1, 61, None),
    (1, "talking", 61, 91, "A"),
    (1, "ready", 91, None, None),
]


@pytest.fixture
async def worked(world: World) -> World:
    """The agents' shift of the table above."""
    async with world.database.tenant(1) as conn:
        talks = {}
        for name, campaign in (("A", world.campaign), ("B", world.other)):
            talks[name] = uuid4()
            await conn.execute(
                insert(t.attempt).values(
                    tenant_id=1,
                    id=talks[name],
                    campaign_id=campaign,
                    e164="+79160000000",
                    trunk_id=world.trunks[0],
                    caller_id="+74950000001",
                    mode="manual",
                    policy="default/1",
                    state="connected",
                    created_at=TEN,
                )
            )
        for agent, state, start, end, talk in TIMES:
            await conn.execute(
                insert(t.agent_time).values(
                    tenant_id=1,
                    session_id=world.sessions[agent],
                    agent_id=world.agents[agent],
                    state=state,
                    attempt_id=talks[talk] if talk else None,
                    started_at=TEN + timedelta(minutes=start),
                    ended_at=TEN + timedelta(minutes=end) if end is not None else None,
                )
            )
    return world


async def test_occupancy_is_work_in_time_logged_in(worked: World) -> None:
    """Talking and wrapping up; reserved, ready and paused are no work, logged out is no time."""
    report = await worked.figures.figures(SUPERVISOR, Group.AGENT, since=TEN, until=NOW)
    times = {row.label: row.time for row in report.rows}
    assert times == {"U1": AgentTime(90 * 60, 60 * 60), "U2": AgentTime(120 * 60, 30 * 60), "": None}
    assert report.total.time == AgentTime(210 * 60, 90 * 60)
    assert report.total.occupancy == 90 / 210


async def test_time_is_cut_at_the_span(worked: World) -> None:
    """Minutes 30 to 70: agent 1 is logged in 30 and works 20, agent 2 is logged in 40 and works 9."""
    since, until = TEN + timedelta(minutes=30), TEN + timedelta(minutes=70)
    report = await worked.figures.figures(SUPERVISOR, Group.AGENT, since=since, until=until)
    assert report.total.time == AgentTime(70 * 60, 29 * 60)


async def test_a_campaigns_occupancy_is_of_its_own_talks(worked: World, owner_url: str) -> None:
    """Of 210 minutes of agents with its skill, 40 + 30 went into its talks; nobody else's time counts."""
    report = await worked.figures.campaign_figures(SUPERVISOR, worked.campaign)
    assert report.total.time == AgentTime(210 * 60, 70 * 60)
    owner = await connect(owner_url)
    # Started at minute 20 with a skill that only agent 2 has: 100 minutes, of them 30 in its talks.
    await owner.execute(
        "UPDATE campaign SET skill = 'en', started_at = $1 WHERE id = $2",
        TEN + timedelta(minutes=20),
        worked.campaign,
    )
    await owner.close()
    report = await worked.figures.campaign_figures(SUPERVISOR, worked.campaign)
    assert report.total.time == AgentTime(100 * 60, 30 * 60)


async def test_a_campaign_that_never_ran_divides_by_nothing(world: World) -> None:
    """No attempt: no rate, rather than nought."""
    report = await world.figures.campaign_figures(SUPERVISOR, world.other)
    total = report.total
    assert total.counts.attempts == 0
    assert (total.connect_rate, total.reach_rate, total.abandon_rate, total.occupancy) == (None,) * 4
    assert total.counts.join_ms is None


async def test_every_figure_of_a_reply_has_its_formula(world: World) -> None:
    """In the reader's language, beside the figure."""
    report = await world.figures.figures(SUPERVISOR, Group.TRUNK, since=TEN, until=NOW)
    shown = ReportOut.of(report, "en")
    plain = {"key", "label", "contacts_dialled", "contacts_reached"}
    assert shown.formulas.keys() == FiguresOut.model_fields.keys() - plain
    assert shown.formulas["connect_rate"] == "answered live / attempts"
    assert ReportOut.of(report, "ru").formulas["connect_rate"] == FORMULAS["connect_rate"].ru
    assert shown.total.connect_rate == 0.6


async def test_who_may_not_see_figures_does_not(world: World) -> None:
    """An agent; another tenant; and a span that ends before it begins is none."""
    with pytest.raises(Forbidden):
        await world.figures.figures(Actor(1, None, Role.OPERATOR, "Agent", "ru"), Group.HOUR)
    with pytest.raises(NotFound):
        await world.figures.campaign_figures(SUPERVISOR, 999)
    with pytest.raises(Invalid, match="from"):
        await world.figures.figures(SUPERVISOR, Group.HOUR, since=NOW, until=TEN)


async def test_another_tenants_attempts_are_in_no_figure(world: World, owner_url: str) -> None:
    """Its figures are empty, and its clock is its own."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name, timezone) VALUES (2, 'Second', 'Asia/Vladivostok')")
    await owner.close()
    stranger = Actor(2, None, Role.ADMINISTRATOR, "Stranger", "ru")
    report = await world.figures.figures(stranger, Group.TRUNK)
    assert (report.total.counts.attempts, list(report.rows)) == (0, [])
    assert report.since == datetime(2026, 5, 3, 14, 0, tzinfo=UTC)
