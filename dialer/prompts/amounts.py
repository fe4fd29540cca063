"""What every language needs of an amount of money."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def units(amount: Decimal) -> tuple[bool, int, int]:
    """Whether it is below nothing, its whole units and its hundredths; half a hundredth counts as one.

    -0.004 is nothing, and not below it.
    """
    parts = int((abs(amount) * 100).quantize(Decimal(1), ROUND_HALF_UP))
    return amount < 0 and parts > 0, parts // 100, parts % 100
