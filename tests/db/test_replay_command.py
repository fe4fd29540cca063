"""`dozvon simulate --replay`: from the rows of a campaign's past to figures, a table and a plot."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, update
from support import docs
from support.floor import TENANT, Floor
from support.recorded import Recorded

from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id
from dialer.pacing.answering import traits, words_of
from dialer.pacing.simulator.compare import setting_of
from dialer.pacing.simulator.replay import Became, Log, PastDial
from dialer.pacing.simulator.runs import Job
from dialer.pacing.simulator.world import World

#: The tenant's midnight is the log's: Moscow is three hours ahead.
AHEAD = timedelta(hours=3)
RESULTS = {Became.MACHINE: "machine", Became.UNANSWERED: "no_answer", Became.TAKEN_BACK: "canceled"}
PACE = "power:ratio=3"


@dataclass(frozen=True, slots=True)
class Said:
    """What the command said."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> Any:
        """The last line of stdout, as JSON."""
        return json.loads(self.out.splitlines()[-1])


async def dozvon(url: str, folder: Path, *words: str) -> Said:
    """The command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dialer", *words),
        env={**os.environ, "DOZVON_DATABASE_URL": url, "COLUMNS": "80"},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


def attempt_of(dial: PastDial, floor: Floor, campaign_id: int) -> dict[str, Any]:
    """The row that a server would have written of it."""

    def at(seconds: float | None) -> Any:
        return None if seconds is None else Recorded.clock(seconds) - AHEAD

    end_s = dial.at_s + dial.after_s
    joined_s = None if dial.joined_s is None else end_s + dial.joined_s
    hung_up_s = end_s + 2.5 if joined_s is None else joined_s + (dial.talk_s or 0.0)
    person = dial.became is Became.PERSON
    if not (person or dial.became is Became.MACHINE):
        hung_up_s = end_s
    result = RESULTS.get(dial.became) or ("abandoned" if dial.abandoned else "answered")
    if person and dial.left_s is not None:
        result, hung_up_s = "caller_hung_up", end_s + dial.left_s
    answered = person or dial.became is Became.MACHINE
    return {
        "tenant_id": TENANT,
        "id": new_id(),
        "campaign_id": campaign_id,
        "e164": f"+7916{int(dial.at_s * 10) % 10**7:07}",
        "trunk_id": floor.trunk_id,
        "caller_id": "+74950000000",
        "mode": "power",
        "policy": "default/1",
        "state": "ended",
        "result": result,
        "sip_code": None,
        "detail": "taken_back" if result == "canceled" else None,
        "traits": words_of(traits(kind="mobile", hour=int(dial.at_s // 3600) % 24)),
        "created_at": at(dial.at_s),
        "sent_at": at(dial.at_s + 0.01),
        "ringing_at": at(dial.at_s + dial.ringing_s) if dial.ringing_s is not None else None,
        "answered_at": at(end_s) if answered else None,
        "screened_at": at(end_s) if answered else None,
        "connected_at": at(joined_s),
        "hung_up_at": at(hung_up_s),
        "ended_at": at(hung_up_s + (dial.wrap_s or 0.0)),
    }


@dataclass(frozen=True, slots=True)
class Past:
    """A campaign with a past."""

    floor: Floor
    log: Log
    url: str
    folder: Path

    async def simulate(self, *words: str) -> Said:
        """The command with `--replay`, over one process."""
        return await dozvon(self.url, self.folder, "simulate", "--replay", *words, "--processes", "1")


async def write(floor: Floor, log: Log, campaign_id: int, seats: Mapping[int, tuple[int, Any]]) -> None:
    """Put a log into the database."""
    rows = [attempt_of(dial, floor, campaign_id) for dial in log.dials]
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(insert(t.attempt), rows)
        times = []
        for stretch in log.stretches:
            agent_id, session_id = seats[stretch.agent]
            times.append(
                {
                    "tenant_id": TENANT,
                    "session_id": session_id,
                    "agent_id": agent_id,
                    "state": stretch.state,
                    "attempt_id": None if stretch.state == "ready" else rows[0]["id"],
                    "started_at": Recorded.clock(stretch.from_s) - AHEAD,
                    "ended_at": Recorded.clock(stretch.until_s) - AHEAD,
                }
            )
        if times:
            await conn.execute(insert(t.agent_time), times)


async def seats_of(floor: Floor, count: int) -> dict[int, tuple[int, Any]]:
    """Agents who have gone home: (agent, shift) by number."""
    found = {}
    for number in range(count):
        seat = await floor.seat()
        found[number] = (seat.agent_id, seat.session_id)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(
            update(t.agent_session).values(state="offline", logged_out_at=t.agent_session.c.state_since)
        )
    return found


@pytest.fixture
async def past(database: Database, database_url: str, tmp_path: Path) -> Past:
    """Two days of three hours."""
    return await past_of(database, database_url, tmp_path, hours=6.0)


@pytest.fixture
async def short_past(database: Database, database_url: str, tmp_path: Path) -> Past:
    """Two days of half an hour."""
    return await past_of(database, database_url, tmp_path, hours=1.0)


async def past_of(database: Database, database_url: str, folder: Path, hours: float) -> Past:
    """Two days with four agents, dialled far too fast; another campaign and odd calls of this one beside."""
    floor = await Floor.open(database, mode="power", ratio=3.0)
    setting = setting_of(PACE, 0.03, 15.0)
    world = World(agents=4, day_h=hours / 2, warm_up_s=0.0)
    _, log = Recorded.past(Job(setting.rule, world, setting.terms, hours))
    seats = await seats_of(floor, 5)
    await write(floor, log, floor.campaign_id, seats)
    async with database.tenant(TENANT) as conn:
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=TENANT, name="Осень", mode="predictive", policy="default")
            .returning(t.campaign.c.id)
        )
        assert other is not None
        odd = [attempt_of(dial, floor, floor.campaign_id) for dial in log.dials[:40]]
        for row in odd[:10]:
            row["mode"] = "manual"
        for row in odd[10:20]:
            row |= {"result": "unknown", "answered_at": None, "connected_at": None}
        for row in odd[20:30]:
            row |= {"result": "canceled", "sent_at": None, "ringing_at": None, "answered_at": None}
        for row in odd[30:]:
            row |= {"result": "congestion", "sip_code": 503, "answered_at": None, "connected_at": None}
        await conn.execute(insert(t.attempt), odd)
    few = Log(log.begins_at, log.zone, log.dials[:60], ())
    await write(floor, few, other, seats)
    return Past(floor, log, database_url, folder)


@pytest.mark.timeout(300)
async def test_the_past_and_other_settings_from_the_rows(past: Past) -> None:
    """`--json` ends with one line: what the rows say was, and what each setting would have given; the rule
    that wrote the rows gives about the same again, one call an agent abandons hardly anybody."""
    said = await past.simulate(
        "Весна", "--compare", PACE, "--compare", "progressive", "--json", "--plot", "week.svg"
    )
    assert said.status == 0, said.err
    found = said.line
    was, (own, progressive) = found["past"], found["settings"]
    dials = past.log.dials
    people = Counter(
        "abandoned" if dial.abandoned else "joined" for dial in dials if dial.became is Became.PERSON
    )
    live = sum(people.values())
    assert (found["from"], found["to"], found["timezone"]) == ("2026-03-02", "2026-03-03", "Europe/Moscow")
    assert (found["campaign"]["name"], found["modes"]) == ("Весна", {"power": len(dials) + 30})
    assert found["left_out"] == {"end_unknown": 10, "not_sent": 10, "failed_by_carrier": 10}
    assert (was["dials"], was["live_answers"], was["abandoned"]) == (len(dials), live, people["abandoned"])
    assert was["abandon_rate"] == pytest.approx(people["abandoned"] / live, abs=1e-4)
    assert was["abandon_rate"] > 0.04
    # The agents' time as the rows have it, while the campaign dialled.
    spans = past.log.at_work()
    busy = duty = 0.0
    for one in past.log.stretches:
        part = sum(max(0.0, min(one.until_s, until) - max(one.from_s, since)) for since, until in spans)
        duty += part
        busy += part if one.state in ("talking", "wrap_up") else 0.0
    assert was["occupancy"] == pytest.approx(busy / duty, abs=0.001)
    assert found["agent_hours"] == pytest.approx(duty / 3600, rel=0.001)
    assert found["agents"] == 4
    assert (own["name"], own["own"], progressive["own"]) == (PACE, True, False)
    assert own["occupancy"] == pytest.approx(was["occupancy"], abs=0.03)
    assert own["abandon_rate"] == pytest.approx(was["abandon_rate"], abs=0.05)
    # An agent who leaves may leave a call in the air.
    assert progressive["abandon_rate"] < 0.01
    assert progressive["occupancy"] < own["occupancy"] - 0.05
    assert set(was) <= set(own)
    assert (past.folder / "week.svg").read_text(encoding="utf-8").startswith("<svg ")


@pytest.mark.timeout(300)
async def test_people_get_a_table_that_begins_with_what_was(past: Past) -> None:
    """A table of 80 columns: the past first, then each setting, and what was left out; of one day where dates
    say so."""
    said = await past.simulate(
        str(past.floor.campaign_id), "--compare", "progressive", "--from", "2026-03-03", "--to", "2026-03-03"
    )
    assert said.status == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("Весна, 2026-03-03 (Europe/Moscow): ")
    assert max(map(len, lines)) <= 80
    rows = [line.strip() for line in lines if line.count(" % ") > 2]
    assert rows[0].startswith("what was ")
    assert rows[1].startswith("progressive ")
    day_s = 86_400.0
    second = sum(dial.at_s >= day_s for dial in past.log.dials)
    assert f"{second:,} attempts (power)," in lines[0]
    assert "replayed: progressive" in said.err


@pytest.mark.timeout(300)
async def test_the_commands_of_the_page_work(short_past: Past) -> None:
    """What docs/pacing.md shows is run as it stands there, with the id of a campaign that is here."""
    page = (docs.ROOT / "docs/pacing.md").read_text(encoding="utf-8")
    section = page[page.index("## What would last week have given?") :]
    commands = re.findall(r"^dozvon simulate --replay .*$", section, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        program, *words = shlex.split(command)
        assert (program, words[2]) == ("dozvon", "12")
        words[2] = str(short_past.floor.campaign_id)
        if "--runs" in words:
            words[words.index("--runs") + 1] = "1"
            words += ["--compare", "power:ratio=2"]
        said = await dozvon(short_past.url, short_past.folder, *words, "--processes", "1")
        assert said.status == 0, said.err
    assert (short_past.folder / "week.svg").exists()
    assert said.line["settings"][0]["name"] == "power:ratio=2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Зима"], "There is no campaign 'Зима' (--replay takes its id or its exact name)."),
        (["999999"], "There is no campaign '999999' (--replay takes its id or its exact name)."),
        (["Весна", "--from", "03/02/2026"], "--from: '03/02/2026' is no date: write YYYY-MM-DD."),
        (
            ["Весна", "--from", "2026-03-05", "--to", "2026-03-04"],
            "--from: 2026-03-05 is after --to 2026-03-04.",
        ),
        (["Весна", "--from", "2027-01-01"], "has no attempts from 2027-01-01 that pacing made"),
        (["Весна", "--to", "2025-01-01"], "has no attempts to 2025-01-01 that pacing made"),
        (
            ["Осень"],
            "(Осень) on 2026-03-02 has 60 dials whose end is known; 200 are needed: choose a longer span",
        ),
        (["Весна", "--compare", "predictive:target=7"], "--compare predictive:target=7: target is above 0"),
        (["Весна", "--agents", "5"], "--agents: --replay takes it from the log of calls"),
        (["Весна", "--plot", "no/such/week.svg"], "--plot: there is no folder"),
    ],
)
async def test_what_cannot_be_is_said_in_one_line(past: Past, words: Sequence[str], said: str) -> None:
    """Exit status 1 and one line: the option, what is wrong with its value, and what would do."""
    found = await past.simulate(*words)
    assert (found.status, found.out) == (1, "")
    assert said in found.err
    assert found.err.startswith("dozvon: ")
    assert found.err.count("\n") == 1


async def test_a_name_that_two_tenants_use_is_asked_about(past: Past, owner_url: str) -> None:
    """Of two campaigns of one name the id decides; each is named with its tenant."""
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'B')")
    finally:
        await owner.close()
    async with past.floor.database.tenant(2) as conn:
        other = await conn.scalar(
            insert(t.campaign)
            .values(tenant_id=2, name="Весна", mode="power", policy="default")
            .returning(t.campaign.c.id)
        )
    found = await past.simulate("Весна")
    assert found.status == 1
    ids = f"{past.floor.campaign_id} of tenant 1, {other} of tenant 2"
    assert f"several campaigns are named 'Весна': give the id ({ids})" in found.err
    alone = await past.simulate(str(other))
    assert "has no attempts that pacing made" in alone.err
