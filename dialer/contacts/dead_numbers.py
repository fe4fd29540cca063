"""Numbers that lead to nobody: when one counts as dead, from what its calls came to. Pure.

A number is dead when its last calls, over any campaigns, all came to `invalid`: as many in a row as the
tenant says. Results that say nothing of the number (the network was full, we took the call back) are passed
over. What was before a person called it alive does not count. A later call that rings or is answered revives
it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

#: How many `invalid` in a row make a number dead, where the tenant does not say otherwise.
INVALID_IN_A_ROW: Final = 2
#: The result that speaks for it.
INVALID: Final = "invalid"
#: Results that say nothing of the number.
SAYS_NOTHING: Final = frozenset({"congestion", "failed", "canceled", "unknown"})


class DeadReason(StrEnum):
    """Who says so; the words of `contact_phone.dead_reason`."""

    #: calls came to it
    INVALID = "invalid"
    #: a person has looked at it
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class DeadNumber:
    """A dead number of a contact."""

    #: of the row of `contact_phone`
    id: int
    contact_id: int
    last_name: str
    first_name: str
    middle_name: str
    e164: str
    since: datetime
    reason: DeadReason
    #: calls to it that came to `invalid`
    invalid: int
    #: numbers of the contact that are not dead
    others: int


@dataclass(frozen=True, slots=True)
class ListCount:
    """Dead numbers of a list."""

    list_id: int
    name: str
    #: contacts with a dead number
    dead: int
    #: contacts without any that lives
    unreachable: int


def is_dead(results: Iterable[str], in_a_row: int) -> bool:
    """Whether calls that came to these results, the latest first, make a number dead."""
    found = 0
    for result in results:
        if result == INVALID:
            found += 1
        elif result not in SAYS_NOTHING:
            break
    return found >= in_a_row
