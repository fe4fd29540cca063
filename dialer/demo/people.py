"""The contact list of the demo: invented customers of a car dealer, with the dirt that real lists have."""

from __future__ import annotations

import csv
import io
import math
import random
from dataclasses import dataclass
from datetime import date, timedelta

from dialer.demo import numbers
from dialer.demo.numbers import Behaviour, Planned

COLUMNS = (
    "name",
    "phone",
    "email",
    "car_make",
    "car_model",
    "car_year",
    "vin",
    "loan_end",
    "monthly_payment",
    "last_visit",
    "city",
    "timezone",
)

Row = dict[str, str]

_MALE_NAMES = (
    ("Александр", "Александрович"),
    ("Сергей", "Сергеевич"),
    ("Дмитрий", "Дмитриевич"),
    ("Андрей", "Андреевич"),
    ("Алексей", "Алексеевич"),
    ("Максим", "Максимович"),
    ("Евгений", "Евгеньевич"),
    ("Иван", "Иванович"),
    ("Михаил", "Михайлович"),
    ("Артём", "Артёмович"),
    ("Николай", "Николаевич"),
    ("Павел", "Павлович"),
    ("Владимир", "Владимирович"),
    ("Юрий", "Юрьевич"),
    ("Олег", "Олегович"),
)
_FEMALE_NAMES = (
    "Анна",
    "Елена",
    "Ольга",
    "Наталья",
    "Екатерина",
    "Мария",
    "Ирина",
    "Светлана",
    "Татьяна",
    "Юлия",
    "Марина",
    "Ксения",
)
_SURNAMES = (
    "Иванов",
    "Смирнов",
    "Кузнецов",
    "Попов",
    "Васильев",
    "Петров",
    "Соколов",
    "Михайлов",
    "Новиков",
    "Фёдоров",
    "Морозов",
    "Волков",
    "Алексеев",
    "Лебедев",
    "Семёнов",
    "Егоров",
    "Павлов",
    "Козлов",
    "Степанов",
    "Николаев",
    "Орлов",
    "Андреев",
    "Макаров",
    "Никитин",
    "Захаров",
    "Зайцев",
    "Соловьёв",
    "Борисов",
    "Яковлев",
    "Григорьев",
)
#: Make, models, the maker's code at the front of a VIN, the price when new in thousands of roubles.
_CARS = (
    ("Lada", ("Vesta", "Granta", "Niva Travel", "Largus"), "XTA", 1400),
    ("Kia", ("Rio", "Ceed", "Sportage", "K5"), "XWE", 2300),
    ("Hyundai", ("Solaris", "Creta", "Tucson"), "Z94", 2200),
    ("Skoda", ("Octavia", "Rapid", "Kodiaq", "Karoq"), "XW8", 2600),
    ("Volkswagen", ("Polo", "Tiguan", "Jetta"), "XW8", 2500),
    ("Toyota", ("Camry", "RAV4", "Corolla"), "XW7", 3400),
    ("Mazda", ("CX-5", "6"), "RUM", 3100),
    ("BMW", ("320d", "X3", "520d"), "X4X", 5600),
    ("Chery", ("Tiggo 4", "Tiggo 7 Pro", "Arrizo 8"), "LVV", 2400),
    ("Haval", ("Jolion", "F7", "Dargo"), "XZG", 2500),
)
#: City, time zone, weight.
_CITIES = (
    ("Москва", "Europe/Moscow", 8),
    ("Санкт-Петербург", "Europe/Moscow", 4),
    ("Казань", "Europe/Moscow", 2),
    ("Нижний Новгород", "Europe/Moscow", 2),
    ("Калининград", "Europe/Kaliningrad", 1),
    ("Самара", "Europe/Samara", 2),
    ("Саратов", "Europe/Saratov", 1),
    ("Екатеринбург", "Asia/Yekaterinburg", 2),
    ("Омск", "Asia/Omsk", 1),
    ("Новосибирск", "Asia/Novosibirsk", 2),
    ("Красноярск", "Asia/Krasnoyarsk", 1),
    ("Владивосток", "Asia/Vladivostok", 1),
)
_VIN_CHARACTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_LATIN = str.maketrans(
    {
        **dict(zip("абвгдеёзийклмнопрстуфыэ", "abvgdeeziyklmnoprstufye", strict=True)),
        **{"ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya"},
        **{"ь": "", "ъ": ""},
    }
)
#: The day from which ages and dates are counted, so that a seed means the same list on any day.
_TODAY = date(2026, 1, 15)


