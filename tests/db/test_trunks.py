"""Trunks as people make, change and remove them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import Date, cast, delete, func, insert, select, update

from dialer.db import tables as t
from dialer.db.session import Database, connect
from dialer.errors import Conflict, Forbidden, Invalid, NotFound
from dialer.httpkit.access import Actor, Role
from dialer.trunks import store
from dialer.trunks.fields import CapsIn, TrunkEdit, TrunkIn
from dialer.trunks.http import TrunkOut
from dialer.trunks.service import TrunkService

ADMIN = Actor(1, None, Role.ADMINISTRATOR, "Admin", "ru")
SUPERVISOR = Actor(1, None, Role.SUPERVISOR, "Supervisor", "ru")
PASSWORD = "sip-password-1"


def carrier(**changes: Any) -> TrunkIn:
    """A carrier that a managed Asterisk registers with."""
    fields: dict[str, Any] = {
        "name": "Carrier",
        "caller_id": "+74950000001",
        "allowed_prefixes": ["+7"],
        "sip_host": "sip.example.com",
        "sip_user": "dozvon",
        "sip_secret": PASSWORD,
    }
    return TrunkIn.model_validate(fields | changes)


@pytest.fixture
def trunks(database: Database) -> TrunkService:
    return TrunkService(database)


async def test_a_trunk_is_made_with_an_endpoint_of_its_own(trunks: TrunkService, database: Database) -> None:
    """The server names the endpoint of a managed Asterisk, so that no two trunks share one."""
    first = await trunks.create(ADMIN, carrier())
    second = await trunks.create(ADMIN, carrier(name="Other"))
    assert first["endpoint"] != second["endpoint"]
    async with database.tenant(1) as conn:
        kept = await store.trunks(conn, 1)
    assert [(trunk.name, trunk.caller_id, trunk.allowed_prefixes) for trunk in kept] == [
        ("Carrier", "+74950000001", ("+7",)),
        ("Other", "+74950000001", ("+7",)),
    ]


async def test_the_password_goes_in_and_never_comes_out(trunks: TrunkService, database: Database) -> None:
    """Kept for Asterisk; absent from every reply, and from the log of changes."""
    made = await trunks.create(ADMIN, carrier())
    shown = [made, await trunks.trunk(ADMIN, made["id"]), *await trunks.trunks(ADMIN)]
    assert PASSWORD not in repr(shown)
    assert "sip_secret" not in TrunkOut.model_fields
    assert all(row["has_secret"] for row in shown)
    async with database.tenant(1) as conn:
        assert (await conn.scalars(select(t.trunk.c.sip_secret))).all() == [PASSWORD]
        assert PASSWORD not in repr((await conn.execute(select(t.audit))).all())
        assert PASSWORD not in repr((await conn.execute(select(t.event))).all())
    assert PASSWORD not in repr(carrier())


async def test_a_change_keeps_what_it_does_not_name(trunks: TrunkService, database: Database) -> None:
    """Also the password; leaving the carrier takes its password away."""
    made = await trunks.create(ADMIN, carrier())
    changed = await trunks.edit(ADMIN, made["id"], TrunkEdit(max_cps=2.5, allowed_prefixes=["+7", "+375"]))
    assert changed == {**made, "max_cps": 2.5, "allowed_prefixes": ["+7", "+375"]}
    renewed = await trunks.edit(ADMIN, made["id"], TrunkEdit(sip_secret=SecretStr("another-password")))
    assert renewed["has_secret"]
    own = TrunkEdit(sip_host=None, sip_port=None, sip_user=None, endpoint="my-carrier")
    moved = await trunks.edit(ADMIN, made["id"], own)
    assert (moved["endpoint"], moved["has_secret"]) == ("my-carrier", False)
    async with database.tenant(1) as conn:
        assert (await conn.scalars(select(t.trunk.c.sip_secret))).all() == [None]


@pytest.mark.parametrize(
    "change",
    [
        {"caller_id": "84950000001"},
        {"caller_id": "+7495\n1"},
        {"allowed_prefixes": ["7"]},
        {"allowed_prefixes": [""]},
        {"dial_format": "{e164}&PJSIP/{digits}"},
        {"codecs": []},
        {"codecs": ["alaw", "alaw"]},
        {"codecs": ["mp3"]},
        {"sip_host": "a b"},
        {"sip_host": "host\n[evil]"},
        {"sip_user": "user;x"},
        {"sip_secret": "short"},
        {"sip_secret": "has a space"},
        {"sip_secret": "semi;colon-x"},
        {"sip_secret": "line\nend-xxx"},
        {"sip_user": None},
        {"endpoint": "both-at-once"},
        {"sip_host": None},
        {"max_cps": 0},
        {"max_channels": 0},
        {"colour": "blue"},
    ],
)
def test_what_could_harm_asterisk_is_no_trunk(change: dict[str, Any]) -> None:
    """Refused before any row or file is written."""
    with pytest.raises(ValidationError):
        carrier(**change)


async def test_a_change_is_held_to_the_bounds_of_a_new_trunk(trunks: TrunkService) -> None:
    """And names the field that is wrong."""
    made = await trunks.create(ADMIN, carrier())
    with pytest.raises(Invalid) as refused:
        await trunks.edit(ADMIN, made["id"], TrunkEdit(caller_id="112"))
    assert refused.value.details["field"] == "caller_id"
    with pytest.raises(Invalid):
        await trunks.edit(ADMIN, made["id"], TrunkEdit(name=None))
    assert await trunks.trunk(ADMIN, made["id"]) == made


async def test_a_tariff_is_kept_and_replaced_as_a_whole(trunks: TrunkService) -> None:
    """By prefix; a change of something else leaves it, and a prefix that is named twice is refused."""
    rates = [
        {"prefix": "+7", "per_minute": "1.2"},
        {"prefix": "+7916", "per_minute": "0.95", "per_call": "0.1"},
    ]
    made = await trunks.create(ADMIN, carrier(max_spend_per_day="500.5", rates=rates))
    assert made["max_spend_per_day"] == Decimal("500.5")
    kept = [(rate["prefix"], rate["per_minute"], rate["per_call"]) for rate in made["rates"]]
    assert kept == [("+7", Decimal("1.2"), 0), ("+7916", Decimal("0.95"), Decimal("0.1"))]
    assert (await trunks.edit(ADMIN, made["id"], TrunkEdit(max_cps=2)))["rates"] == made["rates"]
    one = TrunkEdit.model_validate({"rates": rates[:1], "max_spend_per_day": None})
    changed = await trunks.edit(ADMIN, made["id"], one)
    assert (changed["max_spend_per_day"], changed["rates"]) == (None, made["rates"][:1])
    with pytest.raises(Invalid):
        await trunks.edit(ADMIN, made["id"], TrunkEdit.model_validate({"rates": rates[:1] * 2}))
    with pytest.raises(ValidationError):
        carrier(rates=[{"prefix": "7", "per_minute": 1}])
    with pytest.raises(ValidationError):
        carrier(max_spend_per_day="NaN")


async def test_caps_over_all_trunks_are_the_administrators(trunks: TrunkService, database: Database) -> None:
    """A supervisor sees them; each change is in the log of changes, with what it was changed to."""
    none = await trunks.caps(SUPERVISOR)
    assert none == {
        "max_channels": None,
        "max_cps": None,
        "max_spend_per_day": None,
        "max_typed_per_hour": None,
        "channels": 0,
        "spent_today": 0,
    }
    with pytest.raises(Forbidden):
        await trunks.set_caps(SUPERVISOR, CapsIn(max_channels=1000))
    await trunks.set_caps(ADMIN, CapsIn(max_channels=10, max_spend_per_day=Decimal(900)))
    changed = await trunks.set_caps(ADMIN, CapsIn(max_channels=None, max_typed_per_hour=5))
    assert changed == none | {"max_spend_per_day": Decimal(900), "max_typed_per_hour": 5}
    async with database.tenant(1) as conn:
        noted = await conn.execute(select(t.audit.c.action, t.audit.c.details).order_by(t.audit.c.id))
        assert [tuple(row) for row in noted] == [
            ("caps.edit", {"max_channels": "10", "max_spend_per_day": "900"}),
            ("caps.edit", {"max_channels": None, "max_typed_per_hour": "5"}),
        ]


async def test_what_a_trunk_carries_and_how_it_is_are_shown(trunks: TrunkService, database: Database) -> None:
    """Lines, the money of today (not of yesterday), and its health with reason and time."""
    made = await trunks.create(ADMIN, carrier())
    assert (made["channels"], made["spent_today"]) == (0, 0)
    assert made["health"] == {"state": "good", "since": None, "why": None}
    moscow = func.timezone("Europe/Moscow", func.clock_timestamp())
    for back, spent in ((0, Decimal(7)), (1, 0)):
        async with database.tenant(1) as conn:
            await conn.execute(delete(t.trunk_load))
            await conn.execute(
                insert(t.trunk_load).values(
                    tenant_id=1,
                    trunk_id=made["id"],
                    channels=3,
                    spent=7,
                    spend_day=cast(moscow, Date) - back,
                    health="bad",
                    health_since=func.clock_timestamp(),
                    health_why="503",
                )
            )
        shown = await trunks.trunk(SUPERVISOR, made["id"])
        assert (shown["channels"], shown["spent_today"]) == (3, spent)
        assert (shown["health"]["state"], shown["health"]["why"]) == ("bad", "503")
        assert TrunkOut.model_validate(shown).health.since is not None


@pytest.mark.parametrize(
    ("nodes", "state"),
    [
        ({"a": ["carrier"]}, "bad"),
        ({"a": ["other"]}, "good"),
        ({"a": ["carrier"], "b": []}, "good"),
        ({"a": ["carrier"], "b": ["carrier", "other"]}, "bad"),
        ({}, "good"),
    ],
)
async def test_a_carrier_that_answers_no_asterisk_is_shown_as_bad(
    trunks: TrunkService, database: Database, nodes: dict[str, list[str]], state: str
) -> None:
    """As long as an engine says so of every node: no call goes over it. What was said once is forgotten."""
    plain = {"sip_host": None, "sip_user": None, "sip_secret": None}
    made = await trunks.create(ADMIN, carrier(endpoint="carrier", **plain))
    since = "2026-01-01T10:00:00+00:00"
    said = {
        name: {"ready": True, "silent_carriers": dict.fromkeys(silent, since)}
        for name, silent in nodes.items()
    }
    now = func.clock_timestamp()
    row = {"server": "one", "name": "engine", "started_at": now, "seen_at": now, "status": {"nodes": said}}
    async with database.system() as conn:
        await conn.execute(insert(t.process_status).values(row))
    health = (await trunks.trunk(SUPERVISOR, made["id"]))["health"]
    assert health["state"] == state
    if state == "bad":
        assert (health["why"], health["since"]) == ("unreachable", datetime.fromisoformat(since))
    async with database.system() as conn:
        await conn.execute(update(t.process_status).values(seen_at=now - timedelta(minutes=1)))
    assert (await trunks.trunk(SUPERVISOR, made["id"]))["health"]["state"] == "good"


async def test_names_are_unique(trunks: TrunkService) -> None:
    """A second trunk of the name is refused, made or renamed."""
    await trunks.create(ADMIN, carrier())
    with pytest.raises(Conflict, match="Carrier"):
        await trunks.create(ADMIN, carrier())
    other = await trunks.create(ADMIN, carrier(name="Other"))
    with pytest.raises(Conflict, match="Carrier"):
        await trunks.edit(ADMIN, other["id"], TrunkEdit(name="Carrier"))


async def test_a_trunk_in_use_stays(trunks: TrunkService, database: Database) -> None:
    """One that a campaign has can be switched off, not removed."""
    made = await trunks.create(ADMIN, carrier())
    async with database.tenant(1) as conn:
        campaign_id = await conn.scalar(
            insert(t.campaign).values(tenant_id=1, name="C", policy="default").returning(t.campaign.c.id)
        )
        await conn.execute(
            insert(t.campaign_trunk).values(
                tenant_id=1, campaign_id=campaign_id, position=1, trunk_id=made["id"]
            )
        )
    with pytest.raises(Conflict):
        await trunks.delete(ADMIN, made["id"])
    assert not (await trunks.edit(ADMIN, made["id"], TrunkEdit(enabled=False)))["enabled"]
    free = await trunks.create(ADMIN, carrier(name="Free"))
    await trunks.delete(ADMIN, free["id"])
    with pytest.raises(NotFound):
        await trunks.trunk(ADMIN, free["id"])


async def test_the_engine_hears_of_each_change(
    trunks: TrunkService, database: Database, database_url: str
) -> None:
    """It renews Asterisk's files; the log of changes says who did what."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await connect(database_url)
    try:
        await listener.add_listener("dozvon_engine", lambda *note: heard.put_nowait(str(note[3])))
        made = await trunks.create(ADMIN, carrier())
        await trunks.edit(ADMIN, made["id"], TrunkEdit(enabled=False))
        await trunks.delete(ADMIN, made["id"])
        for _ in range(3):
            note = json.loads(await asyncio.wait_for(heard.get(), 30))
            assert note == {"tenant": 1, "what": "trunks"}
    finally:
        await listener.close()
    async with database.tenant(1) as conn:
        actions = await conn.scalars(select(t.audit.c.action).order_by(t.audit.c.id))
        assert actions.all() == ["trunk.create", "trunk.edit", "trunk.delete"]


