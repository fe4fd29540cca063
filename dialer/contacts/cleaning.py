"""Values as people write them, brought to one form: names, e-mail, VIN, number plates, addresses. Pure.

What is certain is changed; what is only likely (a slip in an e-mail's domain, a VIN of 16 characters) stays
as it was written, with a mark. Each function gives its own result back unchanged: what is clean stays clean.
Addresses are not rewritten at all: `address_key` is for comparing them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import idna

# -- letters ------------------------------------------------------------------------------------------------

# Letters of the two alphabets that look alike. Latin y is the Cyrillic у, Latin u is none of them.
_LATIN_LOOKS = "ABCEHKMOPTXYaceopxy"
_CYRILLIC_LOOKS = "АВСЕНКМОРТХУасеорху"
TO_CYRILLIC = str.maketrans(_LATIN_LOOKS, _CYRILLIC_LOOKS)
TO_LATIN = str.maketrans(_CYRILLIC_LOOKS, _LATIN_LOOKS)
_CYRILLIC = re.compile(r"[А-яЁёІіЇїЄєҐґ]")
_LATIN = re.compile(r"[A-Za-z]")
_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ`´‘", "'"))
_DASHES = re.compile(r"\s*[‐‑‒–—-]\s*")
# Control characters have no place in a value; new lines inside a cell become spaces with them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
# Marks of writing direction and of no width: phones put them around what is copied.
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")


def plain(value: str) -> str:
    """A value without control characters and with single spaces, its accents joined to their letters."""
    return " ".join(_CONTROL.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", value))).split())


def one_alphabet(word: str) -> str:
    """A word whose letters are of one alphabet, where the strange ones look like its own.

    "Ивaнoв" with Latin a and o becomes Cyrillic, "Smіth" stays: і looks like no letter that is known here.
    Where both ways are possible the word is Cyrillic: that is who writes on such a keyboard.
    """
    if not (_CYRILLIC.search(word) and _LATIN.search(word)):
        return word
    for table, strange in ((TO_CYRILLIC, _LATIN), (TO_LATIN, _CYRILLIC)):
        if not strange.search(turned := word.translate(table)):
            return turned
    return word


# -- names --------------------------------------------------------------------------------------------------

# Small when another word follows: "фон Берг"; a person called Ван alone is not one.
_BEFORE = frozenset(
    {"фон", "ван", "де", "дер", "ден", "дель", "да", "ди", "дю", "ла", "ле", "ибн", "бин", "эль", "аль"}
    | {"von", "van", "de", "der", "den", "del", "da", "di", "du", "la", "le", "ibn", "bin", "el", "al"}
)
# Small when another word stands before: "Гасан оглы".
_AFTER = frozenset({"оглы", "оглу", "кызы", "гызы", "заде", "оол"})
_COMPANY = re.compile(r"(?<!\w)(ООО|ОАО|ЗАО|ПАО|АО|ИП|ТОО|ЧП|НКО|LLC|LTD|INC|GMBH)(?!\w)", re.IGNORECASE)
_ROMAN = re.compile(r"[IVX]{2,}")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?\.?")


def clean_name(value: str) -> str:
    """A last, first or middle name as it is written in a passport: "  ИВАНОВ -петров" is "Иванов-Петров".

    The case is mended of words that are all small or all capital, or written with the keyboard's lock on
    ("иВАНОВ"); any other mix is somebody's choice ("МакДональд"). A company's name stays as it is.
    """
    text = plain(value).translate(_APOSTROPHES)
    if any(map(str.isdigit, text)) or _COMPANY.search(text):
        return text
    text = _DASHES.sub("-", text).strip("-,; ")
    words = [one_alphabet(word) for word in text.split()]
    return " ".join(
        # Once more: small в looks like no Latin letter, capital В does.
        one_alphabet(_word(word, first=place == 0, last=place == len(words) - 1))
        for place, word in enumerate(words)
    )


def _word(word: str, *, first: bool, last: bool) -> str:
    if _INITIALS.fullmatch(word) and "." in word:
        return word.upper()
    parts = word.split("-")
    many = len(parts) > 1
    return "-".join(
        _part(
            part,
            followed=not last or (many and place < len(parts) - 1),
            preceded=not first or (many and place > 0),
        )
        for place, part in enumerate(parts)
    )


def _part(part: str, *, followed: bool, preceded: bool) -> str:
    if not _case_is_lost(part):
        return part
    small = part.lower()
    if (followed and small in _BEFORE) or (preceded and small in _AFTER):
        return small
    if _ROMAN.fullmatch(part):
        return part
    head, mark, tail = small.partition("'")
    if mark and tail:
        if head in {"д", "d"}:  # д'Артаньян
            return f"{head}'{_capital(tail)}"
        if len(head) == 1:  # О'Нил
            return f"{head.upper()}'{_capital(tail)}"
    if small.startswith("mc") and len(small) > 3:
        return f"Mc{_capital(small[2:])}"
    return _capital(small)


def _case_is_lost(part: str) -> bool:
    letters = [letter for letter in part if letter.isalpha()]
    if not letters:
        return False
    rest = letters[1:]
    if letters[0].isupper() and len(letters) > 1:
        return all(map(str.isupper, rest))
    return all(map(str.islower, rest)) or all(map(str.isupper, rest))


def _capital(small: str) -> str:
    return small[:1].upper() + small[1:]


# Endings that no first name has. A surname may have the man's ("Абрамович"), none has the woman's.
_PATRONYMIC = re.compile(r"\w(?:[оеё]вич|ьич|[оеё]вна|инична|ична)$", re.IGNORECASE)
_WOMANS = re.compile(r"\w(?:[оеё]вна|инична|ична)$", re.IGNORECASE)
_TURKIC = frozenset({"оглы", "оглу", "кызы", "гызы"})
_SHORT_PATRONYMICS = frozenset({"ильич", "кузьмич", "лукич", "фомич", "фокич", "саввич", "никитич"})


@dataclass(frozen=True, slots=True)
class FullName:
    """A full name in its parts."""

    last: str = ""
    first: str = ""
    middle: str = ""
    #: whether a patronymic tells which part is which, beyond doubt; else the order is the usual one
    certain: bool = False


def split_full_name(full: str) -> FullName:
    """A full name in one cell, in its parts; unchanged otherwise.

    Russian order is last, first, patronymic; a patronymic in second place tells first, patronymic, last. A
    name in Latin letters is first ... last. Certain is: three words of which one alone can be the patronymic;
    two words of which the second is a woman's patronymic. ("Роман Абрамович" may be either.)
    """
    words = full.split()
    if len(words) < 2:
        return FullName(last=full)
    if not _CYRILLIC.search(full):
        return FullName(words[-1], words[0], " ".join(words[1:-1]))
    if words[-1].lower() in _TURKIC and len(words) > 3:  # Алиев Вагиф Гасан оглы
        return FullName(words[0], words[1], " ".join(words[2:]), certain=len(words) == 4)
    places = [place for place, word in enumerate(words) if _is_patronymic(word)]
    if len(words) == 2:
        if places == [1]:
            certain = bool(_WOMANS.search(words[1]))
            # "Иван Петрович" is likelier than a Mr Petrovich without his patronymic.
            return FullName("", words[0], words[1], certain)
        return FullName(words[0], words[1])
    if len(words) == 3:
        if 1 in places and 0 not in places:  # Роман Аркадьевич Абрамович, too
            return FullName(words[2], words[0], words[1], certain=True)
        return FullName(
            words[0], words[1], words[2], certain=bool(places) and 1 not in places and 2 in places
        )
    if 1 in places and 2 not in places:
        return FullName(" ".join(words[2:]), words[0], words[1])
    return FullName(words[0], words[1], " ".join(words[2:]))


def _is_patronymic(word: str) -> bool:
    return word.lower() in _SHORT_PATRONYMICS or bool(_PATRONYMIC.search(word))


# -- e-mail -------------------------------------------------------------------------------------------------

EMAIL = re.compile(r"[^@\s,;<>()\"]+@[^@\s,;<>()\"]+\.[^@\s,;<>()\".]{2,}")
_KNOWN_DOMAINS = (
    "gmail.com", "mail.ru", "yandex.ru", "yandex.com", "rambler.ru", "icloud.com", "hotmail.com",
    "outlook.com", "yahoo.com", "inbox.ru", "list.ru", "internet.ru", "narod.ru", "protonmail.com",
)  # fmt: skip
# Real ones that are one slip away from a known one.
_NO_SLIPS = frozenset(
    {"mail.com", "gmail.ru", "email.ru", "mail.ua", "mail.by", "mail.kz", "ymail.com", "yandex.by"}
    | {"yandex.kz", "yandex.ua", "yandex.uz", "fist.ru", "last.ru", "lists.ru", "me.com", "bk.ru", "ya.ru"}
)


class Mark(StrEnum):
    """Why a value is looked at twice though it is not changed."""

    EMAIL_FORM = "email_form"  # no e-mail address
    EMAIL_DOMAIN = "email_domain"  # one slip away from a well-known domain
    EMAIL_LETTERS = "email_letters"  # Cyrillic letters among Latin ones
    VIN_LENGTH = "vin_length"  # not 17 characters
    VIN_LETTERS = "vin_letters"  # characters that no VIN has
    PLATE_FORM = "plate_form"  # no Russian number plate


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A value in its one form."""

    value: str
    #: None: nothing is strange about it
    mark: Mark | None = None
    #: what was probably meant, where that can be told
    meant: str = ""


