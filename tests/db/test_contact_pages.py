"""The pages of people, as a browser without scripts has them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import insert, select
from support import people as make
from support.web import Caller, Web, serving

from dialer.contacts import fields_store, history
from dialer.contacts.dead_numbers_http import DEAD_NUMBERS
from dialer.contacts.dead_numbers_service import DeadNumberService
from dialer.contacts.erasure import ErasureService
from dialer.contacts.erasure_http import ERASURE
from dialer.contacts.fields import TEMPLATES
from dialer.contacts.history import Kind
from dialer.contacts.people import PersonService
from dialer.contacts.people_http import PEOPLE
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.donotcall.http import DO_NOT_CALL
from dialer.donotcall.service import DoNotCallService
from dialer.httpkit.access import Role
from dialer.settings import load
from dialer.web.pages import add_pages

NUMBER = "+79161234567"


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The application with its pages."""
    settings = load(data_dir=tmp_path)
    services: Mapping[web.AppKey[Any], Any] = {
        PEOPLE: PersonService(database, settings),
        ERASURE: ErasureService(database, tmp_path),
        DO_NOT_CALL: DoNotCallService(database, settings),
        DEAD_NUMBERS: DeadNumberService(database, settings),
    }
    async with serving(
        database, database_url, services=services, settings=settings, pages=add_pages
    ) as running:
        yield running


@pytest.fixture
async def supervisor(site: Web) -> Caller:
    """A supervisor's browser."""
    return await site.browser(Role.SUPERVISOR)


@pytest.fixture
async def contact_id(database: Database) -> int:
    """A person with a list, a lead and a call."""
    async with database.tenant(1) as conn:
        place = await make.ground(conn)
        found = await make.person(conn, place, [NUMBER], custom={"Марка": "Volvo"})
        await make.lead(conn, place, found, NUMBER)
        await make.attempt(conn, place, found, NUMBER, disposition_note="перезвонить летом")
    return found


async def send(caller: Caller, path: str, **fields: str) -> tuple[int, str]:
    """A form, sent from a page; the status and where it leads, or what it shows."""
    fields["csrf_token"] = caller.headers["X-CSRF-Token"]
    reply = await caller.call("POST", path, data=fields)
    return reply.status, reply.headers.get("Location", reply.text)


async def test_a_contact_is_made_and_found(supervisor: Caller) -> None:
    """A wrong number is told at its field with what was typed; a known one needs a word more."""
    status, text = await send(supervisor, "/contacts", number="12", last_name="Орлова")
    assert status == 422
    assert 'value="Орлова"' in text
    assert 'id="fault-number"' in text
    status, where = await send(supervisor, "/contacts", number="8 916 123-45-67", last_name="Орлова")
    assert status == 303
    assert "Орлова" in (await supervisor.call("GET", where)).text
    assert (await send(supervisor, "/contacts", number=NUMBER))[0] == 409
    assert (await send(supervisor, "/contacts", number=NUMBER, even_if_known="on"))[0] == 303
    for text in ("орл", "8 (916) 1234567", ""):
        page = await supervisor.call("GET", f"/contacts?text={text}")
        assert "Орлова" in page.text
        assert "1234567" not in re.sub(r'value="[^"]*"', "", page.text), "numbers of a list are masked"
    page = await supervisor.call("GET", "/contacts?text=12")
    assert page.status == 422


async def test_the_card_shows_and_changes_all(
    supervisor: Caller, contact_id: int, database: Database
) -> None:
    """Fields, numbers with hours, consents: each form comes back to the card, and the history tells of it."""
    path = f"/contacts/{contact_id}"
    page = (await supervisor.call("GET", path)).text
    for words in ("Иванов", "Volvo", "Весна", "Осень 0", "перезвонить летом"):
        assert words in page, words
    assert (await send(supervisor, path, last_name="Иванова", email="x"))[0] == 422
    fields = {"last_name": "Иванова", "email": "i@example.org", "timezone": "МСК+2"}
    assert await send(supervisor, path, **fields, custom_name="Марка", custom_value="") == (303, path)
    added = await send(
        supervisor, path + "/numbers", number="8 495 123 45 67", label="дача", opens="18:00", closes="20:00"
    )
    assert added == (303, path + "#numbers")
    assert (await send(supervisor, path + "/numbers", number="+79160000001", opens="20:00", closes="18:00"))[
        0
    ] == 422
    async with database.tenant(1) as conn:
        c = t.contact_phone.c
        first, second = list(await conn.scalars(select(c.id).order_by(c.position)))
    assert (await send(supervisor, f"{path}/numbers/{second}/first"))[0] == 303
    assert (await send(supervisor, f"{path}/numbers/{first}", number="+79160000009", label="работа"))[
        0
    ] == 303
    assert (await send(supervisor, f"{path}/numbers/{first}/remove"))[0] == 303
    assert (await send(supervisor, f"{path}/numbers/{second}/remove"))[0] == 409
    assert (await send(supervisor, path + "/consents", purpose="advertising"))[0] == 422
    agreed = await send(
        supervisor, path + "/consents", purpose="advertising", source="анкета", valid_until="2090-01-01"
    )
    assert agreed == (303, path + "#consents")
    async with database.tenant(1) as conn:
        consent = await conn.scalar(select(t.consent.c.id))
    page = (await supervisor.call("GET", path)).text
    for words in ("Иванова", "дача", "18:00-20:00", "анкета", "holds", "A number was taken off", "Etc/GMT-5"):
        assert words in page, words
    assert (await send(supervisor, f"{path}/consents/{consent}/withdraw"))[0] == 303
    assert "withdrawn" in (await supervisor.call("GET", path)).text


