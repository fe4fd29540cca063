"""Letters that scripts send: asked for in the talk, given to a real mail server, told in the history."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, update
from support.floor import TENANT, Floor, Seat
from support.mail_server import mailbox
from support.promises import open_floor
from support.talk_scripts import published

from dialer.app.script_deeds import ScriptDeeds
from dialer.calls.model import Call
from dialer.check import letters
from dialer.check.model import Level
from dialer.clock import utc_now
from dialer.contacts import history
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.errors import Conflict, Invalid
from dialer.httpkit.access import Actor
from dialer.letters.model import AGAIN, again
from dialer.letters.sending import Sending
from dialer.scripts.service import ScriptService
from dialer.scripts.walking import Done
from dialer.settings import Settings

SERVER = Actor.server(TENANT)
TEXT = """\
name: visit
language: ru
first: do
steps:
  - name: do
    type: action
    text: "Отправляю."
    action: send_letter
    values: {subject: "Расчёт для вас", text: "Здравствуйте, {contact.first_name}!\\nЖдём.", to: "TO"}
    next: bye
  - {name: bye, type: end, text: "До свидания."}
"""


@pytest.fixture
async def floor(database: Database) -> Floor:
    """A running campaign with a script."""
    return await open_floor(database, script="visit")


async def at_step(floor: Floor, *, to: str = "", email: str = "") -> tuple[ScriptService, Seat, Call]:
    """A talk at the step that sends a letter, with somebody who has this address."""
    await published(floor.database, SERVER, TEXT.replace(', to: "TO"', f', to: "{to}"' if to else ""))
    seat = await floor.seat()
    (lead_id,) = await floor.leads(1)
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.contact).values(email=email))
    return ScriptService(floor.database, ScriptDeeds(letters=True)), seat, await floor.talk(seat, lead_id)


async def written(floor: Floor) -> list[Any]:
    """The letters so far."""
    async with floor.database.tenant(TENANT) as conn:
        return list(await conn.execute(select(t.letter).order_by(t.letter.c.id)))


@pytest.mark.parametrize(("to", "email"), [("", "petrov@example.org"), ("other@example.org", "")])
async def test_a_letter_is_sent(floor: Floor, to: str, email: str) -> None:
    """To the address of the card, or to one that was given in the talk; once, with the words of the script
    filled in. The history of the person tells of it."""
    scripts, seat, call = await at_step(floor, to=to, email=email)
    await scripts.act(seat.actor, call.attempt_id, "do", Done())
    async with mailbox() as box:
        sending = Sending(floor.database, box.server)
        await sending.round()
        await sending.round()
        (letter,) = box.letters
        assert (await letters.look(box.server)).level is Level.OK
    assert (letter["To"], letter["Subject"]) == (to or email, "Расчёт для вас")
    assert letter["From"] == box.server.sender
    assert letter.get_content().split() == ["Здравствуйте,", "Пётр!", "Ждём."]
    (row,) = await written(floor)
    assert (row.state, row.tries, row.call_id) == ("sent", 1, call.attempt_id)
    async with floor.database.tenant(TENANT) as conn:
        told = await history.page(conn, TENANT, row.contact_id, limit=10)
        kinds = await conn.scalars(select(t.event.c.kind).order_by(t.event.c.id))
        assert "letter.changed" in list(kinds)
    assert [(one.kind, one.detail["subject"]) for one in told if one.source == "letter"] == [
        ("letter_sent", "Расчёт для вас")
    ]


async def test_what_cannot_be_sent_is_said_in_the_talk(floor: Floor) -> None:
    """No address, none that is one, no mail server: nothing is written, and the talk stays at its step."""
    scripts, seat, call = await at_step(floor)
    with pytest.raises(Conflict, match="no e-mail address"):
        await scripts.act(seat.actor, call.attempt_id, "do", Done())
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.contact).values(email="a@b"))
    with pytest.raises(Invalid):
        await scripts.act(seat.actor, call.attempt_id, "do", Done())
    without = ScriptService(floor.database, ScriptDeeds())
    with pytest.raises(Conflict, match="mail server"):
        await without.act(seat.actor, call.attempt_id, "do", Done())
    assert await written(floor) == []
    shown = await scripts.of_call(seat.actor, call.attempt_id)
    assert shown is not None
    assert (shown.step, shown.done) == ("do", False)


@pytest.mark.parametrize(
    ("answer", "state"), [("450 come later", "waiting"), ("550 nobody of that name", "failed")]
)
async def test_a_letter_that_is_not_taken(floor: Floor, answer: str, state: str) -> None:
    """Refused for now it is tried again, later each time; refused for good it has failed. Why stands with
    it."""
    scripts, seat, call = await at_step(floor, email="petrov@example.org")
    await scripts.act(seat.actor, call.attempt_id, "do", Done())
    async with mailbox() as box:
        box.answer = answer
        await Sending(floor.database, box.server).round()
        (row,) = await written(floor)
        assert (row.state, row.tries) == (state, 1)
        assert answer.rsplit(maxsplit=1)[-1] in row.error
        box.answer = "250 welcome"
        await Sending(floor.database, box.server).round()
        assert box.letters == []  # its time has not come
        async with floor.database.tenant(TENANT) as conn:
            await conn.execute(update(t.letter).values(next_at=utc_now()))
        await Sending(floor.database, box.server).round()
        assert len(box.letters) == (state == "waiting")


async def test_a_mail_server_that_is_away(floor: Floor) -> None:
    """The letter waits; the check says what does not answer. The last try is the end of it."""
    scripts, seat, call = await at_step(floor, email="petrov@example.org")
    await scripts.act(seat.actor, call.attempt_id, "do", Done())
    async with mailbox() as box:
        server = box.server
    await Sending(floor.database, server).round()
    (row,) = await written(floor)
    assert (row.state, bool(row.error)) == ("waiting", True)
    assert (await letters.look(server)).level is Level.FAIL
    async with floor.database.tenant(TENANT) as conn:
        await conn.execute(update(t.letter).values(next_at=utc_now(), tries=len(AGAIN)))
    await Sending(floor.database, server).round()
    (row,) = await written(floor)
    assert row.state == "failed"
    assert [again(tries) for tries in range(1, len(AGAIN) + 2)] == [*AGAIN, None]


def test_the_settings_name_a_server_and_a_sender() -> None:
    """Both, or neither."""
    for lacking in ({"smtp_host": "mail.example.org"}, {"letters_from": "info@example.org"}):
        with pytest.raises(ValidationError, match="set together"):
            Settings(**lacking)  # type: ignore[arg-type]
