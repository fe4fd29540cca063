"""The pages of lists and imports as forms send them: looked at, changed, started, thrown away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import FormData
from support.floor import Floor
from support.web import Caller, Reply, Web, whole_site

from dialer.contacts.importing import run_next_import
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.settings import load

FILE = "тел;имя;авто\n89161234567;Пётр;Kia\nнет;<b>Анна</b>;Lada\n=1+1;Иван;\n".encode("cp1251")


@pytest.fixture
async def web(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The web process as the server builds it."""
    async with whole_site(database, database_url, load(data_dir=tmp_path)) as running:
        yield running


@pytest.fixture
async def person(web: Web) -> Caller:
    """A supervisor's browser."""
    return await web.browser(Role.SUPERVISOR)


async def list_of(person: Caller, name: str = "Осень") -> str:
    """The address of a new list's page."""
    made = await person.call("POST", "/lists", data={"name": name})
    assert made.status == 303, made.text
    return made.headers["Location"]


async def upload(person: Caller, address: str, do: str = "look", content: bytes = FILE) -> Reply:
    """Send a file as the list's form does."""
    form = FormData({"do": do, "campaign": ""})
    form.add_field("file", content, filename="осень.csv", content_type="text/csv")
    return await person.call("POST", f"{address}/imports", data=form)


def fields(text: str) -> dict[str, str]:
    """What the form of a preview would send, unchanged."""
    found = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', text))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    found.pop("csrf_token")
    return found


async def test_a_file_is_looked_at_and_loaded(web: Web, person: Caller) -> None:
    """What the page shows, what a change of it does, and what is loaded in the end."""
    address = await list_of(person)
    sent = await upload(person, address)
    assert sent.status == 303, sent.text
    preview = sent.headers["Location"]
    shown = await person.call("GET", preview)
    assert shown.status == 200
    assert "found: Windows-1251" in shown.text
    assert "found: semicolon" in shown.text
    assert "&lt;b&gt;Анна&lt;/b&gt;" in shown.text
    assert "letters in a number" in shown.text
    assert "Leave digits only" in shown.text
    form = fields(shown.text)
    assert [form[f"word-{n}"] for n in range(3)] == ["phone", "first_name", "custom"]

    changed = await person.call("POST", preview, data=form | {"word-1": "skip", "key-2": "car", "do": "look"})
    assert (changed.status, changed.headers["Location"]) == (303, preview)
    form = fields((await person.call("GET", preview)).text)
    assert [form[f"word-{n}"] for n in range(3)] == ["phone", "skip", "custom"]
    assert form["key-2"] == "car"

    started = await person.call("POST", preview, data=form | {"do": "start"})
    assert started.status == 303, started.text
    assert "queued" in (await person.call("GET", preview)).text
    assert await run_next_import(web.database, web.settings)
    (found,) = (await person.call("GET", "~/contacts?number=89161234567")).json["items"]
    assert (found["first_name"], found["custom"]) == ("", {"car": "Kia"})
    ended = await person.call("GET", f"{preview}/state")
    assert "What was not taken" in ended.text
    assert "<code>=1+1</code>" in ended.text
    assert "/rejects.csv" in ended.text


async def test_a_wrong_encoding_is_refused_in_its_place(person: Caller) -> None:
    """UTF-16 chosen for a file that is not: the page comes again and says so; columns of another delimiter
    may be sent along with the change."""
    preview = (await upload(person, await list_of(person))).headers["Location"]
    form = fields((await person.call("GET", preview)).text)
    refused = await person.call("POST", preview, data=form | {"encoding": "utf-16", "do": "look"})
    assert (refused.status, "the file is not UTF-16" in refused.text) == (422, True)
    both = form | {"delimiter": "comma", "word-1": "skip", "do": "look"}
    assert (await person.call("POST", preview, data=both)).status == 303


