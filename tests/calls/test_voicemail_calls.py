"""Messages and promised calls that callers ask for, on a real Asterisk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select, update
from support.callers import END, add_number, call_in, calls, gone_afterwards, leave, path, until_call
from support.centre import TENANT, Centre, open_centre
from support.line import Floor

from dialer.clock import utc_now
from dialer.db.tables import callback, contact_phone, inbound_number, lead, missed_call, recording, voicemail
from dialer.inbound.missed import MissedCalls
from dialer.recordings.recorder import whole_seconds
from dialer.voicemail.service import VoicemailService


def message(**properties: Any) -> dict[str, Any]:
    """A state in which a message is left."""
    return {
        "name": "message",
        "type": "voicemail",
        "properties": {"box": "sales", **properties},
        "transitions": {"done": "end", "empty": "end"},
    }


def promise(**properties: Any) -> dict[str, Any]:
    """A state in which a call is promised."""
    return {
        "name": "promise",
        "type": "request_callback",
        "properties": properties,
        "transitions": {"done": "end", "refused": "end"},
    }


async def recorded(centre: Centre) -> Row[Any]:
    """The row of the only file, with what it is of."""
    async with centre.database.tenant(TENANT) as conn:
        rows = await conn.execute(
            select(recording, voicemail.c.deleted_at)
            .join(voicemail, voicemail.c.id == recording.c.voicemail_id)
            .where(recording.c.tenant_id == TENANT)
        )
        return rows.one()


async def until_spoken(centre: Centre) -> None:
    """Wait until seven seconds of a message are on the disk: people make pauses of three."""

    async def spoken() -> bool:
        async with centre.database.tenant(TENANT) as conn:
            path = await conn.scalar(select(recording.c.path))
        file = centre.settings.recording_dir / (path or "nothing")
        return bool(file.exists() and file.stat().st_size > 112_000)

    await centre.until_seen("seven seconds of a message", spoken)


async def test_a_message_is_recorded_until_the_key(centre: Centre) -> None:
    """The file holds what was said; the supervisor sees who has left it, and hears it."""
    await add_number(centre, [message(), END])
    await call_in(centre, speech="message")
    call = await until_call(centre, "ended")
    assert (call.result, await path(centre, call.id)) == ("voicemail", [("message", "done"), ("end", "done")])
    service = VoicemailService(centre.database, centre.settings.recording_dir)
    (one,) = await service.messages(centre.actor)
    assert (one.call_id, one.e164, one.box, one.dialled) == (call.id, "+79161112233", "sales", "74957770101")
    assert one.length_s > 1
    file = await service.file(centre.actor, one.id)
    assert isinstance(file, Path)
    assert whole_seconds(file) == one.length_s
    assert [each.heard_at is None for each in await service.messages(centre.actor)] == [False]


async def test_who_hangs_up_in_the_middle_has_left_what_was_said(centre: Centre) -> None:
    """As most people end a message: it is kept whole, and is what the call came to."""
    await add_number(centre, [message(), END])
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_spoken(centre)
    call = await until_call(centre, "ended")
    assert (call.result, call.hung_up_by) == ("voicemail", "customer")
    assert await path(centre, call.id) == [("message", "hung_up")]
    assert (await recorded(centre)).status == "whole"
    (one,) = await VoicemailService(centre.database, centre.settings.recording_dir).messages(centre.actor)
    assert one.length_s > 6


async def test_a_message_in_which_nobody_speaks_is_none(centre: Centre) -> None:
    """It ends with `empty`; nobody sees it, its file goes."""
    await add_number(centre, [message(most_s=1.0), END])
    await call_in(centre, speech="silence")
    call = await until_call(centre, "ended")
    assert (call.result, await path(centre, call.id)) == (
        "contained",
        [("message", "empty"), ("end", "done")],
    )
    assert (await recorded(centre)).status == "erasing"
    assert await VoicemailService(centre.database, centre.settings.recording_dir).messages(centre.actor) == []


async def test_a_message_outlives_the_server(floor: Floor, database_url: str) -> None:
    """What is being said while the server dies is there when it is back."""
    async with open_centre(floor, database_url, own_process=True) as centre, gone_afterwards(centre):
        await add_number(centre, [message(), END])
        await call_in(centre)
        await until_spoken(centre)
        async with centre.manager("Hangup") as link:
            await centre.kill_engine_process()
            await leave(centre)
            await centre.until_hangup(link, "dozvon-caller", within_s=60)
        await centre.start_engine()

        async def whole() -> bool:
            return bool((await recorded(centre)).status == "whole")

        await centre.until_seen("a whole message", whole)


async def test_who_asks_to_be_called_is_promised_one_call(centre: Centre) -> None:
    """A person whom nobody knew, in a campaign without a list; asked for twice it is one promise."""
    campaign_id = await add_number(centre, [promise(reason="parts"), END])
    for n in range(2):
        await call_in(centre)
        call = await until_call(centre, "ended", n=n)
        assert (call.result, await path(centre, call.id)) == (
            "callback",
            [("promise", "done"), ("end", "done")],
        )
    (made,) = await centre.rows(callback)
    first = (await calls(centre))[0]
    assert (made.campaign_id, made.contact_id, made.state) == (campaign_id, first.contact_id, "waiting")
    assert (made.note, made.made_in, made.agent_id) == ("parts", first.id, None)
    assert [row.e164 for row in await centre.rows(lead)] == ["+79161112233"]


@pytest.mark.parametrize(
    ("properties", "event"),
    [
        ({"number": "12"}, "refused"),
        ({"when": "2020-01-01T12:00"}, "refused"),
        ({"when": "tomorrow"}, "failed"),
    ],
)
async def test_what_cannot_be_promised(centre: Centre, properties: dict[str, Any], event: str) -> None:
    """The flow hears that it was refused, or that the time is none; nothing is promised."""
    state = promise(**properties)
    state["transitions"]["failed"] = "end"
    await add_number(centre, [state, END])
    await call_in(centre)
    call = await until_call(centre, "ended")
    assert await path(centre, call.id) == [("promise", event), ("end", "done")]
    assert await centre.rows(callback) == []


async def test_another_number_is_called_back(centre: Centre) -> None:
    """Typed by the caller: whoever has it is a person of their own."""
    await add_number(centre, [promise(number="+79165554433"), END])
    await call_in(centre)
    await until_call(centre, "ended")
    (made,) = await centre.rows(callback)
    phones = {row.e164: row.contact_id for row in await centre.rows(contact_phone)}
    assert made.contact_id == phones["+79165554433"] != phones["+79161112233"]
    assert [row.e164 for row in await centre.rows(lead)] == ["+79165554433"]


async def test_who_left_the_queue_is_called_back_by_the_numbers_rule(centre: Centre) -> None:
    """The note is there with the end of the call; what is decided of it is a promise."""
    queue = {"name": "queue", "type": "enqueue", "properties": {"queue": "sales"}}
    await add_number(centre, [queue])
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(update(inbound_number).values(missed_rule="queue", missed_after_s=0))
    async with gone_afterwards(centre):
        await call_in(centre)
        await until_call(centre, "waiting")
    call = await until_call(centre, "ended")
    (noted,) = await centre.rows(missed_call)
    assert (call.result, noted.call_id, noted.fate) == ("abandoned", call.id, None)
    async with centre.database.tenant(TENANT) as conn:
        await conn.execute(update(missed_call).values(due_at=utc_now()))
    await MissedCalls(centre.database).round()
    (made,) = await centre.rows(callback)
    assert (made.contact_id, made.note, made.state) == (call.contact_id, "sales", "waiting")