async def test_the_history_tells_of_promises_and_refusals(
    site: Web, contact_id: int, database: Database
) -> None:
    """In words: what was promised by whose clock, moved, put off, missed and taken back, and who is on
    do-not-call; the file that has changed a card is named."""
    supervisor = await site.browser(Role.SUPERVISOR)
    assert supervisor.user is not None
    by, noon = supervisor.user.id, datetime(2026, 12, 1, 9, tzinfo=UTC)
    later = [one.isoformat() for one in (noon, noon + timedelta(hours=2))]
    async with database.tenant(1) as conn:
        lead = (await conn.execute(select(t.lead.c.id, t.lead.c.campaign_id))).one()
        row = {
            "tenant_id": 1, "campaign_id": lead.campaign_id, "lead_id": lead.id, "contact_id": contact_id,
            "from_at": noon, "due_at": noon, "zone": "Europe/Moscow", "away": "wait", "made_by": by,
            "state": "canceled", "reason": "has bought elsewhere", "ended_at": noon, "ended_by": by,
            "note": "about the <car>",
        }  # fmt: skip
        made = await conn.scalar(insert(t.callback).values(**row).returning(t.callback.c.id))
        moved = {"callback_id": made, "campaign": "A", "zone": "Europe/Moscow"}
        moved |= {"from_at": later, "until_at": [None, None], "agent": ["Olga", None]}
        await history.add(conn, 1, contact_id, Kind.CALLBACK_MOVED, by, moved)
        off = {"callback_id": made, "due_at": later, "moved": "limits"}
        await history.add(conn, 1, contact_id, Kind.CALLBACK_PUT_OFF, None, off)
        missed = {"callback_id": made, "campaign": "A", "reason": "no_answer"}
        await history.add(conn, 1, contact_id, Kind.CALLBACK_MISSED, None, missed, at=noon)
        named = {"email": ["", "a@example.org"], "import_id": 1, "file": "spring.csv"}
        await history.add(conn, 1, contact_id, Kind.CHANGED, by, named)
        entry = {"tenant_id": 1, "kind": "number", "mark": NUMBER, "source": "operator", "reason": "asked"}
        gone = {"removed_at": noon, "removed_by": by, "removed_reason": "a slip"}
        await conn.execute(insert(t.do_not_call).values(added_by=by, **entry, **gone))
    page = (await supervisor.call("GET", f"/contacts/{contact_id}")).text
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index('id="history"') :])).replace(
        "\xa0", " "
    )
    who = supervisor.user.name
    for words in (
        "Was promised a call 2026-12-01 12:00 Europe/Moscow · Olga · ",
        "about the &lt;car&gt;",
        "The promised call was moved 2026-12-01 12:00 → 2026-12-01 14:00 Europe/Moscow Olga → any agent",
        "The person was called as often as is allowed.",
        "The promised call reached nobody no answer · A",
        "The promised call was taken back has bought elsewhere ·",
        "Changed spring.csv",
        "Put on do-not-call +7 916 123 45 67 · all campaigns · by hand asked",
        "Taken off do-not-call +7 916 123 45 67 · all campaigns a slip",
    ):
        assert words in told, told
    assert told.count(f"· {who}") == 6


async def test_a_long_history_goes_on(supervisor: Caller, contact_id: int, database: Database) -> None:
    """By a link, to the first thing that happened."""
    for n in range(32):
        assert (await send(supervisor, f"/contacts/{contact_id}", last_name=f"Иванов{n}"))[0] == 303
    page = (await supervisor.call("GET", f"/contacts/{contact_id}")).text
    assert "Came into the list" not in page
    following = re.search(r'href="(/contacts/\d+\?history=[^"#]+)', page)
    assert following
    assert "Came into the list" in (await supervisor.call("GET", following[1])).text


async def test_erased_by_a_ticked_box(supervisor: Caller, contact_id: int) -> None:
    """Without it nothing happens; afterwards the page says that nothing is left."""
    path = f"/contacts/{contact_id}"
    assert (await send(supervisor, path + "/erase"))[0] == 422
    assert "Volvo" in (await supervisor.call("GET", path)).text
    assert await send(supervisor, path + "/erase", sure="on") == (303, path)
    page = (await supervisor.call("GET", path)).text
    assert "Volvo" not in page
    assert "Erased on" in page


