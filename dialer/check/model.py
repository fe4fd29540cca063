"""What a check says: one finding a line, and the sentence that mends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a finding is to be taken; the words are on the screen."""

    OK = "OK"
    #: Worth knowing; nothing to mend.
    NOTE = "NOTE"
    #: The server works, and something about it will hurt.
    WARN = "WARN"
    #: The server does not work, or not in full.
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `dozvon check`."""

    level: Level
    #: What was looked at, a word or two.
    name: str
    #: What was found.
    found: str
    #: One sentence: what to do; empty where nothing is to be done.
    mend: str = ""


Findings = AsyncIterator[Finding]


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, name, found)


def note(name: str, found: str, mend: str = "") -> Finding:
    """Neither good nor bad."""
    return Finding(Level.NOTE, name, found, mend)


def warn(name: str, found: str, mend: str) -> Finding:
    """The server works all the same."""
    return Finding(Level.WARN, name, found, mend)


def fail(name: str, found: str, mend: str) -> Finding:
    """The server, or a part of it, does not work."""
    return Finding(Level.FAIL, name, found, mend)


def names(of: Iterable[str], most: int = 6) -> str:
    """A few names in a line: `a, b, c and 4 more`."""
    listed = sorted(of)
    shown = ", ".join(listed[:most])
    return f"{shown} and {len(listed) - most} more" if len(listed) > most else shown


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 phone`, `2 phones`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
