"""Voicemail in a browser: a message is played, marked, called back and removed."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from sqlalchemy import insert, select
from support.browser import Visitors
from support.stage import TENANT, Stage

from dialer.clock import utc_now
from dialer.db import tables as t
from dialer.demo.voices import write_wav
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.recordings.recorder import make_day, relative_path
from dialer.settings import load
from dialer.voicemail import store


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings lie in the test's own folder."""
    monkeypatch.setenv("DOZVON_RECORDINGS_DIR", str(tmp_path))


async def leave_messages(stage: Stage, *boxes: str) -> list[int]:
    """A message of three seconds in each box, of a person of the base; their ids."""
    made, now, folder = [], utc_now(), load().recording_dir
    async with stage.database.tenant(TENANT) as conn:
        flow_id = await conn.scalar(
            insert(t.flow).values(tenant_id=TENANT, name="reception").returning(t.flow.c.id)
        )
        number_id = await conn.scalar(
            insert(t.inbound_number)
            .values(tenant_id=TENANT, number="74957770101", flow_id=flow_id, campaign_id=stage.campaign_id)
            .returning(t.inbound_number.c.id)
        )
        phones = (await conn.execute(select(t.lead.c.contact_id, t.lead.c.e164).limit(len(boxes)))).all()
        for box, phone in zip(boxes, phones, strict=True):
            call_id, path = new_id(), relative_path(new_id(), now)
            await conn.execute(
                insert(t.inbound_call).values(
                    tenant_id=TENANT, id=call_id, number_id=number_id, dialled="74957770101", flow_id=flow_id,
                    flow_version=1, campaign_id=stage.campaign_id, contact_id=phone.contact_id,
                    e164=phone.e164, node="main", channel="1", state="ended", result="voicemail",
                    created_at=now, answered_at=now, hung_up_at=now, ended_at=now,
                )
            )  # fmt: skip
            file = folder / path
            await asyncio.to_thread(make_day, folder, path)
            await asyncio.to_thread(write_wav, file, os.urandom(48_000))
            message_id = await store.begin(conn, TENANT, call_id, box, path, now, inbound=True)
            await store.keep(conn, TENANT, message_id, 3.0, 48_044, now)
            made.append(message_id)
    return made


async def test_a_message_is_played_marked_called_back_and_removed(visit: Visitors, stage: Stage) -> None:
    """Playing makes it heard, on the open page at once; a call back leads to the promise."""
    first, second = await leave_messages(stage, "sales", "service")
    person = await visit(Role.SUPERVISOR)
    page = person.page
    await person.open("/voicemail")
    row, other = page.locator(f"#message-{first}"), page.locator(f"#message-{second}")
    await expect(row).to_contain_text("new")
    seconds = await row.locator("audio").evaluate(
        "one => new Promise(done => { one.onloadedmetadata = () => done(one.duration); one.load(); })"
    )
    assert 2.9 < seconds < 3.1
    await expect(row.locator("button", has_text="Mark as new")).to_be_visible()
    await row.locator("button", has_text="Mark as new").click()
    await expect(row.locator("button", has_text="Mark as heard")).to_be_visible()
    await page.select_option("#box", "service")
    await page.click("button:has-text('Show')")
    await expect(row).to_have_count(0)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await other.locator("button", has_text="Delete").click()
    await expect(page.locator("main")).to_contain_text("There are no such messages.")
    await person.open("/voicemail")
    await row.locator("button", has_text="Call back").click()
    await expect(page).to_have_url(re.compile(r"/callbacks/\d+"))
    assert person.complaints == []
