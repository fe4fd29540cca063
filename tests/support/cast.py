"""Who works in the contact centre of `support.stage` and who is called: names and words, in a language."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CARS = "Volvo XC60, 2019", "Škoda Octavia, 2018", "Toyota Camry, 2020", "Lada Vesta, 2021", "Kia Rio, 2017"


@dataclass(frozen=True, slots=True)
class Cast:
    """The names and words of a centre."""

    surnames: Sequence[str]
    names: Sequence[str]
    #: the agents, six of them
    agents: Sequence[str]
    #: what the list's file has of a person beside the name
    facts: Callable[[random.Random], dict[str, str]]
    trunk: str
    campaign: str
    caller_name: str
    abandon_message: str
    list_name: str
    #: of all agents
    skill: str
    #: what an agent notes of a talk
    note: str

    @staticmethod
    def declined(surname: str, first: str) -> str:
        """A man's surname as somebody of that first name has it: women's end with a vowel."""
        return surname + {"а": "а", "я": "а", "a": "a"}.get(first[-1], "")


def _facts(dice: random.Random) -> dict[str, str]:
    cars = (
        "Volvo XC60, 2019",
        "Škoda Octavia, 2018",
        "Toyota Camry, 2020",
        "Lada Vesta, 2021",
        "Kia Rio, 2017",
    )
    return {
        "Автомобиль": dice.choice(cars),
        "Кредит до": f"{dice.randint(1, 12):02}.2027",
        "Платёж": f"{dice.randint(14, 48)} 500 ₽",
        "Последний визит": f"{dice.randint(1, 28):02}.08.2026",
    }


RUSSIAN = Cast(
    surnames=(
        "Иванов", "Смирнов", "Кузнецов", "Попов", "Соколов", "Лебедев", "Козлов", "Новиков", "Морозов",
    ),
    names=(
        "Анна", "Мария", "Ольга", "Елена", "Ирина", "Алексей", "Дмитрий", "Сергей", "Павел", "Николай",
    ),
    agents=(
        "Белова Дарья", "Власов Игорь", "Громова Светлана", "Егоров Антон", "Климова Юлия", "Орлов Максим",
    ),
    facts=_facts,
    trunk="МТТ",
    campaign="Осенний тест-драйв",
    caller_name="Автосалон «Заря»",
    abandon_message="Вам звонил автосалон «Заря». Мы перезвоним.",
    list_name="Клиенты 2019–2021",
    skill="продажи",
    note="просил прислать расчёт",
)  # fmt: skip
