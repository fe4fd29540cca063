"""Numbers in Russian words, declined: двадцать одна, двумстам двум рублям, двадцать первого.

Written by hand although a library has it: of num2words 0.5.14 the nominative is right for numbers alone, but
not the accusative of thousands (двух тысячи), nor genders beyond a million (одна миллион). A test holds what
is right in it against this.

The accusative is that of things, not of living beings: вижу два рубля. Forms after the Academy's grammar of
1980, § 1366 to 1385.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Gender = Literal["m", "f", "n"]
Case = Literal["nominative", "genitive", "dative", "accusative", "instrumental", "prepositional"]
CASES: tuple[Case, ...] = get_args(Case)
#: The greatest number that can be said, and with a minus the least.
MOST = 10**15 - 1

_GENITIVE = CASES.index("genitive")


@dataclass(frozen=True, slots=True)
class Noun:
    """What is counted."""

    gender: Gender
    #: six cases of the singular
    one: tuple[str, ...]
    #: six cases of the plural
    many: tuple[str, ...]


def noun(gender: Gender, one: str, many: str) -> Noun:
    """A noun by its six cases of each number, written one after another."""
    return Noun(gender, tuple(one.split()), tuple(many.split()))


_SCALES = (
    noun("f", "тысяча тысячи тысяче тысячу тысячей тысяче", "тысячи тысяч тысячам тысячи тысячами тысячах"),
    *(
        noun(
            "m",
            f"{stem} {stem}а {stem}у {stem} {stem}ом {stem}е",
            f"{stem}ы {stem}ов {stem}ам {stem}ы {stem}ами {stem}ах",
        )
        for stem in ("миллион", "миллиард", "триллион")
    ),
)


def _declined(*lines: str) -> dict[int, tuple[str, ...]]:
    """`5 пять пяти ...` -> {5: six cases}."""
    return {int(line.split()[0]): tuple(line.split()[1:]) for line in lines}


def _fifth(number: int, nominative: str, stem: str) -> str:
    """The declension of пять: five of its forms are one."""
    return f"{number} {nominative} {stem}и {stem}и {nominative} {stem}ью {stem}и"


_SIMPLE = _declined(
    "0 ноль ноля нолю ноль нолём ноле",
    "3 три трёх трём три тремя трёх",
    "4 четыре четырёх четырём четыре четырьмя четырёх",
    *(_fifth(n, f"{s}ь", s) for n, s in ((5, "пят"), (6, "шест"), (7, "сем"), (9, "девят"), (10, "десят"))),
    "8 восемь восьми восьми восемь восемью восьми",
    *(
        _fifth(n, f"{s}надцать", f"{s}надцат")
        for n, s in enumerate(
            ("один", "две", "три", "четыр", "пят", "шест", "сем", "восем", "девят"), start=11
        )
    ),
    _fifth(20, "двадцать", "двадцат"),
    _fifth(30, "тридцать", "тридцат"),
    "40 сорок сорока сорока сорок сорока сорока",
    *(
        f"{n} {s}ьдесят {s}идесяти {s}идесяти {s}ьдесят {s}ьюдесятью {s}идесяти"
        for n, s in ((50, "пят"), (60, "шест"), (70, "сем"))
    ),
    "80 восемьдесят восьмидесяти восьмидесяти восемьдесят восемьюдесятью восьмидесяти",
    "90 девяносто девяноста девяноста девяносто девяноста девяноста",
    "100 сто ста ста сто ста ста",
    "200 двести двухсот двумстам двести двумястами двухстах",
    "300 триста трёхсот трёмстам триста тремястами трёхстах",
    "400 четыреста четырёхсот четырёмстам четыреста четырьмястами четырёхстах",
    *(
        f"{n} {s}ьсот {s}исот {s}истам {s}ьсот {s}ьюстами {s}истах"
        for n, s in ((500, "пят"), (600, "шест"), (700, "сем"), (900, "девят"))
    ),
    "800 восемьсот восьмисот восьмистам восемьсот восемьюстами восьмистах",
)
_GENDERED: dict[Gender, dict[int, tuple[str, ...]]] = {
    "m": _declined("1 один одного одному один одним одном", "2 два двух двум два двумя двух"),
    "f": _declined("1 одна одной одной одну одной одной", "2 две двух двум две двумя двух"),
    "n": _declined("1 одно одного одному одно одним одном", "2 два двух двум два двумя двух"),
}

#: The stem and what it takes: hard (первый), stressed (второй), or that of третий.
_ORDINALS = {
    1: "перв", 2: "втор*", 3: "треть", 4: "четвёрт", 5: "пят", 6: "шест*", 7: "седьм*", 8: "восьм*",
    9: "девят", 10: "десят", 11: "одиннадцат", 12: "двенадцат", 13: "тринадцат", 14: "четырнадцат",
    15: "пятнадцат", 16: "шестнадцат", 17: "семнадцат", 18: "восемнадцат", 19: "девятнадцат",
    20: "двадцат", 30: "тридцат", 40: "сороков*", 50: "пятидесят", 60: "шестидесят", 70: "семидесят",
    80: "восьмидесят", 90: "девяност", 100: "сот", 200: "двухсот", 300: "трёхсот", 400: "четырёхсот",
    500: "пятисот", 600: "шестисот", 700: "семисот", 800: "восьмисот", 900: "девятисот",
}  # fmt: skip
_HARD: dict[Gender, tuple[str, ...]] = {
    "m": ("ый", "ого", "ому", "ый", "ым", "ом"),
    "f": ("ая", "ой", "ой", "ую", "ой", "ой"),
    "n": ("ое", "ого", "ому", "ое", "ым", "ом"),
}
_SOFT: dict[Gender, tuple[str, ...]] = {
    "m": ("третий", "третьего", "третьему", "третий", "третьим", "третьем"),
    "f": ("третья", "третьей", "третьей", "третью", "третьей", "третьей"),
    "n": ("третье", "третьего", "третьему", "третье", "третьим", "третьем"),
}


def cardinal(value: int, gender: Gender = "m", case: Case = "nominative") -> tuple[str, ...]:
    """`value` in words: 2021, f -> две тысячи двадцать одна. Raises ValueError beyond `MOST`."""
    if abs(value) > MOST:
        raise ValueError(f"{value} is too great to be said")
    if value < 0:
        return ("минус", *cardinal(-value, gender, case))
    if value == 0:
        return (_SIMPLE[0][CASES.index(case)],)
    words: list[str] = []
    for power, scale in reversed(list(enumerate(_SCALES, start=1))):
        group = value // 1000**power % 1000
        if group:
            words += (*_below_thousand(group, scale.gender, case), form(scale, group, case))
    return (*words, *_below_thousand(value % 1000, gender, case))


def counted(value: int, noun: Noun, case: Case = "nominative") -> tuple[str, ...]:
    """So many of it: 2, рубль -> два рубля."""
    return (*cardinal(value, noun.gender, case), form(noun, value, case))


def form(noun: Noun, value: int, case: Case = "nominative") -> str:
    """The form that the noun has after the number: 5 -> рублей, 21 -> рубль, in the dative 5 -> рублям."""
    value, at = abs(value), CASES.index(case)
    teens, last = value % 100 // 10 == 1, value % 10
    if last == 1 and not teens:
        return noun.one[at]
    if case not in ("nominative", "accusative"):
        return noun.many[at] if value else noun.many[_GENITIVE]
    return noun.one[_GENITIVE] if last in (2, 3, 4) and not teens else noun.many[_GENITIVE]


def ordinal(value: int, gender: Gender = "m", case: Case = "nominative") -> tuple[str, ...]:
    """Which one in a row: 21, n -> двадцать первое; only the last word is declined.

    `value` is 1 to 9999 (days, years). Raises ValueError.
    """
    if not 1 <= value <= 9999:
        raise ValueError(f"{value} cannot be said as an ordinal")
    thousands, below = divmod(value, 1000)
    if not below:
        # двухтысячный: the number before it stands in the genitive, and is one word with it.
        before = "" if thousands == 1 else _below_thousand(thousands, "m", "genitive")[0]
        return (f"{before}тысячн{_HARD[gender][CASES.index(case)]}",)
    last = below % 100 if 0 < below % 100 < 20 else below % 10 or below % 100 or below
    # Of a thousand nobody says how many: тысяча девятьсот девяностый.
    words = ("тысяча",) if thousands == 1 else cardinal(thousands * 1000) if thousands else ()
    return (*words, *_below_thousand(below - last, "m", "nominative"), _ordinal(last, gender, case))


def _ordinal(value: int, gender: Gender, case: Case) -> str:
    at, stem = CASES.index(case), _ORDINALS[value]
    if value == 3:
        return _SOFT[gender][at]
    stressed = stem.endswith("*") and gender == "m" and case in ("nominative", "accusative")
    return stem.rstrip("*") + ("ой" if stressed else _HARD[gender][at])


def _below_thousand(value: int, gender: Gender, case: Case) -> tuple[str, ...]:
    """0 to 999; nothing for 0."""
    rest = value % 100
    parts = (value - rest, rest) if rest < 20 else (value - rest, rest - rest % 10, rest % 10)
    at = CASES.index(case)
    return tuple((_GENDERED[gender].get(part) or _SIMPLE[part])[at] for part in parts if part)
