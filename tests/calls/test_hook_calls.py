"""Hooks from a real Asterisk's dialplan: programs and FastAGI, by the subroutines that we ship."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from support.asterisk import RunningAsterisk, StartAsterisk
from support.hooks import ANNA, OTHER, TENANT, Hooked, hooked

import agi_scripts
import asterisk_conf
from dialer.asterisk.ami import AmiEvent, AmiLink
from dialer.check.hooks import HOOKS, look
from dialer.check.model import Finding, Level
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ports import free_port
from dialer.prompts.soundset import SoundSet

INCLUDE = (asterisk_conf.FOLDER / "hooks/extensions_dozvon_hooks.conf").read_text()
SCRIPTS = str(Path(agi_scripts.__file__).parent)
CALL_S = 30.0
#: Sounds that a line of a dialplan names.
PLAYED = re.compile(r"(?:Playback\(|Read\(\w+,)([\w/&-]+)")
#: What each extension writes.
WRITES = {
    "callback": t.callback,
    "outcome": t.hook_outcome,
    "consent": t.consent,
    "survey": t.survey_answer,
    "opt-out": t.do_not_call,
}
#: Calls of a test, by their name: what the dialplan does with the hooks, then tells.
DIALPLAN = """
[general]
static = yes
autofallthrough = yes
[globals]
{globals}
[tests]
exten => lookup,1,Gosub(dozvon-lookup,s,1(fields=car))
 same => n,Goto(tell,1)
exten => opt-out,1,Gosub(dozvon-opt-out,s,1(reason=key 9))
 same => n,Goto(tell,1)
exten => keyed,1,Gosub(dozvon-opt-out,s,1(number={other}))
 same => n,Set(FIRST=${{DOZVON_STATUS}})
 same => n,Gosub(dozvon-lookup,s,1)
 same => n,Gosub(dozvon-opt-out,s,1(number={other}))
 same => n,Goto(tell,1)
exten => callback,1,Gosub(dozvon-callback,s,1(campaign={campaign},after_min=30))
 same => n,Goto(tell,1)
exten => outcome,1,Gosub(dozvon-outcome,s,1(outcome=sold,note=two cars))
 same => n,Goto(tell,1)
exten => route,1,Gosub(dozvon-route,s,1)
 same => n,Goto(tell,1)
exten => consent,1,Gosub(dozvon-consent,s,1(purpose=survey,days=30))
 same => n,Goto(tell,1)
exten => survey,1,Gosub(dozvon-survey-answer,s,1(survey=service,question=1,answer=5))
 same => n,Goto(tell,1)
exten => macro,1,Set(ARG1=PJSIP/101)
 same => n,Set(ARG2=300)
 same => n,Gosub(dozvon-opt-out,s,1)
 same => n,Set(FIRST=${{DOZVON_STATUS}})
 same => n,Gosub(dozvon-lookup,s,1(fields=car))
 same => n,Goto(tell,1)
exten => wrong,1,Gosub(dozvon-callback,s,1(campaign=x))
 same => n,Goto(tell,1)
exten => tell,1,UserEvent(Told,Test: ${{TEST}},Status: ${{DOZVON_STATUS}},First: ${{FIRST}},Contact: ${{DOZVON_CONTACT}},Car: ${{DOZVON_FIELD_CAR}},Route: ${{DOZVON_ROUTE}})
 same => n,Hangup()
"""  # noqa: E501 - a line of a dialplan


@dataclass
class Pbx:
    """Somebody's Asterisk with our include."""

    running: RunningAsterisk
    link: AmiLink

    async def call(self, extension: str, context: str = "tests") -> AmiEvent:
        """What the dialplan tells at the end of a call from Anna."""
        test = uuid4().hex
        await self.link.send(
            {
                "Action": "Originate",
                "Channel": f"Local/{extension}@{context}/n",
                "Application": "Wait",
                "Data": str(int(CALL_S)),
                "CallerID": ANNA,
                "Async": "true",
                "Variable": [f"TEST={test}", f"CALLERID(num)={ANNA}"],
            }
        )
        async with asyncio.timeout(CALL_S):
            while True:
                event = await self.link.inbox.get()
                if isinstance(event, AmiEvent) and event.name == "UserEvent" and event.get("Test") == test:
                    return event


@pytest.fixture
async def hooks(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Hooked]:
    """The server's hooks."""
    async with hooked(database, database_url, tmp_path) as running:
        yield running


