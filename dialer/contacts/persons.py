"""A contact as it is compared with others: how its name sounds, and the keys by which it meets them. Pure.

Nobody compares a million contacts with each other. Each contact has a few *keys* (the tail of a number, of
a VIN, how the last name sounds ...), contacts with a key in common are a *block*, and only within blocks are
two of them compared. A key that more than MAX_BLOCK share says nothing and is passed over: "Иванов И" is such
a key in any large base, therefore there are finer ones beside it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from dialer.contacts import cleaning

#: A key that more contacts have is passed over.
MAX_BLOCK = 50


@dataclass(frozen=True, slots=True)
class Person:
    """What of a contact is compared."""

    id: int
    last_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    email: str = ""
    #: E.164
    phones: tuple[str, ...] = ()
    vins: tuple[str, ...] = ()
    plates: tuple[str, ...] = ()
    #: as `cleaning.address_key` gives them
    addresses: tuple[str, ...] = ()
    born: date | None = None


# -- from a contact -----------------------------------------------------------------------------------------

# Headers of custom columns, in small letters with е for ё and one space for what is no letter.
_HEADERS: Mapping[str, frozenset[str]] = {
    "vin": frozenset({"vin", "вин", "vin код", "вин код", "vin номер", "vin code"}),
    "plate": frozenset(
        {"госномер", "гос номер", "номер авто", "номер машины", "номер автомобиля", "госзнак", "г н", "грз"}
        | {"plate", "license plate", "number plate", "reg number"}
    ),
    "address": frozenset(
        {"адрес", "адрес проживания", "адрес регистрации", "домашний адрес", "адрес доставки", "прописка"}
        | {"address", "home address", "street address"}
    ),
    "born": frozenset({"дата рождения", "день рождения", "др", "рожд", "birthday", "birth date", "born"}),
}
_KINDS = {name: kind for kind, names in _HEADERS.items() for name in names}
_DAY = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})|(\d{4})-(\d{2})-(\d{2})")


@lru_cache(maxsize=1000)
def kind_of(header: str) -> str | None:
    """What a custom column is for the comparison: vin, plate, address, born; None: nothing."""
    return _KINDS.get(re.sub(r"[\W_]+", " ", header.lower().replace("ё", "е")).strip())


def person_of(
    contact_id: int,
    names: tuple[str, str, str],
    email: str,
    phones: Sequence[str],
    custom: Mapping[str, object],
) -> Person:
    """A contact as it is compared; `names` are last, first, middle. Values are cleaned first."""
    found: dict[str, list[str]] = {"vin": [], "plate": [], "address": []}
    born = None
    for header, value in custom.items():
        kind = kind_of(header)
        if kind == "born":
            born = born or _day(str(value))
        elif kind is not None and (form := _form(kind, str(value))):
            found[kind].append(form)
    last, first, middle = (cleaning.clean_name(name) for name in names)
    if last and not first and not middle:
        whole = cleaning.split_full_name(last)
        last, first, middle = whole.last, whole.first, whole.middle
    return Person(
        contact_id,
        last,
        first,
        middle,
        cleaning.clean_email(email).value.lower(),
        tuple(phones),
        tuple(found["vin"]),
        tuple(found["plate"]),
        tuple(found["address"]),
        born,
    )


def custom_cleaner(header: str) -> Callable[[str], str] | None:
    """What brings values of a custom column to their one form: a VIN or plate that is one beyond doubt, all
    others stay as they are. None: all of them do."""
    clean = _CLEAN.get(kind_of(header) or "")
    return clean and (lambda value: value if (found := clean(value)).mark else found.value)


_CLEAN = {"vin": cleaning.clean_vin, "plate": cleaning.clean_plate}


def _form(kind: str, value: str) -> str:
    """A value as it is compared; nothing where it says nothing."""
    if kind == "address":
        return cleaning.address_key(value)
    found = _CLEAN[kind](value)
    return "" if found.mark else found.value


def _day(value: str) -> date | None:
    match = _DAY.search(value)
    if match is None:
        return None
    day, month, year = (match[1], match[2], match[3]) if match[1] else (match[6], match[5], match[4])
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


# -- how a name sounds --------------------------------------------------------------------------------------

_TRANSLIT = str.maketrans(
    {"а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "e", "ж": "zh"}
    | {"з": "z", "и": "i", "й": "i", "і": "i", "ї": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o"}
    | {"п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "ts", "ч": "ch", "ш": "sh"}
    | {"щ": "sh", "ъ": "", "ы": "i", "ь": "", "э": "e", "ю": "u", "я": "a"}
)
# Spellings of one sound, in this order.
_SOUNDS = (
    ("shch", "sh"), ("sch", "sh"), ("ch", "4"), ("kh", "h"), ("tz", "ts"), ("ce", "tse"), ("ci", "tsi"),
    ("cy", "tsi"), ("ck", "k"), ("c", "k"), ("ph", "f"), ("x", "ks"), ("w", "v"), ("iu", "u"), ("yu", "u"),
    ("ju", "u"), ("ia", "a"), ("ya", "a"), ("ja", "a"), ("io", "e"), ("yo", "e"), ("jo", "e"), ("ye", "e"),
    ("ie", "e"), ("je", "e"), ("y", "i"), ("j", "i"), ("ff", "v"),
)  # fmt: skip


@lru_cache(maxsize=100_000)
def sound(name: str) -> str:
    """A name in Latin letters as it sounds: "Щукин", "Shchukin" and "SCHUKIN" are one."""
    text = re.sub(r"[^\w]|\d|_", "", name.lower().translate(_TRANSLIT))
    for spelling, one in _SOUNDS:
        text = text.replace(spelling, one)
    return re.sub(r"(.)\1+", r"\1", text)


def _bones(name: str) -> str:
    """The sound without its vowels but for a first one: slips are made in vowels, and a wife's name differs
    from her husband's in one."""
    heard = sound(name)
    return heard[:1] + re.sub(r"[aeiou]", "", heard[1:])


