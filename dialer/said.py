"""Texts with names filled in that can still be translated afterwards, and names that never are."""

from __future__ import annotations

from typing import Any, Self


class Name(str):
    """A word that somebody gave, or a program reads: it stands in every language as it is."""

    __slots__ = ()


class Said(str):
    """`Said("the trunk {name} is off", name="A")`: an English string that keeps its template.

    Give it as a detail of a DozvonError (`reason=Said(...)`), or to a ValueError: the reader's language is
    known only where the reply is written. Plain strings without names need no `Said`: they are looked up as
    they are.
    """

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Said:
        said = super().__new__(cls, template.format(**values))
        said.template = template
        said.values = values
        return said

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.template, self.values)


def _again(template: str, values: dict[str, object]) -> Said:
    return Said(template, **values)


def told(template: str, **names: object) -> Said:
    """A text with names that stand in it as they are; a text among them is translated with it."""
    values = {
        name: Name(one) if isinstance(one, str) and not isinstance(one, Said) else one
        for name, one in names.items()
    }
    return Said(template, **values)


def why(error: ValueError) -> str:
    """What the error says, as it was given: it may be a text that can be translated."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) else str(error)
