"""The bench of duplicates: its bases have a truth, and the near rule holds what the documentation says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console

from dialer.bench.duplicates.base import Base, make
from dialer.bench.duplicates.command import Duplicates, render, run
from dialer.bench.duplicates.measure import Measured, Row, measure
from dialer.contacts.duplicates import SUGGEST_FROM
from dialer.contacts.persons import Person
from dialer.errors import Invalid


def test_a_seed_decides_a_base() -> None:
    """The same seed makes the same base, another one another."""
    assert make(100, 1) == make(100, 1) != make(100, 2)


def test_a_base_is_dirty_and_has_families() -> None:
    """Some people stand in it several times, and people of one household share numbers and addresses."""
    base = make(1000, 1)
    assert len(base.records) > len(set(base.who.values())) >= 1000
    owners: dict[str, set[int]] = {}
    for record in base.records:
        for number in record.phones:
            owners.setdefault(number, set()).add(base.who[record.id])
    families = [people for people in owners.values() if len(people) > 1]
    assert len(families) > 20
    assert sum(len({base.household[one] for one in people}) == 1 for people in families) > 20


def test_what_is_found_is_held_against_the_truth() -> None:
    """Two records of one person that are found are right, two people wrong; recall is of all there are."""
    same: dict[str, Any] = {"first_name": "Иван", "last_name": "Иванов", "phones": ("+79161234567",)}
    records = (
        Person(1, **same), Person(2, **same), Person(3, **same), Person(4, first_name="Анна"),
        Person(5, first_name="Анна", last_name="Белова"),
    )  # fmt: skip
    base = Base(records, {1: 1, 2: 1, 3: 3, 4: 4, 5: 4}, {1: 1, 3: 1, 4: 2})
    found = measure(base)
    assert (found.records, found.compared, found.met, found.telling) == (5, 3, 1, 1)
    row = next(row for row in found.rows if row.least == SUGGEST_FROM)
    assert row == Row(SUGGEST_FROM, right=1, wrong=2, family=2, there=2)
    assert (row.precision, row.recall) == (1 / 3, 1 / 2)


def test_the_near_rule_tells_people_from_relatives() -> None:
    """In a small base of the bench: of the pairs put before a person nine in ten are right, of those from 0.9
    on nearly all; most of what can be told from namesakes is found."""
    found = measure(make(1500, 3))
    rows = {row.least: row for row in found.rows}
    assert rows[SUGGEST_FROM].precision > 0.9
    assert rows[0.9].precision > 0.98
    assert rows[SUGGEST_FROM].right / found.telling > 0.85
    assert [row.recall for row in found.rows] == sorted((row.recall for row in found.rows), reverse=True)


def test_the_command_tells_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` is one document with a row a score."""
    run(Duplicates(200, 1, short=True, json_line=True, docs=False), Console(width=10_000))
    told = json.loads(capsys.readouterr().out)
    assert told["people"] == 200
    assert [row["least"] for row in told["rows"]] == [0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99]


def test_the_table_stands_between_its_marks() -> None:
    """What is around the marks stays; a page without them is refused."""
    found = Measured(10, 5, 4, 4, 0.1, (Row(SUGGEST_FROM, 3, 1, 1, 4),))
    page = render("a <!-- duplicates:figures -->old<!-- /duplicates:figures --> b", 10, 1, found)
    assert page.startswith("a <!-- duplicates:figures -->\n1 bases of 10 people")
    assert "| **0.75** | 75.0 % | 75.0 % | 75.0 % | 4 | 1 | 1 |\n<!-- /duplicates:figures --> b" in page
    with pytest.raises(Invalid):
        render("nothing", 10, 1, found)
