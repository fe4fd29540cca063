"""How likely a person answers, by what is known of a lead before it is dialled."""

from __future__ import annotations

from typing import TypeAlias

#: What is known of a lead: pairs of a trait's name and its value, as `traits` makes them.
Traits: TypeAlias = tuple[tuple[str, str], ...]


def traits(**known: object) -> Traits:
    """The traits of a lead: `traits(hour=14, weekday=0, attempts=2, last_result="no_answer", ...)`.

    Names as the caller likes; what is None is left out, so it counts as not known.
    """
    return tuple((name, str(value)) for name, value in sorted(known.items()) if value is not None)
