"""What a showcase has set up: scripts, flows, numbers, queues, prompts, what flows name, articles."""

from __future__ import annotations

import math
from array import array
from pathlib import Path

from dialer.app.script_deeds import ScriptDeeds
from dialer.contacts.spool import pieces
from dialer.demo.voices import RATE_HZ, write_wav
from dialer.destinations.http import DESTINATIONS
from dialer.hosts.http import HOSTS
from dialer.hours.http import HOURS
from dialer.inbound.http import INBOUND
from dialer.inbound.reasons_http import REASONS
from dialer.knowledge.http import KNOWLEDGE
from dialer.offers.http import OFFERS
from dialer.policies.fields import PolicyBody, PolicyIn
from dialer.policies.http import POLICY_SERVICE
from dialer.prompts.http import PROMPTS
from dialer.queues.fields import QueueIn
from dialer.queues.http import QUEUES
from dialer.queues.model import Overflow
from dialer.scripts import shipped as scripts
from dialer.scripts.service import ScriptService
from dialer.users.http import USERS
from ivr_flows import shipped as flows
from support.came import DIALLED
from support.showcase import SERVER, Showcase

#: The number for what is bought already.
SERVICE = "74957770102"


async def show_set_up(made: Showcase) -> None:
    """All of it."""
    await _kept_things(made)
    await _queues(made)
    await _flows(made)
    await _scripts(made)
    await _articles(made)
    await _prompts(made)
    await _policy(made)


async def _kept_things(made: Showcase) -> None:
    app, boss = made.web.app, made.boss
    week = {"mon-fri": "09:00-20:00", "sat, sun": "10:00-18:00"}
    exceptions = {"2026-12-31": "09:00-15:00"}
    name = made.say("Салон", "Showroom")
    kept = {"name": name, "week": week, "exceptions": exceptions, "holidays": "RU", "zone": ""}
    made.names["hours"] = (await app[HOURS].add(boss, kept)).opening.id
    for place, title, russian, english in (
        ("after", made.say("Шины", "Tyres"), "Храним шины до весны.", "We keep tyres till spring."),
        ("wait", made.say("Тест-драйв", "Test drive"), "Запишитесь на тест-драйв.", "Book a test drive."),
    ):
        offer = {"place": place, "name": title, "text_ru": russian, "text_en": english, "active": True}
        added = await app[OFFERS].add(
            boss, {**offer, "active_from": None, "active_until": None, "position": 100}
        )
        made.names["offers"] = added.id
    secret = {"header": "X-Api-Key", "secret": "s3cret-word"}
    made.names["hosts"] = (
        await app[HOSTS].add(boss, {"host": "crm.example.org", "inside": False, **secret})
    ).id
    for title, kind, value in (
        (made.say("Главный офис", "Head office"), "number", "+74957770199"),
        (made.say("Склад", "Warehouse"), "phone", "warehouse-1"),
    ):
        row = {"name": title, "kind": kind, "value": value}
        made.names["destinations"] = (await app[DESTINATIONS].add(boss, row)).id
    reasons = [
        made.say("Цена и наличие", "Price and stock"), made.say("Запись на сервис", "Booking a service"),
        made.say("Жалоба", "Complaint"),
    ]  # fmt: skip
    await app[REASONS].write(SERVER, reasons)
    await app[USERS].add_token(boss, made.say("Обмен с CRM", "Exchange with the CRM"))


async def _queues(made: Showcase) -> None:
    service, skill = made.web.app[QUEUES], made.stage.cast.skill
    sales = await service.create(
        made.boss,
        QueueIn(
            name=made.say("Продажи", "Sales"), skill=skill, max_wait_s=180, offer_callback_s=30,
            last_agent_s=15,
        ),
    )  # fmt: skip
    made.names["queue_id"] = sales.fields["id"]
    await service.create(
        made.boss,
        QueueIn(
            name=made.say("Сервис", "Service"), priority=6, target_share=0.75, target_s=30,
            overflow=Overflow.QUEUE, overflow_queue_id=sales.fields["id"],
        ),
    )  # fmt: skip
    await service.create(
        made.boss, QueueIn(name=made.say("Запчасти", "Parts"), needs_agents=True, overflow=Overflow.VOICEMAIL)
    )


async def _flows(made: Showcase) -> None:
    """The shipped reception, live, with queues by their names; a survey that is a draft."""
    service, boss = made.web.app[INBOUND], made.boss
    text = flows.text("reception", made.locale)
    for word, name in (
        ("sales", made.say("Продажи", "Sales")),
        ("service", made.say("Сервис", "Service")),
        ("parts", made.say("Запчасти", "Parts")),
    ):
        text = text.replace(f"queue: {word}", f"queue: {name}")
    first = await service.write(boss, text)
    await service.publish(boss, "reception", first.version, "live")
    await service.write(boss, flows.text("survey", made.locale))
    made.names["flow_id"] = 1
    for number, title in ((DIALLED, made.say("Сайт", "Web site")), (SERVICE, made.say("Сервис", "Service"))):
        values = {
            "number": number, "name": title, "campaign_id": made.stage.campaign_id, "queue": "",
            "test": False, "active": True,
        }  # fmt: skip
        made.names["number_id"] = (await service.add_number(boss, "reception", values)).id


async def _scripts(made: Showcase) -> None:
    service = ScriptService(made.web.database, ScriptDeeds())
    first = await service.write(made.boss, scripts.text(made.locale))
    await service.publish(made.boss, first.script, first.version)
    made.names["script_id"] = 1


async def _articles(made: Showcase) -> None:
    service = made.web.app[KNOWLEDGE]
    for title, body in (
        (
            made.say("Гарантия", "Warranty"),
            made.say(
                "На двигатель и коробку - три года или 100 000 км, на кузов - шесть лет.",
                "The engine and the gearbox: three years or 100,000 km; the body: six years.",
            ),
        ),
        (
            made.say("Тест-драйв", "Test drive"),
            made.say(
                "Нужны паспорт и права, стаж от трёх лет. Длится сорок минут, бесплатно.",
                "Bring a passport and a driving licence of three years. Forty minutes, free of charge.",
            ),
        ),
        (
            made.say("Обмен старой машины", "Part exchange"),
            made.say(
                "Оценка за полчаса; цена действует семь дней.",
                "Valued in half an hour; the price holds for seven days.",
            ),
        ),
    ):
        made.names["article_id"] = (await service.write(made.boss, title, body)).id


async def _prompts(made: Showcase) -> None:
    service, folder = made.web.app[PROMPTS], made.web.settings.data_dir
    hum = array("h", [round(6000 * math.sin(n / 6)) for n in range(3 * RATE_HZ)]).tobytes()
    file = Path(folder, "greeting.wav")
    write_wav(file, hum)
    for name, language, text in (
        ("greeting", "ru", "Здравствуйте! Вы позвонили в автосалон."),
        ("greeting", "en", "Hello! You have reached the car centre."),
        ("closed", made.locale, made.say("Сейчас мы закрыты.", "We are closed now.")),
    ):
        await service.upload(made.boss, name, language, f"{name}.{language}.wav", pieces(file), text=text)


async def _policy(made: Showcase) -> None:
    """Rules of the centre's own."""
    service = made.web.app[POLICY_SERVICE]
    base = (await service.policy(made.boss, "ru-service")).policy
    own = {"code": "our-service", "title_ru": "Наши правила сервиса", "title_en": "Our rules of service"}
    await service.create(made.boss, PolicyIn.model_validate(PolicyBody.values_of(base) | own))
