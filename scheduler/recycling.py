"""Which closed leads of a campaign are dialled anew: a rule, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: Leads that were closed for these are never dialled anew: other rooms open them when what closed them is
#: gone.
NEVER: Final = frozenset({"do_not_call", "dead_number", "duplicate"})


@dataclass(frozen=True, slots=True)
class Recycle:
    """Which of a campaign's closed leads begin anew, and how."""

    #: why they were closed: a result, a kind of disposition, `max_attempts`; none: whatever it was
    reasons: tuple[str, ...] = ()
    #: what their last attempt came to; none: whatever it was
    results: tuple[str, ...] = ()
    #: closed for at least so long, by the last attempt
    older_than_s: int = 0
    #: whether they get all their attempts again; else each gets one more
    reset_attempts: bool = True

    def __post_init__(self) -> None:
        if never := NEVER.intersection(self.reasons):
            raise ValueError(f"a lead closed for {', '.join(sorted(never))} is not dialled anew")

    def as_kept(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {
            "reasons": list(self.reasons),
            "results": list(self.results),
            "older_than_s": self.older_than_s,
            "reset_attempts": self.reset_attempts,
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Recycle:
        """What `as_kept` gave."""
        reasons: Sequence[str] = kept["reasons"]
        results: Sequence[str] = kept["results"]
        return cls(tuple(reasons), tuple(results), kept["older_than_s"], kept["reset_attempts"])
