"""The form of a segment and the expression that it says."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from multidict import MultiDict

from dialer.contacts.fields import Field, FieldSpec, FieldType
from dialer.contacts.segments import LISTED, PERIODS, Kind, Op, catalog, parse
from dialer.web.views.segment_form import (
    Condition,
    Form,
    Group,
    checked,
    chooses,
    document_of,
    form_of,
    read_form,
)

KINDS = (FieldType.TEXT, FieldType.MONEY, FieldType.DATE, FieldType.YES_NO)
FIELDS = [
    *(Field(n, FieldSpec(f"f{n}", f"ф{n}", f"f{n}", kind), n, False, 0, 0) for n, kind in enumerate(KINDS)),
    Field(9, FieldSpec("tier", "т", "t", FieldType.CHOICE, choices=("a", "b")), 9, False, 0, 0),
]
KNOWN = catalog(FIELDS)


def random_row(dice: random.Random) -> Condition:
    """A row that says something."""
    about = dice.choice(list(KNOWN.values()))
    op = dice.choice(about.ops)
    row = Condition(about.name, op)
    if op in (Op.IS_SET, Op.NOT_SET):
        return row
    if op in PERIODS:
        return replace(row, text=str(dice.randrange(100)), unit=dice.choice("DWMY"))
    if chooses(about, op):
        words = ("1", "2") if about.kind is Kind.PLACE else about.words
        return replace(row, chosen=tuple(dice.sample(words, 2 if op in LISTED else 1)))
    match about.kind:
        case Kind.NUMBER:
            values = ["5", "12"]
        case Kind.DAY | Kind.MOMENT:
            values = ["2026-01-31", "2026-02-28"]
        case Kind.YES_NO:
            values = [dice.choice(("yes", "no"))]
        case _:
            values = ["+7495"] if about.name == "phone" else ["Europe/Moscow", "Asia/Omsk"]
    if op is Op.BETWEEN:
        return replace(row, text=values[0], more=values[1])
    return replace(row, text="\n".join(values) if op in LISTED else values[0])


def as_sent(form: Form) -> MultiDict[str]:
    """What a browser sends of it."""
    sent = MultiDict({"how": form.how})
    for g, group in enumerate(form.groups):
        sent[f"g{g}.how"] = group.how
        for c, row in enumerate(group.conditions):
            name = f"g{g}.c{c}."
            sent.update({f"{name}field": row.field, f"{name}op": row.op.value, f"{name}value": row.text})
            sent.update({f"{name}more": row.more, f"{name}unit": row.unit})
            for one in row.chosen:
                sent.add(f"{name}chosen", one)
    return sent


@pytest.mark.parametrize("seed", range(50))
def test_a_form_says_an_expression_and_is_read_from_it(seed: int) -> None:
    """From form to browser and back, to the expression and back, it says the same."""
    dice = random.Random(seed)
    groups = tuple(
        Group(
            dice.choice(("all", "any", "none")), tuple(random_row(dice) for _ in range(dice.randrange(1, 4)))
        )
        for _ in range(dice.randrange(1, 4))
    )
    form = read_form(as_sent(Form(dice.choice(("all", "any")), groups)), KNOWN)
    assert form.is_whole
    said = document_of(form, KNOWN)
    expression = parse(said, KNOWN)
    shown = form_of(said, KNOWN)
    assert shown is not None
    again = read_form(as_sent(shown), KNOWN)
    assert parse(document_of(again, KNOWN), KNOWN) == expression


@pytest.mark.parametrize(
    "said",
    [
        {"not": {"all": [{"field": "attempts", "op": "eq", "value": 0}]}},
        {"all": [{"any": [{"not": {"field": "attempts", "op": "eq", "value": 0}}]}]},
        {"field": "custom.gone", "op": "is_set"},
    ],
)
def test_what_no_form_says(said: dict[str, Any]) -> None:
    """Deeper expressions, and those that name what is there no more."""
    assert form_of(said, KNOWN) is None


def test_rows_that_say_nothing_are_left_out() -> None:
    """They are kept as typed, with what is wrong; the rest counts."""
    good = Condition("custom.f1", Op.GE, text="5")
    bad = checked(Condition("custom.f1", Op.GE, text="много"), KNOWN)
    empty = checked(Condition("custom.f2", Op.NEXT), KNOWN)
    assert (bad.fault, empty.fault) == ("must be a number", "is missing")
    form = Form("all", (Group("all", (good, bad)), Group("any", (empty,))))
    assert not form.is_whole
    assert document_of(form, KNOWN) == {"all": [{"field": "custom.f1", "op": "ge", "value": 5.0}]}
    assert document_of(Form(), KNOWN) == {"all": []}


def test_a_test_that_the_new_field_does_not_have_gives_way() -> None:
    """Whoever changes the field of a row gets its first test."""
    sent = as_sent(Form("all", (Group("all", (Condition("custom.f2", Op.GE, text="5"),)),)))
    assert read_form(sent, KNOWN).groups[0].conditions[0].op is Op.ON


def test_rows_and_groups_come_and_go() -> None:
    """What is pressed is done, and what cannot be is not."""
    form = Form("all", (Group("all", (Condition("attempts", Op.GE, text="1"),)),))

    def pressed(form: Form, do: str) -> list[int]:
        sent = as_sent(form)
        sent["do"] = do
        return [len(group.conditions) for group in read_form(sent, KNOWN).groups]

    assert pressed(form, "more") == [1, 1]
    assert pressed(form, "more:0") == [2]
    assert pressed(form, "more:7") == [1]
    assert pressed(form, "less:0:0") == [0]
    two = Form("all", (*form.groups, *form.groups))
    assert pressed(two, "less:1:0") == [1]
    assert pressed(two, "less:x:0") == [1, 1]
