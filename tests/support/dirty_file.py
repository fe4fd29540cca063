"""A file of contacts as it comes from a spreadsheet of years: `docs/samples/dirty.csv`.

People and numbers are made by chance with a seed. `python -m support.dirty_file` writes the file, a test
holds that it is the one that this makes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs/samples/dirty.csv"
#: As Excel set to Russian writes "CSV (delimiters are semicolons)".
ENCODING = "cp1251"
HEADER = "№;ФИО клиента;Контактный телефон;Куда ещё звонить;E-mail;Авто;Дата ТО;Примечание"
BLANK = ";" * HEADER.count(";")

_SURNAMES = (
    "Иванов", "Смирнов", "Кузнецов", "Попов", "Соколов", "Лебедев", "Козлов", "Новиков", "Морозов", "Волков",
)  # fmt: skip
_NAMES = ("Алексей", "Дмитрий", "Сергей", "Павел", "Николай", "Игорь", "Антон", "Максим", "Виктор", "Роман")
_FATHERS = ("Петрович", "Иванович", "Сергеевич", "Олегович", "Юрьевич", "Павлович")
_CARS = ("Lada Vesta", "Kia Rio", "Skoda Octavia", "Volvo XC60", "УАЗ Патриот", "")
_NOTES = ("", "", "", "просил не звонить утром", "=СУММ(A1:A9)", "перезвонить; после обеда")

#: How a number is written.
_FORMS: tuple[Callable[[str], str], ...] = (
    lambda n: f"8 ({n[:3]}) {n[3:6]}-{n[6:8]}-{n[8:]}",
    lambda n: f"+7 {n[:3]} {n[3:6]} {n[6:8]} {n[8:]}",
    lambda n: f"8{n}",
    lambda n: n,
    lambda n: f"7{n}",
    lambda n: f"8-{n[:3]}-{n[3:]} доб. 12",
)
#: How a name is typed.
_CASES: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.lower,
    lambda name: "  " + name.replace(" ", "  "),
)


@dataclass(frozen=True, slots=True)
class Truth:
    """How the rows of the file end, by the way they were made."""

    rows: int
    loaded: int
    duplicates: int
    rejected: int
    #: rejected only as long as nobody says that the column "Куда ещё звонить" is a phone
    unless_mapped: int
    blank: int
    #: contacts with a second number in that column
    second: int


def make(seed: int = 7) -> tuple[str, Truth]:
    """The file's text, and the truth of it."""
    dice = random.Random(seed)
    numbers = [f"9{dice.choice((16, 26, 5, 10)):02}{dice.randrange(10**7):07}" for _ in range(400)]
    numbers = list(dict.fromkeys(numbers))
    take = iter(numbers)
    rows: list[str] = []
    people: list[tuple[str, str]] = []
    second = 0
    for n in range(120):
        name = f"{dice.choice(_SURNAMES)} {dice.choice(_NAMES)} {dice.choice(_FATHERS)}"
        number, other, email = next(take), "", f"client{n}@example.org"
        if n % 10 == 3:
            other, second = dice.choice(_FORMS)(next(take)), second + 1
        if n % 25 == 7:
            email = dice.choice(("нет почты", f"client{n}@", f"client{n} example.org"))
        note = dice.choice(_NOTES)
        note = f'"{note}"' if ";" in note else note
        cells = (
            dice.choice(_CASES)(name), dice.choice(_FORMS)(number), other, email, dice.choice(_CARS),
            f"{dice.randrange(1, 29):02}.{dice.randrange(1, 13):02}.2026", note,
        )  # fmt: skip
        people.append((name, number))
        rows.append(";".join(cells))
    again = [f"{name};{dice.choice(_FORMS)(number)};;;;;" for name, number in dice.sample(people, 6)]
    bad = [
        "Без Номера;нет;;;;;",
        "Короткий Номер;12-34-56;;;;;",
        "Длинный Номер;8916123456789012;;;;;",
        "Из Таблицы;7,91612E+10;;;;;",
        "Пусто Пусто;;;;;;",
        f"Лишняя Ячейка;8{next(take)};;;;;;;ещё",
        f'"Кавычка Открыта;8{next(take)};;;;;',
        f"Второй Номер;нет;8{next(take)};;;;",
    ]
    for row in again + bad:
        rows.insert(dice.randrange(len(people), len(rows) + 1), row)
    # Spreadsheets like to write the empty rows behind the last one, too.
    lines = [HEADER, *(f"{n};{row}" for n, row in enumerate(rows, start=1)), *[BLANK] * 4]
    truth = Truth(
        rows=len(lines) - 1, loaded=len(people), duplicates=len(again), rejected=len(bad), unless_mapped=1,
        blank=4, second=second,
    )  # fmt: skip
    return "\n".join(lines) + "\n", truth


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(make()[0].replace("\n", "\r\n").encode(ENCODING))