@asynccontextmanager
async def pbx_of(start: StartAsterisk, campaign: int, pasted: str, **values: str) -> AsyncIterator[Pbx]:
    """An Asterisk with these global variables."""
    lines = "\n".join(f"{name}={value}" for name, value in values.items())
    own = DIALPLAN.format(globals=lines, other=OTHER[1:], campaign=campaign)
    running = await start(conf={"extensions.conf": own + pasted + INCLUDE})
    link = AmiLink(running.ami, action_timeout_s=10.0, ping_s=60.0)
    task = asyncio.create_task(link.run())
    try:
        await link.wait_up(20.0)
        yield Pbx(running, link)
    finally:
        await link.close()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def by(
    way: str, start: StartAsterisk, hooks: Hooked, *, pasted: str = "", **changed: str
) -> AsyncIterator[Pbx]:
    """An Asterisk whose dialplan goes this way: programs or FastAGI."""
    values = {"DOZVON_HOOKS": SCRIPTS}
    if way == "fastagi":
        values = {"DOZVON_HOOKS": f"agi://{hooks.agi.address}/hooks", "DOZVON_HOOKS_TOKEN": hooks.token}
    async with pbx_of(start, hooks.place.campaigns[0], pasted, **{**values, **changed}) as pbx:
        yield pbx


def write(file: Path, url: str, token: str) -> None:
    """The file that the programs read."""
    file.write_text(f"url = {url}\ntoken = {token}\n")
    file.chmod(0o600)


