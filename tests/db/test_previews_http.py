"""Files that wait to be started, saved mappings, rejects and funnels as a program sees them over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.floor import Floor
from support.web import Caller, Reply, Web, serving

from dialer.contacts import http as contacts_http
from dialer.contacts import imports_http, lists_http, mappings_http, previews_http
from dialer.contacts.importing import run_next_import
from dialer.contacts.keys import CONTACTS
from dialer.contacts.mappings import MappingService
from dialer.contacts.previews import PreviewService
from dialer.contacts.service import ContactService
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.settings import load

FILE = "тел;имя;авто\n89161234567;Пётр;Kia\nнет;Анна;Lada\n=1+1;Иван;\n".encode("cp1251")
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
async def web(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The room's routes as the server has them."""
    settings = load(data_dir=tmp_path)
    modules = (lists_http, imports_http, previews_http, mappings_http, contacts_http)
    services: dict[Any, Any] = {
        CONTACTS: ContactService(database, settings),
        previews_http.PREVIEWS: PreviewService(database, settings),
        mappings_http.MAPPINGS: MappingService(database),
    }
    tables = [module.routes for module in modules]
    async with serving(
        database, database_url, tables=tables, services=services, settings=settings
    ) as running:
        yield running


async def put(program: Caller, query: str = "preview=true", content: bytes = FILE) -> Reply:
    """Make a list and send a file into it."""
    made = await program.call("POST", "~/lists", {"name": f"Список {query}"})
    return await program.call("POST", f"~/lists/{made.json['id']}/imports?{query}", data=content, headers=CSV)


async def test_from_upload_to_start(web: Web) -> None:
    """The way that the API's page tells: send, look, change, start, read the rejects."""
    program = await web.program(Role.SUPERVISOR)
    sent = await put(program)
    assert (sent.status, sent.json["status"], sent.json["about_rows"]) == (202, "preview", 3)
    path = f"~/imports/{sent.json['id']}"

    shown = (await program.call("GET", f"{path}/preview")).json
    assert (shown["encoding"], shown["delimiter"], shown["mapping"]) == ("cp1251", ";", None)
    assert shown["columns"] == [
        {"header": "тел", "word": "phone"},
        {"header": "имя", "word": "first_name"},
        {"header": "авто", "word": "custom"},
    ]
    assert shown["rows"][0] == {"row": 1, "cells": ["89161234567", "Пётр", "Kia"], "code": None}
    assert shown["job"]["id"] == sent.json["id"]
    trial = shown["trial"]
    assert (trial["cut"], trial["rows"], trial["loaded"], trial["rejected"]) == (False, 3, 1, 2)
    assert trial["codes"] == {"letters": 1, "too_short": 1}
    assert trial["rejects"][0] == {"row": 2, "column": "тел", "code": "letters", "value": "нет"}

    changed = await program.call("PATCH", f"{path}/preview", {"mapping": {"авто": "custom:car"}})
    assert (changed.status, changed.json["columns"][2]["word"]) == (200, "custom:car")
    # What a request leaves out stays.
    again = await program.call("PATCH", f"{path}/preview", {"delimiter": ","})
    assert again.json["columns"] == [{"header": "тел;имя;авто", "word": "custom"}]
    assert (again.json["trial"], again.json["fault"]["id"]) == (None, "no-phone-column")
    assert again.json["job"]["reading"]["mapping"] == {"авто": "custom:car"}
    again = await program.call("PATCH", f"{path}/preview", {"delimiter": None})
    assert (again.json["delimiter"], again.json["fault"]) == (";", None)
    # What cannot be shown is not kept.
    refused = await program.call("PATCH", f"{path}/preview", {"encoding": "utf-8-sig"})
    assert (refused.status, refused.json["type"]) == (422, "/problems/unreadable-file")
    assert (await program.call("GET", f"{path}/preview")).json["encoding"] == "cp1251"

    started = await program.call("POST", f"{path}/start")
    assert (started.status, started.json["status"]) == (202, "queued")
    assert await run_next_import(web.database, web.settings)
    (found,) = (await program.call("GET", "~/contacts?number=89161234567")).json["items"]
    assert found["custom"] == {"car": "Kia"}

    rejects = (await program.call("GET", f"{path}/rejects?limit=1")).json
    assert (rejects["codes"], len(rejects["items"])) == ({"letters": 1, "too_short": 1}, 1)
    rest = (await program.call("GET", f"{path}/rejects?limit=1&cursor={rejects['next']}")).json
    assert (rest["items"][0]["value"], rest["next"]) == ("=1+1", None)