# As nearly every address is written: there is nothing to take off, nor any letter of another alphabet.
_USUAL_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")


def _bare_email(value: str) -> str:
    text, before = plain(value), None
    while text != before:
        before, text = text, re.sub(r"^mailto:", "", text.strip(" <>\"',;."), flags=re.IGNORECASE)
    return text


def clean_email(value: str) -> Cleaned:
    """An address: trimmed, without `mailto:` and brackets, its domain small and in ASCII (IDNA).

    The part before the @ keeps its case, which may matter; `email_key` is for comparing. A likely slip in the
    domain is marked, never mended: "gmial.com" may be somebody's.
    """
    usual = _USUAL_EMAIL.fullmatch(value) is not None
    text = value if usual else _bare_email(value)
    if not text:
        return Cleaned("")
    if not (usual or EMAIL.fullmatch(text)):
        return Cleaned(text, Mark.EMAIL_FORM)
    local, _, domain = text.rpartition("@")
    domain = domain.lower()
    if not usual and any(mixed(part) for part in (*local.split("."), *domain.split("."))):
        meant = f"{local.translate(TO_LATIN)}@{domain.translate(TO_LATIN)}"
        return Cleaned(f"{local}@{domain}", Mark.EMAIL_LETTERS, meant if meant.isascii() else "")
    try:
        domain, meant = _domain(domain)
    except idna.IDNAError:
        return Cleaned(text, Mark.EMAIL_FORM)
    if meant:
        return Cleaned(f"{local}@{domain}", Mark.EMAIL_DOMAIN, f"{local}@{meant}")
    return Cleaned(f"{local}@{domain}")


