"""A showcase's customers: files, duplicates, dead numbers, segments, a grid, refusals, consents, visits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from dialer.clock import utc_now
from dialer.contacts import fields_store
from dialer.contacts.dead_numbers_service import DeadNumberService
from dialer.contacts.duplicates_search import DuplicateSearch
from dialer.contacts.importing import run_next_import
from dialer.contacts.mappings import MappingService
from dialer.contacts.segments_service import SegmentService
from dialer.contacts.service import ContactService
from dialer.contacts.spool import pieces
from dialer.db import tables as t
from dialer.donotcall.http import DO_NOT_CALL
from dialer.donotcall.model import Refusal, Source
from dialer.visits import booking
from dialer.visits.model import Booking
from support.base import Base
from support.floor import Floor
from support.showcase import Showcase
from support.stage import TENANT

FILE_RU = """Куда звонить;ФИО;Марка;Заметки
8 (916) 555-01-01;Карпова Вера;Volvo;
+7 916 555 01 02;Карпов Пётр;Kia;перезвонить
нет;Без Номера;Lada;
=7916;Ошибка;;
"""
FILE_EN = """Where to call;Full name;Car make;Notes
8 (916) 555-01-01;Karpova Vera;Volvo;
+7 916 555 01 02;Karpov Peter;Kia;call again
none;Without Number;Lada;
=7916;Mistake;;
"""


async def show_customers(made: Showcase) -> None:
    """All of it."""
    await _doubles(made)
    await _typed(made)
    await _files(made)
    await _segments(made)
    await _refusals(made)
    await _agreed(made)


async def _doubles(made: Showcase) -> None:
    """Two pairs that may be one person each; numbers that lead to nobody."""
    stage, say = made.stage, made.say
    floor = Floor(stage.database, stage.campaign_id, stage.trunk_id, stage.list_id)
    base = Base(stage.database, floor)
    last, first, short = say("Ильинский", "Ilyinsky"), say("Иван", "Ivan"), say("Ваня", "Vanya")
    await base.contact(
        last, "+79161112233", first_name=first, email="ivan@b.example", custom={"VIN": "XTA210990Y2766389"}
    )
    await base.contact(
        last.upper(), "+79161112233", "+74957778899", first_name=short, email="Ivan.P@B.example",
        custom={"VIN": "xta210990y2766389", say("Марка", "Car make"): "Lada"},
    )  # fmt: skip
    await base.contact(say("Скворцова", "Skvortsova"), "+79264445566", first_name=say("Ольга", "Olga"))
    await base.contact("Skvortsova", "+79264445566", first_name="Olga", email="olga@b.example")
    await DuplicateSearch(stage.database, settled_s=-1).round()
    service = DeadNumberService(stage.database, made.web.settings)
    await service.confirm(made.boss, "+74957778899")
    made.names["pair_id"] = 1


async def _typed(made: Showcase) -> None:
    """What the file has of people is read into the fields."""
    async with made.stage.database.tenant(TENANT) as conn:
        ids = list(await conn.scalars(select(t.contact.c.id)))
        await fields_store.rewrite_values(conn, TENANT, ids)
        made.names["field_id"] = await conn.scalar(select(t.custom_field.c.id).limit(1))


async def _files(made: Showcase) -> None:
    """One that was brought in, and one that is looked at."""
    database, settings = made.web.database, made.web.settings
    service = ContactService(database, settings)
    header = made.say("Телефон;ФИО;Марка", "Phone;Full name;Car make")
    rows = "".join(f"+7916777{n:04};{made.say('Клиент', 'Customer')} {n};Kia\n" for n in range(60))
    done = _file(made, made.say("осень.csv", "autumn.csv"), f"{header}\n{rows}12;?;\n")
    job = await service.add_import(made.boss, made.stage.list_id, done.name, pieces(done))
    assert await run_next_import(database, settings)
    made.names["done_import"] = job.id
    look = _file(made, made.say("зима.csv", "winter.csv"), made.say(FILE_RU, FILE_EN))
    job = await service.add_import(made.boss, made.stage.list_id, look.name, pieces(look), preview=True)
    made.names["import_id"] = job.id
    columns = {made.say("Куда звонить", "Where to call"): "phone", made.say("ФИО", "Full name"): "full_name"}
    await MappingService(database).add(made.boss, made.say("Выгрузка из CRM", "Export of the CRM"), columns)


def _file(made: Showcase, name: str, text: str) -> Path:
    file = Path(made.web.settings.data_dir, name)
    file.write_text(text, encoding="utf-8")
    return file


async def _segments(made: Showcase) -> None:
    service = SegmentService(made.web.database)
    said: dict[str, Any] = {
        "all": [
            {"field": "custom.revenue", "op": "ge", "value": 300_000},
            {"any": [{"field": "custom.car_make", "op": "eq", "value": "Volvo"},
                     {"field": "attempts", "op": "le", "value": 2}]},
        ]
    }  # fmt: skip
    segment = await service.add(made.boss, made.say("Принесли много", "Brought much"), said)
    made.names["segment_id"] = segment.id
    ids: dict[str, int] = {}
    async with made.stage.database.tenant(TENANT) as conn:
        f = t.custom_field.c
        ids = {row.key: row.id for row in await conn.execute(select(f.key, f.id))}
    name = made.say("Выручка и последний визит", "Revenue and last visit")
    grid = await service.add_grid(made.boss, name, (ids["revenue"], 3), (ids["last_visit"], 3))
    await service.recount_grid(made.boss, grid.id)
    made.names["grid_id"] = grid.id


async def _refusals(made: Showcase) -> None:
    service = made.web.app[DO_NOT_CALL]
    letter = made.say("письмо от 3 ноября", "letter of November 3")
    await service.add(
        made.boss, ["+79161234567", "+79161234568"], [], Refusal(Source.OPERATOR, reason=letter)
    )
    border = made.say("не наш регион", "not our region")
    await service.add(made.boss, [], ["+7383"], Refusal(Source.OPERATOR, reason=border))
    asked = made.say("попросил в разговоре", "asked for it in a talk")
    await service.add(
        made.boss, ["+79161234569"], [],
        Refusal(Source.DISPOSITION, campaign_id=made.stage.campaign_id, reason=asked),
    )  # fmt: skip


async def _agreed(made: Showcase) -> None:
    """Somebody who has agreed to be called, and who come to the showroom."""
    now, stage = utc_now(), made.stage
    async with stage.database.tenant(TENANT) as conn:
        c, a = t.lead.c, t.attempt.c
        lead = (
            await conn.execute(
                select(c.id, c.contact_id, c.e164).where(c.status == "waiting").order_by(c.id).limit(1)
            )
        ).one()
        made.names |= {"contact_id": lead.contact_id, "lead_id": lead.id, "number": lead.e164[1:]}
        consent = {
            "contact_id": lead.contact_id, "purpose": "service", "valid_from": now - timedelta(days=90),
            "source": made.say("анкета в салоне", "form in the showroom"),
        }  # fmt: skip
        await conn.execute(insert(t.consent).values(tenant_id=TENANT, **consent))
        talks = await conn.execute(
            select(a.id, a.contact_id, a.agent_id)
            .where(a.result == "answered", a.state == "ended", a.agent_id.is_not(None))
            .order_by(a.created_at)
            .limit(4)
        )
        for n, talk in enumerate(talks.all()):
            wanted = Booking(
                talk.contact_id, stage.campaign_id, talk.id, talk.agent_id, now + timedelta(hours=20 + 5 * n),
                made.say("Салон на Мира", "Showroom on Mira"),
                made.say("Хочет посмотреть Volvo", "Wants to see a Volvo") if n == 1 else "",
            )  # fmt: skip
            await booking.book(conn, TENANT, wanted, by=None, now=now)
