"""Consents that a file tells of: what its columns must say, and what is made of them. Pure.

A row tells of a consent where its column of purposes names one (or several, with commas between them); a
source has to stand beside it, for nobody can ask after a consent that was given nowhere. Days are days of the
company's place: a consent begins with the day it was given, and holds to the end of its last day. Without a
day it begins when the file is brought. What is wrong costs the consent, never the person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dialer.compliance.consent import Consent
from dialer.compliance.policy import Purpose
from dialer.contacts.columns import Field
from dialer.contacts.fields import read_day
from dialer.contacts.rejects import Reject, RejectCode

#: Longest source and proof, in characters.
MAX_SOURCE, MAX_PROOF = 200, 2000
_WORDS: Final = {
    word: purpose
    for purpose, words in {
        Purpose.SERVICE: "service, сервис, сервисные, обслуживание, информирование",
        Purpose.ADVERTISING: "advertising, advertisement, marketing, реклама, рекламные, маркетинг",
        Purpose.COLLECTION: "collection, debt collection, взыскание, взыскание долга",
        Purpose.SURVEY: "survey, surveys, опрос, опросы",
        Purpose.ANY: "any, any purpose, all, любая, любая цель, любые, все, всё",
    }.items()
    for word in words.split(", ")
}
#: What stands there where nobody has agreed.
_NONE: Final = frozenset({"", "нет", "no", "none", "-", "–", "—", "0"})
_SEVERAL: Final = re.compile(r"[,;/|]")


@dataclass(frozen=True, slots=True)
class NewConsent:
    """A consent of a contact that is not on record yet."""

    contact_id: int
    purpose: Purpose
    source: str
    valid_from: datetime
    valid_until: datetime | None = None
    proof: str = ""
    #: nobody has said when it was given: one with any beginning is the same
    undated: bool = False


@dataclass(frozen=True, slots=True)
class Agreed:
    """A consent of a row."""

    purpose: Purpose
    source: str
    proof: str = ""
    #: the day on which it was given; None: the file does not say
    since: date | None = None
    #: the last day; None: until it is withdrawn
    until: date | None = None


def read_agreed(
    row: int, cells: Mapping[Field, str], headers: Mapping[Field, str]
) -> tuple[tuple[Agreed, ...], list[Reject]]:
    """The consents of a row by its cells, which are clean, and what of them was not taken."""
    written = cells.get(Field.CONSENT_PURPOSE, "")
    if written.casefold() in _NONE:
        return (), []

    def reject(field: Field, code: RejectCode, value: str) -> Reject:
        return Reject.of(row, headers.get(field, ""), code, value)

    rejects: list[Reject] = []
    purposes: dict[Purpose, None] = {}
    for piece in filter(None, map(str.strip, _SEVERAL.split(written))):
        purpose = _WORDS.get(piece.casefold())
        if purpose is None:
            rejects.append(reject(Field.CONSENT_PURPOSE, RejectCode.CONSENT_PURPOSE, piece))
        else:
            purposes[purpose] = None
    if not purposes:
        return (), rejects
    source = cells.get(Field.CONSENT_SOURCE, "")
    if not source:
        return (), [*rejects, reject(Field.CONSENT_SOURCE, RejectCode.CONSENT_SOURCE, "")]
    days: dict[Field, date | None] = {}
    for field in (Field.CONSENT_FROM, Field.CONSENT_UNTIL):
        value = cells.get(field, "")
        days[field] = read_day(value) if value else None
        if value and days[field] is None:
            return (), [*rejects, reject(field, RejectCode.DATE, value)]
    since, until = days[Field.CONSENT_FROM], days[Field.CONSENT_UNTIL]
    if since and until and until < since:
        value = cells[Field.CONSENT_UNTIL]
        return (), [*rejects, reject(Field.CONSENT_UNTIL, RejectCode.CONSENT_OVER, value)]
    proof = cells.get(Field.CONSENT_PROOF, "")
    return tuple(Agreed(purpose, source, proof, since, until) for purpose in purposes), rejects


@dataclass(frozen=True, slots=True)
class Place:
    """When and where a file is brought in."""

    at: datetime
    #: of the company
    zone: ZoneInfo

    def consent(self, contact_id: int, agreed: Agreed) -> NewConsent | None:
        """The consent of a contact; None where it was over before it is written down, and nobody knows when
        it began."""
        until = self._midnight(agreed.until + timedelta(days=1)) if agreed.until else None
        since = self._midnight(agreed.since) if agreed.since else self.at
        if until is not None and until <= since:
            return None
        return NewConsent(
            contact_id, agreed.purpose, agreed.source, since, until, agreed.proof, undated=not agreed.since
        )

    def consents(
        self, told: Iterable[tuple[int, int, Sequence[Agreed]]], header: str
    ) -> tuple[dict[NewConsent, tuple[int, Agreed]], list[Reject]]:
        """The consents of (contact, row of the file, what it tells), each once with the row that tells of it,
        and what was not taken. One without a day is the one that has a day. `header` is that of the column of
        last days.
        """
        found: dict[NewConsent, tuple[int, Agreed]] = {}
        over: list[Reject] = []
        for contact_id, row, every in told:
            for agreed in every:
                consent = self.consent(contact_id, agreed)
                if consent is None:
                    over.append(Reject.of(row, header, RejectCode.CONSENT_OVER, str(agreed.until)))
                else:
                    found.setdefault(consent, (row, agreed))
        without_day = {replace(one, valid_from=self.at, undated=True) for one in found if not one.undated}
        return {one: of for one, of in found.items() if one not in without_day}, over

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time.min, self.zone)


def is_known(new: NewConsent, consents: Iterable[Consent]) -> bool:
    """Whether a contact with these consents has it already, as `consents.add_many` sees it."""
    return any(
        (one.purpose, one.source, one.proof, one.valid_until)
        == (new.purpose, new.source, new.proof, new.valid_until)
        and (new.undated or one.valid_from == new.valid_from)
        for one in consents
    )


def marks(new: NewConsent) -> tuple[int, int]:
    """What `is_known` goes by, as two integers: a consent with any beginning, and with its own."""
    what = new.contact_id, new.purpose, new.source, new.proof, new.valid_until
    return hash(what), hash((*what, new.valid_from))
