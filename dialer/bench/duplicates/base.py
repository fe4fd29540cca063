"""A dirty base of contacts whose truth is known: households, and records of their people.

Families share an address, often a telephone, sometimes a car or an e-mail address, a last name and, brothers
and sisters, a patronymic; last names are as frequent as in life (a few of them are everybody's), so that
there are namesakes. Each record of a person was written by somebody else: with slips, in Latin letters, with
names in each other's place, initials, pet names, another number, a maiden name, and much that is missing.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from dialer.contacts.first_names import NAMES as SHORT_FORMS
from dialer.contacts.persons import Person, person_of

_STEMS: Final = [
    "Иван",
    "Смирн",
    "Кузнец",
    "Поп",
    "Василь",
    "Петр",
    "Сокол",
    "Михайл",
    "Новик",
    "Фёдор",
    "Мороз",
    "Волк",
    "Алексе",
    "Лебед",
    "Семён",
    "Егор",
    "Павл",
    "Козл",
    "Степан",
    "Никола",
    "Орл",
    "Андре",
    "Макар",
    "Никит",
    "Захар",
    "Зайц",
    "Соловь",
    "Борис",
    "Яковл",
    "Григорь",
    "Роман",
    "Воробь",
    "Серге",
    "Кузьм",
    "Фрол",
    "Александр",
    "Дмитри",
    "Корол",
    "Гус",
    "Киселёв",
    "Ильин",
    "Максим",
    "Полян",
    "Сорок",
    "Виноград",
    "Ковал",
    "Бел",
    "Медвед",
    "Антон",
    "Тарас",
    "Жук",
    "Баран",
    "Филипп",
    "Комар",
    "Давыд",
    "Беля",
    "Герасим",
    "Богдан",
    "Осип",
    "Сидор",
    "Матвее",
    "Тит",
    "Марк",
    "Мирон",
    "Крыл",
    "Куликов",
    "Карп",
    "Влас",
    "Мельник",
    "Денис",
    "Гаврил",
    "Тихон",
    "Казак",
    "Афанас",
    "Данил",
    "Савел",
    "Тимофе",
    "Фом",
    "Чернов",
    "Абрам",
    "Мартын",
    "Ефим",
    "Федот",
    "Щербак",
    "Назар",
    "Калин",
    "Исак",
    "Чернышё",
    "Быч",
    "Кулик",
    "Лазар",
    "Широк",
    "Рыж",
    "Рожк",
    "Хохл",
    "Цвет",
    "Юд",
    "Якуш",
    "Устин",
    "Трофим",
    "Субботи",
]
_ENDINGS: Final = ("ов", "ев", "ин", "овский", "енко", "ук")
_MEN: Final = [
    "Александр",
    "Сергей",
    "Дмитрий",
    "Андрей",
    "Алексей",
    "Максим",
    "Евгений",
    "Иван",
    "Михаил",
    "Артём",
    "Николай",
    "Павел",
    "Владимир",
    "Юрий",
    "Олег",
    "Игорь",
    "Роман",
    "Виктор",
    "Константин",
    "Кирилл",
    "Егор",
    "Илья",
    "Антон",
    "Денис",
    "Григорий",
    "Борис",
    "Тимур",
    "Степан",
]
_WOMEN: Final = [
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
    "Дарья",
    "Алина",
    "Виктория",
    "Людмила",
    "Галина",
    "Валентина",
    "Полина",
    "Вера",
    "Надежда",
    "Людмила",
    "Кристина",
    "Софья",
]
_PATRONYMICS: Final = {"ий": "иев", "ей": "еев", "ай": "аев", "ь": "ев", "я": "", "л": "лов"}
_CITIES: Final = ["Москва", "Казань", "Омск", "Тула", "Пермь", "Самара", "Рязань", "Курск"]
_STREETS: Final = [
    "Ленина",
    "Мира",
    "Садовая",
    "Лесная",
    "Школьная",
    "Новая",
    "Гагарина",
    "Победы",
    "Пушкина",
    "Советская",
    "Зелёная",
    "Набережная",
    "Кирова",
    "Полевая",
    "Речная",
    "Горького",
    "Чехова",
    "Парковая",
    "Южная",
    "Северная",
]
_MAILS: Final = ("mail.example", "post.example", "ya.example", "inbox.example")
_VIN: Final = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
_SERIES: Final = "АВЕКМНОРСТУХ"
_LATIN: Final = str.maketrans(
    dict(zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True))
    | {"ё": "e", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": ""}
    | {"ю": "yu", "я": "ya"}
)
_PET: Final = {
    name: [form for form, names in SHORT_FORMS.items() if name in names and form != name]
    for name in {meant for names in SHORT_FORMS.values() for meant in names}
}


@dataclass(frozen=True, slots=True)
class Truth:
    """A person as they are."""

    household: int
    last: str
    first: str
    middle: str
    maiden: str
    phones: tuple[str, ...]
    email: str
    vin: str
    plate: str
    address: tuple[str, str, int, int]
    born: date


@dataclass(frozen=True, slots=True)
class Base:
    """Records with their truth."""

    records: tuple[Person, ...]
    #: record -> person
    who: dict[int, int] = field(default_factory=dict)
    #: person -> household
    household: dict[int, int] = field(default_factory=dict)


def make(people: int, seed: int) -> Base:
    """At least so many people in households, of each one to three records."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    truths: list[Truth] = []
    while len(truths) < people:
        truths += _household(dice, len(truths))
    records: list[Person] = []
    who: dict[int, int] = {}
    for number, truth in enumerate(truths):
        for _ in range(dice.choices((1, 2, 3), (70, 24, 6))[0]):
            who[len(records) + 1] = number
            records.append(_record(dice, len(records) + 1, truth))
    return Base(tuple(records), who, {number: truth.household for number, truth in enumerate(truths)})


