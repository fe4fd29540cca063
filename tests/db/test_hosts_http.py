"""The list of hosts that flows may ask, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from support.web import Web, second_tenant, serving

from dialer.db import tables as t
from dialer.db.session import Database
from dialer.hosts import http, store
from dialer.hosts.service import HostService
from dialer.httpkit.access import Role


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application with the list."""
    services = {http.HOSTS: HostService(database)}
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


async def test_a_host_is_listed_changed_and_removed(site: Web, database: Database) -> None:
    """Its secret goes in and never comes out, not even in the log of changes."""
    boss = await site.program(Role.ADMINISTRATOR)
    body = {"host": "crm.example.org:8443", "header": "X-Api-Key", "secret": "s3cret-word"}
    made = await boss.call("POST", "~/allowed-hosts", body)
    assert (made.status, made.json["has_secret"], made.json["inside"]) == (201, True, False), made.text
    assert (await boss.call("POST", "~/allowed-hosts", body)).status == 409
    path = f"~/allowed-hosts/{made.json['id']}"
    changed = await boss.call("PATCH", path, {"inside": True})
    assert (changed.json["inside"], changed.json["header"]) == (True, "X-Api-Key")
    async with database.tenant(1) as conn:
        (kept,) = await store.hosts(conn, 1)
        notes = str((await conn.execute(select(t.audit))).all())
    assert kept.secret == "s3cret-word"
    listed = await boss.call("GET", "~/allowed-hosts")
    assert "s3cret" not in made.text + changed.text + listed.text + notes
    without = await boss.call("PATCH", path, {"header": ""})
    assert without.json["has_secret"] is False
    assert (await boss.call("DELETE", path)).status == 204
    assert (await boss.call("DELETE", path)).status == 404
    assert (await boss.call("PATCH", path, {})).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "Example.org"},
        {"host": "example.org/x"},
        {"host": "example.org:99999"},
        {"header": "Authorization"},
        {"secret": "x"},
        {"header": "Host", "secret": "x"},
        {"header": "X-Key", "secret": "a\r\nX-Other: b"},
        {"header": "X Key", "secret": "x"},
    ],
)
async def test_what_cannot_be_asked_is_refused(site: Web, wrong: dict[str, str]) -> None:
    """With the field's name."""
    boss = await site.program(Role.ADMINISTRATOR)
    refused = await boss.call("POST", "~/allowed-hosts", {"host": "example.org", **wrong})
    assert refused.status == 422, refused.text
    assert (await boss.call("GET", "~/allowed-hosts")).json == []


async def test_only_administrators_open_doors(site: Web, owner_url: str) -> None:
    """Supervisors see the list; another tenant has its own."""
    boss, supervisor = await site.program(Role.ADMINISTRATOR), await site.program(Role.SUPERVISOR)
    other = await site.program(Role.ADMINISTRATOR, tenant_id=await second_tenant(owner_url))
    assert (await supervisor.call("POST", "~/allowed-hosts", {"host": "example.org"})).status == 403
    assert (await boss.call("POST", "~/allowed-hosts", {"host": "example.org"})).status == 201
    assert [one["host"] for one in (await supervisor.call("GET", "~/allowed-hosts")).json] == ["example.org"]
    assert (await other.call("GET", "~/allowed-hosts")).json == []
    agent = await site.program(Role.OPERATOR)
    assert (await agent.call("GET", "~/allowed-hosts")).status == 403
