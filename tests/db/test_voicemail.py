"""Messages of callers: who may hear them, what people do with them, what an erasure leaves."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from math import sin
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from support.arrivals import BOSS, arrived, published
from support.floor import TENANT, Floor
from support.promises import open_floor
from support.web import Web, serving

from dialer.calls.model import Answered, Call
from dialer.clock import utc_now
from dialer.contacts.erasure import ErasureService
from dialer.contacts.exporting import ExportService
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.ids import new_id
from dialer.queues.fields import QueueIn
from dialer.queues.service import QueueService
from dialer.recordings.recorder import make_day, relative_path
from dialer.voicemail import http, model, store
from dialer.voicemail.service import VoicemailService


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign that may call at any hour."""
    return await open_floor(database)


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The application; no engine."""
    services = {http.VOICEMAIL: VoicemailService(database, tmp_path)}
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


async def left(floor: Floor, folder: Path, call: Call, box: str = "sales") -> int:
    """A message of two seconds that was left in the call, whoever had called; its id."""
    now = utc_now()
    path = relative_path(call.attempt_id, now, new_id())
    make_day(folder, path)
    (folder / path).write_bytes(b"RIFF" + bytes(32_040))
    async with floor.database.tenant(TENANT) as conn:
        made = await store.begin(conn, TENANT, call.attempt_id, box, path, now, inbound=call.inbound)
        await store.keep(conn, TENANT, made, 2.0, 32_044, now)
    return made


def tone(seconds: float, loud: int) -> array[int]:
    """A sound of that swing."""
    return array("h", [round(loud * sin(n / 3)) for n in range(int(seconds * model.RATE))])


@pytest.mark.parametrize(
    ("samples", "empty"),
    [
        (tone(2, 6000), False),
        (tone(0.5, 6000), False),
        (tone(0.2, 30000), True),  # a click
        (tone(20, 90), True),  # a line's hiss
        (tone(3, 60) + tone(1, 900) + tone(3, 60), False),  # a low voice
        (array("h"), True),
    ],
)
def test_a_message_is_empty_where_nobody_speaks(samples: array[int], empty: bool) -> None:
    """A click or a hiss is no message; a low voice is one."""
    assert model.is_empty(samples) is empty


async def test_a_message_is_listed_heard_marked_and_removed(floor: Floor, site: Web, tmp_path: Path) -> None:
    """Playing it makes it heard; a removed one is nowhere, and its file is marked to go."""
    call = await arrived(floor, await published(floor))
    first, second = await left(floor, tmp_path, call), await left(floor, tmp_path, call, "service")
    boss = await site.program(Role.SUPERVISOR)
    listed = (await boss.call("GET", "~/voicemail")).json
    assert [(one["id"], one["box"], one["number"]) for one in listed["items"]] == [
        (second, "service", "+79161112233"),
        (first, "sales", "+79161112233"),
    ]
    part = await boss.call("GET", f"~/voicemail/{first}/sound", headers={"Range": "bytes=0-3"})
    assert (part.status, part.text) == (206, "RIFF")
    fresh = (await boss.call("GET", "~/voicemail?heard=false")).json["items"]
    assert [one["id"] for one in fresh] == [second]
    again = await boss.call("PATCH", f"~/voicemail/{first}", {"heard": False})
    assert again.json["heard_at"] is None
    assert (await boss.call("DELETE", f"~/voicemail/{first}")).status == 204
    assert [one["id"] for one in (await boss.call("GET", "~/voicemail")).json["items"]] == [second]
    assert (await boss.call("GET", f"~/voicemail/{first}/sound")).status == 404
    async with floor.database.tenant(TENANT) as conn:
        c = t.recording.c
        status = await conn.scalar(select(c.status).where(c.voicemail_id == first))
    assert status == "erasing"


async def test_an_agent_has_the_boxes_of_the_own_queues(floor: Floor, site: Web, tmp_path: Path) -> None:
    """A box that is named as a queue whose skill the agent has; of any other there is no message. Numbers are
    masked."""
    call = await arrived(floor, await published(floor))
    mine, other = await left(floor, tmp_path, call), await left(floor, tmp_path, call, "service")
    queues = QueueService(floor.database)
    for name in ("sales", "service"):
        await queues.create(BOSS, QueueIn(name=name, skill=name))
    agent = await site.program(Role.OPERATOR)
    assert (await agent.call("GET", "~/voicemail")).json["items"] == []
    async with floor.database.tenant(TENANT) as conn:
        user_id = await conn.scalar(select(t.app_user.c.id).order_by(t.app_user.c.id.desc()).limit(1))
        who: dict[str, Any] = {"name": "A", "endpoint": "agent-x", "skills": ["sales"], "user_id": user_id}
        await conn.execute(insert(t.agent).values(tenant_id=TENANT, **who))
    (one,) = (await agent.call("GET", "~/voicemail")).json["items"]
    assert (one["id"], "9161112" in one["number"], "*" in one["number"]) == (mine, False, True)
    assert (await agent.call("GET", f"~/voicemail/{mine}/sound")).status == 200
    assert (await agent.call("GET", f"~/voicemail/{other}/sound")).status == 404
    assert (await agent.call("DELETE", f"~/voicemail/{other}")).status == 404


async def test_quality_control_hears_messages_and_changes_none(
    floor: Floor, site: Web, tmp_path: Path
) -> None:
    """It reads all calls; what becomes of a message is for those who work with them."""
    message = await left(floor, tmp_path, await arrived(floor, await published(floor)))
    quality = await site.program(Role.QUALITY)
    assert (await quality.call("GET", f"~/voicemail/{message}/sound")).status == 200
    for method, path, body in (
        ("PATCH", "", {"heard": False}),
        ("DELETE", "", None),
        ("POST", "/call-back", {}),
    ):
        assert (await quality.call(method, f"~/voicemail/{message}{path}", body)).status == 403


async def test_who_has_left_a_message_is_called_back_once(floor: Floor, site: Web, tmp_path: Path) -> None:
    """Asked for twice it is one promise."""
    message = await left(floor, tmp_path, await arrived(floor, await published(floor)))
    boss = await site.program(Role.SUPERVISOR)
    replies = [await boss.call("POST", f"~/voicemail/{message}/call-back", {}) for _ in range(2)]
    assert [one.status for one in replies] == [201, 201], replies[0].text
    first, second = (one.json for one in replies)
    assert first == second
    assert (first["number"], first["note"]) == ("+79161112233", "sales")


async def test_a_withheld_number_cannot_be_called_back(floor: Floor, site: Web, tmp_path: Path) -> None:
    """It is said so."""
    call = await arrived(floor, await published(floor))
    message = await left(floor, tmp_path, call)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.inbound_call).values(contact_id=None, e164=""))
    boss = await site.program(Role.SUPERVISOR)
    refused = await boss.call("POST", f"~/voicemail/{message}/call-back", {})
    assert refused.status == 422
    assert "nobody can be called back" in refused.text


async def test_a_message_may_be_left_in_a_call_of_ours(floor: Floor, site: Web, tmp_path: Path) -> None:
    """In a campaign without agents: it is the customer's, who is called back by the same campaign."""
    (lead_id,) = await floor.leads(1)
    call = await floor.place(lead_id)
    message = await left(floor, tmp_path, call)
    boss = await site.program(Role.SUPERVISOR)
    (one,) = (await boss.call("GET", "~/voicemail")).json["items"]
    assert (one["id"], one["call_id"], one["inbound"]) == (message, str(call.attempt_id), False)
    lead = await floor.row(t.lead, lead_id)
    assert (one["number"], one["dialled"], one["contact_id"]) == (lead.e164, "+74950000000", lead.contact_id)
    assert one["name"].startswith("Петров")
    await floor.hang_up(await floor.signals(call, Answered(utc_now())))
    made = await boss.call("POST", f"~/voicemail/{message}/call-back", {})
    assert (made.status, made.json["number"], made.json["campaign_id"]) == (
        201,
        lead.e164,
        floor.campaign_id,
    ), made.text