@lru_cache(maxsize=10_000)  # a million addresses are of a few thousand domains
def _domain(domain: str) -> tuple[str, str]:
    """A domain in ASCII, and which one it is likely to mean; empty: itself. Raises IDNAError."""
    domain = idna.encode(domain, uts46=True).decode()
    if domain in _NO_SLIPS or domain in _KNOWN_DOMAINS:
        return domain, ""
    return domain, next((known for known in _KNOWN_DOMAINS if one_slip(domain, known)), "")


def mixed(word: str) -> bool:
    """Whether letters of both alphabets are in it."""
    return bool(_CYRILLIC.search(word) and _LATIN.search(word))


def one_slip(one: str, other: str) -> bool:
    """Whether one letter more, less, another, or two exchanged make the one the other."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:  # the longer one begins with the other
        return True
    if len(one) == len(other):
        swapped = one[:start] + one[start + 1 : start + 2] + one[start] + one[start + 2 :]
        return one[start + 1 :] == other[start + 1 :] or swapped == other
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return longer[start + 1 :] == shorter[start:]


# -- cars ---------------------------------------------------------------------------------------------------

VIN_LENGTH = 17
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]*")
_SERIES = "АВЕКМНОРСТУХ"
_PLATE = re.compile(rf"[{_SERIES}]\d{{3}}[{_SERIES}]{{2}}\d{{2,3}}")
_PLATE_LOOSE = re.compile(rf"([{_SERIES}0])([\d{_SERIES}]{{3}})([{_SERIES}0]{{2}})(\d{{2,3}})")


def clean_vin(value: str) -> Cleaned:
    """A vehicle's identification number (ISO 3779): capital Latin letters and digits, without spaces.

    I, O and Q are in no VIN: they are 1, 0 and 0. The check digit is not looked at: only North America has
    it.
    """
    text = re.sub(r"[\s.\-–—/№]+", "", plain(value).upper()).removeprefix("VIN").removeprefix(":")
    text = text.translate(TO_LATIN).translate(str.maketrans("IOQ", "100"))
    if not text:
        return Cleaned("")
    if not _VIN.fullmatch(text):
        return Cleaned(plain(value), Mark.VIN_LETTERS)
    return Cleaned(text) if len(text) == VIN_LENGTH else Cleaned(plain(value), Mark.VIN_LENGTH)


def clean_plate(value: str) -> Cleaned:
    """A Russian car's number plate as it stands on the car: "a123bc 77rus" is "А123ВС77", in Cyrillic.

    The letter О and the digit 0 are told apart by their places. Other plates stay as they were written.
    """
    text = re.sub(r"[\s.\-–—|/]+", "", plain(value).upper())
    text = re.sub(r"(?<=\d)(?:RUS|РУС|RU)$", "", text).translate(TO_CYRILLIC)
    if not text:
        return Cleaned("")
    if match := _PLATE_LOOSE.fullmatch(text):
        head, number, series, region = match.groups()
        text = head.replace("0", "О") + number.replace("О", "0") + series.replace("0", "О") + region
    if not _PLATE.fullmatch(text):
        return Cleaned(plain(value), Mark.PLATE_FORM)
    return Cleaned(text)


# -- addresses ----------------------------------------------------------------------------------------------

# Words that say what a name is, each with how it is written; those of no name of their own are left out.
_ADDRESS_WORDS = {
    word: kind
    for kind, words in {
        "": "г город гор ул улица д дом кв квартира обл область р-н район пос поселок п с село дер деревня "
        "россия рф республика респ край стр строение офис оф под подъезд эт этаж индекс мкр микрорайон",
        "пр": "пр-т пр-кт просп проспект пр",
        "пер": "пер переулок",
        "ш": "ш шоссе",
        "наб": "наб набережная",
        "б-р": "б-р бул бульвар",
        "пл": "пл площадь",
        "проезд": "проезд пр-д",
        "к": "к корп корпус",
    }.items()
    for word in words.split()
}
_GLUED = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")
_ADDRESS_PIECE = re.compile(r"[^\W_]+(?:-[^\W\d_]+)?")


def address_key(value: str) -> str:
    """An address for comparing: small letters, ё as е, abbreviations alike, what each name is left out.

    "г. Москва, ул. Лёвина, д.5к2" and "Москва Левина 5 корп. 2" have one key.
    """
    text = plain(value).lower().replace("ё", "е")
    text = re.sub(r"(?<!\d)\d{6}(?!\d)", " ", text)  # the post code
    words = [one_alphabet(word) for word in text.split()]
    pieces = [
        _ADDRESS_WORDS.get(piece, piece)
        for found in _ADDRESS_PIECE.findall(" ".join(words))
        for piece in ([found] if found in _ADDRESS_WORDS else _GLUED.sub(" ", found).split())
    ]
    return " ".join(_ADDRESS_WORDS.get(piece, piece) for piece in pieces if _ADDRESS_WORDS.get(piece, piece))
