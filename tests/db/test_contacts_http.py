"""Lists, imports and contacts as a program sees them over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.room import Client, room

from dialer.contacts import http, imports_http, lists_http
from dialer.contacts.importing import file_of, run_next_import
from dialer.contacts.keys import CONTACTS
from dialer.contacts.service import ContactService
from dialer.db.session import Database
from dialer.httpkit import openapi
from dialer.settings import Settings, load

TABLES = [lists_http.routes, imports_http.routes, http.routes]
FILE = 'телефон;имя\n89161234567;Пётр\n=1+1;"Анна"\n'.encode("cp1251")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of the test's own."""
    return load(data_dir=tmp_path)


@pytest.fixture
async def client(database: Database, settings: Settings) -> AsyncIterator[Client]:
    """The feature's routes, for whom the header X-Role names."""
    service = ContactService(database, settings)
    async with room(database, settings, CONTACTS, service, TABLES) as opened:
        yield opened


async def test_from_file_to_contact(client: Client, database: Database, settings: Settings) -> None:
    """A list is made, a file is sent, its progress and rejects are read, its people are found."""
    made = await client.post("/api/v1/lists", json={"name": "Весна"})
    assert made.status == 201
    list_id = (await made.json())["id"]

    sent = await client.post(
        f"/api/v1/lists/{list_id}/imports?filename=a.csv", data=FILE, headers={"Content-Type": "text/csv"}
    )
    assert sent.status == 202
    queued = await sent.json()
    assert (queued["status"], queued["filename"]) == ("queued", "a.csv")

    assert await run_next_import(database, settings)
    done = await (await client.get(f"/api/v1/imports/{queued['id']}")).json()
    assert {name: done[name] for name in ("status", "rows", "loaded", "duplicates", "rejected", "blank")} == {
        "status": "done",
        "rows": 2,
        "loaded": 1,
        "duplicates": 0,
        "rejected": 1,
        "blank": 0,
    }
    of_list = await (await client.get(f"/api/v1/lists/{list_id}/imports")).json()
    assert of_list == {"items": [done], "next": None}

    rejects = await client.get(f"/api/v1/imports/{queued['id']}/rejects.csv")
    assert rejects.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in rejects.headers["Content-Disposition"]
    expected = "row,column,code,value\r\n2,телефон,too_short,'=1+1\r\n"
    assert await rejects.read() == b"\xef\xbb\xbf" + expected.encode()

    found = await (await client.get("/api/v1/contacts", params={"number": "8 (916) 123-45-67"})).json()
    assert [one["first_name"] for one in found["items"]] == ["Пётр"]
    contact_id = found["items"][0]["id"]
    contact = await (await client.get(f"/api/v1/contacts/{contact_id}")).json()
    assert contact == found["items"][0]
    assert contact["phones"][0]["e164"] == "+79161234567"


async def test_failed_import_says_why(client: Client, database: Database, settings: Settings) -> None:
    """An import that ended in an error has its stable id and its message."""
    list_id = (await (await client.post("/api/v1/lists", json={"name": "Весна"})).json())["id"]
    path, headers = f"/api/v1/lists/{list_id}/imports", {"Content-Type": "text/csv"}
    queued = await (await client.post(path, data=FILE, headers=headers)).json()
    file_of(settings, 1, queued["id"]).write_bytes(b"a;b\n")
    assert await run_next_import(database, settings)
    failed = await (await client.get(f"/api/v1/imports/{queued['id']}")).json()
    assert (failed["status"], failed["error"]["id"]) == ("failed", "no-phone-column")
    assert "a, b" in failed["error"]["message"]


async def test_pages_of_contacts(client: Client, database: Database, settings: Settings) -> None:
    """The cursor leads through a list without a gap or a repetition."""
    list_id = (await (await client.post("/api/v1/lists", json={"name": "Весна"})).json())["id"]
    content = "phone\n" + "".join(f"+7916000000{n}\n" for n in range(7))
    headers = {"Content-Type": "text/csv"}
    await client.post(f"/api/v1/lists/{list_id}/imports", data=content.encode(), headers=headers)
    assert await run_next_import(database, settings)
    seen: list[str] = []
    params: dict[str, str] = {"list": str(list_id), "limit": "3"}
    while True:
        page = await (await client.get("/api/v1/contacts", params=params)).json()
        seen += [one["phones"][0]["e164"] for one in page["items"]]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert seen == [f"+7916000000{n}" for n in range(7)]


async def test_list_by_its_number(client: Client) -> None:
    """A list is read, renamed and removed; then it is not there."""
    list_id = (await (await client.post("/api/v1/lists", json={"name": "Весна"})).json())["id"]
    path = f"/api/v1/lists/{list_id}"
    assert (await (await client.patch(path, json={"name": "Лето"})).json())["name"] == "Лето"
    assert (await (await client.get(path)).json())["contacts"] == 0
    assert [one["name"] for one in (await (await client.get("/api/v1/lists")).json())["items"]] == ["Лето"]
    assert (await client.delete(path)).status == 204
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize(
    ("path", "content", "status", "kind"),
    [
        ("/api/v1/lists/{list}/imports", b"", 422, "unreadable-file"),
        ("/api/v1/lists/{list}/imports", b"PK\x03\x04", 422, "unreadable-file"),
        ("/api/v1/lists/{list}/imports", b"a;b\n1;2\n", 422, "no-phone-column"),
        ("/api/v1/lists/{list}0/imports", FILE, 404, "not-found"),
        ("/api/v1/lists/{list}/imports?campaign=1", FILE, 404, "not-found"),
        ("/api/v1/lists/{list}/imports?campaign=x", FILE, 422, "invalid"),
    ],
)
async def test_refused_uploads(client: Client, path: str, content: bytes, status: int, kind: str) -> None:
    """A refusal is a problem document with a stable type."""
    list_id = (await (await client.post("/api/v1/lists", json={"name": "Весна"})).json())["id"]
    headers = {"Content-Type": "text/csv"}
    reply = await client.post(path.format(list=list_id), data=content, headers=headers)
    assert (reply.status, (await reply.json())["type"]) == (status, f"/problems/{kind}")


@pytest.mark.parametrize(
    "path", ["lists", "lists/1", "lists/1/imports", "imports/1", "contacts", "contacts/1"]
)
async def test_operators_are_refused(client: Client, path: str) -> None:
    """An operator sees a customer as the card of a call, never by these."""
    assert (await client.get(f"/api/v1/{path}", headers={"X-Role": "operator"})).status == 403


def test_every_route_is_described() -> None:
    """OpenAPI has every path of the feature."""
    paths = openapi.document(TABLES)["paths"]
    assert {f"/api/v1{route.path}" for table in TABLES for route in table} == set(paths)