@dataclass(frozen=True, slots=True)
class Contacts:
    """A contact list and what is known of it before anybody reads it."""

    #: Rows of the CSV in order, keys of COLUMNS.
    rows: list[Row]
    #: The first good number of each customer, each once: what an importer must find.
    numbers: tuple[Planned, ...]
    #: Second numbers of cells that hold two; nobody is there, the carrier answers 404.
    second_numbers: tuple[Planned, ...]
    #: Rows whose phone cell holds no usable number.
    bad_rows: int
    #: Rows that repeat a number of an earlier row.
    duplicate_rows: int

    @property
    def good(self) -> int:
        """How many contacts can be dialled."""
        return len(self.numbers)


def make_contacts(
    n: int,
    seed: int,
    human_share: float = 0.5,
    ring_mean_s: float = 12.0,
    talk_mean_s: float = 60.0,
    *,
    dirty_share: float = 0.1,
) -> Contacts:
    """`n` customers that can be dialled, `dirty_share` more rows that cannot, and as many duplicates.

    Some of the good numbers are written as people write them (8 (9xx), spaces, an extension), and in every
    fortieth cell a second, dead number follows the customer's own.
    """
    rng = random.Random(f"people {seed}")  # noqa: S311 - invented people, not secrets
    planned = numbers.make_numbers(
        n, seed=seed, human_share=human_share, ring_mean_s=ring_mean_s, talk_mean_s=talk_mean_s
    )
    dead = numbers.make_numbers(math.ceil(n / 40), seed=-1 - seed, human_share=0.0, ring_mean_s=0.0)
    second = tuple(numbers.encode(Behaviour.INVALID, detail=number.detail) for number in dead)
    rows = [_person(rng, _write(rng, number.e164)) for number in planned]
    for row, number in zip(rng.sample(rows, len(second)), second, strict=True):
        row["phone"] += f", {number.e164}"
    dirt = max(2, round(n * dirty_share)) if n and dirty_share > 0 else 0
    duplicates = [_duplicate(rng, rng.choice(rows)) for _ in range(dirt)]
    bad = [_person(rng, _spoil(rng, i)) for i in range(dirt)]
    for row in duplicates + bad:
        rows.insert(rng.randint(0, len(rows)), row)
    return Contacts(rows, tuple(planned), second, bad_rows=len(bad), duplicate_rows=len(duplicates))


def to_csv(contacts: Contacts) -> str:
    """The list as CSV with a header (RFC 4180, comma)."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(contacts.rows)
    return out.getvalue()


def _person(rng: random.Random, phone: str) -> Row:
    name, patronymic = rng.choice(_MALE_NAMES)
    surname = rng.choice(_SURNAMES)
    if rng.random() < 0.45:
        name = rng.choice(_FEMALE_NAMES)
        patronymic = patronymic[:-2] + "на"
        surname += "а"
    make, models, vin, price = rng.choice(_CARS)
    city, zone, _ = rng.choices(_CITIES, weights=[weight for *_, weight in _CITIES])[0]
    year = rng.randint(2015, 2024)
    login = f"{surname}.{name[0]}{rng.randint(1, 999)}".lower().translate(_LATIN)
    return {
        "name": f"{surname} {name} {patronymic}",
        "phone": phone,
        "email": f"{login}@example.{rng.choice(('com', 'net', 'org'))}",
        "car_make": make,
        "car_model": rng.choice(models),
        "car_year": str(year),
        "vin": vin + "".join(rng.choices(_VIN_CHARACTERS, k=8)) + f"{rng.randrange(10**6):06d}",
        "loan_end": (_TODAY + timedelta(days=rng.randint(-200, 900))).isoformat(),
        "monthly_payment": str(round(price * 1000 * rng.uniform(0.012, 0.022), -2)).removesuffix(".0"),
        "last_visit": (_TODAY - timedelta(days=rng.randint(10, 1100))).isoformat(),
        "city": city,
        "timezone": zone,
    }


def _write(rng: random.Random, e164: str) -> str:
    """The number as one of many people would type it."""
    code, a, b, c = e164[2:5], e164[5:8], e164[8:10], e164[10:]
    style = rng.random()
    if style < 0.84:
        return e164
    return rng.choice(
        (
            f"8 ({code}) {a}-{b}-{c}",
            f"8{code}{a}{b}{c}",
            f"  +7 {code} {a} {b} {c} ",
            f"+7 ({code}) {a}-{b}-{c} доб. {rng.randint(100, 999)}",
        )
    )


def _spoil(rng: random.Random, i: int) -> str:
    """A phone cell with which nothing can be done."""
    e164 = rng.choice(numbers.make_numbers(1, seed=rng.randrange(10**6))).e164
    return (e164[:-2], "нет телефона", e164 + "77", "8 (9I6) 55O-12-З4", "", "12-34")[i % 6]


def _duplicate(rng: random.Random, row: Row) -> Row:
    """The same customer once more, as a second export of the same base gives him."""
    return row | {"last_visit": (_TODAY - timedelta(days=rng.randint(1, 9))).isoformat()}