async def test_only_an_administrator_opens_lines(trunks: TrunkService) -> None:
    """A supervisor sees them."""
    with pytest.raises(Forbidden):
        await trunks.create(SUPERVISOR, carrier())
    made = await trunks.create(ADMIN, carrier())
    with pytest.raises(Forbidden):
        await trunks.edit(SUPERVISOR, made["id"], TrunkEdit(enabled=False))
    with pytest.raises(Forbidden):
        await trunks.delete(SUPERVISOR, made["id"])
    assert await trunks.trunks(SUPERVISOR) == [made]


async def test_a_trunk_of_another_tenant_does_not_exist(
    trunks: TrunkService, database: Database, owner_url: str
) -> None:
    """It is neither shown nor changed."""
    owner = await connect(owner_url)
    await owner.execute("INSERT INTO tenant (id, name) VALUES (2, 'Second')")
    await owner.close()
    made = await trunks.create(ADMIN, carrier())
    stranger = Actor(2, None, Role.ADMINISTRATOR, "Stranger", "ru")
    assert await trunks.trunks(stranger) == []
    for attempt in (
        trunks.trunk(stranger, made["id"]),
        trunks.edit(stranger, made["id"], TrunkEdit(enabled=False)),
        trunks.delete(stranger, made["id"]),
    ):
        with pytest.raises(NotFound):
            await attempt
