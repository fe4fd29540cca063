"""The list of whom flows may ring, over HTTP; and what a flow's word means in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.floor import Floor
from support.web import Web, second_tenant, serving

from dialer.db.session import Database
from dialer.destinations import http
from dialer.destinations.model import Destination, Kind, find
from dialer.destinations.service import DestinationService
from dialer.httpkit.access import Role

OFFICE = {"name": "Head office", "kind": "number", "value": "+74957770199"}


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application with the list."""
    services = {http.DESTINATIONS: DestinationService(database)}
    async with serving(database, database_url, tables=[http.routes], services=services) as running:
        yield running


async def test_a_destination_is_listed_changed_and_removed(site: Web) -> None:
    """A name stands once."""
    boss = await site.program(Role.ADMINISTRATOR)
    made = await boss.call("POST", "~/destinations", OFFICE)
    assert made.status == 201, made.text
    assert (await boss.call("POST", "~/destinations", OFFICE)).status == 409
    path = f"~/destinations/{made.json['id']}"
    desk = {"name": "Desk", "kind": "phone", "value": "desk-1"}
    changed = await boss.call("PUT", path, desk)
    assert (changed.status, (await boss.call("GET", "~/destinations")).json) == (200, [changed.json])
    assert changed.json == {"id": made.json["id"], **desk}
    assert [(await boss.call("DELETE", path)).status for _ in range(2)] == [204, 404]
    assert (await boss.call("PUT", path, desk)).status == 404


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("number", "74957770199"),
        ("number", "+7495777019x"),
        ("number", "+7&PJSIP/x"),
        ("phone", "+74957770199@carrier"),
        ("phone", "a/b"),
        ("phone", "a&b"),
        ("phone", "a,b"),
        ("phone", "carrier"),
        ("queue", "sales"),
    ],
)
async def test_what_could_be_more_than_one_phone_is_refused(
    site: Web, floor: Floor, kind: str, value: str
) -> None:
    """Nothing that means something in a dial string, and no trunk as a phone."""
    boss = await site.program(Role.ADMINISTRATOR)
    refused = await boss.call("POST", "~/destinations", {"name": "x", "kind": kind, "value": value})
    assert refused.status == 422, refused.text
    assert (await boss.call("GET", "~/destinations")).json == []


async def test_destinations_are_the_administrators(site: Web, owner_url: str) -> None:
    """Supervisors, who write flows, see them; another tenant has its own."""
    boss, supervisor = await site.program(Role.ADMINISTRATOR), await site.program(Role.SUPERVISOR)
    other = await site.program(Role.ADMINISTRATOR, tenant_id=await second_tenant(owner_url))
    assert (await supervisor.call("POST", "~/destinations", OFFICE)).status == 403
    assert (await boss.call("POST", "~/destinations", OFFICE)).status == 201
    assert len((await supervisor.call("GET", "~/destinations")).json) == 1
    assert (await other.call("GET", "~/destinations")).json == []


def test_a_flows_word_means_a_name_or_a_listed_number() -> None:
    """Letters of any size; nothing else."""
    office = Destination(1, "Head office", Kind.NUMBER, "+74957770199")
    desk = Destination(2, "Desk", Kind.PHONE, "desk-1")
    found = {
        word: find([office, desk], word)
        for word in (" head OFFICE", "+74957770199", "74957770199", "desk-1", "desk", "", "+79161112233")
    }
    assert {word: one.id for word, one in found.items() if one} == {
        " head OFFICE": 1,
        "+74957770199": 1,
        "desk": 2,
    }