@pytest.fixture
def told_by_file(hooks: Hooked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with address and token, which Asterisk's programs inherit the place of."""
    file = tmp_path / "dozvon_hooks.conf"
    write(file, hooks.web.url, hooks.token)
    monkeypatch.setenv("DOZVON_HOOKS_FILE", str(file))
    # The programs run by `python3`, which has to be one that has pyst2.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return file


async def count(hooks: Hooked, table: Any) -> int:
    """Rows of a table."""
    async with hooks.database.tenant(TENANT) as conn:
        return len(list(await conn.execute(select(table))))


@pytest.mark.usefixtures("told_by_file")
@pytest.mark.parametrize("way", ["programs", "fastagi"])
async def test_each_hook_works_from_a_dialplan(
    way: str, start_asterisk: StartAsterisk, hooks: Hooked
) -> None:
    """Asked, told and written down, by the subroutines as they are shipped."""
    async with by(way, start_asterisk, hooks) as pbx:
        looked = await pbx.call("lookup")
        assert (looked.get("Status"), looked.get("Contact")) == ("OK", str(hooks.anna))
        assert looked.get("Car") == "Lada Vesta"
        assert (await pbx.call("route")).get("Route") == "known"
        for extension, table in WRITES.items():
            assert (await pbx.call(extension)).get("Status") == "OK", extension
            assert await count(hooks, table) == 1, extension
        keyed = await pbx.call("keyed")
        assert (keyed.get("First"), keyed.get("Status")) == ("REFUSED", "OK")
        assert (await pbx.call("wrong")).get("Status") == "REFUSED"
        said = {one.name: one for one in [one async for one in look(pbx.link, served=True)]}
        assert {one.level for one in said.values()} == {Level.OK}, said
        assert set(said) == {f"hook {name}" for name in HOOKS}


@pytest.mark.usefixtures("told_by_file")
@pytest.mark.parametrize("way", ["programs", "fastagi"])
async def test_arguments_of_a_dialplan_around_are_not_ours(
    way: str, start_asterisk: StartAsterisk, hooks: Hooked
) -> None:
    """An ARG1 that a macro, or whoever, has set stands in our subroutines too where they are called with
    fewer: it is not refused. (Nor taken: but a busy machine may be too late for any answer.)"""
    async with by(way, start_asterisk, hooks) as pbx:
        told = await pbx.call("macro")
        assert {told.get("First"), told.get("Status")} <= {"OK", "UNAVAILABLE"}


@pytest.mark.usefixtures("told_by_file")
async def test_a_pbx_that_the_server_does_not_drive_is_checked_by_its_log(
    start_asterisk: StartAsterisk, hooks: Hooked
) -> None:
    """The command of docs/how-to/hooks.md: one line says how each hook went, and nothing is changed."""
    page = (asterisk_conf.FOLDER.parent / "docs/how-to/hooks.md").read_text()
    (command,) = re.findall(r'asterisk -rx "(channel originate .*?)"', page)
    async with by("fastagi", start_asterisk, hooks) as pbx:
        # Ours loads what the server needs; a PBX has the console's "channel originate", too.
        assert "Loaded" in await pbx.running.server.cli("module load res_clioriginate.so")
        await pbx.running.server.cli(command)
        log = pbx.running.server.log_path
        async with asyncio.timeout(CALL_S):
            # Asterisk writes its log by a thread of its own: nothing tells when.
            while True:
                if told := re.findall(r"Dozvon hooks: (.*)\n", log.read_text()):
                    break
                await asyncio.sleep(0.1)
        (said,) = told
        statuses = dict(zip(said.split()[::2], said.split()[1::2], strict=True))
        assert list(statuses) == list(HOOKS)
        assert set(statuses.values()) <= {"OK", "NOT_FOUND", "UNAVAILABLE"}  # a busy machine is late
        for table in WRITES.values():
            assert await count(hooks, table) == 0


@pytest.mark.usefixtures("told_by_file")
@pytest.mark.parametrize("way", ["programs", "fastagi"])
async def test_a_server_that_is_away_leaves_the_call_going(
    way: str, start_asterisk: StartAsterisk, hooks: Hooked, told_by_file: Path
) -> None:
    """DOZVON_STATUS is UNAVAILABLE, and `dozvon check` says what is wrong."""
    nowhere = free_port()
    write(told_by_file, f"http://127.0.0.1:{nowhere}", "t")
    changed = {"DOZVON_HOOKS": f"agi://127.0.0.1:{nowhere}/hooks"} if way == "fastagi" else {}
    async with by(way, start_asterisk, hooks, **changed) as pbx:
        assert (await pbx.call("lookup")).get("Status") == "UNAVAILABLE"
        said = [one async for one in look(pbx.link, served=True)]
        assert {one.level for one in said} == {Level.FAIL}


@pytest.mark.usefixtures("told_by_file")
@pytest.mark.parametrize("way", ["programs", "fastagi"])
async def test_the_dialplan_of_the_page_does_what_it_says(
    way: str, start_asterisk: StartAsterisk, hooks: Hooked
) -> None:
    """docs/how-to/hooks.md, pasted: the reception writes its outcome, the opt-out line opts out, a number
    that is none of ours is left to the PBX."""
    page = (asterisk_conf.FOLDER.parent / "docs/how-to/hooks.md").read_text()
    lines = "\n".join(re.findall(r"```asterisk\n(.*?)```", page, re.DOTALL))
    ends = lines.replace("Hangup()", "Goto(tests,tell,1)")
    async with by(way, start_asterisk, hooks, pasted=ends) as pbx:
        assert (await pbx.call("s", "reception")).get("Status") == "OK"
        assert await count(hooks, t.hook_outcome) == 1
        assert (await pbx.call("s", "opt-out-line")).get("Status") == "OK"
        assert await count(hooks, t.do_not_call) == 1
        assert (await pbx.call("s", "to-the-centre")).get("Status") == "REFUSED"
        if way == "fastagi":
            assert (await pbx.call("fastagi", "without-subroutines")).get("Status") == "OK"
            assert await count(hooks, t.survey_answer) == 1


async def test_the_sample_for_freepbx_leads_on(start_asterisk: StartAsterisk, hooks: Hooked) -> None:
    """The reception asks who calls, and goes on to FreePBX's own queue; the opt-out line waits for a key."""
    sample = (asterisk_conf.FOLDER / "hooks/extensions_custom.conf").read_text()
    queue = "[ext-queues]\nexten => 600,1,Goto(tests,tell,1)\n"
    pasted = sample.replace("#include extensions_dozvon_hooks.conf", "").replace(
        "Hangup()", "Goto(tests,tell,1)"
    )
    async with by("fastagi", start_asterisk, hooks, pasted=pasted + queue, DOZVON_QUEUE="600") as pbx:
        told = await pbx.call("s", "dozvon-reception")
        assert (told.get("Status"), told.get("Route"), told.get("Car")) == ("OK", "known", "Lada Vesta")
        await pbx.call("s", "dozvon-opt-out-line")
        assert await count(hooks, t.do_not_call) == 0


async def test_what_our_dialplans_play_is_among_asterisks_own_sounds(start_asterisk: StartAsterisk) -> None:
    """Of the set that every Asterisk and FreePBX comes with: no further package is needed."""
    running = await start_asterisk()
    sounds = SoundSet((running.server.run_dir / "data/sounds",))
    root = asterisk_conf.FOLDER.parent
    texts = [
        file.read_text() for file in (*root.glob("asterisk_conf/**/*.conf"), root / "docs/how-to/hooks.md")
    ]
    played = {name for text in texts for names in PLAYED.findall(text) for name in names.split("&")}
    assert len(played) > 5
    assert [name for name in sorted(played) if sounds.find(name, "en") is None] == []


@pytest.mark.parametrize("hooks_at", ["/no/such/folder", "agi://127.0.0.1:1/hooks"])
async def test_a_wrong_place_leaves_the_call_going(
    start_asterisk: StartAsterisk, hooks: Hooked, hooks_at: str
) -> None:
    """No program there, nobody who listens: the subroutine comes back."""
    async with by("programs", start_asterisk, hooks, DOZVON_HOOKS=hooks_at) as pbx:
        assert (await pbx.call("opt-out")).get("Status") == "UNAVAILABLE"


async def test_an_asterisk_without_hooks_is_no_fault(start_asterisk: StartAsterisk) -> None:
    """Who does not use them reads nothing of them."""
    running = await start_asterisk()
    link = AmiLink(running.ami, action_timeout_s=10.0, ping_s=60.0)
    task = asyncio.create_task(link.run())
    try:
        await link.wait_up(20.0)
        said: list[Finding] = [one async for one in look(link, served=True)]
    finally:
        await link.close()
        await asyncio.gather(task, return_exceptions=True)
    assert said == []