async def test_a_saved_mapping_is_used(web: Web) -> None:
    """It is made, proposed for a file with its columns, used without a preview too, changed and removed."""
    program = await web.program(Role.SUPERVISOR)
    columns = {"тел": "phone", "имя": "skip", "авто": "custom:car"}
    made = await program.call("POST", "~/import-mappings", {"name": "Сервис", "columns": columns})
    assert (made.status, made.json["columns"]) == (201, columns)
    mapping_id = made.json["id"]
    sent = await put(program)
    shown = (await program.call("GET", f"~/imports/{sent.json['id']}/preview")).json
    assert shown["mapping"] == {"id": mapping_id, "name": "Сервис"}
    assert [one["word"] for one in shown["columns"]] == ["phone", "skip", "custom:car"]
    assert (await program.call("DELETE", f"~/imports/{sent.json['id']}")).status == 204
    assert (await program.call("GET", f"~/imports/{sent.json['id']}")).status == 404

    direct = await put(program, f"mapping={mapping_id}")
    assert direct.json["status"] == "queued"
    assert await run_next_import(web.database, web.settings)
    (found,) = (await program.call("GET", "~/contacts?number=89161234567")).json["items"]
    assert (found["first_name"], found["custom"]) == ("", {"car": "Kia"})

    path = f"~/import-mappings/{mapping_id}"
    assert (await program.call("GET", path)).json["used_at"] is not None
    renamed = await program.call("PATCH", path, {"name": "Автосервис"})
    assert (renamed.json["name"], renamed.json["columns"]) == ("Автосервис", columns)
    listed = (await program.call("GET", "~/import-mappings")).json["items"]
    assert [one["name"] for one in listed] == ["Автосервис"]
    assert (await program.call("DELETE", path)).status == 204
    assert (await program.call("GET", path)).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"encoding": "utf-7"}, "encoding"),
        ({"delimiter": "|"}, "delimiter"),
        ({"mapping": {"тел": "telephone"}}, "mapping"),
        ({"mapping": {"те\nл": "phone"}}, "mapping"),
        ({"campaign_id": 0}, "campaign_id"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"sheet": "Лист9"}, "sheet"),
        ({"mapping": {"nosuch": "phone"}}, "mapping"),
    ],
)
async def test_what_no_file_can_be_read_by_is_refused(web: Web, body: dict[str, Any], field: str) -> None:
    """The reply names the field."""
    program = await web.program(Role.SUPERVISOR)
    sent = await put(program)
    reply = await program.call("PATCH", f"~/imports/{sent.json['id']}/preview", body)
    assert reply.status == 422, reply.text
    assert reply.json["errors"][0]["field"].startswith(field)


async def test_operators_are_refused(web: Web) -> None:
    """None of it is an operator's."""
    operator = await web.program(Role.OPERATOR)
    for method, path in (
        ("GET", "~/imports/1/preview"),
        ("PATCH", "~/imports/1/preview"),
        ("POST", "~/imports/1/start"),
        ("DELETE", "~/imports/1"),
        ("GET", "~/imports/1/rejects"),
        ("GET", "~/import-mappings"),
        ("POST", "~/import-mappings"),
        ("GET", "~/lists/1/funnel"),
    ):
        assert (await operator.call(method, path, {} if method != "GET" else None)).status == 403, path


async def test_a_lists_funnel(web: Web) -> None:
    """Contacts, phones, and leads by status in each campaign that has them."""
    program = await web.program(Role.SUPERVISOR)
    floor = await Floor.open(web.database)
    content = b"phone;phone2\n89160000001;89160000011\n89160000002;\n"
    sent = await put(program, f"campaign={floor.campaign_id}", content)
    assert await run_next_import(web.database, web.settings)
    funnel = (await program.call("GET", f"~/lists/{sent.json['list_id']}/funnel")).json
    assert (funnel["contacts"], funnel["phones"]) == (2, 3)
    (campaign,) = funnel["campaigns"]
    assert (campaign["campaign_id"], campaign["leads"]) == (floor.campaign_id, {"new": 2})
    assert (await program.call("GET", "~/lists/999/funnel")).status == 404


async def test_lists_are_found_by_name(web: Web) -> None:
    """Whatever the case; marks of a pattern are letters like others."""
    program = await web.program(Role.SUPERVISOR)
    for name in ("Весна 2026", "Осень", "100 %"):
        await program.call("POST", "~/lists", {"name": name})

    async def names(part: str) -> list[str]:
        found = await program.call("GET", f"~/lists?name={part}")
        return [one["name"] for one in found.json["items"]]

    assert await names("весна") == ["Весна 2026"]
    assert await names("%25") == ["100 %"]
    assert await names("") == ["100 %", "Осень", "Весна 2026"]