# -- people -------------------------------------------------------------------------------------------------


def _last_name(dice: random.Random) -> str:
    # Zipf's law, about: the commonest is a hundredth of all.
    stem = _STEMS[min(int(dice.paretovariate(0.35)) - 1, 10**6) % len(_STEMS)]
    return stem.removesuffix("ов") + dice.choices(_ENDINGS, (50, 20, 15, 5, 6, 4))[0]


def _womans(last: str) -> str:
    if last.endswith(("ов", "ев", "ин")):
        return last + "а"
    return last[:-2] + "ая" if last.endswith("ий") else last


def _patronymic(father: str, *, woman: bool) -> str:
    stem = next(
        (father.removesuffix(end) + new for end, new in _PATRONYMICS.items() if father.endswith(end)),
        father + "ов",
    )
    if father == "Илья":
        return "Ильинична" if woman else "Ильич"
    return stem + ("на" if woman else "ич")


def _phone(dice: random.Random) -> str:
    return f"+79{dice.randrange(10**9):09}"


def _household(dice: random.Random, number: int) -> list[Truth]:
    last, address = (
        _last_name(dice),
        (
            dice.choice(_CITIES),
            dice.choice(_STREETS),
            dice.randint(1, 120),
            dice.randint(1, 200),
        ),
    )
    shared = f"+7495{dice.randrange(10**7):07}"
    car = _car(dice)
    father = dice.choice(_MEN)
    found = []
    for place in range(dice.choices((1, 2, 3, 4), (35, 35, 18, 12))[0]):
        woman = place == 1 or (place > 1 and dice.random() < 0.5)
        child = place > 1
        first = father if place == 0 else dice.choice(_WOMEN if woman else _MEN)
        parent = father if child else dice.choice(_MEN)
        years = dice.randint(18, 30) if child else dice.randint(35, 70)
        phones = [_phone(dice)] + ([shared] if dice.random() < 0.5 else [])
        vin, plate = car if dice.random() < 0.3 else _car(dice)
        email = "".join(dice.choices(string.ascii_lowercase, k=4)) + str(dice.randrange(10, 9999))
        found.append(
            Truth(
                household=number,
                last=_womans(last) if woman else last,
                first=first,
                middle=_patronymic(parent, woman=woman),
                maiden=_womans(_last_name(dice)) if woman and not child else "",
                phones=tuple(phones),
                email=f"{first.lower().translate(_LATIN)}.{email}@{dice.choice(_MAILS)}",
                vin=vin,
                plate=plate,
                address=address,
                born=date(2026, 1, 1) - timedelta(days=365 * years + dice.randrange(365)),
            )
        )
    if len(found) > 1 and dice.random() < 0.08:  # one address for the family
        found = [_with(one, email=found[0].email) for one in found]
    return found


