"""Who the people of a file are, and what a row gives to a person who is known. Pure.

A row is a person whom the base has when any of its numbers is theirs: one person must not be called as two.
Of several such persons it is the one whom the list has, else whose number stands first. A person who stands
higher in the same batch is known in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dialer.contacts.columns import KEPT, Column, Field
from dialer.contacts.model import MAX_PHONES, NewContact, Owner, Wins
from dialer.contacts.numbers import PhoneNumber
from dialer.contacts.rejects import Reject, RejectCode


@dataclass(frozen=True, slots=True)
class Sorted:
    """The people of a batch: those to be added, and those whom the base has."""

    #: by their places in the batch
    new: tuple[int, ...]
    #: contacts of other lists only, who are to join this one
    joining: frozenset[int]
    #: contacts of this list that rows of the batch are
    listed: frozenset[int]
    #: rows whose person is in the list, or stood higher in the file
    duplicates: int
    #: (place in the batch, person) of each row that is no new one: the contact's id, or of a person higher in
    #: the batch the place, as `person_at` has it
    known: tuple[tuple[int, int], ...]
    #: of the numbers that nobody had before the batch: whose each is
    owners: Mapping[str, int]


def person_at(place: int) -> int:
    """How a new person is named who has no id yet: never an id of a contact; its own reverse."""
    return -1 - place


def sort_people(numbers: Sequence[Sequence[str]], known: Mapping[str, Owner]) -> Sorted:
    """Who of these rows is new, where `known` has every number that somebody has."""
    seen: dict[str, int] = {}
    new: list[int] = []
    matched: list[tuple[int, int]] = []
    joining, listed, duplicates = set[int](), set[int](), 0
    for place, own in enumerate(numbers):
        owners = [known[number] for number in own if number in known] if known else []
        if here := [owner.contact_id for owner in owners if owner.in_list]:
            person = here[0]
            listed.update(here)
            duplicates += 1
        elif owners:
            person = owners[0].contact_id
            duplicates += person in joining
            joining.add(person)
        else:
            higher = [seen[number] for number in own if number in seen]
            person = higher[0] if higher else person_at(place)
            duplicates += bool(higher)
        if person == person_at(place):
            new.append(place)
        else:
            matched.append((place, person))
        for number in own:
            if number not in known:
                seen.setdefault(number, person)
    return Sorted(tuple(new), frozenset(joining), frozenset(listed), duplicates, tuple(matched), seen)


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a person, and what a file adds to it."""

    last_name: str
    first_name: str
    middle_name: str
    email: str
    timezone: str | None
    external_id: str | None
    custom: Mapping[str, Any]
    #: E.164, in their order
    phones: tuple[str, ...]
    #: numbers that have come; they are among `phones`
    added: tuple[PhoneNumber, ...] = ()

    @classmethod
    def of(cls, person: NewContact) -> Card:
        """The card of somebody who is new."""
        return cls(
            person.last_name,
            person.first_name,
            person.middle_name,
            person.email,
            person.timezone,
            person.external_id,
            dict(person.custom),
            tuple(phone.e164 for phone in person.phones),
        )

    def onto(self, person: NewContact) -> NewContact:
        """Somebody who is new with what the card has got since."""
        return replace(
            person,
            last_name=self.last_name,
            first_name=self.first_name,
            middle_name=self.middle_name,
            email=self.email,
            timezone=self.timezone,
            external_id=self.external_id,
            custom=self.custom,
            phones=person.phones + self.added,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A value that changes, or that would."""

    #: a word of `columns.Field`
    field: Field
    #: of a custom one its name in `contact.custom`
    key: str
    #: what the base has; empty where it has nothing
    before: str
    #: what the file has
    after: str


@dataclass(slots=True)
class Gain:
    """What a row gives to a person who is known."""

    card: Card
    #: values and numbers that are taken
    changes: list[Change] = field(default_factory=list)
    #: values that differ from those of the base, which stay
    differing: list[Change] = field(default_factory=list)
    #: numbers that find no room
    left_out: list[str] = field(default_factory=list)


_NAMES = (Field.LAST_NAME, Field.FIRST_NAME, Field.MIDDLE_NAME)


def gain(card: Card, row: NewContact, others: Collection[str], wins: Wins = Wins.BASE) -> Gain:
    """What a row gives to the person of a card. `others`: numbers of the row that are somebody else's.

    What the card lacks is taken; what differs is not, unless the file wins. Where a part of the name differs
    no part of it is taken: "Anna" must not become the wife's first name with the husband's last one.
    """
    found = Gain(card)
    values: dict[str, Any] = {}
    for one in _wanted(card, row, wins):
        if _takes(one, wins, found):
            values[one.field.value] = one.after
    custom = dict(card.custom)
    for key, after in row.custom.items():
        before = custom.get(key)
        if _takes(Change(Field.CUSTOM, key, "" if before is None else str(before), str(after)), wins, found):
            custom[key] = after
    added: list[PhoneNumber] = []
    for phone in row.phones:
        if phone.e164 in card.phones or phone.e164 in others:
            continue
        if len(card.phones) + len(added) >= MAX_PHONES:
            found.left_out.append(phone.e164)
        else:
            added.append(phone)
            found.changes.append(Change(Field.PHONE, "", "", phone.e164))
    if found.changes:
        numbers = tuple(phone.e164 for phone in added)
        found.card = replace(
            card,
            custom=custom,
            phones=card.phones + numbers,
            added=card.added + tuple(added),
            **values,
        )
    return found


def _wanted(card: Card, row: NewContact, wins: Wins) -> list[Change]:
    """The values of a row, but for custom ones, beside those of the card."""
    names = [Change(name, "", getattr(card, name), after) for name in _NAMES if (after := getattr(row, name))]
    if wins is Wins.BASE:
        parts = [part for name in _NAMES if (part := getattr(card, name))]
        differs = any(one.before and not same(one.before, one.after) for one in names)
        # "Anna" that the base has as a last name is not her first name as well.
        names = [
            one
            for one in names
            if one.before or not (differs or any(same(one.after, part) for part in parts))
        ]
    return names + [
        Change(name, "", getattr(card, name) or "", after)
        for name in (Field.EMAIL, Field.TIMEZONE, Field.EXTERNAL_ID)
        if (after := getattr(row, name))
    ]


def _takes(one: Change, wins: Wins, found: Gain) -> bool:
    if one.before and same(one.before, one.after):
        return False
    if one.before and wins is Wins.BASE:
        found.differing.append(one)
        return False
    found.changes.append(one)
    return True


def same(one: str, other: str) -> bool:
    """Whether two values say the same: in letters of any size, ё or е."""
    return one == other or _folded(one) == _folded(other)


def _folded(value: str) -> str:
    return " ".join(value.casefold().replace("ё", "е").split())


@dataclass(frozen=True, slots=True)
class Gained:
    """What a batch gives to people who are known, and to those who stand higher in it."""

    #: (row, person, what) of every row that is no new person, in their order
    gains: tuple[tuple[NewContact, int, Gain], ...]
    #: people who have changed, as they are now
    changed: Mapping[int, Card]

    @property
    def rows(self) -> int:
        """How many rows have changed somebody."""
        return sum(bool(found.changes) for _, _, found in self.gains)


def gain_all(
    people: Sorted,
    row_at: Callable[[int], NewContact],
    cards: Mapping[int, Card],
    known: Mapping[str, Owner],
    wins: Wins,
) -> Gained:
    """What the rows of a batch give to people, one after another.

    `row_at` gives the row at a place of the batch, `cards` has the contacts that it knows (one that has just
    been erased is missing there, and gets nothing), `known` is as for `sort_people`.
    """
    now = dict(cards)
    gains: list[tuple[NewContact, int, Gain]] = []
    changed: dict[int, Card] = {}
    for place, person in people.known:
        if person < 0 and person not in now:
            now[person] = Card.of(row_at(person_at(person)))
        if person not in now:
            continue
        row = row_at(place)
        others = {
            phone.e164
            for phone in row.phones
            if (known[phone.e164].contact_id if phone.e164 in known else people.owners[phone.e164]) != person
        }
        found = gain(now[person], row, others, wins)
        if found.changes:
            now[person] = changed[person] = found.card
        gains.append((row, person, found))
    return Gained(tuple(gains), changed)


class Headers:
    """Under which header of a file a change stands."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._by_field: dict[Field, str] = {}
        self._by_key: dict[str, str] = {}
        for column in columns:
            if column.field in KEPT:
                self._by_key.setdefault(column.kept_as, column.name)
            else:
                self._by_field.setdefault(column.field, column.name)

    def of(self, change: Change) -> str:
        """The header."""
        if change.field is Field.CUSTOM:
            return self._by_key.get(change.key, change.key)
        whole = self._by_field.get(Field.FULL_NAME, "") if change.field in _NAMES else ""
        return self._by_field.get(change.field, whole)

    def header(self, field: Field) -> str:
        """The header of a field that one column is; empty where none is."""
        return self._by_field.get(field, "")

    def rejects(self, row: int, found: Gain) -> list[Reject]:
        """What of a row was not taken."""
        return [
            *(Reject.of(row, self.of(one), RejectCode.DIFFERS, one.after) for one in found.differing),
            *(
                Reject.of(row, self._by_field.get(Field.PHONE, ""), RejectCode.MANY_PHONES, number)
                for number in found.left_out
            ),
        ]
