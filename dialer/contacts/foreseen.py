"""What a base would be after the batches of a file so far, where nothing is written.

A dry run asks the base for what it has, and this for what the rows before would have made of it: people who
would be new, numbers and values that somebody would have got, who would be on the list, what was agreed to.
With both it decides each batch as the import will.

A million people are not kept in memory: a number is an integer with whose it is, and of each person the line
or the card lies in a file without a name, to be read when another row is theirs.
"""

from __future__ import annotations

import pickle
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Final, Self

from dialer.contacts.agreed import NewConsent, marks
from dialer.contacts.batches import Batch, person_of
from dialer.contacts.matching import Card, Gained, Sorted, person_at
from dialer.contacts.model import Owner

#: People who are not in the base yet are named by numbers from here on: no contact has such an id.
NOT_YET: Final = 1 << 62
#: So much is kept in memory before it becomes a file, bytes.
_IN_MEMORY = 32 << 20


class Foreseen:
    """See above. To be closed after use (`with`)."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._people = 0
        #: number -> person, of numbers that nobody in the base has
        self._owners: dict[int, int] = {}
        #: person -> where in the file the line (of who is new) or the latest card begins
        self._spots: dict[int, int] = {}
        #: the first person of each batch with somebody new, and its sets of zones
        self._firsts: list[int] = []
        self._zones: list[Sequence[str]] = []
        #: contacts that would be on the list
        self._joined = set[int]()
        #: `agreed.marks` of what would be on record
        self._agreed = set[int]()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    # -- asked before a batch ------------------------------------------------------------------------------

    def known(self, numbers: Iterable[str], base: Mapping[str, Sequence[Owner]]) -> dict[str, Owner]:
        """Of these numbers those that somebody would have, as `store.known_numbers` tells them. `base`: all
        who have them in the base, as `store.owners` has it."""
        found = {}
        for number in numbers:
            if number in base:
                owners = [
                    Owner(one.contact_id, one.in_list or one.contact_id in self._joined)
                    for one in base[number]
                ]
                found[number] = min(owners, key=lambda one: (not one.in_list, one.contact_id))
            elif (person := self._owners.get(_as_int(number))) is not None:
                found[number] = Owner(person, in_list=True)
        return found

    def cards(self, people: Iterable[int], base: Mapping[int, Card]) -> dict[int, Card]:
        """The cards of these people as they would be; `base` has those of contacts. Who is in neither is
        missing."""
        found = dict(base)
        for person in people:
            spot = self._spots.get(person)
            if spot is not None and (person >= NOT_YET or person in base):
                found[person] = self._card(person, spot)
        return found

    def has(self, consent: NewConsent) -> bool:
        """Whether the person would have agreed to it already."""
        undated, dated = marks(consent)
        return (undated if consent.undated else dated) in self._agreed

    # -- told after a batch --------------------------------------------------------------------------------

    def take(self, batch: Batch, people: Sorted, gained: Gained) -> dict[int, int]:
        """What a batch would have written; how those who are new in it are named from here on, by their
        places in the batch."""
        self._joined |= people.joining
        ids = {}
        if people.new:
            self._firsts.append(NOT_YET + self._people)
            self._zones.append(batch.zones)
        for place in people.new:
            ids[place] = person = NOT_YET + self._people
            self._people += 1
            self._own(person, batch.numbers[place])
            changed = gained.changed.get(person_at(place))
            self._spots[person] = self._write(batch.lines[place] if changed is None else _pickled(changed))
        for person, card in gained.changed.items():
            owner = ids[person_at(person)] if person < 0 else person
            self._own(owner, [phone.e164 for phone in card.added])
            if person >= 0:
                self._spots[person] = self._write(_pickled(card))
        return ids

    def agree(self, consents: Iterable[NewConsent]) -> None:
        """These would be on record."""
        for one in consents:
            self._agreed.update(marks(one))

    # -- the file ------------------------------------------------------------------------------------------

    def _own(self, person: int, numbers: Iterable[str]) -> None:
        for number in numbers:
            self._owners.setdefault(_as_int(number), person)

    def _write(self, record: bytes) -> int:
        spot = self._file.seek(0, 2)
        self._file.write(len(record).to_bytes(4, "big") + record)
        return spot

    def _card(self, person: int, spot: int) -> Card:
        self._file.seek(spot)
        record = self._file.read(int.from_bytes(self._file.read(4), "big"))
        if record.endswith(b"\n"):  # a line; a pickle ends with a dot
            return Card.of(person_of(record, self._zones[bisect_right(self._firsts, person) - 1]))
        card: Card = pickle.loads(record)  # noqa: S301 - written above
        return card


def _pickled(card: Card) -> bytes:
    # What has come would be among its numbers, and would have come before.
    return pickle.dumps(replace(card, custom=dict(card.custom), added=()), pickle.HIGHEST_PROTOCOL)


def _as_int(e164: str) -> int:
    return int(e164[1:])