async def test_agents_see_nobody_by_choice(site: Web, contact_id: int) -> None:
    """Neither the list nor a card that is not of their call."""
    operator = await site.browser(Role.OPERATOR)
    for path in ("/contacts", f"/contacts/{contact_id}"):
        assert (await operator.call("GET", path)).status == 403


# -- what stands against a call ----------------------------------------------------------------------------


async def of_table(database: Database, table: Any, *names: str) -> list[tuple[Any, ...]]:
    """These columns of all rows."""
    async with database.tenant(1) as conn:
        rows = await conn.execute(select(*(table.c[name] for name in names)).order_by(table.c.id))
        return [tuple(row) for row in rows]


async def test_an_entry_is_made_and_lifted_on_the_card(
    supervisor: Caller, contact_id: int, database: Database
) -> None:
    """Of the numbers that are ticked; each entry says where it comes from and until when, and stays when it
    is lifted."""
    path = f"/contacts/{contact_id}"
    assert "Nothing was ever said of this number." in (await supervisor.call("GET", path)).text
    (phone_id,) = (row[0] for row in await of_table(database, t.contact_phone, "id"))
    assert (await send(supervisor, path + "/do-not-call"))[0] == 422
    asked = {"phone": str(phone_id), "reason": "позвонил сам", "valid_until": "2090-01-02T10:00"}
    assert await send(supervisor, path + "/do-not-call", **asked) == (303, path + "#refusals")
    page = (await supervisor.call("GET", path)).text
    for words in ("позвонил сам", "by hand", "2090-01-02", "do not call"):
        assert words in page, words
    ((entry, mark),) = await of_table(database, t.do_not_call, "id", "mark")
    assert mark == NUMBER
    lift = f"{path}/do-not-call/{entry}/remove"
    status, text = await send(supervisor, lift)
    assert (status, "<details open><summary>Remove" in text) == (422, True)
    assert await send(supervisor, lift, reason="передумал") == (303, path + "#refusals")
    assert (await send(supervisor, lift, reason="передумал"))[0] == 409
    page = (await supervisor.call("GET", path)).text
    assert "передумал" in page
    assert "do not call</span>" not in page


async def test_nobody_else_s_number_is_entered_by_the_card(
    supervisor: Caller, contact_id: int, database: Database
) -> None:
    """An id of another person's number is none of this card."""
    async with database.tenant(1) as conn:
        (list_id,) = await conn.scalars(select(t.contact_list.c.id))
        await make.person(conn, make.Ground(list_id, (), 0), ["+79160000007"])
    theirs = (await of_table(database, t.contact_phone, "id"))[-1][0]
    assert (await send(supervisor, f"/contacts/{contact_id}/do-not-call", phone=str(theirs)))[0] == 422
    assert (await send(supervisor, f"/contacts/{contact_id}/numbers/{theirs}/dead"))[0] == 404
    assert await of_table(database, t.do_not_call, "id") == []


async def test_a_number_dies_and_lives_on_the_card(
    supervisor: Caller, contact_id: int, database: Database
) -> None:
    """With its leads."""
    path = f"/contacts/{contact_id}"
    (phone_id,) = (row[0] for row in await of_table(database, t.contact_phone, "id"))
    assert await send(supervisor, f"{path}/numbers/{phone_id}/dead") == (303, path + "#numbers")
    assert "It is alive" in (await supervisor.call("GET", path)).text
    assert await of_table(database, t.lead, "status", "closed_reason") == [("closed", "dead_number")]
    assert (await send(supervisor, f"{path}/numbers/{phone_id}/alive"))[0] == 303
    assert "It is dead" in (await supervisor.call("GET", path)).text
    assert await of_table(database, t.lead, "status") == [("new",)]
    assert (await send(supervisor, f"{path}/numbers/{phone_id}/alive"))[0] == 404


async def test_fields_go_by_their_labels(supervisor: Caller, contact_id: int, database: Database) -> None:
    """The tenant's fields come first, in the reader's language, also those without a value; a value keeps the
    name that its file gave it, and the history says the label."""
    async with database.tenant(1) as conn:
        for spec in TEMPLATES["cars"]:
            await fields_store.add_field(conn, 1, spec)
    path = f"/contacts/{contact_id}"
    page = (await supervisor.call("GET", path)).text
    assert page.index(">Car make</label>") < page.index('value="Volvo"') < page.index(">Car model</label>")
    assert 'name="custom_name" value="Марка"' in page
    assert 'name="custom_name" value="car_model"' in page
    assert (await send(supervisor, path, custom_name="Марка", custom_value="Škoda"))[0] == 303
    page = (await supervisor.call("GET", path)).text
    assert "Car make:</span> <del>Volvo</del> → <ins>Škoda</ins>" in page
