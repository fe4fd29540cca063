"""People of a test's database in all their variety, and random expressions about them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from dialer.contacts import activity, fields_store
from dialer.contacts.fields import Field, FieldSpec, FieldType, read_value
from dialer.contacts.segments import LISTED, PERIODS, Catalog, Kind, Known, Op, catalog
from dialer.db import tables as t
from dialer.db.session import Database
from dialer.ids import new_id
from support.floor import TENANT, Floor

NOW = datetime(2026, 3, 31, 20, 30, tzinfo=UTC)
#: In Moscow it is half past eleven in the evening.
ZONE = ZoneInfo("Europe/Moscow")
TODAY = date(2026, 3, 31)

SPECS = (
    FieldSpec("car", "Машина", "Car", FieldType.TEXT),
    FieldSpec("tier", "Уровень", "Tier", FieldType.CHOICE, choices=("A", "B", "C")),
    FieldSpec("revenue", "Выручка", "Revenue", FieldType.MONEY),
    FieldSpec("credit_end", "Кредит", "Credit ends", FieldType.DATE),
    FieldSpec("vip", "VIP", "VIP", FieldType.YES_NO),
)
CARS = ("Volvo XC60", "volvo v90", "Лада", "Ёлка 50%", "a_b")
NAMES = ("Иванов", "иванова", "Smith", "O%x_y", "")
ZONES = ("Europe/Moscow", "Asia/Yekaterinburg", "Asia/Omsk")
KINDS = ("mobile", "fixed_line", "voip")
RESULTS = ("answered", "busy", "no_answer")


@dataclass(frozen=True, slots=True)
class Base:
    """Contacts of the database as the meaning of expressions has them."""

    known: Catalog
    fields: dict[str, Field]
    #: by contact
    people: dict[int, dict[str, object]]
    lists: Sequence[int]
    campaigns: Sequence[int]
    floor: Floor


async def populate(database: Database, many: int, seed: int) -> Base:
    """So many random people with fields, lists, numbers, calls and consents."""
    dice = random.Random(seed)
    floor = await Floor.open(database)
    async with database.tenant(TENANT) as conn:
        for spec in SPECS:
            await fields_store.add_field(conn, TENANT, spec)
        fields = {one.key: one for one in await fields_store.fields(conn, TENANT)}
        other_list = await conn.scalar(
            insert(t.contact_list).values(tenant_id=TENANT, name="B").returning(t.contact_list.c.id)
        )
        lists = [floor.list_id, int(other_list or 0)]
        people = {}
        for number in range(many):
            contact_id, person = await _add(conn, floor, dice, fields, lists, number)
            people[contact_id] = person
        await activity.rebuild(conn, TENANT)
    return Base(catalog(fields.values()), fields, people, lists, [floor.campaign_id], floor)


async def _add(
    conn: Any, floor: Floor, dice: random.Random, fields: dict[str, Field], lists: list[int], number: int
) -> tuple[int, dict[str, object]]:
    custom = {
        key: value
        for key, value in {
            "car": dice.choice(CARS),
            "tier": dice.choice("ABC"),
            "revenue": str(dice.choice((0, 10, 10.5, 1000))),
            "credit_end": (TODAY + timedelta(days=dice.randrange(-800, 800))).isoformat(),
            "vip": dice.choice(("да", "нет")),
        }.items()
        if dice.random() < 0.7
    }
    added = NOW - timedelta(hours=dice.randrange(0, 2000))
    zone = dice.choice((None, None, *ZONES))
    last_name, email = dice.choice(NAMES), dice.choice(("", "a@b.ru"))
    external_id = dice.choice((None, "crm1"))
    contact_id = await conn.scalar(
        insert(t.contact)
        .values(
            tenant_id=TENANT, last_name=last_name, email=email, timezone=zone,
            external_id=external_id, custom=custom, created_at=added,
        )
        .returning(t.contact.c.id)
    )  # fmt: skip
    person: dict[str, object] = {"last_name": last_name, "email": email, "external_id": external_id}
    person["added_at"] = added
    row = await fields_store.rewrite_values(conn, TENANT, [contact_id])
    assert row == {}
    for key, value in custom.items():
        typed = read_value(fields[key], value)
        assert not isinstance(typed, str)
        person[f"custom.{key}"] = next(
            one for one in (typed.number, typed.day, typed.text) if one is not None
        )
    zones: set[str] = set()
    numbers, kinds = set(), set()
    for position in range(1, dice.randrange(1, 3) + 1):
        e164 = f"+7{dice.choice(('495', '916'))}{number:05}{position:02}"
        kind, its_zones = dice.choice(KINDS), dice.sample(ZONES, 2)
        await conn.execute(
            insert(t.contact_phone).values(
                tenant_id=TENANT, contact_id=contact_id, position=position, e164=e164, kind=kind,
                timezones=its_zones,
            )
        )  # fmt: skip
        numbers.add(e164)
        kinds.add(kind)
        zones.update(its_zones)
    person |= {"phone": frozenset(numbers), "phone_kind": frozenset(kinds)}
    person["zone"] = frozenset({zone} if zone else zones)
    mine = [one for one in lists if dice.random() < 0.5]
    for list_id in mine:
        await conn.execute(
            insert(t.list_contact).values(tenant_id=TENANT, list_id=list_id, contact_id=contact_id)
        )
    person["list"] = frozenset(mine)
    person |= await _calls(conn, floor, dice, contact_id, number)
    purposes = set()
    for purpose in ("advertising", "survey"):
        if dice.random() < 0.3:
            over = dice.random() < 0.3
            await conn.execute(
                insert(t.consent).values(
                    tenant_id=TENANT, contact_id=contact_id, purpose=purpose, source="form",
                    valid_from=NOW - timedelta(days=9), valid_until=NOW - timedelta(days=1) if over else None,
                )
            )  # fmt: skip
            purposes |= set() if over else {purpose}
    person["consent"] = frozenset(purposes)
    return contact_id, person


async def _calls(
    conn: Any, floor: Floor, dice: random.Random, contact_id: int, number: int
) -> dict[str, object]:
    about: dict[str, object] = {"attempts": 0, "talks": 0, "campaign": frozenset()}
    at = NOW - timedelta(days=900)
    for _ in range(dice.choice((0, 0, 1, 2, 3))):
        at += timedelta(hours=dice.randrange(1, 7000))
        result = dice.choice(RESULTS)
        talk = at + timedelta(seconds=9) if result == "answered" else None
        await conn.execute(
            insert(t.attempt).values(
                tenant_id=TENANT, id=new_id(), campaign_id=floor.campaign_id, contact_id=contact_id,
                e164="+74950000000", trunk_id=floor.trunk_id, caller_id="+74950000000", mode="progressive",
                policy="default/1", state="ended", result=result, created_at=at, ended_at=at,
                connected_at=talk,
            )
        )  # fmt: skip
        about["attempts"] = int(str(about["attempts"])) + 1
        about |= {"last_attempt_at": at, "last_result": result}
        if talk is not None:
            about |= {"talks": int(str(about["talks"])) + 1, "last_talk_at": talk}
    if dice.random() < 0.4:
        await conn.execute(
            insert(t.lead).values(
                tenant_id=TENANT, campaign_id=floor.campaign_id, list_id=floor.list_id, contact_id=contact_id,
                e164=f"+7999{number:07}", timezones=["Europe/Moscow"], open_from=NOW, open_until=NOW,
            )
        )  # fmt: skip
        about["campaign"] = frozenset({floor.campaign_id})
    return about


# -- expressions -------------------------------------------------------------------------------------------

_TEXTS = ("volvo", "Volvo XC60", "ЛАДА", "елка", "%", "_", "иван", "crm1", "a@b.ru", "o%x", "50%")


def random_expression(base: Base, dice: random.Random, depth: int = 0) -> dict[str, object]:
    """Any expression that people may say."""
    if depth < 3 and dice.random() < (0.7 if depth == 0 else 0.35):
        how = dice.choice(("all", "any", "not"))
        if how == "not":
            return {"not": random_expression(base, dice, depth + 1)}
        return {how: [random_expression(base, dice, depth + 1) for _ in range(dice.randrange(0, 4))]}
    known = dice.choice(list(base.known.values()))
    op = dice.choice(known.ops)
    said: dict[str, object] = {"field": known.name, "op": op.value}
    if op in (Op.IS_SET, Op.NOT_SET):
        return said
    if op is Op.BETWEEN:
        return said | {"value": sorted((_value(base, known, op, dice) for _ in range(2)), key=_order)}
    if op in LISTED:
        return said | {"value": [_value(base, known, op, dice) for _ in range(dice.randrange(1, 4))]}
    return said | {"value": _value(base, known, op, dice)}


def _order(value: Any) -> Any:
    return value


def _value(base: Base, known: Known, op: Op, dice: random.Random) -> object:
    if op in PERIODS:
        return f"P{dice.randrange(0, 30)}{dice.choice('DWMY')}"
    if known.words:
        return dice.choice(known.words)
    if known.name == "phone":
        return dice.choice(("+7", "+7495", "+79160", "+79990"))
    if known.name == "zone":
        return dice.choice((*ZONES, "Asia/Tokyo"))
    match known.kind:
        case Kind.PLACE:
            return dice.choice(base.lists if known.name == "list" else base.campaigns)
        case Kind.NUMBER:
            return dice.choice((0, 1, 2, 10, 10.5, 999))
        case Kind.YES_NO:
            return dice.random() < 0.5
        case Kind.DAY | Kind.MOMENT:
            return (TODAY + timedelta(days=dice.randrange(-800, 800))).isoformat()
        case _:
            return dice.choice(_TEXTS)