# -- keys and blocks ----------------------------------------------------------------------------------------

#: Addresses of firms, which many people share.
OFFICE_MAIL = frozenset({"info", "mail", "office", "sales", "admin", "zakaz", "support", "contact", "post"})


def keys(person: Person) -> frozenset[str]:
    """The keys by which a person meets those whom he may be."""
    found = {f"p{number[-7:]}" for number in person.phones}
    local, _, domain = person.email.partition("@")
    if domain and local not in OFFICE_MAIL:
        found.add(f"e{local.replace('.', '')}")
    found |= {f"v{vin[-8:]}" for vin in person.vins}
    found |= {f"n{plate}" for plate in person.plates}
    found |= {
        f"a{' '.join(sorted(words))}"[:200]
        for address in person.addresses
        if len(words := address.split()) > 2 and any(word.isdigit() for word in words)
    }
    if person.last_name and person.first_name:
        first = sound(person.first_name)
        found.add(f"l{_bones(person.last_name)}.{first[:1]}")
        # Two in each other's place meet as well.
        found.add("s" + ".".join(sorted((sound(person.last_name), first))))
        if person.middle_name:
            found.add(f"f{_bones(person.last_name)}.{first[:3]}.{sound(person.middle_name)[:3]}")
    if person.born and (name := person.first_name or person.last_name):
        found.add(f"b{person.born:%y%m%d}{sound(name)[:1]}")
    return frozenset(found)


def blocks(people: Iterable[Person], most: int = MAX_BLOCK) -> Iterator[tuple[Person, Person]]:
    """Every pair that has a key in common which `most` have at most; each once."""
    by_key: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        for key in keys(person):
            by_key[key].append(person)
    seen: set[tuple[int, int]] = set()
    for block in by_key.values():
        if len(block) > most:
            continue
        for place, one in enumerate(block):
            for other in block[place + 1 :]:
                pair = (min(one.id, other.id), max(one.id, other.id))
                if pair not in seen:
                    seen.add(pair)
                    yield one, other
