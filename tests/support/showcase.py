"""A centre at work for every page to show, in one language: who is in it, and how what is in it is found."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dialer.httpkit.access import Actor, Role
from dialer.users.model import User
from support.cast import RUSSIAN, Cast
from support.stage import TENANT, Stage
from support.web import PASSWORD, Web

SERVER = Actor.server(TENANT)
CARS = (
    ("Volvo", "XC60", 2019), ("Škoda", "Octavia", 2018), ("Toyota", "Camry", 2020), ("Lada", "Vesta", 2021),
    ("Kia", "Rio", 2017),
)  # fmt: skip


def _facts(names: tuple[str, ...], dice: random.Random) -> dict[str, str]:
    make, model, year = dice.choice(CARS)
    day = f"{dice.randint(1, 28):02}.{dice.randint(1, 9):02}"
    values = (
        make, model, str(year), f"{day}.2027", f"{dice.randint(14, 48)} 500", f"{day}.2026",
        str(dice.randint(20, 900) * 1000),
    )  # fmt: skip
    return dict(zip(names, values, strict=True))


_HEADERS_RU = (
    "Марка", "Модель", "Год выпуска", "Конец кредита", "Ежемесячный платёж", "Последний визит", "Выручка",
)  # fmt: skip
_HEADERS_EN = (
    "Car make", "Car model", "Year made", "Credit ends", "Monthly payment", "Last visit", "Revenue",
)  # fmt: skip

CASTS: Mapping[str, Cast] = {
    "ru": replace(RUSSIAN, facts=lambda dice: _facts(_HEADERS_RU, dice)),
    "en": Cast(
        surnames=(
            "Ivanov", "Smirnov", "Kuznetsov", "Popov", "Sokolov", "Lebedev", "Kozlov", "Novikov", "Morozov",
        ),
        names=(
            "Anna", "Maria", "Olga", "Elena", "Irina", "Alexey", "Dmitry", "Sergey", "Pavel", "Nikolay",
        ),
        agents=(
            "Belova Daria", "Vlasov Igor", "Gromova Svetlana", "Egorov Anton", "Klimova Julia", "Orlov Maxim",
        ),
        facts=lambda dice: _facts(_HEADERS_EN, dice),
        trunk="MTT",
        campaign="Autumn test drive",
        caller_name="Zarya car centre",
        abandon_message="This was the Zarya car centre. We will call you again.",
        list_name="Customers 2019–2021",
        skill="sales",
        note="asked for an estimate",
    ),
}  # fmt: skip


@dataclass(slots=True)
class Showcase:
    """The centre, and how what is in it is found."""

    stage: Stage
    locale: str
    #: who looks: `boss`, and the agents by what they are at
    people: dict[str, User] = field(default_factory=dict)
    #: what stands in the paths of pages
    names: dict[str, Any] = field(default_factory=dict)

    @property
    def web(self) -> Web:
        """The web process."""
        return self.stage.web

    @property
    def boss(self) -> Actor:
        """Who made all of it."""
        user = self.people["boss"]
        return Actor(TENANT, user.id, user.role, user.name, self.locale)

    def say(self, russian: str, english: str) -> str:
        """One of the two."""
        return russian if self.locale == "ru" else english

    async def person(self, login: str, name: str, role: Role) -> User:
        """A new user."""
        return await self.web.users.add(
            SERVER, login=login, name=name, role=role, locale=self.locale, password=PASSWORD
        )
