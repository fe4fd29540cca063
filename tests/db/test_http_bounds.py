"""What requests may not hold, and the log of changes, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.web import PASSWORD, Web, second_tenant, serving

from dialer.agents import http as agents_http
from dialer.agents.service import AgentService
from dialer.calls import http as calls_http
from dialer.contacts import http as contacts_http
from dialer.contacts import imports_http, lists_http
from dialer.contacts.keys import CONTACTS
from dialer.contacts.service import ContactService
from dialer.db.session import Database
from dialer.httpkit.access import Actor, Role
from dialer.httpkit.paging import encode
from dialer.reports import http as reports_http
from dialer.reports.service import FigureService
from dialer.settings import load
from dialer.trunks import http as trunks_http
from dialer.trunks.service import TrunkService

BROKEN = "ok\r\nAction: Originate"
TRUNK = {"caller_id": "+74950000001", "allowed_prefixes": ["+7"], "endpoint": "carrier"}


@pytest.fixture
async def floor(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The features that these tests ask, as the server has them."""
    contacts = (lists_http, imports_http, contacts_http)
    tables = [module.routes for module in (agents_http, calls_http, *contacts, reports_http, trunks_http)]
    services: dict[Any, Any] = {
        agents_http.AGENTS: AgentService(database, managed=True),
        CONTACTS: ContactService(database, load()),
        reports_http.FIGURES: FigureService(database),
        trunks_http.TRUNKS: TrunkService(database),
    }
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


@pytest.mark.parametrize(
    "path",
    [
        "~/calls?from=9999-12-31T23:59:59-14:00",
        "~/calls?until=0001-01-01T00:00:00%2B14:00",
        "~/calls.csv?from=0001-01-01T00:00:00Z",
        "~/figures?group=hour&from=0001-01-01T00:00:00%2B14:00",
        "~/figures?group=hour&until=9999-12-31T23:59:59-14:00",
    ],
)
async def test_moments_at_the_ends_of_the_calendar_are_refused(floor: Web, path: str) -> None:
    """They cannot be told in every time zone; the reply names the field."""
    program = await floor.program(Role.ADMINISTRATOR)
    reply = await program.call("GET", path)
    assert reply.status == 422, reply.text
    assert reply.json["errors"][0]["field"] in ("from", "until")


async def test_a_callback_at_the_end_of_the_calendar_is_refused(floor: Web) -> None:
    """Nobody waits for it."""
    program = await floor.program(Role.ADMINISTRATOR)
    body = {"code": "callback", "callback_at": "9999-12-31T23:59:59-14:00"}
    reply = await program.call("PUT", "~/calls/00000000-0000-0000-0000-000000000001/disposition", body)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "callback_at")


async def test_a_made_up_cursor_at_the_end_of_the_calendar_is_refused(floor: Web) -> None:
    """As any cursor that no list has given."""
    program = await floor.program(Role.ADMINISTRATOR)
    cursor = encode("9999-12-31T23:59:59-14:00", "00000000-0000-0000-0000-000000000001")
    assert (await program.call("GET", f"~/calls?cursor={cursor}")).status == 400


@pytest.mark.parametrize("name", [BROKEN, "a\tb", "a\x1b[2J", "a\u2028b", "a\x85b"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("~/lists", {}),
        ("~/trunks", TRUNK),
        ("~/users", {"login": "anna", "role": "operator", "password": PASSWORD}),
        ("~/agents", {"user_id": 1, "endpoint": "agent-9"}),
    ],
)
async def test_a_name_is_one_line(floor: Web, path: str, body: dict[str, Any], name: str) -> None:
    """A line break or another control character is refused, and nothing is made."""
    program = await floor.program(Role.ADMINISTRATOR)
    reply = await program.call("POST", path, {**body, "name": name})
    assert reply.status == 422, reply.text
    assert [one["field"] for one in reply.json["errors"]] == ["name"]
    assert "line breaks" in reply.json["errors"][0]["reason"]


async def test_a_trunks_new_name_is_one_line(floor: Web) -> None:
    """A change has the bounds of the beginning."""
    program = await floor.program(Role.ADMINISTRATOR)
    made = await program.call("POST", "~/trunks", {**TRUNK, "name": "Carrier"})
    assert made.status == 201, made.text
    assert (await program.call("PATCH", f"~/trunks/{made.json['id']}", {"name": BROKEN})).status == 422


async def test_the_log_of_changes_is_read_newest_first_by_pages(floor: Web) -> None:
    """With who did what to what; a prefix of the subject chooses."""
    program = await floor.program(Role.ADMINISTRATOR)
    for name in ("First", "Second"):
        assert (await program.call("POST", "~/trunks", {**TRUNK, "name": name})).status == 201
    assert program.user is not None
    first = (await program.call("GET", "~/audit?subject=trunk:&limit=1")).json
    second = (await program.call("GET", f"~/audit?subject=trunk:&limit=1&cursor={first['next']}")).json
    changes = first["items"] + second["items"]
    assert [(one["action"], one["user_id"], one["name"]) for one in changes] == [
        ("trunk.create", program.user.id, program.user.name)
    ] * 2
    assert changes[0]["id"] > changes[1]["id"]
    assert second["next"] is None
    assert (await program.call("GET", "~/audit?subject=%25")).json["items"] == []


async def test_the_log_of_changes_is_not_for_operators_nor_for_others(floor: Web, owner_url: str) -> None:
    """It needs its right and shows the reader's tenant only."""
    operator = await floor.program(Role.OPERATOR)
    assert (await operator.call("GET", "~/audit")).status == 403
    other = await floor.program(Role.SUPERVISOR, tenant_id=await second_tenant(owner_url))
    assert other.user is not None
    seen = (await other.call("GET", "~/audit?subject=user:")).json["items"]
    assert [one["subject"] for one in seen] == [f"user:{other.user.id}"]


async def test_who_can_be_made_an_agent(floor: Web) -> None:
    """Operators who can log in and are none yet; a supervisor sees them without the page of users."""
    free, taken, gone = [await floor.user(Role.OPERATOR) for _ in range(3)]
    await floor.user(Role.SUPERVISOR)
    await floor.users.change(Actor.server(1), gone.id, disabled=True)
    agents = floor.app[agents_http.AGENTS]
    supervisor = Actor(1, None, Role.SUPERVISOR, "Supervisor", "en")
    await agents.create(supervisor, user_id=taken.id, name="Taken", endpoint="agent-8", skills=())
    assert [one.id for one in await agents.candidates(supervisor)] == [free.id]