def _with(one: Truth, **changes: object) -> Truth:
    fields = {name: getattr(one, name) for name in Truth.__slots__}
    return Truth(**{**fields, **changes})


def _car(dice: random.Random) -> tuple[str, str]:
    vin = "XTA" + "".join(dice.choices(_VIN, k=14))
    series = "".join(dice.choices(_SERIES, k=3))
    return vin, f"{series[0]}{dice.randrange(1, 1000):03}{series[1:]}{dice.choice((77, 99, 16, 55, 777))}"


# -- records ------------------------------------------------------------------------------------------------


def _slip(dice: random.Random, text: str) -> str:
    """One letter more, less, another, or two exchanged."""
    if len(text) < 3:
        return text
    at = dice.randrange(1, len(text) - 1)
    alphabet = string.digits if text[at].isdigit() else "абвгдеиклмнопрстуя"
    return dice.choice(
        (
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
            text[:at] + dice.choice(alphabet) + text[at + 1 :],
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
        )
    )


def _digit(dice: random.Random, text: str) -> str:
    """Another digit, or two exchanged, in the last seven."""
    at = dice.randrange(len(text) - 7, len(text) - 1)
    if dice.random() < 0.5:
        return text[:at] + str(dice.randrange(10)) + text[at + 1 :]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _record(dice: random.Random, number: int, truth: Truth) -> Person:
    return person_of(
        number, _names(dice, truth), _email(dice, truth), _numbers(dice, truth), _custom(dice, truth)
    )


def _names(dice: random.Random, truth: Truth) -> tuple[str, str, str]:
    chance = dice.random
    last = truth.maiden if truth.maiden and chance() < 0.05 else truth.last
    first, middle = truth.first, truth.middle if chance() < 0.55 else ""
    if chance() < 0.07 and (pets := _PET.get(first.lower().replace("ё", "е"))):
        first = dice.choice(pets).capitalize()
    if chance() < 0.08:
        last = _slip(dice, last)
    if chance() < 0.05:
        first = _slip(dice, first)
    if chance() < 0.06:
        first, middle = f"{first[0]}.", f"{middle[0]}." if middle else ""
    if chance() < 0.10:
        last, first, middle = (part.lower().translate(_LATIN).capitalize() for part in (last, first, middle))
    if chance() < 0.05:
        last, first = first, last
    if chance() < 0.10:
        first = ""
    if chance() < 0.15:
        last, first, middle = (part.upper() for part in (last, first, middle))
    return last, first, middle


def _custom(dice: random.Random, truth: Truth) -> dict[str, object]:
    chance = dice.random
    custom: dict[str, object] = {}
    if chance() < 0.35:
        custom["VIN"] = truth.vin if chance() > 0.08 else truth.vin[:-2] + truth.vin[-1] + truth.vin[-2]
    if chance() < 0.30:
        custom["госномер"] = truth.plate.lower()
    if chance() < 0.45:
        custom["адрес"] = _address(dice, truth)
    if chance() < 0.30:
        custom["дата рождения"] = f"{truth.born:%d.%m.%Y}"
    return custom


def _email(dice: random.Random, truth: Truth) -> str:
    if dice.random() > 0.4:
        return ""
    local, _, domain = truth.email.partition("@")
    at = dice.randrange(1, len(local) - 1)
    if dice.random() < 0.06:
        local = local[:at] + local[at + 1 :]
    return f"{local}@{domain}"


def _numbers(dice: random.Random, truth: Truth) -> list[str]:
    found = list(truth.phones)
    if dice.random() < 0.22:  # a new number, or the one at work
        found = [_phone(dice), *found[1:]]
    if dice.random() < 0.5:
        found = [dice.choice(found)]
    return [_digit(dice, number) if dice.random() < 0.04 else number for number in found]


def _address(dice: random.Random, truth: Truth) -> str:
    city, street, house, flat = truth.address
    if dice.random() < 0.06:
        street = _slip(dice, street)
    return dice.choice(
        (
            f"г. {city}, ул. {street}, д. {house}, кв. {flat}",
            f"{city}, улица {street}, {house}, {flat}",
            f"{city} {street} ул. {house} кв {flat}",
            f"{city}, {street} {house}-{flat}",
            f"{city}, ул. {street}, д. {house}",
        )
    )
