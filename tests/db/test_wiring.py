"""The web process as `dozvon serve` builds it: every route finds its service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from support.web import Web, whole_site

from dialer.db.session import Database
from dialer.settings import load
from dialer.users.service import ensure_administrator

#: What stands for the names of a path: ids that nothing has.
NOBODY = {
    "format": "00000000-0000-7000-8000-000000000000",
    "integer": "999999999",
    "number": "0.5",
    "boolean": "false",
    "string": "nobody",
}


@pytest.fixture
async def built(database: Database, database_url: str, data_folder: Path) -> AsyncIterator[Web]:
    """The application of `dialer.app`, with all that it wires."""
    settings = load(data_dir=data_folder, asterisk="external")
    async with whole_site(database, database_url, settings) as running:
        yield running


async def test_every_route_finds_its_service(built: Web, database: Database) -> None:
    """Every GET of the API and every POST without a body answers an administrator without a fault of ours."""
    password = await ensure_administrator(database)
    faults, asked = [], 0
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as http:
        log_in = {"login": "admin", "password": password}
        async with http.post(f"{built.url}/api/v1/session", json=log_in) as reply:
            headers = {"X-CSRF-Token": (await reply.json())["csrf_token"]}
        async with http.get(f"{built.url}/openapi.json") as reply:
            document = await reply.json()
        for template, methods in document["paths"].items():
            for method, operation in methods.items():
                if (
                    method not in ("get", "post")
                    or "requestBody" in operation
                    or template.endswith("/events")
                ):
                    continue
                path = template
                for parameter in operation.get("parameters", []):
                    schema = parameter["schema"]
                    kind = "format" if schema.get("format") == "uuid" else schema.get("type", "string")
                    path = path.replace(f"{{{parameter['name']}}}", NOBODY[kind])
                asked += 1
                async with http.request(method, built.url + path, headers=headers) as reply:
                    said = await reply.text()
                    # No engine is at work here, which some are asked for.
                    if reply.status >= 500 and reply.status != 504 and "asterisk-unavailable" not in said:
                        faults.append((method, template, reply.status, said))
    assert asked > 30
    assert faults == []
