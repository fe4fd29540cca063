"""What the near rule finds in a base whose truth is known: precision and recall by the lowest score."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from dialer.bench.duplicates.base import Base, make
from dialer.contacts.duplicates import Kind, compare
from dialer.contacts.persons import blocks

TELLING: Final = frozenset({"phone", "email", "vin", "plate", "address", "birth"})
THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Row:
    """What is found from one score on."""

    least: float
    #: pairs of one person that are found
    right: int
    #: pairs of two people that are found
    wrong: int
    #: of these the ones of one household
    family: int
    #: pairs of one person that there are
    there: int

    @property
    def precision(self) -> float:
        """Share of what is found that is right."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of what there is that is found."""
        return self.right / self.there if self.there else 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found in one or several bases."""

    records: int
    #: pairs that were compared
    compared: int
    #: pairs of one person that were compared: no score can find more
    met: int
    #: pairs of one person that have any value but the name in common: a number, e-mail, VIN, plate, address
    #: or birthday, slips allowed; the others nobody could tell from namesakes
    telling: int
    seconds: float
    rows: tuple[Row, ...]


def measure(base: Base) -> Measured:
    """Compare all who share a block, and hold what is found against the truth."""
    there = {pair for records in _records_of(base).values() for pair in combinations(sorted(records), 2)}
    began_s = time.perf_counter()
    scored = [
        ((min(one.id, other.id), max(one.id, other.id)), compare(one, other).value)
        for one, other in blocks(base.records)
    ]
    seconds = time.perf_counter() - began_s
    rows = []
    for least in THRESHOLDS:
        found = [pair for pair, value in scored if value >= least]
        right = sum(pair in there for pair in found)
        family = sum(
            base.household[base.who[one]] == base.household[base.who[other]]
            for one, other in found
            if (one, other) not in there
        )
        rows.append(Row(least, right, len(found) - right, family, len(there)))
    met = sum(pair in there for pair, _ in scored)
    by_id = {record.id: record for record in base.records}
    telling = sum(
        any(
            reason.field in TELLING and reason.kind is not Kind.DIFFERS
            for reason in compare(by_id[one], by_id[other]).reasons
        )
        for one, other in there
    )
    return Measured(len(base.records), len(scored), met, telling, seconds, tuple(rows))


def _records_of(base: Base) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for record, person in base.who.items():
        found.setdefault(person, []).append(record)
    return found


def measure_all(people: int, seeds: Sequence[int]) -> Measured:
    """As `measure`, over a base for each seed."""
    each = [measure(make(people, seed)) for seed in seeds]
    rows = []
    for place, least in enumerate(THRESHOLDS):
        total: Counter[str] = Counter()
        for one in each:
            row = one.rows[place]
            total.update(right=row.right, wrong=row.wrong, family=row.family, there=row.there)
        rows.append(Row(least, total["right"], total["wrong"], total["family"], total["there"]))
    return Measured(
        sum(one.records for one in each),
        sum(one.compared for one in each),
        sum(one.met for one in each),
        sum(one.telling for one in each),
        sum(one.seconds for one in each),
        tuple(rows),
    )
