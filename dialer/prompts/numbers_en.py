"""Numbers in English words, as they are said in America: one thousand two hundred thirty four."""

from __future__ import annotations

#: The greatest number that can be said, and with a minus the least.
MOST = 10**15 - 1

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ("thousand", "million", "billion", "trillion")
_IRREGULAR = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def cardinal(value: int) -> tuple[str, ...]:
    """`value` in words, a hyphen being two words. Raises ValueError beyond `MOST`."""
    if abs(value) > MOST:
        raise ValueError(f"{value} is too great to be said")
    if value < 0:
        return ("minus", *cardinal(-value))
    if value == 0:
        return ("zero",)
    words: list[str] = []
    for power, scale in reversed(list(enumerate(_SCALES, start=1))):
        group = value // 1000**power % 1000
        if group:
            words += (*_below_thousand(group), scale)
    return (*words, *_below_thousand(value % 1000))


def ordinal(value: int) -> tuple[str, ...]:
    """Which one in a row: 21 -> twenty first. Raises ValueError below 1."""
    if value < 1:
        raise ValueError(f"{value} cannot be said as an ordinal")
    *before, last = cardinal(value)
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return (*before, last)


def year(value: int) -> tuple[str, ...]:
    """A year: 1984 -> nineteen eighty four, 2005 -> two thousand five, 1900 -> nineteen hundred."""
    century, rest = divmod(value, 100)
    if not 1000 <= value <= 9999 or (century % 10 == 0 and rest < 10):
        return cardinal(value)
    if rest == 0:
        return (*cardinal(century), "hundred")
    return (*cardinal(century), *(("oh",) if rest < 10 else ()), *cardinal(rest))


def _below_thousand(value: int) -> tuple[str, ...]:
    """0 to 999; nothing for 0."""
    hundreds, rest = divmod(value, 100)
    words = [_ONES[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10])
        rest %= 10
    if rest:
        words.append(_ONES[rest])
    return tuple(words)
