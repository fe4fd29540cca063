"""One person as a program sees them over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.web import Caller, Web, serving

from dialer.contacts.people import PersonService
from dialer.contacts.people_http import PEOPLE, routes
from dialer.db.session import Database
from dialer.httpkit.access import Role
from dialer.settings import load


@pytest.fixture
async def site(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    """The application with the routes of people."""
    settings = load(data_dir=tmp_path)
    services = {PEOPLE: PersonService(database, settings)}
    async with serving(
        database, database_url, tables=[routes], services=services, settings=settings
    ) as running:
        yield running


@pytest.fixture
async def program(site: Web) -> Caller:
    """A program with a supervisor's rights."""
    return await site.program(Role.SUPERVISOR)


async def test_a_card_from_the_first_to_the_last(program: Caller) -> None:
    """Made, found, changed, ordered, agreed, withdrawn; each reply is the whole card."""
    new = {"last_name": "Орлова", "numbers": ["8 916 123-45-67", "+7 495 123 45 67"], "custom": {"VIN": "X"}}
    made = await program.call("POST", "~/contacts", new)
    assert made.status == 201, made.text
    path = f"~/contacts/{made.json['id']}"
    assert [one["number"] for one in made.json["numbers"]] == ["+79161234567", "+74951234567"]

    found = await program.call("GET", "~/contacts/search?text=%D0%BE%D1%80%D0%BB")
    assert [one["id"] for one in found.json["items"]] == [made.json["id"]]
    body = {"email": "o@example.org", "timezone": "МСК+2", "custom": {"VIN": None}}
    changed = await program.call("PATCH", path, body)
    assert (
        changed.json["email"],
        changed.json["timezone"],
        changed.json["last_name"],
        changed.json["custom"],
    ) == (
        "o@example.org",
        "Etc/GMT-5",
        "Орлова",
        {},
    )
    first, second = (one["id"] for one in made.json["numbers"])
    ordered = await program.call("PUT", path + "/numbers", {"phones": [second, first]})
    assert [one["id"] for one in ordered.json["numbers"]] == [second, first]
    hours = {"label": "дача", "good": {"opens": "18:00", "closes": "24:00"}}
    named = await program.call("PATCH", f"{path}/numbers/{first}", hours)
    assert [(one["label"], one["good_from"], one["good_until"]) for one in named.json["numbers"]] == [
        ("", None, None),
        ("дача", "18:00", "24:00"),
    ]
    kept = await program.call("PATCH", f"{path}/numbers/{first}", {"label": "сад"})
    assert kept.json["numbers"][1]["good_from"] == "18:00"
    agreed = await program.call(
        "POST", path + "/consents", {"purpose": "advertising", "source": "form", "proof": "№ 17"}
    )
    assert agreed.status == 201
    consent = agreed.json["consents"][0]
    assert (consent["purpose"], consent["withdrawn_at"], consent["by"]) == (
        "advertising",
        None,
        program.user.name if program.user else "",
    )
    over = await program.call("POST", f"{path}/consents/{consent['id']}/withdraw")
    assert over.json["consents"][0]["withdrawn_at"] is not None
    gone = await program.call("DELETE", f"{path}/numbers/{first}")
    assert [one["id"] for one in gone.json["numbers"]] == [second]

    seen: list[str] = []
    cursor = ""
    while True:
        page = await program.call("GET", f"{path}/history?limit=2{cursor}")
        seen += [one["kind"] for one in page.json["items"]]
        if page.json["next"] is None:
            break
        cursor = f"&cursor={page.json['next']}"
    changes = ["created", "changed", "phones_ordered", "phone_changed", "phone_changed", "phone_removed"]
    assert sorted(seen) == sorted([*changes, "consent", "withdrawal"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "~/contacts", {"numbers": []}, 422),
        ("POST", "~/contacts", {"numbers": ["12"]}, 422),
        ("POST", "~/contacts", {"numbers": ["+79160000001"], "email": "nobody"}, 422),
        ("POST", "~/contacts", {"numbers": ["+79160000001"], "timezone": "Mars/Olympus"}, 422),
        ("POST", "~/contacts", {"numbers": ["+79160000001"], "name": "x"}, 422),
        ("GET", "~/contacts/77/card", None, 404),
        ("GET", "~/contacts/77/history", None, 404),
        ("PATCH", "~/contacts/77", {"email": ""}, 404),
        ("POST", "~/contacts/77/numbers", {"number": "+79160000001"}, 404),
        ("POST", "~/contacts/77/consents", {"purpose": "fun", "source": "x"}, 422),
        ("GET", "~/contacts/search?text=1234", None, 422),
    ],
)
async def test_what_is_wrong_is_told(
    program: Caller, method: str, path: str, body: object, status: int
) -> None:
    """Each with the status of its error, and nothing is made."""
    reply = await program.call(method, path, body)
    assert reply.status == status, reply.text


async def test_hours_must_open_before_they_close(program: Caller) -> None:
    """Hours over midnight, empty ones, and times that are none are refused."""
    made = await program.call("POST", "~/contacts", {"numbers": ["+79160000001"]})
    for opens, closes in (("22:00", "06:00"), ("10:00", "10:00"), ("24:00", "24:00"), ("9:00", "10:00")):
        reply = await program.call(
            "POST",
            f"~/contacts/{made.json['id']}/numbers",
            {"number": "+79160000002", "good": {"opens": opens, "closes": closes}},
        )
        assert reply.status == 422, (opens, closes)


async def test_agents_look_at_nobody_by_choice(site: Web, program: Caller) -> None:
    """An operator who is in no call with the person is refused every look and every change."""
    made = await program.call("POST", "~/contacts", {"numbers": ["+79160000001"]})
    operator = await site.program(Role.OPERATOR)
    path = f"~/contacts/{made.json['id']}"
    for method, where, body in (
        ("GET", path + "/card", None),
        ("GET", path + "/history", None),
        ("GET", "~/contacts/search?text=", None),
        ("PATCH", path, {"email": ""}),
        ("POST", path + "/numbers", {"number": "+79160000002"}),
        ("PUT", path + "/numbers", {"phones": [1]}),
        ("POST", path + "/consents", {"purpose": "any", "source": "x"}),
    ):
        assert (await operator.call(method, where, body)).status == 403, where