async def test_a_header_alone_is_told(web: Web, person: Caller) -> None:
    """Before it is loaded and afterwards."""
    address = (await upload(person, await list_of(person), content=b"phone;name\n")).headers["Location"]
    shown = await person.call("GET", address)
    assert "a header and no rows" in shown.text
    await person.call("POST", address, data=fields(shown.text) | {"do": "start"})
    assert "a header and no rows" not in (await person.call("GET", address)).text
    assert await run_next_import(web.database, web.settings)
    assert "a header and no rows" in (await person.call("GET", f"{address}/state")).text


async def test_columns_are_saved_and_proposed(person: Caller) -> None:
    """Saved from the preview, they are in force for the next file like it; they are renamed and deleted."""
    address = await list_of(person)
    preview = (await upload(person, address)).headers["Location"]
    form = fields((await person.call("GET", preview)).text)
    named = form | {"word-1": "skip", "save_as": "Сервис", "do": "save"}
    assert (await person.call("POST", preview, data=named)).status == 303
    again = (await upload(person, await list_of(person, "Зима"))).headers["Location"]
    form = fields((await person.call("GET", again)).text)
    assert form["word-1"] == "skip"
    assert form["saved"] == form["saved_was"] != ""
    # Left as it is, the saved one stays in force; taken away, columns go by their names.
    await person.call("POST", again, data=form | {"do": "look"})
    assert fields((await person.call("GET", again)).text) == form
    await person.call("POST", again, data=form | {"saved": "", "do": "look"})
    assert fields((await person.call("GET", again)).text)["word-1"] == "first_name"
    # A name that is taken is refused, and what was typed in the rest of the form is kept.
    taken = await person.call("POST", again, data=form | {"save_as": "Сервис", "do": "save"})
    assert (taken.status, "Сервис" in taken.text) == (409, True)

    page = (await person.call("GET", "/lists/mappings")).text
    assert "Сервис" in page and "авто" in page
    path = f"/lists/mappings/{form['saved']}"
    assert (await person.call("POST", f"{path}/rename", data={"name": ""})).status == 422
    assert (await person.call("POST", f"{path}/rename", data={"name": "Ремонт"})).status == 303
    assert "Ремонт" in (await person.call("GET", "/lists/mappings")).text
    assert (await person.call("POST", f"{path}/delete")).status == 303
    assert "Ремонт" not in (await person.call("GET", "/lists/mappings")).text


async def test_a_file_without_phones_is_mended_on_the_page(person: Caller) -> None:
    """It says what is missing, and is loaded once a column is named."""
    preview = (await upload(person, await list_of(person), content=b"whom;why\n89160000009;TO\n")).headers[
        "Location"
    ]
    shown = await person.call("GET", preview)
    assert "no column of phone numbers" in shown.text
    form = fields(shown.text)
    refused = await person.call("POST", preview, data=form | {"do": "start"})
    assert refused.status == 422
    assert (await person.call("POST", preview, data=form | {"word-0": "phone", "do": "start"})).status == 303


async def test_a_file_is_loaded_at_once_or_thrown_away(person: Caller) -> None:
    """The second button of the form loads without a look; a preview can be discarded."""
    address = await list_of(person)
    assert (await upload(person, address, "load")).headers["Location"] == address
    assert "queued" in (await person.call("GET", address)).text
    preview = (await upload(person, address)).headers["Location"]
    assert (await person.call("POST", f"{preview}/discard")).headers["Location"] == address
    assert (await person.call("GET", preview)).status == 404


async def test_lists_are_paged_and_found(person: Caller) -> None:
    """Fifty a page; the others are a link away, and each is found by its name."""
    for n in range(51):
        await person.call("POST", "~/lists", {"name": f"Список № {n:02}"})
    first = (await person.call("GET", "/lists")).text
    assert "Список № 50" in first and "Список № 00" not in first
    link = re.search(r'href="(/lists\?cursor=[^"]+)"', first)
    assert link is not None
    assert "Список № 00" in (await person.call("GET", link[1])).text
    found = (await person.call("GET", "/lists?q=№ 07")).text
    assert "Список № 07" in found and "Список № 08" not in found
    assert "No list has this in its name" in (await person.call("GET", "/lists?q=нет такого")).text


