"""A text with names filled in that can still be translated afterwards."""

from __future__ import annotations


class Said(str):
    """`Said("the trunk {name} is off", name="A")`: an English string that keeps its template.

    Give it as a detail of a DozvonError (`reason=Said(...)`): the reader's language is known only where the
    reply is written. Plain strings without names need no `Said`: they are looked up as they are.
    """

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Said:
        said = super().__new__(cls, template.format(**values))
        said.template = template
        said.values = values
        return said
