"""Policies of a tenant's own: made from others, changed by versions, followed by campaigns; over the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from support.web import Web, serving

from dialer.campaigns.http import CAMPAIGNS
from dialer.campaigns.http import routes as campaign_routes
from dialer.campaigns.service import CampaignService
from dialer.compliance.policies import POLICIES
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.policies.fields import PolicyBody
from dialer.policies.http import POLICY_SERVICE
from dialer.policies.http import routes as policy_routes
from dialer.policies.service import PolicyService


@pytest.fixture
async def centre(database: Database, database_url: str) -> AsyncIterator[Web]:
    """The web process with the routes of campaigns and policies."""
    services: dict[web.AppKey[Any], Any] = {
        CAMPAIGNS: CampaignService(database),
        POLICY_SERVICE: PolicyService(database),
    }
    tables = [campaign_routes, policy_routes]
    async with serving(database, database_url, tables=tables, services=services) as running:
        yield running


def body_of(code: str) -> dict[str, Any]:
    """The numbers of a policy that comes with the server."""
    return PolicyBody.of(POLICIES[code]).model_dump(mode="json")


@pytest.mark.parametrize("code", POLICIES)
def test_what_is_kept_of_a_policy_makes_the_same_policy(code: str) -> None:
    """Every number of it goes through the table and back."""
    policy = POLICIES[code]
    assert PolicyBody(**body_of(code)).policy(policy.code, policy.version) == policy


async def test_a_policy_of_ones_own_has_versions(centre: Web) -> None:
    """Made from one that comes along; each change is the next version, and the old ones stay as they were."""
    boss = await centre.program(Role.SUPERVISOR)
    listed = [one["code"] for one in (await boss.call("GET", "~/policies")).json]
    assert listed == list(POLICIES)
    ours = body_of("ru-service") | {"code": "ours"}
    made = await boss.call("POST", "~/policies", ours)
    assert (made.status, made.json["own"], made.json["policy"]["version"]) == (201, True, 1)
    assert (await boss.call("POST", "~/policies", ours)).status == 409
    assert (await boss.call("POST", "~/policies", ours | {"code": "ru-service"})).status == 409
    stricter = body_of("ru-service") | {"per_day": 1, "holiday": [], "after": 1}
    changed = await boss.call("POST", "~/policies/ours/versions", stricter)
    assert changed.status == 201
    assert [(one["policy"]["version"], one["policy"]["per_day"]) for one in changed.json["versions"]] == [
        (2, 1),
        (1, None),
    ]
    # Somebody who has read version 1 may not write over version 2; the same again is no version.
    assert (await boss.call("POST", "~/policies/ours/versions", stricter)).status == 409
    assert (await boss.call("POST", "~/policies/ours/versions", stricter | {"after": 2})).status == 409
    assert (await boss.call("POST", "~/policies/ru-service/versions", stricter)).status == 409
    assert (await boss.call("GET", "~/policies/nowhere")).status == 404
    agent = await centre.program(Role.OPERATOR)
    assert (await agent.call("POST", "~/policies", ours | {"code": "other"})).status == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"working": ["20:00-10:00"]}, "working"),
        ({"working": ["10:00-13:00", "12:00-20:00"]}, "working"),
        ({"holidays": ["02-30"]}, "holidays"),
        ({"regions": ["DE-XX"]}, "regions"),
        ({"code": "Own"}, "code"),
        ({"moved": {"2026-05-04": "perhaps"}}, "moved.2026-05-04"),
        ({"abandon_cap": 1.5}, "abandon_cap"),
        ({"jurisdiction": "ZZ"}, "jurisdiction"),
        ({"read_on": "2099-01-01"}, "read_on"),
        ({"working": [], "day_off": [], "holiday": []}, "working"),
        ({"per_day": 5, "per_week": 2}, "per_week"),
        ({"per_day": 5, "per_month": 1}, "per_month"),
    ],
)
async def test_a_wrong_number_is_named(centre: Web, change: dict[str, Any], field: str) -> None:
    """Nothing is made of it."""
    boss = await centre.program(Role.SUPERVISOR)
    reply = await boss.call("POST", "~/policies", body_of("default") | {"code": "ours"} | change)
    assert (reply.status, [one["field"] for one in reply.json["errors"]]) == (422, [field])


async def test_a_campaign_of_advertising_under_the_russian_policy_is_told_why_not(centre: Web) -> None:
    """It cannot be predictive, and hears of the article; nor can it follow a policy for something else."""
    boss = await centre.program(Role.SUPERVISOR)
    asked = {"name": "Весна", "policy": "ru-38fz", "purpose": "advertising", "mode": "predictive"}
    made = (await boss.call("POST", "~/campaigns", asked)).json
    reasons = {one["code"]: one["reason"] for one in made["ready_reasons"]}
    assert "a person has to start each call (38-FZ, article 18, part 2)" in reasons["mode-forbidden"]
    assert "purpose-differs" not in reasons
    other = (
        await boss.call("PATCH", f"~/campaigns/{made['id']}", {"purpose": "survey", "mode": "preview"})
    ).json
    codes = {one["code"] for one in other["ready_reasons"]}
    assert ("purpose-differs" in codes, "mode-forbidden" in codes) == (True, False)
    unknown = await boss.call("PATCH", f"~/campaigns/{made['id']}", {"policy_version": 7})
    assert (unknown.status, unknown.json["errors"][0]["field"]) == (422, "policy_version")


async def test_a_campaign_asks_for_limits_that_can_be(centre: Web) -> None:
    """No more in a day than in a week: said of the longer span, also where only one of them is changed."""
    boss = await centre.program(Role.SUPERVISOR)
    plain = {"name": "A", "policy": "default"}
    reply = await boss.call("POST", "~/campaigns", plain | {"most_per_day": 5, "most_per_week": 1})
    assert (reply.status, reply.json["field"]) == (422, "most_per_week")
    made = await boss.call("POST", "~/campaigns", plain | {"most_per_day": 2, "most_per_month": 4})
    assert made.status == 201
    changed = await boss.call("PATCH", f"~/campaigns/{made.json['id']}", {"most_per_day": 5})
    assert (changed.status, changed.json["field"]) == (422, "most_per_month")