@pytest.mark.parametrize("inbound", [True, False])
async def test_an_erasure_takes_the_messages(floor: Floor, tmp_path: Path, inbound: bool) -> None:
    """File and all, whoever had called; before it they are in the person's export."""
    if inbound:
        call = await arrived(floor, await published(floor))
        await left(floor, tmp_path, call)
        async with floor.database.tenant(TENANT) as conn:
            contact_id = await conn.scalar(select(t.inbound_call.c.contact_id))
            await conn.execute(
                update(t.inbound_call).values(state="ended", result="voicemail", ended_at=utc_now())
            )
    else:
        (lead_id,) = await floor.leads(1)
        call = await floor.place(lead_id)
        await left(floor, tmp_path, call)
        await floor.hang_up(await floor.signals(call, Answered(utc_now())))
        contact_id = (await floor.row(t.lead, lead_id)).contact_id
    assert contact_id is not None
    given = b"".join(
        [piece async for piece in await ExportService(floor.database, tmp_path).export(BOSS, contact_id)]
    )
    assert b"recordings/message-" in given
    done = await ErasureService(floor.database, tmp_path).erase(BOSS, contact_id, never_again=False)
    assert done.recordings_left == 0
    assert await asyncio.to_thread(lambda: list(tmp_path.rglob("*.wav"))) == []
    assert await VoicemailService(floor.database, tmp_path).messages(BOSS) == []
