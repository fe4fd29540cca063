"""The phones and numbers that flows may ring: the tenant's list. What is not in it is not rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dialer.errors import UnsafeValue
from dialer.trunks.model import E164, ENDPOINT, check


class Kind(StrEnum):
    """What a destination is; the words are part of the API."""

    PHONE = "phone"  # a PJSIP endpoint of Asterisk, not a trunk
    NUMBER = "number"  # an outside number, over the trunks of the called number's campaign


@dataclass(frozen=True, slots=True)
class Destination:
    """A phone or a number that flows may ring."""

    id: int
    #: by which flows name it
    name: str
    kind: Kind
    #: the endpoint's name, or the number, E.164
    value: str


def find(entries: Sequence[Destination], target: str) -> Destination | None:
    """The destination that a flow means, by its name or, of a number, by the number itself."""
    wanted = target.strip()
    by_name = (one for one in entries if one.name.casefold() == wanted.casefold())
    by_number = (one for one in entries if one.kind is Kind.NUMBER and one.value == wanted)
    return next(by_name, None) or next(by_number, None)


def value_fault(kind: Kind, value: str) -> str | None:
    """Why that is no destination of the kind; None when it is one."""
    if kind is Kind.NUMBER:
        return None if E164.fullmatch(value) else "must be a number in the international form: +74957770101"
    try:
        check("value", ENDPOINT, value)
    except UnsafeValue:
        return "must be the name of a PJSIP endpoint: letters, digits, _ and -"
    return None
