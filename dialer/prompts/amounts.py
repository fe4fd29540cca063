"""What every language needs of amounts of money and of digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal


def units(amount: Decimal) -> tuple[bool, int, int]:
    """Whether it is below nothing, its whole units and its hundredths; half a hundredth counts as one.

    -0.004 is nothing, and not below it.
    """
    parts = int((abs(amount) * 100).quantize(Decimal(1), ROUND_HALF_UP))
    return amount < 0 and parts > 0, parts // 100, parts % 100


def one_by_one(
    text: str, cardinal: Callable[[int], Sequence[str]], signs: Mapping[str, str]
) -> tuple[str, ...]:
    """The digits and signs of `text` in the words of a language; what else separates them is not said."""
    return tuple(
        cardinal(int(one))[0] if one.isdecimal() else signs[one]
        for one in text
        if one.isdecimal() or one in signs
    )
