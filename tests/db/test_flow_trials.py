"""Flows by API as YAML and as JSON, and tried without a call: who calls, when, what the world answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.web import Web, serving

from dialer.db.session import Database
from dialer.hours import http as hours_http
from dialer.hours.service import HoursService
from dialer.httpkit.access import Role
from dialer.httpkit.routes import preferred
from dialer.inbound import http, trying_http
from dialer.inbound.service import InboundService
from dialer.inbound.trying import Trials
from ivr_flows.yamlfile import read

YAML = "application/yaml"
FLOW = """\
# who calls is greeted by name
name: desk
language: en
initial_state: who
states:
  - name: who
    type: lookup
    transitions: {found: hello, default: hours}
  - name: hello
    type: say
    properties: {prompt: "Hello, {contact.name}, {contact.city}."}
    transitions: {done: hours}
  - name: hours
    type: schedule
    properties: {hours: Salon}
    transitions: {open: wait, closed: end, failed: end}
  - name: wait
    type: enqueue
    properties: {queue: sales}
    transitions: {default: end}
  - name: end
    type: hangup
"""


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The application; no engine."""
    services: dict[Any, Any] = {
        http.INBOUND: InboundService(database),
        trying_http.TRIALS: Trials(database),
        hours_http.HOURS: HoursService(database),
    }
    tables = [http.routes, trying_http.routes, hours_http.routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


async def test_a_flow_goes_in_and_out_as_yaml_and_as_json(site: Web) -> None:
    """By Content-Type and Accept; both say the same, and the text keeps its comments."""
    boss = await site.program(Role.SUPERVISOR)
    sent = {"Content-Type": YAML}
    made = await boss.call("POST", "~/inbound/flows", data=FLOW.encode(), headers=sent)
    assert (made.status, made.json["version"]) == (201, 1), made.text
    path = "~/inbound/flows/desk/versions/1"
    text = await boss.call("GET", path, headers={"Accept": YAML})
    assert (text.status, text.text) == (200, FLOW)
    assert text.headers["Content-Type"].startswith(YAML)
    assert text.headers["Vary"] == "Accept"
    values = await boss.call("GET", path)
    assert values.json["document"] == read(FLOW, "").value
    again = await boss.call(
        "POST", "~/inbound/flows", {"document": values.json["document"]}, headers={"Accept": YAML}
    )
    assert (again.status, again.headers["Location"]) == (201, "/api/v1/inbound/flows/desk/versions/2")
    assert read(again.text, "").value == read(FLOW, "").value


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"a: &b 1", YAML, 422, "alias"),
        (b"\xff", YAML, 400, "UTF-8"),
        (b"a: \0", YAML, 400, "NUL"),
        (b"", YAML, 422, "bad-flow"),
        (FLOW.encode(), "text/plain", 415, YAML),
    ],
)
async def test_a_text_that_is_no_flow_is_refused(
    site: Web, body: bytes, kind: str, status: int, said: str
) -> None:
    """As JSON would be, with what is wrong."""
    boss = await site.program(Role.SUPERVISOR)
    refused = await boss.call("POST", "~/inbound/flows", data=body, headers={"Content-Type": kind})
    assert refused.status == status, refused.text
    assert said in refused.text


@pytest.mark.parametrize(
    ("accept", "yaml"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        (YAML, True),
        (f"{YAML}, */*", True),
        (f"application/json, {YAML};q=0.5", False),
        (f"application/json;q=0.5, {YAML};q=0.9", True),
        (f"{YAML};q=0", False),
        (f"{YAML};q=nan", False),
    ],
)
def test_which_form_is_wanted(accept: str, yaml: bool) -> None:
    """JSON, but for whoever names the other and does not like it less."""
    assert preferred(accept, YAML) is yaml


async def test_a_flow_is_tried_with_answers_of_the_world(site: Web) -> None:
    """Hours by the tenant's own at the moment that is given, or as said; values of a look-up are heard."""
    boss = await site.program(Role.SUPERVISOR)
    await boss.call("POST", "~/hours", {"name": "Salon", "week": {"mon": "09:00-18:00"}, "zone": "UTC"})
    body = {"yaml": FLOW, "words": ["found:name=Anna"], "variables": {"contact.city": "Omsk"}}
    ends = {}
    for day in (23, 24):
        told = {**body, "at": f"2026-11-{day}T12:00:00Z", "caller": "+79160000001"}
        played = (await boss.call("POST", "~/inbound/flows/simulate", told)).json
        assert [one["text"] for one in played["lines"] if one["kind"] == "heard"] == ["Hello, Anna, Omsk."]
        assert played["variables"]["caller"] == "+79160000001"
        ends[day] = played["state"], played["ended"], played["waits"]
    assert ends == {23: ("wait", None, "Enqueue"), 24: ("end", "finished", None)}
    given = {"yaml": FLOW, "answers": {"who": "unknown", "hours": "open"}, "words": ["timeout"]}
    played = (await boss.call("POST", "~/inbound/flows/simulate", given)).json
    assert (played["ended"], played["state"]) == ("finished", "end")
    assert [one["text"] for one in played["lines"] if one["kind"] == "said"] == [
        "unknown",
        "open",
        "timeout",
    ]


@pytest.mark.parametrize(
    "wrong", [{"words": ["found:name"]}, {"answers": {"who": "found:name"}}, {"language": "de"}]
)
async def test_what_says_nothing_is_refused(site: Web, wrong: dict[str, Any]) -> None:
    """With the name of the field."""
    boss = await site.program(Role.SUPERVISOR)
    refused = await boss.call("POST", "~/inbound/flows/simulate", {"yaml": FLOW, **wrong})
    assert refused.status == 422
    assert next(iter(wrong)) in refused.text


async def test_an_agent_tries_no_flow(site: Web) -> None:
    """It tells what the flows and hours of the tenant are."""
    agent = await site.program(Role.OPERATOR)
    assert (await agent.call("POST", "~/inbound/flows/simulate", {"yaml": FLOW})).status == 403
