"""The form of a segment: groups of conditions, and the expression that they say. Pure.

A group holds all, any or none of its conditions; the segment is all or any of its groups. An expression of
another shape, made over the API, is shown as the text that it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from multidict import MultiMapping

from dialer.contacts.fields import read_number
from dialer.contacts.segments import LISTED, PERIODS, Catalog, ExpressionFault, Kind, Known, Op, parse

#: Most groups and most conditions of one.
MAX_GROUPS, MAX_CONDITIONS = 10, 20
UNITS = ("D", "W", "M", "Y")


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the form: what is typed and chosen, whether it makes sense or not."""

    field: str
    op: Op
    text: str = ""
    #: the end of a range
    more: str = ""
    #: of a period
    unit: str = "D"
    #: of those that there are
    chosen: tuple[str, ...] = ()
    #: why it says nothing yet
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions that belong together."""

    #: all, any or none of them
    how: str = "all"
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """The whole of it."""

    #: all or any of the groups
    how: str = "all"
    groups: tuple[Group, ...] = field(default_factory=lambda: (Group(),))

    @property
    def is_whole(self) -> bool:
        """Whether every condition says something."""
        return not any(one.fault for group in self.groups for one in group.conditions)


# -- from an expression -----------------------------------------------------------------------------------


def form_of(document: Mapping[str, Any], known: Catalog) -> Form | None:
    """The form that says this expression; None when no form does."""
    how = next((one for one in ("all", "any") if one in document), None)
    parts = document[how] if how else [document]
    if all("field" in part for part in parts):
        conditions = [_condition(part, known) for part in parts]
        found = tuple(one for one in conditions if one is not None)
        return Form("all", (Group(how or "all", found),)) if len(found) == len(parts) else None
    groups = [_group(part, known) for part in parts]
    whole = tuple(one for one in groups if one is not None)
    return Form(how or "all", whole) if len(whole) == len(parts) else None


def _group(part: Mapping[str, Any], known: Catalog) -> Group | None:
    if "field" in part:
        how, tests = "all", [part]
    elif "not" in part:
        inner = part["not"]
        how, tests = "none", inner.get("any", [inner])
    else:
        how = "all" if "all" in part else "any"
        tests = part[how]
    if not all("field" in test for test in tests):
        return None
    conditions = [_condition(test, known) for test in tests]
    found = tuple(one for one in conditions if one is not None)
    return Group(how, found) if len(found) == len(tests) else None


def _condition(test: Mapping[str, Any], known: Catalog) -> Condition | None:
    about = known.get(test["field"])
    if about is None:
        return None
    op, value = Op(test["op"]), test.get("value")
    row = Condition(about.name, op)
    if op in PERIODS:
        match = re.fullmatch(r"P(\d+)([DWMY])", str(value))
        return replace(row, text=match[1], unit=match[2]) if match else None
    if op is Op.BETWEEN and isinstance(value, list):
        return replace(row, text=str(value[0]), more=str(value[1]))
    if op in LISTED and isinstance(value, list):
        if chooses(about, op):
            return replace(row, chosen=tuple(map(str, value)))
        return replace(row, text="\n".join(map(str, value)))
    if chooses(about, op):
        return replace(row, chosen=(about.compared(str(value)),))
    if about.kind is Kind.YES_NO and value is not None:
        return replace(row, text="yes" if value else "no")
    return replace(row, text="" if value is None else str(value))


def chooses(about: Known, op: Op) -> bool:
    """Whether the value is chosen of those that there are, and not typed."""
    return about.kind is Kind.PLACE or (bool(about.words) and op not in (Op.IS_SET, Op.NOT_SET))


# -- from what a browser sends ------------------------------------------------------------------------------


def read_form(sent: MultiMapping[str], known: Catalog) -> Form:
    """The form as it was sent, with what was pressed done: a group or a condition more or less."""
    groups = []
    for g in range(MAX_GROUPS):
        if f"g{g}.how" not in sent:
            break
        conditions = []
        for c in range(MAX_CONDITIONS):
            name = f"g{g}.c{c}."
            if f"{name}field" not in sent:
                break
            conditions.append(_sent(sent, name, known))
        how = sent[f"g{g}.how"]
        groups.append(Group(how if how in ("all", "any", "none") else "all", tuple(conditions)))
    form = Form("any" if sent.get("how") == "any" else "all", tuple(groups) or (Group(),))
    return _done(form, sent.get("do", ""), known)


def _sent(sent: MultiMapping[str], name: str, known: Catalog) -> Condition:
    about = known.get(sent[f"{name}field"]) or next(iter(known.values()))
    chosen_op = sent.get(f"{name}op", "")
    op = Op(chosen_op) if chosen_op in [one.value for one in about.ops] else about.ops[0]
    unit = sent.get(f"{name}unit", "D")
    row = Condition(
        about.name,
        op,
        text=sent.get(f"{name}value", "").strip(),
        more=sent.get(f"{name}more", "").strip(),
        unit=unit if unit in UNITS else "D",
        chosen=tuple(sent.getall(f"{name}chosen", [])),
    )
    return checked(row, known)


def checked(row: Condition, known: Catalog) -> Condition:
    """The row with what is wrong with it."""
    try:
        parse(test_of(row, known), known)
    except ExpressionFault as fault:
        empty = not (row.text or row.chosen)
        return replace(row, fault="is missing" if empty else fault.reason)
    return replace(row, fault="")


def _done(form: Form, do: str, known: Catalog) -> Form:
    """`more`: a group more; `more:0`: a condition more in it; `less:0:1`: that one away."""
    what, *places = do.split(":")
    numbers = [int(one) for one in places if one.isdecimal() and len(one) < 3]
    groups = list(form.groups)
    if what == "more" and not numbers and len(groups) < MAX_GROUPS:
        groups.append(Group("all", (_new(known),)))
    elif what == "more" and len(numbers) == 1 and numbers[0] < len(groups):
        group = groups[numbers[0]]
        if len(group.conditions) < MAX_CONDITIONS:
            groups[numbers[0]] = replace(group, conditions=(*group.conditions, _new(known)))
    elif what == "less" and len(numbers) == 2 and numbers[0] < len(groups):
        group = groups[numbers[0]]
        kept = tuple(one for place, one in enumerate(group.conditions) if place != numbers[1])
        groups[numbers[0]] = replace(group, conditions=kept)
        if not kept and len(groups) > 1:
            del groups[numbers[0]]
    return replace(form, groups=tuple(groups))


def _new(known: Catalog) -> Condition:
    first = next(iter(known.values()))
    return checked(Condition(first.name, first.ops[0]), known)


# -- to an expression ---------------------------------------------------------------------------------------


def document_of(form: Form, known: Catalog) -> dict[str, Any]:
    """The expression that a form says. Rows that say nothing yet are left out."""
    groups = []
    for group in form.groups:
        tests = [test_of(row, known) for row in group.conditions if not row.fault]
        if tests:
            groups.append({"not": {"any": tests}} if group.how == "none" else {group.how: tests})
    if len(groups) == 1:
        return groups[0]
    return {form.how: groups} if groups else {"all": []}


def test_of(row: Condition, known: Catalog) -> dict[str, Any]:
    """The test that a row says, right or wrong."""
    about, said = known[row.field], {"field": row.field, "op": row.op.value}
    if row.op in (Op.IS_SET, Op.NOT_SET):
        return said
    if row.op in PERIODS:
        return said | {"value": f"P{row.text}{row.unit}"}
    if chooses(about, row.op):
        some: list[Any] = [int(one) if _is_id(about, one) else one for one in row.chosen]
        return said | {"value": some if row.op in LISTED else (some[0] if some else None)}
    if row.op in LISTED:
        lines = [_value(about, line.strip()) for line in row.text.splitlines() if line.strip()]
        return said | {"value": lines}
    if row.op is Op.BETWEEN:
        return said | {"value": [_value(about, row.text), _value(about, row.more)]}
    return said | {"value": _value(about, row.text)}


test_of.__test__ = False  # type: ignore[attr-defined]


def _is_id(about: Known, text: str) -> bool:
    return about.kind is Kind.PLACE and text.isdecimal() and len(text) < 19


def _value(about: Known, text: str) -> object:
    match about.kind:
        case Kind.NUMBER:
            number = read_number(text)
            return text if number is None else number
        case Kind.YES_NO:
            return {"yes": True, "no": False}.get(text)
        case Kind.DAY | Kind.MOMENT:
            return text or None
    return text


def day(text: str) -> str:
    """A day as the browser's field of days takes it; empty for anything else."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""
