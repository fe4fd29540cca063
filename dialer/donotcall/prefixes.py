"""The beginnings of numbers as people write them: `+7495`, `8 (495)`, `495`. Pure.

They are read as numbers are: what has no plus is of the installation's country, with or without the 8 (or
whatever stands before a number there), or has that country's code. Which of these is meant is told by the
country's numbering plan; where two fit, the writer is asked. What no number of a country goes beyond is no
beginning: a slip must not stop all calls to a country.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import phonenumbers
from phonenumbers import PhoneMetadata

from dialer.contacts.numberplan import Way, ways
from dialer.errors import Invalid
from dialer.said import Said

#: Digits of the longest number there is (ITU-T E.164).
LONGEST = 15
_FORM = re.compile(r"\+?[0-9 ()\N{NO-BREAK SPACE}-]*[0-9][ )\N{NO-BREAK SPACE}-]*\*?")
_FIELD = "prefixes"


def read_prefix(written: str, region: str) -> str:
    """The mark of all numbers that begin so ("+7 495", "8 495*" in Russia: "+7495*"). `region`: the country
    (ISO 3166, "RU") of what is written without one. Raises Invalid."""
    text = written.strip()
    if not _FORM.fullmatch(text):
        raise Invalid(field=_FIELD, reason=Said("{prefix} is no beginning of numbers", prefix=written))
    digits = re.sub("[^0-9]", "", text)
    found = [digits] if text.startswith("+") else list(dict.fromkeys(_national(text, digits, region)))
    if not found or found[0].startswith("0") or len(found[0]) >= LONGEST:
        reason = Said(
            "{prefix} is no beginning of numbers; write it with a plus and the code of the country: +7495",
            prefix=written,
        )
        raise Invalid(field=_FIELD, reason=reason)
    if len(found) > 1:
        reason = Said(
            "{prefix} can mean {first} and {second}: write which, with the plus",
            prefix=written,
            first=f"+{found[0]}",
            second=f"+{found[1]}",
        )
        raise Invalid(field=_FIELD, reason=reason)
    if not _code_of(found[0]):
        reason = Said(
            "{prefix} covers a whole country or more; a beginning goes on after the code of the country: "
            "+7495, +4420",
            prefix=written,
        )
        raise Invalid(field=_FIELD, reason=reason)
    return f"+{found[0]}*"


def other_meanings(prefix: str, region: str) -> tuple[str, ...]:
    """What else a beginning on the list ("+8495") can mean if it was written without its plus: "+7495" in
    Russia. A plus was once put before whatever had none, so the list may hold such ones."""
    digits = prefix.removeprefix("+")
    found = {f"+{one}" for one in _national(digits, digits, region) if _code_of(one)}
    return tuple(sorted(found - {prefix}))


def _code_of(digits: str) -> str:
    """The code of the country in which numbers begin so; empty: they end with it, or before."""
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((digits[:end] for end in range(1, len(digits)) if int(digits[:end]) in codes), "")


def _national(text: str, digits: str, region: str) -> Iterator[str]:
    """All that the digits can mean where no plus is, without one."""
    own = PhoneMetadata.metadata_for_region(region, None)
    code = str(phonenumbers.country_code_for_region(region))
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    abroad = re.match(own.international_prefix, digits) if own and own.international_prefix else None
    if abroad is not None:
        yield digits[abroad.end() :]
        return
    # "8 (834)", "7-495": what stands before the number stands by itself.
    first = re.split("[^0-9]", text, maxsplit=1)[0]
    if first != digits and first in (code, trunk):
        yield code + digits[len(first) :]
        return
    if digits in (code, trunk):  # "7", "8": the country
        yield code
        return
    for front in (code, trunk):
        rest = digits.removeprefix(front)
        if front and rest != digits and _begins(rest, code):
            yield code + rest
    if _begins(digits, code):
        yield code + digits


def _begins(digits: str, code: str) -> bool:
    """Whether some number of the countries with this code begins so, without the code."""
    return any(
        len(way) > len(digits) and all(one in place for one, place in zip(digits, way, strict=False))
        for way in _plan(code)
    )


@cache
def _plan(code: str) -> tuple[Way, ...]:
    """Every way in which a number of the countries with this code goes on after it."""
    found: dict[Way, None] = {}
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()):
        known = PhoneMetadata.metadata_for_region(region, None)
        if known is None:
            continue
        kinds = (
            known.fixed_line, known.mobile, known.toll_free, known.premium_rate, known.shared_cost,
            known.personal_number, known.voip, known.pager, known.uan, known.voicemail,
        )  # fmt: skip
        for kind in kinds:
            if kind is not None and kind.national_number_pattern:
                found |= dict.fromkeys(ways(kind.national_number_pattern))
    return tuple(found)