async def test_a_lists_funnel_is_a_part_of_its_page(web: Web, person: Caller) -> None:
    """Contacts and numbers; where no campaign has them it says so."""
    address = await list_of(person)
    await upload(person, address, "load")
    assert await run_next_import(web.database, web.settings)
    assert f'hx-get="{address}/funnel"' in (await person.call("GET", address)).text
    part = (await person.call("GET", f"{address}/funnel")).text
    assert "<dd>1</dd>" in part and "No campaign calls this list yet" in part


async def test_pages_in_russian(web: Web) -> None:
    """The preview speaks the reader's language."""
    user = await web.user(Role.SUPERVISOR)
    person = await web.browser(Role.SUPERVISOR, user=user)
    await person.call("POST", "/language", data={"lang": "ru", "next": "/"})
    preview = (await upload(person, await list_of(person))).headers["Location"]
    text = (await person.call("GET", preview)).text
    for words in ("пока ничего не загружено", "точка с запятой", "буквы в номере", "Оставьте только цифры"):
        assert words in text


async def test_a_campaign_calls_the_list_from_its_page(web: Web, person: Caller) -> None:
    """The list's own form does what the campaign's page does; the funnel has the leads then."""
    floor = await Floor.open(web.database)
    address = await list_of(person)
    await upload(person, address, "load")
    assert await run_next_import(web.database, web.settings)
    assert f'action="{address}/leads"' in (await person.call("GET", address)).text
    added = await person.call("POST", f"{address}/leads", data={"campaign": str(floor.campaign_id)})
    assert (added.status, added.headers["Location"]) == (303, f"/campaigns/{floor.campaign_id}")
    assert f"/campaigns/{floor.campaign_id}" in (await person.call("GET", f"{address}/funnel")).text


async def test_a_workbook_is_taken_by_its_content(web: Web, person: Caller) -> None:
    """The API takes the types of all three kinds; what is none of them is refused by its type."""
    made = await person.call("POST", "~/lists", {"name": "Осень"})
    path = f"~/lists/{made.json['id']}/imports?preview=true"
    sheet = {"Content-Type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    sent = await person.call("POST", path, data=FILE, headers=sheet)
    assert sent.status == 202, sent.text
    assert (await person.call("GET", f"~/imports/{sent.json['id']}/preview")).json["kind"] == "csv"
    refused = await person.call("POST", path, data=FILE, headers={"Content-Type": "text/html"})
    assert (refused.status, refused.json["type"]) == (415, "/problems/not-accepted")


async def test_what_would_change_of_known_people(web: Web, person: Caller) -> None:
    """Who is known would get what they lack; where the file differs the page says whose value stays."""
    await upload(person, await list_of(person), "load", "тел;имя\n89160000001;Анна\n".encode())
    assert await run_next_import(web.database, web.settings)
    content = "тел;имя;почта\n8 916 000-00-01;Жанна;anna@example.org\n".encode()
    preview = (await upload(person, await list_of(person, "Зима"), content=content)).headers["Location"]
    shown = await person.call("GET", preview)
    rows = re.findall(r'<tr><td class="num">1</td>(.*?)</tr>', shown.text)
    added, differs = (re.findall(r"<td>(.*?)</td>", row) for row in rows[:2])
    assert added[1:] == ["почта", "", "anna@example.org", "is added"]
    assert differs[1:] == ["имя", "Анна", "Жанна", "the base stays"]
    changed = fields(shown.text) | {"wins": "file", "do": "look"}
    assert (await person.call("POST", preview, data=changed)).status == 303
    again = re.findall(r"<td>(.*?)</td>", (await person.call("GET", preview)).text)
    assert "the file wins" in again
