"""Numbers that a trunk may not call, written in every way that might slip past a check.

Each is a pair of what is written and how it gets in: typed by an agent, or as it is, past the parser, as a
faulty list or a forged command would bring it.
"""

from __future__ import annotations

import random

#: What the trunk of the run may call.
ALLOWED = ("+7495", "+7916")
#: Prefixes that cost: premium and shared cost in Russia, satellites, personal and universal numbers, islands
#: and others known from toll fraud.
COSTLY = (
    "+7803", "+7804", "+7805", "+7806", "+7807", "+7808", "+7809", "+7800", "+7954", "+7970",
    "+870", "+8810", "+88213", "+88216", "+881632", "+883510", "+979", "+878", "+808",
    "+1900", "+1976", "+1809", "+1876", "+1473", "+1649", "+1284", "+4487", "+44909", "+4470",
    "+37128", "+3906", "+3512", "+2245", "+2526", "+2324", "+23719", "+24309", "+2475", "+2699",
    "+2905", "+5006", "+5352", "+5999", "+6723", "+6747", "+6777", "+6799", "+6815", "+6899", "+6923",
    "+9609", "+9609", "+92", "+93", "+967", "+975", "+371", "+372", "+381", "+387", "+420906",
)  # fmt: skip
#: Before a number: carriers' tech prefixes, ways out of the country, features of the line.
BEFORE = (
    "810",
    "8-10",
    "00",
    "+00",
    "011",
    "10",
    "9",
    "99",
    "#31#",
    "*67",
    "*72",
    "**21*",
    "*31#",
    "1111#",
    "8w10",
    "+",
)
#: What Asterisk, SIP or a shell could take for more than a number.
MARKS = (
    "&", ",", "|", ";", "@", "/", "%", "\\", "'", '"', "`", "$", "${EXTEN}", "!", "^", "~", "(", ")", "[X.]",
    "{e164}", "<sip:", ">", "?", "=", "&PJSIP/", "&Local/", "@evil", ";user=phone", "%40", "%0d%0a",
    "\r\n", "\n", "\t", "\x0b", "\x1b", "\x7f", "\u2028", "\u00a0", "\u200b", "\u202e", "\ufeff", "\u00ad",
)  # fmt: skip
#: Digits that are not 0 to 9: Arabic, Persian, Devanagari, full width, mathematical, superscript.
ZEROS = ("\u0660", "\u06f0", "\u0966", "\uff10", "\U0001d7ce", "\u0e50")
SIGNS = ("\uff0b", "\u207a", "\u2795", "\ufb29", "\u208a")
SPACES = (" ", "-", ".", "(", ")", "\u2011", "\u2013", "\u00a0", "/", "_")


def forbidden(rng: random.Random) -> str:
    """A number that no trunk may call, or something that is none."""
    return rng.choice(_WAYS)(rng)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _costly(rng: random.Random) -> str:
    prefix = rng.choice(COSTLY)
    return prefix + _digits(rng, max(4, 12 - len(prefix) + rng.randint(-1, 3)))


def _allowed(rng: random.Random) -> str:
    return rng.choice(ALLOWED) + _digits(rng, 7)


def _spaced(rng: random.Random) -> str:
    text = _costly(rng)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(1, len(text))
        text = text[:at] + rng.choice(SPACES) + text[at:]
    return text


def _national(rng: random.Random) -> str:
    """Written as at home: 8 809 ..., 8 10 881 ..."""
    number = _costly(rng).removeprefix("+")
    return rng.choice(("8", "8 ", "8-")) + (
        number[1:] if number.startswith("7") else rng.choice(("10", " 10 ", "~10")) + number
    )


def _before(rng: random.Random) -> str:
    return rng.choice(BEFORE) + rng.choice((_costly, _allowed))(rng).removeprefix(rng.choice(("+", "")))


def _marked(rng: random.Random) -> str:
    """A good number with a mark in, before or behind it, and perhaps a second number."""
    good, mark = _allowed(rng), rng.choice(MARKS)
    at = rng.choice((0, 1, len(good), rng.randint(1, len(good))))
    return good[:at] + mark + good[at:] + (rng.choice(("", _costly(rng))) if at == len(good) else "")


def _foreign_digits(rng: random.Random) -> str:
    zero = rng.choice(ZEROS)
    text = rng.choice((_costly, _allowed))(rng)
    return "".join(chr(ord(zero) + int(c)) if c.isdigit() and rng.random() < 0.6 else c for c in text)


def _foreign_sign(rng: random.Random) -> str:
    return rng.choice(SIGNS) + _costly(rng)[1:]


def _letters(rng: random.Random) -> str:
    text = list(rng.choice((_costly, _allowed))(rng))
    for _ in range(rng.randint(1, 4)):
        text[rng.randint(1, len(text) - 1)] = rng.choice("abcXNZwpOlIоО")
    return "".join(text)


def _odd_length(rng: random.Random) -> str:
    return rng.choice(("+", "", "+7", "+7495", "+7916")) + _digits(
        rng, rng.choice((0, 1, 2, 3, 14, 16, 40, 400))
    )


def _near(rng: random.Random) -> str:
    """One digit away from what is allowed: +7496, +8916, +7 915."""
    prefix = list(rng.choice(ALLOWED))
    at = rng.randint(1, len(prefix) - 1)
    prefix[at] = rng.choice([c for c in "0123456789" if c != prefix[at]])
    return "".join(prefix) + _digits(rng, 7)


def _emergency(rng: random.Random) -> str:
    return rng.choice(
        ("112", "01", "02", "101", "103", "+7112", "911", "0000", "*100#", "s", "h", "i", "t", "")
    )


_WAYS = (
    _costly, _spaced, _national, _before, _marked, _foreign_digits, _foreign_sign, _letters, _odd_length,
    _near, _emergency,
)  # fmt: skip


def may_be_dialled(number: str) -> bool:
    """Whether it is a number that the trunk may call: by other means than the server's own."""
    rest = number[1:]
    return (
        number[:1] == "+"
        and set(rest) <= set("0123456789")
        and 3 <= len(rest) <= 15
        and any(number[: len(prefix)] == prefix for prefix in ALLOWED)
    )
